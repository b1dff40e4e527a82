/* SPDX-License-Identifier: MIT */
/* Counts, says how far it is, and writes to address 0 once it is armed. */
#include "plc_abi.h"

static sr_bool arm;
static sr_dint count;
static sr_time elapsed;
static SR_STRING(20) state;
static int *volatile nowhere;

static void run(const sr_cycle *cycle)
{
    SR_SET(count, count.value + 1);
    SR_SET(elapsed, elapsed.value + cycle->interval_ns);
    SR_SET_STRING(state, count.value % 2 ? "odd" : "even");
    if (count.value == 5)
        SR_LOG(SR_LOG_INFO, "five");
    if (arm.value)
        *nowhere = 1;
}

static const sr_task tasks[] = {{.name = "MAIN", .interval_ns = 5000000, .run = run}};
static const sr_variable variables[] = {SR_ROW("ARM", BOOL, arm), SR_ROW("COUNT", DINT, count),
                                        SR_ROW("ELAPSED", TIME, elapsed),
                                        SR_ROW_STRING("STATE", state)};
SR_PLC_IMAGE("armed", tasks, variables, NULL, NULL);
