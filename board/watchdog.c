/* SPDX-License-Identifier: MIT */
#include "watchdog.h"

#include "fault.h"

#include <errno.h>

#define LOOKS_PER_LIMIT 4
#define STACK_BYTES ((size_t)1 << 16)
#define POLL_NS INT64_C(10000000)

/* The limit is counted in looks, not read from the clock: while the process is stopped (by a
 * signal, a debugger, its virtual machine) the clock goes on, and the cycle does not. */
SR_RT static void watch(void *argument)
{
    struct watchdog *watchdog = argument;
    uint32_t seen = 0;  /* even: nothing to worry about */
    uint32_t looks = 0; /* that found the cycle of the one before still running */
    bool interrupted = false;
    int64_t deadline_ns;
    uint32_t skipped;

    int error = platform_periodic(watchdog->thread, watchdog->first_ns, watchdog->step_ns);
    while (error == 0 && !atomic_load_explicit(&watchdog->stop, memory_order_relaxed)) {
        error = platform_wait_period(watchdog->thread, &deadline_ns, &skipped);
        if (error == -EINTR) { /* kicked */
            error = 0;
            continue;
        }
        const uint32_t beat = atomic_load_explicit(&watchdog->beat, memory_order_relaxed);
        if (beat != seen || beat % 2 == 0) {
            seen = beat;
            looks = 0;
            interrupted = false;
        } else if (++looks >= watchdog->looks) {
            /* Acquire: pairs with the release in watchdog_attend. */
            struct platform_thread *task =
                atomic_load_explicit(&watchdog->task, memory_order_acquire);
            if (interrupted || task == NULL || platform_interrupt(task) != 0) {
                watchdog->give_up(watchdog->owner, FAULT_UNRESPONSIVE);
                return;
            }
            interrupted = true;
            looks = 0;
        }
    }
    if (error != 0) /* no cycle runs unwatched */
        watchdog->give_up(watchdog->owner, FAULT_CLOCK);
}

int watchdog_start(struct watchdog *watchdog, int task_priority, int64_t limit_ns,
                   int64_t release_ns, int64_t base_ns)
{
    atomic_store_explicit(&watchdog->task, NULL, memory_order_relaxed);
    watchdog->step_ns = limit_ns / LOOKS_PER_LIMIT;
    if (watchdog->step_ns <= 0)
        return -EINVAL;
    if (watchdog->step_ns > base_ns)
        watchdog->step_ns -= watchdog->step_ns % base_ns;
    watchdog->looks = (uint32_t)((limit_ns + watchdog->step_ns - 1) / watchdog->step_ns);
    watchdog->first_ns = release_ns + base_ns / 2;
    watchdog->schedule =
        (struct platform_schedule){.name = "plc-watchdog",
                                   .priority = task_priority > 0 ? task_priority + 1 : 0,
                                   .cpu = -1,
                                   .stack_bytes = STACK_BYTES};
    atomic_store_explicit(&watchdog->stop, false, memory_order_relaxed);
    return platform_thread_start(&watchdog->thread, &watchdog->schedule, watch, watchdog, NULL);
}

void watchdog_stop(struct watchdog *watchdog)
{
    if (watchdog->thread == NULL)
        return;
    atomic_store_explicit(&watchdog->stop, true, memory_order_relaxed);
    do
        (void)platform_kick(watchdog->thread);
    while (platform_thread_join(watchdog->thread, POLL_NS) == -ETIMEDOUT);
    watchdog->thread = NULL;
}
