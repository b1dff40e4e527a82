/* SPDX-License-Identifier: MIT */
/* sim.h - the `sim` driver's shared memory, and the plant's side of it.
 *
 * POSIX shared memory "/serial-runtime.NAME" (Linux: /dev/shm/serial-runtime.NAME), mode 0600,
 * NAME of 1 to 64 characters A-Z a-z 0-9 _ - . Layout, host byte order, all words atomic:
 *
 *   offset  what
 *        0  u32 magic SIM_MAGIC, written last
 *        4  u32 version SIM_VERSION
 *        8  u32 offset of the inputs      (256)
 *       12  u32 bytes of the inputs       (1024)
 *       16  u32 offset of the outputs     (1280)
 *       20  u32 bytes of the outputs      (1024)
 *       24  u32 1: the board runs in lockstep with the plant
 *       64  u32 input sequence: the plant's seqlock (seqlock.h), odd while it writes
 *       68  u32 lockstep: cycles that the plant has allowed, ever; a futex, the plant wakes
 *      128  u32 output sequence: the board's
 *      132  u32 tick of the outputs, under the board's seqlock
 *      136  u32 lockstep: cycles whose outputs are out, ever; a futex, the board wakes
 *      256  inputs, %I: written by the plant, read by the board
 *     1280  outputs, %Q: written by the board, read by the plant
 *     2304  end
 *
 * The board's cycle makes one attempt at the inputs and keeps the previous ones when the plant
 * is in the middle of a write; the plant retries. Safe state: all outputs 0.
 *
 * Lockstep ("lockstep:NAME"). The plant is the clock: a cycle begins when more cycles are allowed
 * than were run, and sees the inputs of that moment. The program's time starts at 0 and goes on by
 * one period a cycle, so a run is the same however long it takes. Both counters wrap; they stay
 * when board or plant come and go, but for what a plant that is gone had allowed.
 *
 * Life. The board creates the segment. Who is attached shows in OFD file locks, which end with
 * their process whatever kills it: byte 0 the board, byte 1 the plant, byte 2 held shortly while
 * attaching and detaching. So there is at most one of each, a segment left behind by a crash is
 * recognised and used again (inputs cleared unless a plant is attached), a plant stays attached
 * across a restart of the board, and the last one to leave removes the segment.
 */
#ifndef SR_SIM_H
#define SR_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "io.h"

#define SIM_MAGIC 0x4D495352u /* "RSIM" in memory */
#define SIM_VERSION 1u
#define SIM_NAME_MAX 64u

/* ---- the plant's side: a process or thread of the host, never the RT thread --------------- */

struct sim_plant;

/* Attach to the segment of a running board. -EINVAL: bad name; -ENOENT: no board made one;
 * -EBUSY: another plant is attached; -EPROTO: other layout; -EPERM: it is another user's;
 * other -errno of the system. */
int sim_attach(struct sim_plant **plant, const char *name);
/* One thread at a time uses a plant. NULL is allowed. */
void sim_detach(struct sim_plant *plant);

/* Write `size` bytes of %I at `offset`, seen by the board all or nothing. -ERANGE: beyond. */
int sim_write_inputs(struct sim_plant *plant, uint32_t offset, const uint8_t *data, uint32_t size);
/* Read `size` bytes of %I at `offset`, as this plant or the one before it left them. -ERANGE. */
int sim_read_inputs(const struct sim_plant *plant, uint32_t offset, uint8_t *data, uint32_t size);
/* Read `size` bytes of %Q at `offset`, all of the same cycle, and that cycle's tick (may be
 * NULL). -ERANGE: beyond; -EAGAIN: the board stopped for good in the middle of a write. */
int sim_read_outputs(struct sim_plant *plant, uint32_t offset, uint8_t *data, uint32_t size,
                     uint32_t *tick);
/* In lockstep: allow `cycles` more, and wait until all that were ever allowed are run; 0 cycles:
 * just wait. -ENOTSUP: the board is not in lockstep; -ETIMEDOUT: they stay allowed. */
int sim_step(struct sim_plant *plant, uint32_t cycles, int64_t timeout_ns);
/* Does a living board have it open now? */
bool sim_board_open(const struct sim_plant *plant);

#endif
