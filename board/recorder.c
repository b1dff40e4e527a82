/* SPDX-License-Identifier: MIT */
/* recorder.c - see recorder.h. */
#include "recorder.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#define CAUSES 2u /* of enum recorder_cause, less the first */

struct recorder {
    /* Whose turn it is: while set, all below `resets_done` is the worker's, else RT's. */
    atomic_bool frozen;
    _Atomic uint32_t resets_asked;
    _Atomic uint32_t thresholds_ns[CAUSES]; /* relaxed: seen with the reset or a cycle later */
    /* RT, also while the ring stands still. */
    uint32_t max_ns[CAUSES];
    uint32_t seen; /* stands still at RECORDER_SETTLING_CYCLES */
    uint32_t resets_done;
    /* Whose turn it is. */
    uint32_t next;
    uint32_t filled;
    uint32_t remaining; /* cycles until the ring stands still */
    uint32_t age;       /* cycles since the maximum */
    uint32_t cause;
    uint32_t value_ns;
    uint32_t before_ns;
    uint32_t resets; /* at the time it came to a standstill */
    struct recorder_cycle ring[RECORDER_CYCLES];
};

int recorder_create(struct recorder **recorder, sr_prefault prefault)
{
    struct recorder *made = calloc(1, sizeof *made);
    *recorder = made;
    if (made == NULL)
        return -ENOMEM;
    if (prefault != NULL)
        (void)prefault(made, sizeof *made);
    return 0;
}

void recorder_destroy(struct recorder *recorder)
{
    free(recorder);
}

/* ---- RT ------------------------------------------------------------------------------------ */

SR_RT static void begin(struct recorder *recorder)
{
    recorder->next = 0;
    recorder->filled = 0;
    recorder->cause = RECORDER_NOTHING;
}

SR_RT static void freeze(struct recorder *recorder)
{
    recorder->resets = recorder->resets_done;
    /* Release: the ring, for the acquire in recorder_take. */
    atomic_store_explicit(&recorder->frozen, true, memory_order_release);
}

SR_RT static void put(struct recorder *recorder, const struct recorder_cycle *cycle)
{
    recorder->ring[recorder->next] = *cycle;
    recorder->next = (recorder->next + 1) % RECORDER_CYCLES;
    if (recorder->filled < RECORDER_CYCLES)
        recorder->filled++;
    recorder->age++;
}

/* Follow the maximum of one figure; a new one that counts becomes what the ring is kept for. */
SR_RT static void follow(struct recorder *recorder, enum recorder_cause cause, uint32_t value_ns,
                         bool running)
{
    const uint32_t before_ns = recorder->max_ns[cause - 1];
    if (value_ns <= before_ns)
        return;
    recorder->max_ns[cause - 1] = value_ns;
    const uint32_t threshold_ns =
        atomic_load_explicit(&recorder->thresholds_ns[cause - 1], memory_order_relaxed);
    const bool counts =
        threshold_ns != 0 ? value_ns > threshold_ns : recorder->seen >= RECORDER_SETTLING_CYCLES;
    if (!counts || !running ||
        (recorder->cause != RECORDER_NOTHING && recorder->cause != (uint32_t)cause))
        return;
    recorder->cause = cause;
    recorder->value_ns = value_ns;
    recorder->before_ns = before_ns;
    recorder->age = 0;
    recorder->remaining = RECORDER_AFTER + 1;
}

SR_RT void recorder_note(struct recorder *recorder, const struct recorder_cycle *cycle)
{
    /* Acquire: pairs with the release in recorder_take, which has read the ring. */
    bool running = !atomic_load_explicit(&recorder->frozen, memory_order_acquire);
    const uint32_t asked = atomic_load_explicit(&recorder->resets_asked, memory_order_relaxed);
    if (asked != recorder->resets_done) {
        recorder->resets_done = asked;
        recorder->seen = 0;
        for (uint32_t i = 0; i < CAUSES; i++)
            recorder->max_ns[i] = 0;
        if (running)
            begin(recorder);
    }
    if (running)
        put(recorder, cycle);
    follow(recorder, RECORDER_WAKEUP, cycle->wakeup_ns, running);
    follow(recorder, RECORDER_EXECUTION, cycle->execution_ns, running);
    if (recorder->seen < RECORDER_SETTLING_CYCLES)
        recorder->seen++;
    if (running && recorder->cause != RECORDER_NOTHING && --recorder->remaining == 0)
        freeze(recorder);
}

SR_RT void recorder_finish(struct recorder *recorder)
{
    if (!atomic_load_explicit(&recorder->frozen, memory_order_acquire) &&
        recorder->cause != RECORDER_NOTHING)
        freeze(recorder);
}

/* ---- worker -------------------------------------------------------------------------------- */

void recorder_reset(struct recorder *recorder, uint32_t wakeup_ns, uint32_t execution_ns)
{
    atomic_store_explicit(&recorder->thresholds_ns[RECORDER_WAKEUP - 1], wakeup_ns,
                          memory_order_relaxed);
    atomic_store_explicit(&recorder->thresholds_ns[RECORDER_EXECUTION - 1], execution_ns,
                          memory_order_relaxed);
    atomic_fetch_add_explicit(&recorder->resets_asked, 1, memory_order_relaxed);
}

static void copy(const struct recorder *recorder, struct recorder_record *record)
{
    const uint32_t count = recorder->filled;
    record->cause = recorder->cause;
    record->value_ns = recorder->value_ns;
    record->before_ns = recorder->before_ns;
    record->position = count - 1 - recorder->age;
    record->count = count;
    for (uint32_t i = 0; i < count; i++)
        record->cycles[i] =
            recorder->ring[(recorder->next + RECORDER_CYCLES - count + i) % RECORDER_CYCLES];
}

bool recorder_take(struct recorder *recorder, struct recorder_record *record)
{
    /* Acquire: pairs with the release in freeze. */
    if (!atomic_load_explicit(&recorder->frozen, memory_order_acquire))
        return false;
    /* A maximum from before a reset is none of the new figures. */
    const bool valid =
        recorder->resets == atomic_load_explicit(&recorder->resets_asked, memory_order_relaxed);
    if (valid)
        copy(recorder, record);
    begin(recorder);
    /* Release: pairs with the acquire in recorder_note. */
    atomic_store_explicit(&recorder->frozen, false, memory_order_release);
    return valid;
}
