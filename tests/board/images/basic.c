/* SPDX-License-Identifier: MIT */
/* Counts, and mirrors an input to an output. */
#include "plc_abi.h"

static sr_udint counter;
static sr_dint level = {.value = 5};
static sr_bool button;
static sr_bool lamp;
static sr_int analog_in;
static sr_int analog_out;

static void run(const sr_cycle *cycle)
{
    (void)cycle;
    SR_SET(counter, counter.value + 1);
    SR_SET(level, level.value + 2);
    SR_SET(lamp, button.value);
    SR_SET(analog_out, analog_in.value * 2);
}

static const sr_task tasks[] = {{.name = "MAIN", .interval_ns = 1000000, .run = run}};
static const sr_variable variables[] = {
    SR_ROW("COUNTER", UDINT, counter),
    SR_ROW("LEVEL", DINT, level),
    SR_ROW_INPUT("BUTTON", "%IX0.3", BOOL, button),
    SR_ROW_OUTPUT("LAMP", "%QX1.2", BOOL, lamp),
    SR_ROW_INPUT("ANALOG_IN", "%IW4", INT, analog_in),
    SR_ROW_OUTPUT("ANALOG_OUT", "%QW4", INT, analog_out),
};

SR_PLC_IMAGE("basic", tasks, variables, 0, 0);
