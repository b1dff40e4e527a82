/* SPDX-License-Identifier: MIT */
/* Retain variables of several types, which init, the cycle and fini all change. */
#include "plc_abi.h"

static sr_udint count = {.value = 100};
static sr_udint cycles;
static sr_bool on;
static sr_time span;
static SR_STRING(5) text;
static sr_dint crash_at;
static volatile int *volatile nowhere;
static sr_udint tick;
static sr_udint seen; /* of count, by the first cycle */

static void run(const sr_cycle *cycle)
{
    if (cycles.value == 0)
        SR_SET(seen, count.value);
    SR_SET(tick, cycle->tick);
    SR_SET(count, count.value + 1);
    SR_SET(cycles, cycles.value + 1);
    SR_SET(on, 1);
    SR_SET(span, -cycle->interval_ns);
    SR_SET_STRING(text, "abc");
    if (crash_at.value != 0 && crash_at.value <= (int32_t)cycles.value) {
        SR_SET(count, 0);
        *nowhere = 1;
    }
}

static int32_t initialise(void)
{
    SR_SET(count, count.value + 1000);
    return crash_at.value < 0 ? 5 : 0;
}

static void finish(void)
{
    SR_SET(count, 7);
#ifdef CRASH_IN_FINI
    *nowhere = 1;
#endif
}

static const sr_task tasks[] = {{.name = "MAIN", .interval_ns = 1000000, .run = run}};
static const sr_variable variables[] = {
    SR_ROW("CYCLES", UDINT, cycles),    SR_ROW_RETAIN("COUNT", UDINT, count),
    SR_ROW_RETAIN("ON", BOOL, on),      SR_ROW_RETAIN("SPAN", TIME, span),
    SR_ROW_STRING_RETAIN("TEXT", text), SR_ROW("CRASH_AT", DINT, crash_at),
    SR_ROW("SEEN", UDINT, seen),        SR_ROW_RETAIN("TICK", UDINT, tick),
};

SR_PLC_IMAGE("retain", tasks, variables, initialise, finish);
