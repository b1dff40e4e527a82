/* SPDX-License-Identifier: MIT */
/* Retain variables of a task with a thread of its own, two of which belong together. */
#include "plc_abi.h"

static sr_udint scans;
static sr_udint runs = {.value = 100};
static sr_udint runs_not = {.value = ~100u};
static sr_udint seen; /* of runs, by the first run */
static sr_bool has_seen;

static void run_scan(const sr_cycle *cycle)
{
    (void)cycle;
    SR_SET(scans, scans.value + 1);
}

static void run_slow(const sr_cycle *cycle)
{
    (void)cycle;
    if (!has_seen.value)
        SR_SET(seen, runs.value);
    SR_SET(has_seen, 1);
    SR_SET(runs, runs.value + 1);
    for (volatile uint32_t i = 0; i < 100000; i++)
        ;
    SR_SET(runs_not, ~runs.value);
}

static const sr_task tasks[] = {
    {.name = "SCAN", .interval_ns = 1000000, .run = run_scan},
    {.name = "SLOW",
     .interval_ns = 5000000,
     .priority = 5,
     .options = SR_TASK_THREAD,
     .run = run_slow},
};
static const sr_variable variables[] = {
    SR_ROW_RETAIN("SCANS", UDINT, scans),
    SR_TASK_ROW_RETAIN(2, "RUNS", UDINT, runs),
    SR_TASK_ROW_RETAIN(2, "RUNS_NOT", UDINT, runs_not),
    SR_TASK_ROW(2, "SEEN", UDINT, seen),
    SR_TASK_ROW(2, "HAS_SEEN", BOOL, has_seen),
};

SR_PLC_IMAGE("retain_tasks", tasks, variables, 0, 0);
