/* SPDX-License-Identifier: MIT */
/* part.h - what lies between the cycle and one I/O thread: some bits of %I that the thread fills,
 * some of %Q that it puts out.
 *
 * Whole sets go each way through a wait-free exchange (exchange.h), so neither side ever waits
 * for the other and each sees values of one round or one cycle. The I/O thread is a driver's own
 * in C (gpio.h) or one of Python (board.py).
 *
 * Loss. The thread itself says what it could not read, in the quality bits among its inputs. A
 * thread that is not heard of for `stale_ns` cannot: then the cycle clears the bits of `lost`,
 * which are the quality bits and those inputs that shall be 0 on loss. All others keep their value.
 *
 * Safe state. `safe` sets a flag, whoever calls it and whatever the RT thread does: from then on
 * the I/O thread gets the safe values, until a new cycle begins.
 */
#ifndef SR_IO_PART_H
#define SR_IO_PART_H

#include <stdint.h>

#include "io.h"

struct io_part;

struct io_part_masks { /* areas of IO_AREA_BYTES, copied */
    const uint8_t *inputs;
    const uint8_t *outputs;
    const uint8_t *lost;
    const uint8_t *safe; /* the outputs' safe values */
    int64_t stale_ns;
};

enum io_news { IO_OLD, IO_NEW, IO_SAFE };

/* Worker. 0 or -ENOMEM. */
int io_part_create(struct io_part **part, const struct io_part_masks *masks, sr_prefault prefault);
/* Worker, when neither the cycle nor the I/O thread uses it. NULL is allowed. */
void io_part_destroy(struct io_part *part);
/* Worker, before a cycle begins: what it puts out counts again; until then the safe values. */
void io_part_begin(struct io_part *part);

/* RT: the newest inputs into `inputs`. `now_ns` is of the RT side's clock, which need not be the
 * I/O thread's. */
SR_RT void io_part_load(struct io_part *part, uint8_t *inputs, int64_t now_ns);
/* RT: these outputs for the I/O thread. */
SR_RT void io_part_store(struct io_part *part, const uint8_t *outputs);
/* RT, and the watchdog beside it. */
SR_RT void io_part_safe(struct io_part *part);

/* I/O thread: a whole set of inputs. */
void io_part_publish(struct io_part *part, const uint8_t *inputs);
/* I/O thread: the newest outputs into `outputs` (an area). IO_OLD: they are those of the last
 * call; IO_SAFE: they are the safe values, and shall be. */
enum io_news io_part_take(struct io_part *part, uint8_t *outputs);
/* I/O thread: after something was put out. True: it should have been the safe values meanwhile. */
bool io_part_is_safe(const struct io_part *part);

/* Any but RT: the inputs and outputs that the I/O thread had last. */
void io_part_look(struct io_part *part, uint8_t *inputs, uint8_t *outputs);

#endif
