/* SPDX-License-Identifier: MIT */
/* A program of 1 ms that does next to nothing: what is measured is the runtime around it. */
#include "plc_abi.h"

static sr_udint counters[8];

static void run(const sr_cycle *cycle)
{
    (void)cycle;
    for (unsigned i = 0; i < 8; i++)
        SR_SET(counters[i], counters[i].value + i);
}

static const sr_task tasks[] = {{.name = "COST", .interval_ns = 1000000, .run = run}};
static const sr_variable variables[] = {SR_ROW("C0", UDINT, counters[0]),
                                        SR_ROW("C1", UDINT, counters[1]),
                                        SR_ROW("C2", UDINT, counters[2]),
                                        SR_ROW("C3", UDINT, counters[3]),
                                        SR_ROW("C4", UDINT, counters[4]),
                                        SR_ROW("C5", UDINT, counters[5]),
                                        SR_ROW("C6", UDINT, counters[6]),
                                        SR_ROW("C7", UDINT, counters[7])};
SR_PLC_IMAGE("COST", tasks, variables, NULL, NULL);
