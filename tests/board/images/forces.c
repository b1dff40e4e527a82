/* SPDX-License-Identifier: MIT */
/* Writes variables and reads them back at once, and one behind the macros' back. */
#include "plc_abi.h"

static sr_dint internal;
static sr_dint seen; /* what a read in the middle of the cycle gave */
static sr_dint stubborn;
static sr_dint seen_at_start;
static sr_int input;
static sr_int output;
static sr_bool switch_in;
static sr_bool lamp_out;
static sr_udint counter;
static sr_dint negative; /* minus the counter, until the end of the cycle something else */
static SR_STRING(8) text;

static void run(const sr_cycle *cycle)
{
    (void)cycle;
    SR_SET(seen_at_start, stubborn.value);
    SR_SET(counter, counter.value + 1);
    SR_SET(negative, 12345);
    SR_SET(internal, 5);
    SR_SET(seen, internal.value);
    stubborn.value = 7;
    SR_SET(output, input.value + 1);
    SR_SET(lamp_out, switch_in.value);
    SR_SET_STRING(text, "program");
    SR_SET(negative, -(int32_t)counter.value);
}

static const sr_task tasks[] = {{.name = "MAIN", .interval_ns = 1000000, .run = run}};
static const sr_variable variables[] = {
    SR_ROW("INTERNAL", DINT, internal),
    SR_ROW("SEEN", DINT, seen),
    SR_ROW_OUTPUT("STUBBORN", "%QD0", DINT, stubborn),
    SR_ROW("SEEN_AT_START", DINT, seen_at_start),
    SR_ROW_INPUT("INPUT", "%IW1", INT, input),
    SR_ROW_OUTPUT("OUTPUT", "%QW3", INT, output),
    SR_ROW_INPUT("SWITCH", "%IX9.7", BOOL, switch_in),
    SR_ROW_OUTPUT("LAMP", "%QX9.1", BOOL, lamp_out),
    SR_ROW("COUNTER", UDINT, counter),
    SR_ROW("NEGATIVE", DINT, negative),
    SR_ROW_STRING("TEXT", text),
};

SR_PLC_IMAGE("forces", tasks, variables, 0, 0);
