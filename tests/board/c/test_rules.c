/* SPDX-License-Identifier: MIT */
/* What the profile says of time that is exceeded, and how a program ends, in simulated time. */
#define _GNU_SOURCE
#include "simulated_program.h"

static int64_t work_ns[2];    /* of each run: the scan's task, the one beside it */
static uint32_t every_nth[2]; /* only of every n-th run; 0: of all */
static uint32_t runs[2];

static void run(uint32_t index)
{
    runs[index]++;
    if (every_nth[index] == 0 || runs[index] % every_nth[index] == 0)
        work(work_ns[index]);
}

static void run_scan(const sr_cycle *now)
{
    (void)now;
    run(0);
}

static void run_beside(const sr_cycle *now)
{
    (void)now;
    run(1);
}

/* A scan of `base_ns`, and a task of twice that beside it. */
static void start(int64_t base_ns, const struct cycle_rules *rules)
{
    sim_base_ns = base_ns;
    sim_tasks[0] =
        (struct sr_task){.name = "SCAN", .interval_ns = (uint64_t)base_ns, .run = run_scan};
    sim_tasks[1] = (struct sr_task){.name = "BESIDE",
                                    .interval_ns = 2 * (uint64_t)base_ns,
                                    .priority = 1,
                                    .options = SR_TASK_THREAD,
                                    .run = run_beside};
    sim_start(2, rules);
}

static void prepare(int64_t scan_ns, int64_t beside_ns)
{
    memset(runs, 0, sizeof runs);
    memset(every_nth, 0, sizeof every_nth);
    work_ns[0] = scan_ns;
    work_ns[1] = beside_ns;
}

static int64_t until_fault(int64_t limit_ns)
{
    const int64_t began_ns = sim_now_ns;
    while (cycle_state(cycle) == CYCLE_RUNNING && sim_now_ns < began_ns + limit_ns)
        platform_poll_sleep(MS);
    return sim_now_ns - began_ns;
}

static void end(int signal, const char *where)
{
    if (signal == 0) {
        CHECK_EQ(cycle_state(cycle), CYCLE_RUNNING);
        CHECK_EQ(cycle_stop(cycle), 0);
    } else {
        CHECK_EQ(cycle_state(cycle), CYCLE_FAULTED);
        CHECK_EQ(cycle_fault(cycle)->cause.signal, signal);
        CHECK_EQ(strcmp(cycle_fault(cycle)->where, where), 0);
        CHECK_EQ(cycle_stop(cycle), -EFAULT);
    }
    CHECK(outputs_safe);
    CHECK_EQ(outputs_written, 0); /* none afterwards */
    for (int i = 1; i < SIM_THREADS; i++) {
        CHECK(!sim_threads[i].used || sim_threads[i].ended); /* nobody runs on */
        sim_threads[i].used = false;                         /* parked ones are never joined */
    }
    cycle_destroy(cycle);
}

static void overruns_are_skipped_for_ever(void)
{
    const struct cycle_rules rules = {.sensitivity = 1};
    prepare(3 * MS / 2, 5 * MS);
    start(MS, &rules);
    until_fault(S);
    CHECK(runs[0] >= 490 && runs[0] <= 500); /* every second one, in phase */
    CHECK(runs[1] >= 160 && runs[1] <= 170); /* every third */
    end(0, "");
}

static void or_some_in_a_row_are_a_fault(void)
{
    const struct cycle_rules rules = {.sensitivity = 1, .overruns = 4};
    prepare(MS / 2, 5 * MS);
    start(MS, &rules);
    until_fault(S);
    CHECK_EQ(runs[1], 4);
    end(FAULT_OVERRUN, "BESIDE");
    prepare(3 * MS / 2, 0);
    every_nth[0] = 2; /* never two in a row */
    start(MS, &rules);
    until_fault(S);
    end(0, "");
}

static void an_endless_cycle_ends_by_the_watchdog(void)
{
    const struct cycle_rules rules = {.sensitivity = 1, .watchdog_ns = 20 * MS};
    prepare(MS / 2, 1000 * S);
    start(MS, &rules);
    work_ns[1] = 1000 * S;
    until_fault(S);
    CHECK(runs[0] >= 20); /* the scan went on until then */
    CHECK_EQ(runs[1], 1);
    end(99, "BESIDE");
}

static void a_long_cycle_now_and_then_is_none(void)
{
    const struct cycle_rules rules = {.sensitivity = 3, .watchdog_ns = 20 * MS};
    prepare(MS / 2, 30 * MS);
    every_nth[1] = 2;
    start(MS, &rules);
    until_fault(S);
    end(0, "");
}

static void some_long_ones_in_a_row_are(void)
{
    const struct cycle_rules rules = {.sensitivity = 3, .watchdog_ns = 20 * MS};
    prepare(MS / 2, 30 * MS);
    start(MS, &rules);
    until_fault(S);
    CHECK_EQ(runs[1], 3);
    CHECK_EQ(cycle_fault(cycle)->times, 3);
    CHECK_EQ(cycle_fault(cycle)->limit_ns, 20 * MS);
    end(FAULT_LONG, "BESIDE");
}

static void and_one_that_is_as_long_as_all_of_them(void)
{
    const struct cycle_rules rules = {.sensitivity = 3, .watchdog_ns = 20 * MS};
    prepare(100 * MS, 0);
    start(MS, &rules);
    until_fault(S);
    CHECK_EQ(runs[0], 1);
    CHECK_EQ(cycle_fault(cycle)->limit_ns, 60 * MS);
    end(99, "SCAN");
}

static void a_task_that_is_not_released_any_more(void)
{
    const struct cycle_rules rules = {.sensitivity = 1, .watchdog_ns = 20 * MS};
    prepare(0, 0);
    start(MS, &rules);
    until_fault(50 * MS);
    CHECK_EQ(cycle_state(cycle), CYCLE_RUNNING);
    struct sim_thread *task = &sim_threads[1];
    while (strcmp(task->common.schedule.name, "plc-task-2") != 0)
        task++;
    task->wake_ns = INT64_MAX; /* as if somebody of high priority kept the processor */
    until_fault(S);
    CHECK_EQ(cycle_state(cycle), CYCLE_FAULTED);
    const uint32_t before = runs[1];
    task->wake_ns = sim_now_ns; /* it is free again */
    platform_poll_sleep(50 * MS);
    CHECK_EQ(runs[1], before);
    end(FAULT_OMITTED, "BESIDE");
}

static void a_fault_beside_ends_a_scan_that_waits_for_long(void)
{
    const struct cycle_rules rules = {.sensitivity = 1, .watchdog_ns = 20 * MS};
    prepare(0, 1000 * S);
    start(3600 * S, &rules);
    CHECK(until_fault(10 * S) < 2 * S); /* not at the scan's next release */
    CHECK_EQ(runs[0], 1);
    end(99, "BESIDE");
}

static void a_stop_waits_for_no_release(void)
{
    const struct cycle_rules rules = {.sensitivity = 1};
    prepare(0, 0);
    start(3600 * S, &rules);
    until_fault(2 * S);
    const int64_t began_ns = sim_now_ns;
    end(0, "");
    CHECK(sim_now_ns - began_ns < S);
    CHECK_EQ(runs[0], 1);
    CHECK_EQ(runs[1], 1);
}

int main(void)
{
    sim_create_parts();
    RUN(overruns_are_skipped_for_ever);
    RUN(or_some_in_a_row_are_a_fault);
    RUN(an_endless_cycle_ends_by_the_watchdog);
    RUN(a_long_cycle_now_and_then_is_none);
    RUN(some_long_ones_in_a_row_are);
    RUN(and_one_that_is_as_long_as_all_of_them);
    RUN(a_task_that_is_not_released_any_more);
    RUN(a_fault_beside_ends_a_scan_that_waits_for_long);
    RUN(a_stop_waits_for_no_release);
    sim_destroy_parts();
    return 0;
}
