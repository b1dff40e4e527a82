/* SPDX-License-Identifier: MIT */
/* Does nothing, a thousand times a second. */
#include "plc_abi.h"

static sr_bool unused;

static void run(const sr_cycle *cycle)
{
    (void)cycle;
}

static const sr_task tasks[] = {{.name = "EMPTY", .interval_ns = 1000000, .run = run}};
static const sr_variable variables[] = {SR_ROW("UNUSED", BOOL, unused)};

SR_PLC_IMAGE("empty", tasks, variables, 0, 0);
