/* SPDX-License-Identifier: MIT */
/* ring.h - records of any length from one producer thread to one consumer thread, without waits.
 *
 * Exactly one thread may call the producer functions and exactly one the consumer functions.
 * A record is contiguous and 8-byte aligned in the ring, so both sides work in place. A full
 * ring refuses the record and counts it: the producer never waits, the consumer polls.
 *
 * Cursors are 32 bit and run freely; the producer's and the consumer's lie on cache lines of
 * their own, and each side keeps a copy of the other's that it refreshes only when it must.
 */
#ifndef SR_RING_H
#define SR_RING_H

#include <stdint.h>

#include "rt.h"

struct ring;

/* Worker: `bytes` is a power of two, 64 to 2^30. 0, -EINVAL, -ENOMEM. */
int ring_create(struct ring **ring, uint32_t bytes, sr_prefault prefault);
/* Worker, when neither side is in use any more. NULL is allowed. */
void ring_destroy(struct ring *ring);
/* Any: the longest record that ring_reserve can ever give (a little under half the ring: one
 * that long fits into an empty ring wherever its cursors stand). */
uint32_t ring_max_record(const struct ring *ring);

/* Producer: room for a record of up to `n` bytes; NULL when it does not fit now, which counts
 * as a drop. A second reserve without a commit gives up the first. */
SR_RT void *ring_reserve(struct ring *ring, uint32_t n);
/* Producer: publish the reserved record with its final length, `n` <= the reserved one. */
SR_RT void ring_commit(struct ring *ring, uint32_t n);

/* Consumer: the oldest record and its length, or NULL when the ring is empty. Stays valid and
 * the same until ring_release. */
const void *ring_peek(struct ring *ring, uint32_t *n);
/* Consumer: give the peeked record's room back. Without a peeked record it does nothing. */
void ring_release(struct ring *ring);

/* Any: records refused so far; wraps. */
uint32_t ring_dropped(const struct ring *ring);

#endif
