/* SPDX-License-Identifier: MIT */
/* ring.c - see ring.h.
 *
 * Every record is preceded by a header and padded to 8 bytes. One that does not fit before the
 * end of the block is written at its start; a filler header marks the bytes left over. Filler
 * and record become visible together, by the one store of the head.
 */
#include "ring.h"

#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 8u
#define FILLER UINT32_MAX /* as a length: skip to the start of the block */

struct header {
    uint32_t length; /* of the record that follows, or FILLER */
    uint32_t unused; /* keeps the record 8-byte aligned */
};

struct ring {
    /* Set once. */
    uint32_t bytes; /* of the block, a power of two */
    uint32_t max_record;
    uint8_t *block;

    /* The producer's line. */
    alignas(SR_CACHE_LINE) _Atomic uint32_t head; /* end of what is published */
    _Atomic uint32_t dropped;
    uint32_t known_tail; /* the tail as last seen */
    uint32_t record;     /* where the reserved record's header is */
    uint32_t reserved;   /* its size; 0: none */

    /* The consumer's line. */
    alignas(SR_CACHE_LINE) _Atomic uint32_t tail; /* start of what is not yet released */
    uint32_t known_head;                          /* the head as last seen */
    uint32_t next;                                /* the tail after a release */
    bool peeked;
};

static_assert(sizeof(struct header) == ALIGNMENT, "records stay aligned");
static_assert(ATOMIC_INT_LOCK_FREE == 2, "cursors need lock-free 32-bit atomics");

static uint32_t padded(uint32_t n)
{
    return (n + (ALIGNMENT - 1u)) & ~(ALIGNMENT - 1u);
}

static uint32_t offset_of(const struct ring *ring, uint32_t cursor)
{
    return cursor & (ring->bytes - 1u);
}

static struct header *header_at(const struct ring *ring, uint32_t cursor)
{
    return (struct header *)(void *)(ring->block + offset_of(ring, cursor));
}

int ring_create(struct ring **ring, uint32_t bytes, sr_prefault prefault)
{
    *ring = NULL;
    if (bytes < 64u || bytes > 1u << 30 || (bytes & (bytes - 1u)) != 0)
        return -EINVAL;
    size_t total = sizeof(struct ring) + bytes;
    total = (total + (SR_CACHE_LINE - 1u)) & ~(size_t)(SR_CACHE_LINE - 1u);
    struct ring *made = aligned_alloc(SR_CACHE_LINE, total);
    if (made == NULL)
        return -ENOMEM;
    memset(made, 0, total);
    made->bytes = bytes;
    made->max_record = bytes / 2u - (uint32_t)sizeof(struct header);
    made->block = (uint8_t *)made + sizeof(struct ring);
    atomic_init(&made->head, 0);
    atomic_init(&made->dropped, 0);
    atomic_init(&made->tail, 0);
    if (prefault != NULL)
        (void)prefault(made, total);
    *ring = made;
    return 0;
}

void ring_destroy(struct ring *ring)
{
    free(ring);
}

uint32_t ring_max_record(const struct ring *ring)
{
    return ring->max_record;
}

/* Producer: are `n` bytes free from `head` on? */
static bool has_room(struct ring *ring, uint32_t head, uint32_t n)
{
    if (ring->bytes - (head - ring->known_tail) >= n)
        return true;
    /* Acquire: pairs with the release in ring_release; what the consumer read from these bytes
     * it has read before we write there. */
    ring->known_tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    return ring->bytes - (head - ring->known_tail) >= n;
}

void *ring_reserve(struct ring *ring, uint32_t n)
{
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    ring->reserved = 0;
    if (n <= ring->max_record) {
        uint32_t size = (uint32_t)sizeof(struct header) + padded(n);
        uint32_t to_end = ring->bytes - offset_of(ring, head);
        uint32_t filler = to_end < size ? to_end : 0;
        if (has_room(ring, head, filler + size)) {
            if (filler != 0)
                header_at(ring, head)->length = FILLER;
            ring->record = head + filler;
            ring->reserved = size;
            return header_at(ring, ring->record) + 1;
        }
    }
    uint32_t dropped = atomic_load_explicit(&ring->dropped, memory_order_relaxed);
    atomic_store_explicit(&ring->dropped, dropped + 1u, memory_order_relaxed);
    return NULL;
}

void ring_commit(struct ring *ring, uint32_t n)
{
    uint32_t size = (uint32_t)sizeof(struct header) + padded(n);
    if (ring->reserved == 0 || n > ring->max_record || size > ring->reserved)
        return; /* a caller's error; publishing it would run over the consumer's data */
    ring->reserved = 0;
    header_at(ring, ring->record)->length = n;
    /* Release: pairs with the acquire in ring_peek; the record, its header and a filler before
     * it are written before the head shows them. */
    atomic_store_explicit(&ring->head, ring->record + size, memory_order_release);
}

const void *ring_peek(struct ring *ring, uint32_t *n)
{
    uint32_t at = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    if (at == ring->known_head) {
        /* Acquire: pairs with the release in ring_commit. */
        ring->known_head = atomic_load_explicit(&ring->head, memory_order_acquire);
        if (at == ring->known_head)
            return NULL;
    }
    const struct header *header = header_at(ring, at);
    if (header->length == FILLER) {
        at += ring->bytes - offset_of(ring, at);
        header = header_at(ring, at);
    }
    *n = header->length;
    ring->next = at + (uint32_t)sizeof(struct header) + padded(header->length);
    ring->peeked = true;
    return header + 1;
}

void ring_release(struct ring *ring)
{
    if (!ring->peeked)
        return;
    ring->peeked = false;
    /* Release: pairs with the acquire in has_room; our reads of the record come before its
     * bytes may be written again. */
    atomic_store_explicit(&ring->tail, ring->next, memory_order_release);
}

uint32_t ring_dropped(const struct ring *ring)
{
    return atomic_load_explicit(&ring->dropped, memory_order_relaxed);
}
