/* SPDX-License-Identifier: MIT */
/* Tasks of several intervals for days: each release lies where the first one put it, to the
 * nanosecond, whatever was late, overran, or stood still. */
#define _GNU_SOURCE
#include "simulated_program.h"

struct seen {
    int64_t origin_ns; /* of tick 0; the same for all */
    int64_t last;      /* base tick of the last run, not wrapped */
    uint32_t runs;
    uint32_t every;
};

static struct seen seen[MAX_TASKS];
static int64_t origin_ns;
static int64_t longest_work_ns;
static int64_t stopped_until_ns; /* of the process, the last time */

static void note(uint32_t index, const sr_cycle *now)
{
    struct seen *task = &seen[index];
    if (origin_ns == 0)
        origin_ns = now->time_ns - (int64_t)now->tick * sim_base_ns;
    const int64_t since_ns = now->time_ns - origin_ns;
    const int64_t tick = since_ns / sim_base_ns;
    CHECK_EQ(since_ns % sim_base_ns, 0);
    CHECK_EQ(now->tick, (uint32_t)tick);
    CHECK_EQ(tick % task->every, 0);
    CHECK(task->runs == 0 || tick > task->last);
    CHECK(sim_now_ns >= now->time_ns);
    CHECK(sim_now_ns <= now->time_ns + 2 * sim_oversleep_ns || now->time_ns <= stopped_until_ns);
    task->last = tick;
    task->runs++;
    if (longest_work_ns > 0)
        work((int64_t)next_random(&sim_random) % longest_work_ns);
}

#define RUN_OF(index)                                                                              \
    static void run_##index(const sr_cycle *now)                                                   \
    {                                                                                              \
        note(index, now);                                                                          \
    }
RUN_OF(0)
RUN_OF(1)
RUN_OF(2)
RUN_OF(3)

/* A scan at the base tick, and tasks of 3, 5 and 7 of it. */
static void start(int64_t base_ns)
{
    static const uint32_t every[] = {1, 3, 5, 7};
    static void (*const runs[])(const sr_cycle *) = {run_0, run_1, run_2, run_3};
    const struct cycle_rules rules = {.sensitivity = 1, .task_cpu = -1};
    sim_base_ns = base_ns;
    origin_ns = 0;
    memset(seen, 0, sizeof seen);
    for (uint32_t i = 0; i < 4; i++) {
        seen[i].every = every[i];
        sim_tasks[i] = (struct sr_task){.name = "T",
                                        .interval_ns = every[i] * (uint64_t)base_ns,
                                        .priority = (int32_t)i,
                                        .options = SR_TASK_THREAD,
                                        .run = runs[i]};
    }
    sim_start(4, &rules);
}

/* Wraps, as its parts do. */
static uint32_t ticks_of(uint32_t index)
{
    struct stats_figures *figures = malloc(sizeof *figures);
    CHECK(figures != NULL);
    CHECK_EQ(stats_read(cycle_task_stats(cycle, index + 1), figures), 0);
    const uint32_t ticks = figures->ticks + figures->skipped;
    CHECK_EQ(figures->ticks, seen[index].runs);
    free(figures);
    return ticks;
}

/* Every release since the first was served or counted as skipped. */
static void stop(void)
{
    CHECK_EQ(cycle_stop(cycle), 0);
    for (uint32_t i = 0; i < 4; i++) {
        CHECK(seen[i].runs > 0);
        CHECK_EQ(ticks_of(i), (uint32_t)(seen[i].last / seen[i].every + 1));
    }
    CHECK(outputs_safe);
    CHECK_EQ(outputs_written, 0);
    cycle_destroy(cycle);
}

static void hours_of_cycles_a_little_late(void)
{
    sim_oversleep_ns = 80 * MS;
    longest_work_ns = 300 * MS;
    start(S);
    platform_poll_sleep(6 * 3600 * S);
    stop();
    CHECK(seen[3].runs >= 6 * 3600 / 7);
}

static void milliseconds_with_overruns(void)
{
    sim_oversleep_ns = MS / 10;
    longest_work_ns = 2 * MS; /* the scan is busy for longer than its period now and then */
    start(MS);
    platform_poll_sleep(5 * S);
    stop();
    CHECK(seen[0].runs < 5000);
}

/* The tick, of 32 bits, wraps after 49 days. */
static void sixty_days_with_the_process_stopped_for_hours(void)
{
    const int64_t end_ns = sim_now_ns + 60 * 86400 * S;
    sim_oversleep_ns = MS / 10;
    longest_work_ns = MS / 2;
    start(MS);
    while (sim_now_ns < end_ns) {
        platform_poll_sleep(25 * MS);
        sim_now_ns += (int64_t)(next_random(&sim_random) % 36000) * S + 12345;
        stopped_until_ns = sim_now_ns;
    }
    longest_work_ns = 0;
    platform_poll_sleep(S);
    stop();
    CHECK(seen[0].last > UINT32_MAX);
}

int main(void)
{
    sim_create_parts();
    RUN(hours_of_cycles_a_little_late);
    RUN(milliseconds_with_overruns);
    RUN(sixty_days_with_the_process_stopped_for_hours);
    sim_destroy_parts();
    return 0;
}
