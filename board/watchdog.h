/* SPDX-License-Identifier: MIT */
/* watchdog.h - ends cycles that run too long, or do not begin.
 *
 * One thread, one priority above the scan, watches all RT threads of the program: an endless loop
 * at SCHED_FIFO starves everything below it, on one CPU all of Python. Each watched thread counts
 * a beat at the start and the end of every cycle (odd: in a cycle); the watchdog looks at the
 * beats a few times per limit, half a base tick off the releases so that it never delays one.
 */
#ifndef SR_WATCHDOG_H
#define SR_WATCHDOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform.h"
#include "seqlock.h"

/* One watched thread. */
struct watch {
    _Atomic uint32_t beat;                    /* written by it */
    _Atomic(struct platform_thread *) thread; /* written by itself, when it begins */
    atomic_bool left;                         /* it runs no cycle any more */
    atomic_bool on_time; /* by the worker: it is real time; others may be held up for long */
    /* Set before the watchdog starts; later by the thread itself, with watchdog_allow. */
    int64_t limit_ns;    /* of one cycle */
    int64_t interval_ns; /* between two; a rest longer than this and the limit is a fault */
    _Atomic uint32_t limit_looks; /* the same in looks at it */
    _Atomic uint32_t rest_looks;
    /* The watchdog's own. */
    uint32_t seen;
    uint32_t looks; /* that found the beat as it was at the one before */
    bool interrupted;
};

#define WATCHDOG_MAX 9u

struct watchdog {
    struct platform_thread *thread;
    struct platform_schedule schedule;
    struct watch *watches[WATCHDOG_MAX];
    uint32_t count;
    int64_t first_ns;
    int64_t step_ns;
    /* Called on this thread, at most once for each watch: it did not react (FAULT_UNRESPONSIVE), it
     * was not released (FAULT_OMITTED), or nobody watches it any more (FAULT_CLOCK). */
    void (*give_up)(void *owner, struct watch *watch, int fault);
    void *owner;
    /* When set, no cycle shall begin any more: threads that wait for one are woken. */
    const atomic_bool *ending;
    atomic_bool stop;
};

/* Worker: watch threads that are started afterwards, one of whose releases is at `release_ns`, with
 * base tick `base_ns`. It and its watches must stay where they are, and the threads be joined after
 * watchdog_stop only. -EINVAL: a limit too short to look at it in between. */
int watchdog_start(struct watchdog *watchdog, int scan_priority, int64_t release_ns,
                   int64_t base_ns);
/* Worker: end it and wait for its end. Does nothing when it does not run. */
void watchdog_stop(struct watchdog *watchdog);

/* RT: the thread, between two cycles: its limit and interval are others now. */
SR_RT void watchdog_allow(const struct watchdog *watchdog, struct watch *watch);

/* RT: a thread, before its first cycle: this is me. */
SR_RT static inline void watchdog_attend(struct watch *watch, struct platform_thread *thread)
{
    /* Release: the thread, for the acquire of whoever interrupts it. */
    atomic_store_explicit(&watch->thread, thread, memory_order_release);
}
/* RT: a cycle begins, and ends. The beat is a seqlock's sequence: while it is even and does not
 * change, the cycle rests and the variables stand still. */
SR_RT static inline void watchdog_enter(struct watch *watch)
{
    seqlock_write_begin(&watch->beat);
}
SR_RT static inline void watchdog_leave(struct watch *watch)
{
    seqlock_write_end(&watch->beat);
}

#endif
