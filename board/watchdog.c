/* SPDX-License-Identifier: MIT */
#include "watchdog.h"

#include "fault.h"

#include <errno.h>

#define LOOKS_PER_LIMIT 4
#define STACK_BYTES ((size_t)1 << 16)
#define POLL_NS INT64_C(10000000)

/* The limits are counted in looks, not read from the clock: while the process is stopped (by a
 * signal, a debugger, its virtual machine) the clock goes on, and the cycles do not. */
SR_RT static uint32_t looks_in(const struct watchdog *watchdog, int64_t time_ns)
{
    const int64_t looks = (time_ns + watchdog->step_ns - 1) / watchdog->step_ns;
    return looks < UINT32_MAX ? (uint32_t)looks : UINT32_MAX;
}

void watchdog_allow(const struct watchdog *watchdog, struct watch *watch)
{
    /* Relaxed: a look too early or too late does not matter. */
    atomic_store_explicit(&watch->limit_looks, looks_in(watchdog, watch->limit_ns),
                          memory_order_relaxed);
    atomic_store_explicit(&watch->rest_looks,
                          looks_in(watchdog, watch->interval_ns + watch->limit_ns),
                          memory_order_relaxed);
}

/* Give up: the owner takes it from here. */
SR_RT static void drop(struct watchdog *watchdog, struct watch *watch, int fault)
{
    if (!atomic_load_explicit(&watch->left, memory_order_relaxed))
        watchdog->give_up(watchdog->owner, watch, fault);
}

SR_RT static void look_at(struct watchdog *watchdog, struct watch *watch)
{
    const uint32_t beat = atomic_load_explicit(&watch->beat, memory_order_relaxed);
    /* Acquire: pairs with the release in watchdog_attend. */
    struct platform_thread *thread = atomic_load_explicit(&watch->thread, memory_order_acquire);
    const bool works = beat % 2 != 0;
    if (beat != watch->seen || thread == NULL) {
        watch->seen = beat;
        watch->looks = 0;
        watch->interrupted = false;
        return;
    }
    watch->looks++;
    if (!works) {
        if (atomic_load_explicit(&watch->on_time, memory_order_relaxed) &&
            watch->looks > atomic_load_explicit(&watch->rest_looks, memory_order_relaxed))
            drop(watchdog, watch, FAULT_OMITTED);
    } else if (watch->looks >= atomic_load_explicit(&watch->limit_looks, memory_order_relaxed)) {
        if (watch->interrupted || platform_interrupt(thread) != 0)
            drop(watchdog, watch, FAULT_UNRESPONSIVE);
        watch->interrupted = true;
        watch->looks = 0;
    }
}

/* Of the program's end by a fault: whoever waits for a release, maybe for long, shall leave now. */
SR_RT static void wake(struct watch *watch)
{
    struct platform_thread *thread = atomic_load_explicit(&watch->thread, memory_order_acquire);
    if (thread != NULL && atomic_load_explicit(&watch->beat, memory_order_relaxed) % 2 == 0)
        (void)platform_kick(thread);
}

/* False: none of them runs any more. */
SR_RT static bool look(struct watchdog *watchdog)
{
    const bool ending = atomic_load_explicit(watchdog->ending, memory_order_relaxed);
    bool any = false;
    for (uint32_t i = 0; i < watchdog->count; i++) {
        struct watch *watch = watchdog->watches[i];
        if (!atomic_load_explicit(&watch->left, memory_order_relaxed))
            look_at(watchdog, watch);
        if (atomic_load_explicit(&watch->left, memory_order_relaxed))
            continue;
        any = true;
        if (ending)
            wake(watch);
    }
    return any;
}

SR_RT static void watch(void *argument)
{
    struct watchdog *watchdog = argument;
    int64_t deadline_ns;
    uint32_t skipped;

    int error = platform_periodic(watchdog->thread, watchdog->first_ns, watchdog->step_ns);
    while (error == 0 && !atomic_load_explicit(&watchdog->stop, memory_order_relaxed)) {
        error = platform_wait_period(watchdog->thread, &deadline_ns, &skipped);
        if (error == -EINTR)
            error = 0; /* kicked */
        else if (error == 0 && !look(watchdog))
            return;
    }
    /* No cycle runs unwatched. */
    for (uint32_t i = 0; error != 0 && i < watchdog->count; i++)
        drop(watchdog, watchdog->watches[i], FAULT_CLOCK);
}

static void reset(struct watch *watch)
{
    atomic_store_explicit(&watch->thread, NULL, memory_order_relaxed);
    atomic_store_explicit(&watch->left, false, memory_order_relaxed);
    atomic_store_explicit(&watch->on_time, false, memory_order_relaxed);
    watch->seen = atomic_load_explicit(&watch->beat, memory_order_relaxed);
    watch->looks = 0;
    watch->interrupted = false;
}

int watchdog_start(struct watchdog *watchdog, int scan_priority, int64_t release_ns,
                   int64_t base_ns)
{
    int64_t limit_ns = INT64_MAX;
    for (uint32_t i = 0; i < watchdog->count; i++) {
        reset(watchdog->watches[i]);
        if (watchdog->watches[i]->limit_ns < limit_ns)
            limit_ns = watchdog->watches[i]->limit_ns;
    }
    watchdog->step_ns = limit_ns / LOOKS_PER_LIMIT;
    if (watchdog->step_ns <= 0)
        return -EINVAL;
    if (watchdog->step_ns > base_ns)
        watchdog->step_ns -= watchdog->step_ns % base_ns;
    for (uint32_t i = 0; i < watchdog->count; i++)
        watchdog_allow(watchdog, watchdog->watches[i]);
    /* Not half an hour later when the base tick is an hour. */
    watchdog->first_ns =
        release_ns + (base_ns < watchdog->step_ns ? base_ns : watchdog->step_ns) / 2;
    watchdog->schedule =
        (struct platform_schedule){.name = "plc-watchdog",
                                   .priority = scan_priority > 0 ? scan_priority + 1 : 0,
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
