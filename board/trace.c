/* SPDX-License-Identifier: MIT */
/* trace.c - see trace.h. Inside the ring a record is preceded by its generation. */
#include "trace.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "handover.h"
#include "plan.h"
#include "ring.h"

struct list {
    struct handover_item item; /* first */
    struct plan *plan;
    uint32_t generation;
};

struct trace {
    struct ring *ring;
    sr_prefault prefault;
    struct handover lists;
    struct list *active;      /* RT: the list in use; NULL: none yet */
    _Atomic uint32_t dropped; /* RT writes; relaxed: a figure, it orders nothing */
};

/* What precedes the values in the ring. */
struct prefix {
    uint32_t generation;
    uint32_t tick;
    uint32_t length;
};

/* What of it the consumer gets. */
static_assert(sizeof(struct prefix) == sizeof(uint32_t) + TRACE_RECORD_HEADER, "packed");

static void free_chain(struct handover_item *item)
{
    while (item != NULL) {
        struct handover_item *next = item->next;
        struct list *list = (struct list *)(void *)item;
        plan_destroy(list->plan);
        free(list);
        item = next;
    }
}

int trace_create(struct trace **trace, uint32_t ring_bytes, sr_prefault prefault)
{
    *trace = NULL;
    struct trace *made = calloc(1, sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    int error = ring_create(&made->ring, ring_bytes, prefault);
    if (error != 0) {
        free(made);
        return error;
    }
    handover_init(&made->lists);
    atomic_init(&made->dropped, 0);
    made->prefault = prefault;
    if (prefault != NULL)
        (void)prefault(made, sizeof *made);
    *trace = made;
    return 0;
}

void trace_destroy(struct trace *trace)
{
    if (trace == NULL)
        return;
    trace_forget(trace);
    ring_destroy(trace->ring);
    free(trace);
}

int trace_select(struct trace *trace, const struct sr_variable *table, uint32_t table_count,
                 const uint32_t *indices, uint32_t count, uint32_t generation)
{
    uint32_t room = ring_max_record(trace->ring);
    room = room > sizeof(struct prefix) ? room - (uint32_t)sizeof(struct prefix) : 0;
    struct list *list = calloc(1, sizeof *list);
    if (list == NULL)
        return -ENOMEM;
    int error = plan_create(&list->plan, table, table_count, indices, count, room, trace->prefault);
    if (error != 0) {
        free(list);
        return error;
    }
    list->generation = generation;
    if (trace->prefault != NULL)
        (void)trace->prefault(list, sizeof *list);
    free_chain(handover_publish(&trace->lists, &list->item));
    free_chain(handover_collect(&trace->lists));
    return 0;
}

void trace_forget(struct trace *trace)
{
    free_chain(handover_publish(&trace->lists, NULL));
    free_chain(handover_collect(&trace->lists));
    if (trace->active != NULL)
        free_chain(&trace->active->item);
    trace->active = NULL;
}

static void count_dropped(struct trace *trace)
{
    uint32_t dropped = atomic_load_explicit(&trace->dropped, memory_order_relaxed);
    atomic_store_explicit(&trace->dropped, dropped + 1u, memory_order_relaxed);
}

void trace_capture(struct trace *trace, uint32_t tick)
{
    struct handover_item *news = handover_take(&trace->lists);
    if (news != NULL) {
        handover_retire(&trace->lists, trace->active != NULL ? &trace->active->item : NULL);
        trace->active = (struct list *)(void *)news;
        atomic_store_explicit(&trace->dropped, 0, memory_order_relaxed);
    }
    const struct list *list = trace->active;
    if (list == NULL || plan_count(list->plan) == 0)
        return;
    struct prefix prefix = {.generation = list->generation, .tick = tick};
    uint8_t *record =
        ring_reserve(trace->ring, (uint32_t)sizeof prefix + plan_max_bytes(list->plan));
    if (record == NULL) {
        count_dropped(trace);
        return;
    }
    prefix.length = plan_capture(list->plan, record + sizeof prefix);
    memcpy(record, &prefix, sizeof prefix);
    ring_commit(trace->ring, (uint32_t)sizeof prefix + prefix.length);
}

void trace_put(struct trace *trace, uint32_t generation, uint32_t tick, const void *values,
               uint32_t length)
{
    const struct prefix prefix = {.generation = generation, .tick = tick, .length = length};
    uint8_t *record = ring_reserve(trace->ring, (uint32_t)sizeof prefix + length);
    if (record == NULL) {
        count_dropped(trace);
        return;
    }
    memcpy(record, &prefix, sizeof prefix);
    memcpy(record + sizeof prefix, values, length);
    ring_commit(trace->ring, (uint32_t)sizeof prefix + length);
}

int32_t trace_read(struct trace *trace, uint32_t generation, uint8_t *to, uint32_t size,
                   uint32_t *records)
{
    uint32_t bytes = 0, count = 0, n;
    int32_t error = 0;
    const uint8_t *record;
    if (size > INT32_MAX)
        size = INT32_MAX;
    while ((record = ring_peek(trace->ring, &n)) != NULL) {
        struct prefix prefix;
        memcpy(&prefix, record, sizeof prefix);
        if (prefix.generation != generation) {
            if ((int32_t)(prefix.generation - generation) > 0)
                break; /* another list's already: the caller's is over */
            ring_release(trace->ring);
            continue;
        }
        n -= (uint32_t)sizeof prefix.generation;
        if (n > size - bytes) {
            error = count == 0 ? -EMSGSIZE : 0;
            break;
        }
        memcpy(to + bytes, record + sizeof prefix.generation, n);
        bytes += n;
        count++;
        ring_release(trace->ring);
    }
    if (records != NULL)
        *records = count;
    return error != 0 ? error : (int32_t)bytes;
}

uint32_t trace_dropped(const struct trace *trace)
{
    return atomic_load_explicit(&trace->dropped, memory_order_relaxed);
}
