/* SPDX-License-Identifier: MIT */
/* shared.h - variables that a program shares with its Python.
 *
 * Out of the cycle: at its end each shared variable is compared with what it was; a change is
 * counted and its value published, all of one cycle under one sequence lock. So a reader sees
 * values of one cycle, and how often each has changed, without any request to the cycle.
 * Into the cycle: writes pass through a ring and are applied at the start of a cycle, after
 * inputs and forces; a forced variable is left alone.
 *
 * A list has a generation, which the worker chooses and never uses twice in a row: readers and
 * writers name it, and nothing of another list is ever read or written.
 */
#ifndef SR_SHARED_H
#define SR_SHARED_H

#include <stdint.h>

#include "plc_abi.h"
#include "rt.h"

struct shared;

/* The most that all values of a list may take, with 8 bytes beside each. */
#define SHARED_MAX_BYTES 16384u

/* Worker. 0 or -ENOMEM. */
int shared_create(struct shared **shared, sr_prefault prefault);
/* Worker, when nobody uses it any more. NULL is allowed. */
void shared_destroy(struct shared *shared);

/* Worker: share these variables from the next shared_capture on; count 0 shares none. Does not
 * wait. -ENOENT: no such index; -EINVAL: bad row; -EMSGSIZE: beyond SHARED_MAX_BYTES; -ENOMEM:
 * the old list stays. */
int shared_select(struct shared *shared, const struct sr_variable *table, uint32_t table_count,
                  const uint32_t *indices, uint32_t count, uint32_t generation);
/* Worker, only while no RT thread runs: drop every list, so that the image may be unloaded. */
void shared_forget(struct shared *shared);

/* RT: at the end of a cycle. Takes a new list over, then publishes what has changed. */
SR_RT void shared_capture(struct shared *shared);
/* RT: at the start of a cycle, after force_apply. Writes are lost when a new list waits. */
SR_RT void shared_apply(struct shared *shared);

/* Python thread: of each variable of the list, in its order: u32 changes (wraps), u16 bytes, u16
 * room for them (a multiple of 4), and the room with the value in wire form (iec.h). Returns the
 * bytes of all; -EAGAIN: the cycle keeps writing, or has not taken this generation over yet;
 * -EMSGSIZE: `size` is too small. */
int32_t shared_read(const struct shared *shared, uint32_t generation, uint8_t *to, uint32_t size);
/* Python thread: write one variable, by its position in the list. -EINVAL: longer than any value;
 * -EAGAIN: the cycle has not applied earlier writes yet. A value that does not fit the variable
 * is thrown away by the cycle: check it before. */
int shared_write(struct shared *shared, uint32_t generation, uint32_t position, const uint8_t *wire,
                 uint32_t size);

#endif
