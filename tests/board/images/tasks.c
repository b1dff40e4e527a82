/* SPDX-License-Identifier: MIT */
/* Three tasks of two priorities; notes when one runs too early, twice, or out of order. */
#include "plc_abi.h"

static sr_udint fast_runs;
static sr_udint slow_runs;
static sr_bool wrong;
static sr_lint time_step;
static uint32_t slow_due;
static uint32_t last_fast;
static int64_t last_time;
static int slow_ran;

static void run_slow(const sr_cycle *cycle)
{
    if ((int32_t)(cycle->tick - slow_due) < 0 || cycle->interval_ns != 5000000)
        SR_SET(wrong, 1);
    slow_due = (cycle->tick / 5 + 1) * 5;
    slow_ran = 1;
    SR_SET(slow_runs, slow_runs.value + 1);
}

static void run_fast(const sr_cycle *cycle)
{
    /* The slow task has the higher priority, and the clock goes by whole ticks. */
    if (cycle->tick >= slow_due || (fast_runs.value > 0 && cycle->tick <= last_fast))
        SR_SET(wrong, 1);
    if (fast_runs.value > 0)
        SR_SET(time_step, (cycle->time_ns - last_time) / (cycle->tick - last_fast));
    last_fast = cycle->tick;
    last_time = cycle->time_ns;
    SR_SET(fast_runs, fast_runs.value + 1);
}

static void run_last(const sr_cycle *cycle)
{
    /* The same priority as the fast one, later in the table. */
    if (last_fast != cycle->tick)
        SR_SET(wrong, 1);
}

static const sr_task tasks[] = {
    {.name = "FAST", .interval_ns = 1000000, .priority = 7, .run = run_fast},
    {.name = "SLOW", .interval_ns = 5000000, .priority = 1, .run = run_slow},
    {.name = "LAST", .interval_ns = 1000000, .priority = 7, .run = run_last},
};
static const sr_variable variables[] = {
    SR_ROW("FAST_RUNS", UDINT, fast_runs),
    SR_ROW("SLOW_RUNS", UDINT, slow_runs),
    SR_ROW("WRONG", BOOL, wrong),
    SR_ROW("TIME_STEP", TIME, time_step),
};

SR_PLC_IMAGE("tasks", tasks, variables, 0, 0);
