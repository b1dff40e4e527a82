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
    _Atomic(struct platform_thread *) task; /* written by itself, when it begins */
    struct platform_schedule schedule;
    int64_t first_ns;
    int64_t step_ns;
    uint32_t looks; /* steps in the limit */
    /* Called once at most, on this thread: the task did not react (FAULT_UNRESPONSIVE), or nobody
     * watches it any more (FAULT_CLOCK). */
    void (*give_up)(void *owner, int fault);
    void *owner;
    atomic_bool stop;
};

/* Worker: watch a task that is started afterwards, one of whose releases is at `release_ns`, with
 * base tick `base_ns`. `watchdog` must stay where it is, and the task be joined after
 * watchdog_stop only. -EINVAL: a limit too short to look at it in between. */
int watchdog_start(struct watchdog *watchdog, int task_priority, int64_t limit_ns,
                   int64_t release_ns, int64_t base_ns);
/* Worker: end it and wait for its end. Does nothing when it does not run. */
void watchdog_stop(struct watchdog *watchdog);

/* RT: the task, before its first cycle: this is me. */
SR_RT static inline void watchdog_attend(struct watchdog *watchdog, struct platform_thread *task)
{
    /* Release: the thread, for the acquire of whoever interrupts it. */
    atomic_store_explicit(&watchdog->task, task, memory_order_release);
}
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
