/* SPDX-License-Identifier: MIT */
/* set.h - several drivers as one: `base` has the whole image, parts (part.h) replace those bits
 * of %I that are theirs, and all of them see the outputs.
 *
 * Worker, unless said otherwise: everything but what the io_driver does.
 */
#ifndef SR_IO_SET_H
#define SR_IO_SET_H

#include "part.h"

struct io_set;

/* The set's driver; its state is the set, its `open` is io_set_create. */
extern const struct io_driver io_set;

/* Takes over `base` and its state, on success only. */
int io_set_create(struct io_set **set, const struct io_driver *base, void *base_state,
                  uint32_t room);
/* Take over a part, and what serves it: `safe` puts safe values out at once (SR_RT, as in io.h),
 * `close` ends its I/O thread before the part is destroyed. Both NULL: a thread of somebody else,
 * who ends it first. */
void io_set_add(struct io_set *set, struct io_part *part, SR_RT_POINTER void (*safe)(void *state),
                void (*close)(void *state), void *state);
/* Any thread. */
struct io_part *io_set_part(const struct io_set *set, uint32_t index);

#endif
