/* SPDX-License-Identifier: MIT */
#include "watchdog.h"

#include <errno.h>

#define LOOKS_PER_LIMIT 4
#define STACK_BYTES ((size_t)1 << 16)
#define POLL_NS INT64_C(10000000)

SR_RT static void watch(void *argument)
{
    struct watchdog *watchdog = argument;
    uint32_t seen = 0; /* even: nothing to worry about */
    int64_t since_ns = 0;
    bool interrupted = false;
    int64_t deadline_ns;
    uint32_t skipped;

    platform_periodic(watchdog->thread, watchdog->first_ns, watchdog->step_ns);
    while (!atomic_load_explicit(&watchdog->stop, memory_order_relaxed)) {
        const int error = platform_wait_period(watchdog->thread, &deadline_ns, &skipped);
        if (error == -EINTR)
            continue; /* kicked */
        if (error != 0)
            return;
        const uint32_t beat = atomic_load_explicit(&watchdog->beat, memory_order_relaxed);
        const int64_t now_ns = platform_now_ns();
        if (beat != seen || beat % 2 == 0) {
            seen = beat;
            since_ns = now_ns;
            interrupted = false;
        } else if (now_ns - since_ns >= watchdog->limit_ns) {
            if (interrupted || platform_interrupt(watchdog->task) != 0) {
                watchdog->give_up(watchdog->owner);
                return;
            }
            interrupted = true;
            since_ns = now_ns;
        }
    }
}

int watchdog_start(struct watchdog *watchdog, struct platform_thread *task, int task_priority,
                   int64_t limit_ns, int64_t release_ns, int64_t base_ns)
{
    watchdog->task = task;
    watchdog->limit_ns = limit_ns;
    watchdog->step_ns = limit_ns / LOOKS_PER_LIMIT;
    if (watchdog->step_ns > base_ns)
        watchdog->step_ns -= watchdog->step_ns % base_ns;
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
