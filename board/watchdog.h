/* SPDX-License-Identifier: MIT */
/* watchdog.h - ends a cycle that runs too long.
 *
 * A thread one priority above the task: an endless loop at SCHED_FIFO starves everything below
 * it, on one CPU all of Python. The task counts a beat at the start and the end of every cycle
 * (odd: in a cycle); the watchdog looks at it a few times per limit, half a base tick off the
 * releases so that it never delays one.
 */
#ifndef SR_WATCHDOG_H
#define SR_WATCHDOG_H

#include <stdatomic.h>
#include <stdint.h>

#include "platform.h"
#include "seqlock.h"

struct watchdog {
    _Atomic uint32_t beat; /* written by the task */
    struct platform_thread *thread;
    struct platform_thread *task;
    struct platform_schedule schedule;
    int64_t limit_ns;
    int64_t first_ns;
    int64_t step_ns;
    void (*give_up)(void *owner); /* the task did not react: called once, on this thread */
    void *owner;
    atomic_bool stop;
};

/* Worker: watch `task`, one of whose releases is at `release_ns`, with base tick `base_ns`.
 * `watchdog` must stay where it is. */
int watchdog_start(struct watchdog *watchdog, struct platform_thread *task, int task_priority,
                   int64_t limit_ns, int64_t release_ns, int64_t base_ns);
/* Worker: end it and wait for its end. Does nothing when it does not run. */
void watchdog_stop(struct watchdog *watchdog);

/* RT: a cycle begins, and ends. The beat is a seqlock's sequence: while it is even and does not
 * change, the cycle rests and the variables stand still. */
SR_RT static inline void watchdog_enter(struct watchdog *watchdog)
{
    seqlock_write_begin(&watchdog->beat);
}
SR_RT static inline void watchdog_leave(struct watchdog *watchdog)
{
    seqlock_write_end(&watchdog->beat);
}

#endif
