/* SPDX-License-Identifier: MIT */
/* Two tasks of a 1 ms tick. Counts runs out of order, in ticks that are not their own, and releases
 * off the grid of the first one. HOLD_NS: so long the fast task holds the processor every hundredth
 * run. THREADED: the slow task has a thread of its own. */
#define _POSIX_C_SOURCE 200809L
#include "plc_abi.h"

#include <time.h>

#ifndef HOLD_NS
#define HOLD_NS 0
#endif
#ifdef THREADED
#define OPTIONS SR_TASK_THREAD
#else
#define OPTIONS 0
#endif
#define BASE_NS 1000000
#define SLOW 5

static sr_udint fast_runs, slow_runs, disorder, off_grid;
static uint32_t last_fast, last_slow;
static int64_t origin_ns;

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void run_fast(const sr_cycle *cycle)
{
    const int64_t origin = cycle->time_ns - (int64_t)cycle->tick * BASE_NS;
    if (fast_runs.value == 0)
        origin_ns = origin;
    if (origin != origin_ns)
        SR_SET(off_grid, off_grid.value + 1);
    int wrong = fast_runs.value > 0 && cycle->tick <= last_fast;
#ifndef THREADED
    /* The slow one is of higher priority: when it is due it has run in this tick, or before. */
    wrong |= cycle->tick / SLOW != last_slow / SLOW;
#endif
    if (wrong)
        SR_SET(disorder, disorder.value + 1);
    last_fast = cycle->tick;
    SR_SET(fast_runs, fast_runs.value + 1);
    if (HOLD_NS > 0 && fast_runs.value % 100 == 0)
        for (const int64_t until_ns = now_ns() + HOLD_NS; now_ns() < until_ns;)
            ;
}

static void run_slow(const sr_cycle *cycle)
{
    last_slow = cycle->tick;
    SR_SET(slow_runs, slow_runs.value + 1);
}

enum { FAST = 1, SLOWLY };

static const sr_task tasks[] = {
    {.name = "FAST", .interval_ns = BASE_NS, .priority = 7, .run = run_fast},
    {.name = "SLOW",
     .interval_ns = (int64_t)SLOW * BASE_NS,
     .priority = 1,
     .options = OPTIONS,
     .run = run_slow},
};
static const sr_variable variables[] = {
    SR_TASK_ROW(FAST, "FAST_RUNS", UDINT, fast_runs),
    SR_TASK_ROW(SLOWLY, "SLOW_RUNS", UDINT, slow_runs),
    SR_TASK_ROW(FAST, "DISORDER", UDINT, disorder),
    SR_TASK_ROW(FAST, "OFF_GRID", UDINT, off_grid),
};

SR_PLC_IMAGE("regular", tasks, variables, 0, 0);
