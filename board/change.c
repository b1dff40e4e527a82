/* SPDX-License-Identifier: MIT */
#include "change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "convert.h"
#include "iec.h"
#include "platform.h"

/* The second pass finds in the caches what the first brought there; the dearer of both counts. */
#define PASSES 2u
/* A rehearsal takes this part of what is left of a period, so that it never delays the next. */
#define REHEARSAL_SHARE 8
#define PAIRS_PER_LOOK 32u /* at the clock */
/* For what a switch does besides copying, on top of what was measured. */
#define RESERVE_NS INT64_C(5000)

struct change_copy {
    const void *source;
    void *target;
    struct convert_type from;
    struct convert_type to;
    uint32_t plain; /* bytes to copy as they are; 0: convert */
};

static int fill(struct change_copy *copy, const struct sr_variable *from,
                const struct sr_variable *to)
{
    copy->source = from->address;
    copy->target = to->address;
    copy->from = (struct convert_type){from->type, from->capacity};
    copy->to = (struct convert_type){to->type, to->capacity};
    if (from->address == NULL || to->address == NULL)
        return -EINVAL;
    switch (convert_kind(copy->from, copy->to)) {
    case CONVERT_SAME:
        copy->plain = iec_size(from->type, from->capacity);
        return 0;
    case CONVERT_WIDER:
        return 0;
    default:
        return -EINVAL;
    }
}

/* `seen` has one byte a row of the new table, all 0. */
static int compile(struct change *change, const struct sr_variable *from, uint32_t from_count,
                   const struct sr_variable *to, uint32_t to_count, const struct change_pair *pairs,
                   uint32_t count, uint8_t *seen)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct change_pair pair = pairs[i];
        if (pair.from >= from_count || pair.to >= to_count)
            return -ENOENT;
        if (seen[pair.to] != 0)
            return -EEXIST;
        seen[pair.to] = 1;
        const int error = fill(&change->copies[i], &from[pair.from], &to[pair.to]);
        if (error != 0)
            return error;
        change->copy_count = i + 1;
    }
    return 0;
}

int change_create(struct change **change, const struct sr_variable *from, uint32_t from_count,
                  const struct sr_variable *to, uint32_t to_count, const struct change_pair *pairs,
                  uint32_t count, uint32_t observe, uint32_t probation, sr_prefault prefault,
                  uint32_t *bad)
{
    *change = NULL;
    if (bad != NULL)
        *bad = count;
    if (count > to_count)
        return -EEXIST;
    struct change *new = calloc(1, sizeof *new);
    uint8_t *seen = calloc((size_t)to_count + 1, 1);
    if (new != NULL)
        new->copies = calloc((size_t)count + 1, sizeof *new->copies);
    if (new == NULL || seen == NULL || new->copies == NULL) {
        change_destroy(new);
        free(seen);
        return -ENOMEM;
    }
    const int error = compile(new, from, from_count, to, to_count, pairs, count, seen);
    free(seen);
    if (error != 0) {
        if (bad != NULL)
            *bad = new->copy_count; /* the first that was not compiled */
        change_destroy(new);
        return error;
    }
    atomic_init(&new->busy_ns, UINT32_MAX);
    new->observe = observe;
    new->probation = probation;
    if (prefault != NULL) {
        (void)prefault(new, sizeof *new);
        (void)prefault(new->copies, ((size_t)count + 1) * sizeof *new->copies);
    }
    *change = new;
    return 0;
}

void change_destroy(struct change *change)
{
    if (change == NULL)
        return;
    free(change->copies);
    free(change);
}

enum change_phase change_phase(const struct change *change)
{
    return (enum change_phase)atomic_load_explicit(&change->phase, memory_order_acquire);
}

/* Release: what this side did before, for change_phase's acquire. */
static bool move(struct change *change, int from, enum change_phase to)
{
    return atomic_compare_exchange_strong_explicit(&change->phase, &from, (int)to,
                                                   memory_order_acq_rel, memory_order_relaxed);
}

static uint32_t clip(int64_t ns)
{
    return ns < 0 ? 0 : ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static void keep_longest(_Atomic uint32_t *longest, int64_t ns)
{
    if (clip(ns) > atomic_load_explicit(longest, memory_order_relaxed))
        atomic_store_explicit(longest, clip(ns), memory_order_relaxed);
}

static void keep_shortest(_Atomic uint32_t *shortest, int64_t ns)
{
    if (clip(ns) < atomic_load_explicit(shortest, memory_order_relaxed))
        atomic_store_explicit(shortest, clip(ns), memory_order_relaxed);
}

static void copy_some(const struct change *change, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++) {
        const struct change_copy *copy = &change->copies[i];
        switch (copy->plain) { /* a constant size makes memcpy a load and a store */
        case 1:
            memcpy(copy->target, copy->source, 1);
            break;
        case 2:
            memcpy(copy->target, copy->source, 2);
            break;
        case 4:
            memcpy(copy->target, copy->source, 4);
            break;
        case 8:
            memcpy(copy->target, copy->source, 8);
            break;
        case 0:
            convert_copy(copy->from, copy->to, copy->source, copy->target);
            break;
        default:
            memcpy(copy->target, copy->source, copy->plain);
            break;
        }
    }
}

static void end_pass(struct change *change)
{
    keep_longest(&change->copy_ns,
                 (int64_t)(change->pass_ns < INT64_MAX ? change->pass_ns : INT64_MAX));
    change->at = 0;
    change->pass_ns = 0;
    change->passes++;
}

void change_rehearse(struct change *change, int64_t release_ns, int64_t next_ns)
{
    int64_t now_ns = platform_now_ns();
    keep_shortest(&change->busy_ns, now_ns - release_ns);
    const int64_t until_ns = now_ns + (next_ns - now_ns) / REHEARSAL_SHARE;
    if (change->observe > 0)
        change->observe--;
    while (change->passes < PASSES && now_ns < until_ns) {
        const uint32_t left = change->copy_count - change->at;
        const uint32_t end = change->at + (left < PAIRS_PER_LOOK ? left : PAIRS_PER_LOOK);
        const int64_t began_ns = now_ns;
        copy_some(change, change->at, end);
        change->at = end;
        now_ns = platform_now_ns();
        change->pass_ns += (uint64_t)(now_ns - began_ns);
        if (end == change->copy_count)
            end_pass(change);
    }
    if (change->passes == PASSES && change->observe == 0)
        (void)move(change, CHANGE_REHEARSING, CHANGE_READY);
}

bool change_is_due(const struct change *change, int64_t next_ns)
{
    if (change_phase(change) != CHANGE_ORDERED)
        return false;
    const int64_t copy_ns = atomic_load_explicit(&change->copy_ns, memory_order_relaxed);
    return platform_now_ns() + CHANGE_IDLE_SHARE * copy_ns + RESERVE_NS <= next_ns;
}

bool change_switch(struct change *change)
{
    if (!move(change, CHANGE_ORDERED, CHANGE_SWITCHING))
        return false;
    copy_some(change, 0, change->copy_count);
    return true;
}

void change_switched(struct change *change)
{
    atomic_store_explicit(&change->cycles_left, change->probation, memory_order_relaxed);
    /* Release: that the old tables are at rest, for change_phase's acquire. */
    atomic_store_explicit(&change->phase, CHANGE_PROBATION, memory_order_release);
}

void change_survived(struct change *change)
{
    const uint32_t left = atomic_load_explicit(&change->cycles_left, memory_order_relaxed);
    if (left > 0)
        atomic_store_explicit(&change->cycles_left, left - 1, memory_order_relaxed);
}

bool change_roll_back(struct change *change)
{
    return move(change, CHANGE_PROBATION, CHANGE_ROLLED_BACK);
}

bool change_fits(const struct change *change, int64_t period_ns)
{
    const int64_t copy_ns = atomic_load_explicit(&change->copy_ns, memory_order_relaxed);
    const int64_t busy_ns = atomic_load_explicit(&change->busy_ns, memory_order_relaxed);
    return CHANGE_IDLE_SHARE * copy_ns + RESERVE_NS <= period_ns - busy_ns;
}

bool change_order(struct change *change)
{
    return move(change, CHANGE_READY, CHANGE_ORDERED);
}

bool change_confirm(struct change *change)
{
    return move(change, CHANGE_PROBATION, CHANGE_CONFIRMED);
}

bool change_withdraw(struct change *change)
{
    return move(change, CHANGE_ORDERED, CHANGE_WITHDRAWN) ||
           move(change, CHANGE_READY, CHANGE_WITHDRAWN) ||
           move(change, CHANGE_REHEARSING, CHANGE_WITHDRAWN) ||
           /* it may have become ready between the two last lines */
           move(change, CHANGE_READY, CHANGE_WITHDRAWN);
}

bool change_release(struct change *change)
{
    return move(change, CHANGE_ROLLED_BACK, CHANGE_RELEASED);
}
