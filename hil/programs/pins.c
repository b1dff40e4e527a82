/* SPDX-License-Identifier: MIT */
/* The rig's own program: each output follows the input of its number; what changes is counted.
 * 10 ms. */
#include "plc_abi.h"

static sr_bool in[4], out[4];
static sr_udint cycles, changes;

static void run(const sr_cycle *cycle)
{
    (void)cycle;
    SR_SET(cycles, cycles.value + 1);
    for (int i = 0; i < 4; i++) {
        if (out[i].value != in[i].value)
            SR_SET(changes, changes.value + 1);
        SR_SET(out[i], in[i].value);
    }
}

static const sr_task tasks[] = {{.name = "PINS", .interval_ns = 10000000, .run = run}};
static const sr_variable variables[] = {SR_ROW_INPUT("DI0", "%IX0.0", BOOL, in[0]),
                                        SR_ROW_INPUT("DI1", "%IX0.1", BOOL, in[1]),
                                        SR_ROW_INPUT("DI2", "%IX0.2", BOOL, in[2]),
                                        SR_ROW_INPUT("DI3", "%IX0.3", BOOL, in[3]),
                                        SR_ROW_OUTPUT("DO0", "%QX0.0", BOOL, out[0]),
                                        SR_ROW_OUTPUT("DO1", "%QX0.1", BOOL, out[1]),
                                        SR_ROW_OUTPUT("DO2", "%QX0.2", BOOL, out[2]),
                                        SR_ROW_OUTPUT("DO3", "%QX0.3", BOOL, out[3]),
                                        SR_ROW("CYCLES", UDINT, cycles),
                                        SR_ROW_RETAIN("CHANGES", UDINT, changes)};
SR_PLC_IMAGE("PINS", tasks, variables, NULL, NULL);
