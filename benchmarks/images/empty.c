/* SPDX-License-Identifier: MIT */
/* One task that does nothing, 1 ms. */
#include "plc_abi.h"

static sr_udint cycles;

static void run(const sr_cycle *cycle)
{
    SR_SET(cycles, cycle->tick);
}

static const sr_task tasks[] = {{.name = "MAIN", .interval_ns = 1000000, .run = run}};
static const sr_variable variables[] = {SR_ROW("CYCLES", UDINT, cycles)};
SR_PLC_IMAGE("empty", tasks, variables, NULL, NULL);
