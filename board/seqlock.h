/* SPDX-License-Identifier: MIT */
/* seqlock.h - one writer that never waits, readers that notice a write under way and retry.
 *
 * The sequence is odd while a write is under way. All protected data must be atomic objects,
 * accessed relaxed: a torn read is then a wrong value that is thrown away, not a data race.
 * 32 bit only, so it is the same on every target.
 */
#ifndef SR_SEQLOCK_H
#define SR_SEQLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "rt.h"

/* The one writer: before the first store. */
SR_RT static inline void seqlock_write_begin(_Atomic uint32_t *sequence)
{
    uint32_t before = atomic_load_explicit(sequence, memory_order_relaxed);
    /* `| 1`: a writer that died in the middle left an odd number; its successor goes on. */
    atomic_store_explicit(sequence, before | 1u, memory_order_relaxed);
    /* Pairs with the acquire fence in seqlock_read_valid: a reader that saw one of the stores
     * after this fence also sees the odd sequence. */
    atomic_thread_fence(memory_order_release);
}

/* The one writer: after the last store. */
SR_RT static inline void seqlock_write_end(_Atomic uint32_t *sequence)
{
    uint32_t odd = atomic_load_explicit(sequence, memory_order_relaxed);
    /* Release: pairs with the acquire load in seqlock_read_begin. */
    atomic_store_explicit(sequence, odd + 1u, memory_order_release);
}

/* A reader: before the first load. Pass the result to seqlock_read_valid. */
SR_RT static inline uint32_t seqlock_read_begin(const _Atomic uint32_t *sequence)
{
    /* Acquire: pairs with the release store in seqlock_write_end. */
    return atomic_load_explicit(sequence, memory_order_acquire);
}

/* A reader: after the last load; false when what was read must be thrown away. */
SR_RT static inline bool seqlock_read_valid(const _Atomic uint32_t *sequence, uint32_t begin)
{
    /* Pairs with the release fence in seqlock_write_begin. */
    atomic_thread_fence(memory_order_acquire);
    return (begin & 1u) == 0 && atomic_load_explicit(sequence, memory_order_relaxed) == begin;
}

#endif
