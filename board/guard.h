/* SPDX-License-Identifier: MIT */
/* guard.h - outputs become safe when this process dies, whatever it dies of.
 *
 * The guard is a child, forked when the I/O driver is open, that does nothing but wait: for the
 * end of a pipe that only the runtime holds, and for the runtime itself (a pidfd: a child of a
 * program may have inherited the pipe). Then it calls the driver's `safe` and leaves. So it acts
 * after SIGKILL, abort, _exit, and when the process executes another program. It blocks every
 * signal and has a session of its own, so what ends the runtime's group does not end it.
 *
 * It is forked before memory is locked and touched for the real-time threads: a page that was
 * shared at the fork is copied at the first write to it, and that must not be the cycle's.
 *
 * It cannot help when the machine stops or loses power, or when both are killed at once: there
 * the device's own timeout must.
 *
 * Worker, all of it.
 */
#ifndef SR_GUARD_H
#define SR_GUARD_H

#include "io/io.h"

struct guard;

/* Before the driver opens: the descriptors that are open now are not the driver's, so the guard
 * will not keep them (a connection would not end with the runtime). NULL: no memory. */
struct guard *guard_prepare(void);
/* Once the driver is open, before any thread of it or ours runs and before memory is locked. From
 * then on `driver->safe(state)` may be called in the guard, whose memory is that of this moment.
 * `priority`: SCHED_FIFO, if allowed; 0: none. 0 or -errno. */
int guard_start(struct guard *guard, const struct io_driver *driver, void *state, int priority);
/* It still waits. */
bool guard_stands(struct guard *guard);
/* While no cycle runs: outputs are safe and no process is left. NULL is allowed. */
void guard_stop(struct guard *guard);

#endif
