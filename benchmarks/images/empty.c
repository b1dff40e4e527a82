/* SPDX-License-Identifier: MIT */
/* One task that does nothing. */
#include "plc_abi.h"

#ifndef PERIOD_US
#define PERIOD_US 1000
#endif

static sr_udint cycles;

static void run(const sr_cycle *cycle)
{
    SR_SET(cycles, cycle->tick);
}

static const sr_task tasks[] = {{.name = "MAIN", .interval_ns = PERIOD_US * 1000, .run = run}};
static const sr_variable variables[] = {SR_ROW("CYCLES", UDINT, cycles)};
SR_PLC_IMAGE("empty", tasks, variables, NULL, NULL);
