/* SPDX-License-Identifier: MIT */
/* exchange.h - the newest set of values, from one thread to another, and nobody waits.
 *
 * Three buffers of one size: the producer fills one, the consumer reads one, and the third lies
 * between them. Publishing and taking are one atomic swap each, so both sides finish in the same
 * few instructions whatever the other does, on one processor too and at any priorities. Sets may
 * be overwritten before they are taken; they are never mixed.
 *
 * One producer and one consumer at a time; which threads they are is the owner's business. A
 * buffer that comes back to the producer holds an older set: it is to be filled whole. A side that
 * is cut short in here (by a jump out of a signal handler) leaves both sides on one buffer: who
 * goes on after such a jump makes sure that it came from elsewhere, as cycle_take_back does.
 */
#ifndef SR_EXCHANGE_H
#define SR_EXCHANGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "rt.h"

/* Opaque but to the functions below. */
struct exchange {
    _Alignas(SR_CACHE_LINE) _Atomic uint32_t middle; /* the third buffer's number, EXCHANGE_NEW */
    _Alignas(SR_CACHE_LINE) uint32_t back;           /* of the producer */
    _Alignas(SR_CACHE_LINE) uint32_t front;          /* of the consumer */
    uint32_t size;
    uint8_t *buffers[3];
};

#define EXCHANGE_NEW 4u /* in `middle`: published, not yet taken */

/* Worker. All three buffers are 0 and aligned for any type; until the first set is published the
 * consumer sees zeros. 0, -EINVAL (size 0), -ENOMEM. */
int exchange_create(struct exchange **exchange, uint32_t size, sr_prefault prefault);
/* Worker, when no thread uses it any more. NULL is allowed. */
void exchange_destroy(struct exchange *exchange);

/* Producer: the buffer to fill, `size` bytes. */
SR_RT static inline void *exchange_back(const struct exchange *exchange)
{
    return exchange->buffers[exchange->back];
}

/* Producer: what was filled is the newest set from now on; exchange_back is another buffer. */
SR_RT static inline void exchange_publish(struct exchange *exchange)
{
    /* Release: the set, for the acquire in exchange_take. Acquire: the consumer's last reads of
     * the buffer that comes back, which its release in exchange_take ended. */
    const uint32_t old = atomic_exchange_explicit(&exchange->middle, exchange->back | EXCHANGE_NEW,
                                                  memory_order_acq_rel);
    exchange->back = old & ~EXCHANGE_NEW;
}

/* Consumer: make the newest set the one that exchange_front gives. False: it is the same. */
SR_RT static inline bool exchange_take(struct exchange *exchange)
{
    /* Without news no locked instruction. */
    if ((atomic_load_explicit(&exchange->middle, memory_order_relaxed) & EXCHANGE_NEW) == 0)
        return false;
    /* Both orders as in exchange_publish, the other way round. */
    const uint32_t newest =
        atomic_exchange_explicit(&exchange->middle, exchange->front, memory_order_acq_rel);
    exchange->front = newest & ~EXCHANGE_NEW;
    return true;
}

/* Consumer: the set taken last; it stays as it is until the next exchange_take. */
SR_RT static inline const void *exchange_front(const struct exchange *exchange)
{
    return exchange->buffers[exchange->front];
}

#endif
