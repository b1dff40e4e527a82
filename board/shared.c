/* SPDX-License-Identifier: MIT */
#include "shared.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "force.h"
#include "handover.h"
#include "iec.h"
#include "ring.h"
#include "seqlock.h"

#define RING_BYTES (1u << 13)
#define WORDS (SHARED_MAX_BYTES / 4u)
#define READ_TRIES 100

struct item {
    const struct sr_variable *variable;
    uint32_t at; /* the first of its words: changes, bytes and room, value */
};

struct list {
    struct handover_item item; /* first */
    uint32_t generation;
    uint32_t words;
    uint32_t count;
    bool published; /* RT: all values are, since this list came into use */
    struct item items[];
};

struct write {
    uint32_t generation;
    uint32_t position;
    uint32_t size;
    uint8_t wire[];
};

struct shared {
    struct handover lists;
    sr_prefault prefault;
    struct ring *writes; /* Python thread to RT */
    struct list *active; /* RT; NULL: none yet */
    /* Published by the RT side; read under the lock. */
    _Atomic uint32_t sequence;
    _Atomic uint32_t generation;
    _Atomic uint32_t used;
    _Atomic uint32_t words[WORDS];
};

static void free_chain(struct handover_item *item)
{
    while (item != NULL) {
        struct handover_item *next = item->next;
        free(item);
        item = next;
    }
}

int shared_create(struct shared **shared, sr_prefault prefault)
{
    struct shared *made = calloc(1, sizeof *made);
    *shared = made;
    if (made == NULL)
        return -ENOMEM;
    handover_init(&made->lists);
    made->prefault = prefault;
    const int error = ring_create(&made->writes, RING_BYTES, prefault);
    if (error != 0) {
        free(made);
        *shared = NULL;
        return error;
    }
    if (prefault != NULL)
        (void)prefault(made, sizeof *made);
    return 0;
}

void shared_destroy(struct shared *shared)
{
    if (shared == NULL)
        return;
    shared_forget(shared);
    ring_destroy(shared->writes);
    free(shared);
}

static uint32_t words_of(uint32_t bytes)
{
    return (bytes + 3u) / 4u;
}

static int compile(struct list *list, const struct sr_variable *table, uint32_t table_count,
                   const uint32_t *indices, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (indices[i] >= table_count)
            return -ENOENT;
        const struct sr_variable *row = &table[indices[i]];
        if (row->address == NULL || row->flags == NULL || !iec_is_type(row->type))
            return -EINVAL;
        list->items[i] = (struct item){.variable = row, .at = list->words};
        list->words += 2u + words_of(iec_wire_max(row->type, row->capacity));
        if (list->words > WORDS)
            return -EMSGSIZE;
    }
    list->count = count;
    return 0;
}

int shared_select(struct shared *shared, const struct sr_variable *table, uint32_t table_count,
                  const uint32_t *indices, uint32_t count, uint32_t generation)
{
    if (count > WORDS)
        return -EMSGSIZE;
    const size_t size = sizeof(struct list) + count * sizeof(struct item);
    struct list *list = malloc(size);
    if (list == NULL)
        return -ENOMEM;
    memset(list, 0, size);
    list->generation = generation;
    const int error = compile(list, table, table_count, indices, count);
    if (error != 0) {
        free(list);
        return error;
    }
    if (shared->prefault != NULL)
        (void)shared->prefault(list, size);
    free_chain(handover_publish(&shared->lists, &list->item));
    free_chain(handover_collect(&shared->lists));
    return 0;
}

void shared_forget(struct shared *shared)
{
    free_chain(handover_publish(&shared->lists, NULL));
    free_chain(handover_collect(&shared->lists));
    free(shared->active);
    shared->active = NULL;
}

/* The words of one variable as they shall be, but for the changes; returns their number. */
SR_RT static uint32_t words_now(const struct sr_variable *variable, uint32_t *words)
{
    const uint32_t room = words_of(iec_wire_max(variable->type, variable->capacity));
    memset(words, 0, (1u + room) * 4u);
    words[0] =
        iec_to_wire(variable->type, variable->capacity, variable->address, (uint8_t *)(words + 1));
    words[0] |= room * 4u << 16;
    return 1u + room;
}

/* Relaxed accesses to the words: the sequence lock orders them. */
SR_RT static bool differs(const _Atomic uint32_t *published, const uint32_t *words, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (atomic_load_explicit(&published[i], memory_order_relaxed) != words[i])
            return true;
    }
    return false;
}

SR_RT static void store(_Atomic uint32_t *published, const uint32_t *words, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        atomic_store_explicit(&published[i], words[i], memory_order_relaxed);
}

SR_RT static void publish(struct shared *shared, struct list *list)
{
    uint32_t words[1 + (IEC_MAX_BYTES + 3) / 4];
    bool writing = !list->published;
    if (writing) {
        seqlock_write_begin(&shared->sequence);
        atomic_store_explicit(&shared->generation, list->generation, memory_order_relaxed);
        atomic_store_explicit(&shared->used, list->words, memory_order_relaxed);
    }
    for (uint32_t i = 0; i < list->count; i++) {
        _Atomic uint32_t *at = &shared->words[list->items[i].at];
        const uint32_t count = words_now(list->items[i].variable, words);
        if (list->published && !differs(at + 1, words, count))
            continue;
        if (!writing) {
            writing = true;
            seqlock_write_begin(&shared->sequence);
        }
        const uint32_t changes =
            list->published ? atomic_load_explicit(at, memory_order_relaxed) + 1u : 0;
        atomic_store_explicit(at, changes, memory_order_relaxed);
        store(at + 1, words, count);
    }
    list->published = true;
    if (writing)
        seqlock_write_end(&shared->sequence);
}

void shared_capture(struct shared *shared)
{
    struct handover_item *news = handover_take(&shared->lists);
    if (news != NULL) {
        handover_retire(&shared->lists, shared->active != NULL ? &shared->active->item : NULL);
        shared->active = (struct list *)(void *)news;
    }
    if (shared->active != NULL)
        publish(shared, shared->active);
}

SR_RT static void apply(const struct list *list, const struct write *write)
{
    uint8_t native[IEC_MAX_BYTES];
    if (list == NULL || write->generation != list->generation || write->position >= list->count)
        return;
    const struct sr_variable *variable = list->items[write->position].variable;
    if (force_is_set(variable) ||
        iec_from_wire(variable->type, variable->capacity, write->wire, write->size, native) != 0)
        return;
    memcpy(variable->address, native, iec_size(variable->type, variable->capacity));
}

void shared_apply(struct shared *shared)
{
    /* What is replaced may be another image's, which is not there any more. */
    const struct list *list = handover_has_news(&shared->lists) ? NULL : shared->active;
    const struct write *write;
    uint32_t size;
    while ((write = ring_peek(shared->writes, &size)) != NULL) {
        apply(list, write);
        ring_release(shared->writes);
    }
}

int32_t shared_read(const struct shared *shared, uint32_t generation, uint8_t *to, uint32_t size)
{
    for (int i = 0; i < READ_TRIES; i++) {
        const uint32_t begin = seqlock_read_begin(&shared->sequence);
        const uint32_t used = atomic_load_explicit(&shared->used, memory_order_relaxed);
        const bool ours =
            atomic_load_explicit(&shared->generation, memory_order_relaxed) == generation;
        if (ours && used <= WORDS && used * 4u <= size) {
            for (uint32_t at = 0; at < used; at++) {
                const uint32_t word =
                    atomic_load_explicit(&shared->words[at], memory_order_relaxed);
                memcpy(to + at * 4u, &word, 4);
            }
        }
        if (!seqlock_read_valid(&shared->sequence, begin))
            continue;
        if (!ours)
            return -EAGAIN;
        return used * 4u <= size ? (int32_t)(used * 4u) : -EMSGSIZE;
    }
    return -EAGAIN;
}

int shared_write(struct shared *shared, uint32_t generation, uint32_t position, const uint8_t *wire,
                 uint32_t size)
{
    if (size > IEC_MAX_BYTES)
        return -EINVAL;
    struct write *write = ring_reserve(shared->writes, (uint32_t)sizeof *write + size);
    if (write == NULL)
        return -EAGAIN;
    *write = (struct write){.generation = generation, .position = position, .size = size};
    if (size != 0)
        memcpy(write->wire, wire, size);
    ring_commit(shared->writes, (uint32_t)sizeof *write + size);
    return 0;
}
