/* SPDX-License-Identifier: MIT */
/* An online change whose new program fails in many a way, or runs at another pace, in simulated
 * time. */
#define _GNU_SOURCE
#include "simulated_program.h"

static int64_t work_ns[2]; /* of each run: the old program, the new one */
static uint32_t runs[2];
static uint32_t last_tick;
static int64_t base_of_tick_0_ns;
static struct cycle_change made;

static void run_old(const sr_cycle *now)
{
    runs[0]++;
    last_tick = now->tick;
    work(work_ns[0]);
}

static void run_new(const sr_cycle *now)
{
    runs[1]++;
    last_tick = now->tick;
    work(work_ns[1]);
}

static enum change_phase phase(void)
{
    return change_phase(made.copy);
}

static void await(enum change_phase wanted)
{
    const int64_t until_ns = sim_now_ns + 100 * S;
    while (phase() != wanted && sim_now_ns < until_ns)
        platform_poll_sleep(MS);
    CHECK_EQ(phase(), wanted);
}

static void start(int64_t base_ns, int64_t next_base_ns, const struct cycle_rules *rules)
{
    memset(runs, 0, sizeof runs);
    memset(work_ns, 0, sizeof work_ns);
    sim_base_ns = base_ns;
    sim_next_base_ns = next_base_ns;
    sim_tasks[0] =
        (struct sr_task){.name = "MAIN", .interval_ns = (uint64_t)base_ns, .run = run_old};
    sim_next_task =
        (struct sr_task){.name = "MAIN", .interval_ns = (uint64_t)next_base_ns, .run = run_new};
    sim_start(1, rules);
}

static void prepare(void)
{
    const struct image *other = (const struct image *)(const void *)&sim_next_task;
    memset(&made, 0, sizeof made);
    CHECK_EQ(program_create(&made.program, other, false, NULL), 0);
    program_begin(made.program);
    CHECK_EQ(force_create(&made.force, NULL), 0);
    CHECK_EQ(snapshot_create(&made.snapshot, SNAPSHOT_MAX_BYTES, NULL), 0);
    CHECK_EQ(change_create(&made.copy, NULL, 0, NULL, 0, NULL, 0, 2, 1000000, NULL, NULL), 0);
    program_match(made.program, cycle_program(cycle));
    cycle_begin_change(cycle, &made);
    await(CHANGE_READY);
}

static void make(void)
{
    prepare();
    CHECK(change_order(made.copy));
    await(CHANGE_PROBATION);
}

static void end(void)
{
    (void)cycle_stop(cycle);
    CHECK(outputs_safe);
    CHECK_EQ(outputs_written, 0);
    CHECK(cycle_end_change(cycle, &made));
    if (phase() == CHANGE_PROBATION)
        cycle_undo_change(cycle, &made);
    for (int i = 1; i < SIM_THREADS; i++) {
        CHECK(!sim_threads[i].used || sim_threads[i].ended);
        sim_threads[i].used = false; /* parked ones are never joined */
    }
    cycle_destroy(cycle);
    change_destroy(made.copy);
    program_destroy(made.program);
    force_destroy(made.force);
    snapshot_destroy(made.snapshot);
}

static void one_that_hangs_is_taken_back(void)
{
    static struct stats_figures figures;
    const struct cycle_rules rules = {.sensitivity = 1, .watchdog_ns = 20 * MS};
    start(MS, MS, &rules);
    make();
    platform_poll_sleep(S);
    CHECK(runs[1] > 900);
    work_ns[1] = 1000 * S;
    await(CHANGE_ROLLED_BACK);
    CHECK_EQ(made.fault.cause.signal, 99);
    CHECK_EQ(strcmp(made.fault.where, "MAIN"), 0);
    const uint32_t before = runs[0];
    platform_poll_sleep(S);
    CHECK_EQ(runs[0], before + 1000);
    CHECK_EQ(cycle_state(cycle), CYCLE_RUNNING);
    /* That the old program rested meanwhile is no jitter of its task. */
    CHECK_EQ(stats_read(cycle_task_stats(cycle, 1), &figures), 0);
    CHECK_EQ(figures.jitter.max_ns, 0);
    CHECK(change_release(made.copy));
    platform_poll_sleep(2 * MS);
    end();
}

static void a_signal_outside_of_the_program_takes_nothing_back(void)
{
    const struct cycle_rules rules = {.sensitivity = 1, .watchdog_ns = 20 * MS};
    start(MS, MS, &rules);
    make();
    outputs_take_ns = 1000 * S;
    for (int i = 0; i < 1000 && cycle_state(cycle) == CYCLE_RUNNING; i++)
        platform_poll_sleep(MS);
    CHECK_EQ(cycle_state(cycle), CYCLE_FAULTED);
    CHECK_EQ(phase(), CHANGE_PROBATION);
    CHECK_EQ(strcmp(cycle_fault(cycle)->where, "runtime"), 0);
    end();
}

static void too_many_late_cycles_take_it_back(void)
{
    const struct cycle_rules rules = {.sensitivity = 1, .overruns = 3};
    start(MS, MS, &rules);
    make();
    work_ns[1] = 3 * MS / 2;
    await(CHANGE_ROLLED_BACK);
    CHECK_EQ(made.fault.cause.signal, FAULT_OVERRUN);
    CHECK_EQ(cycle_state(cycle), CYCLE_RUNNING);
    CHECK(change_release(made.copy));
    platform_poll_sleep(2 * MS);
    end();
}

static void the_cycle_of_the_switch_is_the_old_program_s(void)
{
    static struct stats_figures figures;
    const struct cycle_rules rules = {.sensitivity = 1, .overruns = 1};
    start(100 * MS, 10 * MS, &rules);
    work_ns[0] = 30 * MS; /* too long for the new one's interval, not for its own */
    make();
    platform_poll_sleep(S);
    CHECK_EQ(phase(), CHANGE_PROBATION);
    CHECK(runs[1] > 80);
    CHECK_EQ(stats_read(sim_parts.stats, &figures), 0);
    CHECK_EQ(figures.interval_ns, 10 * MS);
    CHECK_EQ(figures.overruns, 0);
    CHECK_EQ(figures.jitter.max_ns, 0);
    end();
}

/* The tick counts the releases, also those that a kicked wait found missed. */
static void run_kicked(const sr_cycle *now)
{
    if (runs[0] == 0)
        base_of_tick_0_ns = now->time_ns;
    CHECK_EQ((now->time_ns - base_of_tick_0_ns) / MS, now->tick);
    if (runs[0]++ == 10) {
        cycle_hasten_change(cycle); /* comes to the wait after this cycle */
        work(7 * MS / 2);
    }
}

static void a_look_at_the_change_loses_no_tick(void)
{
    const struct cycle_rules rules = {.sensitivity = 1};
    start(MS, MS, &rules);
    CHECK_EQ(cycle_stop(cycle), 0);
    cycle_destroy(cycle);
    sim_tasks[0].run = run_kicked;
    memset(runs, 0, sizeof runs);
    sim_start(1, &rules);
    prepare();
    platform_poll_sleep(S);
    CHECK(runs[0] > 900);
    CHECK(change_withdraw(made.copy));
    platform_poll_sleep(2 * MS);
    end();
}

int main(void)
{
    sim_create_parts();
    RUN(one_that_hangs_is_taken_back);
    RUN(a_signal_outside_of_the_program_takes_nothing_back);
    RUN(too_many_late_cycles_take_it_back);
    RUN(the_cycle_of_the_switch_is_the_old_program_s);
    RUN(a_look_at_the_change_loses_no_tick);
    sim_destroy_parts();
    return 0;
}
