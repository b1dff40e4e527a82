/* SPDX-License-Identifier: MIT */
/* runs.h - some bits of an area, copied from one area to another without touching the rest.
 *
 * Made of a mask; kept as runs of whole bytes and single masked bytes, so that the cycle's work
 * goes by what is mapped and not by the size of the area.
 */
#ifndef SR_IO_RUNS_H
#define SR_IO_RUNS_H

#include <stdint.h>

#include "io.h"

struct io_runs;

/* Worker: of the bits set in `mask` (IO_AREA_BYTES). 0 or -ENOMEM. */
int io_runs_create(struct io_runs **runs, const uint8_t *mask, sr_prefault prefault);
/* NULL is allowed. */
void io_runs_destroy(struct io_runs *runs);

/* Any side: the bits, from one area into the other. */
SR_RT void io_runs_copy(const struct io_runs *runs, uint8_t *to, const uint8_t *from);
/* Any side: the bits to those of `value`, the same for every byte. */
SR_RT void io_runs_fill(const struct io_runs *runs, uint8_t *area, uint8_t value);

#endif
