/* SPDX-License-Identifier: MIT */
/* latency.c - see latency.h. */
#include "latency.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform.h"

#define LEAD_NS INT64_C(10000000)
#define LONGEST_GRID_NS INT64_C(10000000)
#define MIN_PERIOD_NS INT64_C(10000)
#define POLL_NS INT64_C(1000000)
#define STACK_BYTES ((size_t)1 << 16)
#define MAX_PRIORITY 98

struct latency {
    struct platform_thread *thread;
    struct stats *stats;
    int64_t period_ns;
    int error; /* of the thread, read after its join */
    atomic_bool stop;
};

/* Where the cycle's first release would be, see cycle_control.c. */
SR_RT static int64_t first_release_ns(int64_t period_ns)
{
    const int64_t grid_ns = period_ns < LONGEST_GRID_NS ? period_ns : LONGEST_GRID_NS;
    const int64_t soon_ns = platform_now_ns() + LEAD_NS;
    return soon_ns - soon_ns % grid_ns + grid_ns + grid_ns / 4;
}

SR_RT static void measure(void *argument)
{
    struct latency *latency = argument;
    bool begun = false;
    uint32_t tick = 0;
    latency->error = platform_periodic(latency->thread, first_release_ns(latency->period_ns),
                                       latency->period_ns);
    while (latency->error == 0 && !atomic_load_explicit(&latency->stop, memory_order_relaxed)) {
        struct stats_sample sample = {.shim_ns = -1};
        const int error =
            platform_wait_period(latency->thread, &sample.release_ns, &sample.skipped);
        if (error == -EINTR)
            continue; /* kicked: look at `stop` */
        if (error != 0) {
            latency->error = error;
            return;
        }
        sample.start_ns = platform_now_ns();
        sample.skipped = begun ? sample.skipped : 0;
        tick += sample.skipped;
        sample.tick = tick++;
        sample.end_ns = platform_now_ns();
        begun = true;
        stats_record(latency->stats, &sample);
    }
}

static int refuse(int error, char *why, uint32_t why_size, const char *what)
{
    snprintf(why, why_size, "cannot measure: %s: %s", what, strerror(-error));
    return error;
}

static int check(const struct latency_options *options, char *why, uint32_t why_size)
{
    if (options->priority < 0 || options->priority > MAX_PRIORITY)
        snprintf(why, why_size, "the priority must be 0 to %d (it is %" PRId32 ")", MAX_PRIORITY,
                 options->priority);
    else if (options->period_ns < MIN_PERIOD_NS)
        snprintf(why, why_size, "the period must be at least 10 us (it is %" PRId64 " ns)",
                 options->period_ns);
    else
        return 0;
    return -EINVAL;
}

static void destroy(struct latency *latency)
{
    stats_destroy(latency->stats);
    free(latency);
}

int latency_start(struct latency **latency, const struct latency_options *options,
                  struct latency_actual *actual, char *why, uint32_t why_size)
{
    const struct platform_schedule schedule = {.name = "plc-latency",
                                               .priority = options->priority,
                                               .cpu = options->cpu,
                                               .stack_bytes = STACK_BYTES};
    struct platform_actual got;
    int error = check(options, why, why_size);
    if (error == 0)
        error = platform_init(why, why_size);
    if (error != 0)
        return error;
    error = platform_faults_arm(); /* takes the signal that platform_kick sends, too */
    if (error != 0)
        return refuse(error, why, why_size, "cannot take its signals");
    struct latency *new = calloc(1, sizeof *new);
    if (new == NULL)
        return refuse(-ENOMEM, why, why_size, "memory");
    error = stats_create(&new->stats, platform_prefault);
    if (error != 0) {
        free(new);
        return refuse(error, why, why_size, "memory");
    }
    new->period_ns = options->period_ns;
    stats_begin(new->stats, options->period_ns, NULL);
    (void)platform_prefault(new, sizeof *new);
    *actual = (struct latency_actual){0};
    (void)platform_lock_memory(&actual->memory_locked);
    if (options->cpu_latency_us >= 0 && options->priority > 0)
        actual->idle_states_held =
            platform_hold_cpu_latency((uint32_t)options->cpu_latency_us) == 0;
    error = platform_thread_start(&new->thread, &schedule, measure, new, &got);
    if (error != 0) {
        platform_release_cpu_latency();
        destroy(new);
        return refuse(error, why, why_size, "the thread cannot be started");
    }
    actual->real_time = got.real_time;
    actual->cpu = got.cpu;
    *latency = new;
    return 0;
}

void latency_reset(struct latency *latency)
{
    stats_reset(latency->stats);
}

int latency_read(const struct latency *latency, struct stats_figures *figures)
{
    return stats_read(latency->stats, figures);
}

void latency_stop(struct latency *latency)
{
    if (latency == NULL)
        return;
    atomic_store_explicit(&latency->stop, true, memory_order_relaxed);
    do
        (void)platform_kick(latency->thread); /* one that meets no wait is lost */
    while (platform_thread_join(latency->thread, POLL_NS) == -ETIMEDOUT);
    platform_release_cpu_latency();
    destroy(latency);
}
