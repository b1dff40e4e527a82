/* SPDX-License-Identifier: MIT */
/* What the scenarios of hil/scenarios need of a program: outputs to see it by, values that tell
 * whether they are of one cycle, and ways to fail. -DVERSION=2 is a later version of it. */
#include "plc_abi.h"

#ifndef VERSION
#define VERSION 1
#endif

enum { NOTHING, WILD, ENDLESS, OWN_FAULT };

static sr_bool button, alive, follower, forceable;
static sr_udint count, half, starts, version;
static sr_usint crash;
static sr_int speed = {100, 0};
static volatile int *volatile nowhere;
static volatile int forever = 1;

__attribute__((noinline, used)) static void CRASH_WILD(void)
{
    *nowhere = 1;
}

__attribute__((noinline, used)) static void CRASH_ENDLESS(void)
{
    while (forever)
        ;
}

static void run(const sr_cycle *cycle)
{
    (void)cycle;
    if (crash.value == WILD)
        CRASH_WILD();
    if (crash.value == ENDLESS)
        CRASH_ENDLESS();
    if (crash.value == OWN_FAULT)
        sr_runtime->fault("the operator asked for it");
    SR_SET(version, VERSION);
    SR_SET(alive, 1);
    SR_SET(follower, button.value);
    forceable.value = button.value; /* behind the macros' back: only the runtime can force it */
    SR_SET(count, count.value + 1);
    SR_SET(half, count.value * 2);
}

static int32_t initialise(void)
{
    SR_LOG(SR_LOG_INFO, "scenario: ready");
    return 0;
}

static const sr_task tasks[] = {{.name = "MAIN", .interval_ns = 10000000, .run = run}};
static const sr_variable variables[] = {
    SR_ROW_INPUT("BUTTON", "%IX0.0", BOOL, button),
    SR_ROW_OUTPUT("ALIVE", "%QX0.0", BOOL, alive),
    SR_ROW_OUTPUT("FOLLOWER", "%QX0.1", BOOL, follower),
    SR_ROW_OUTPUT("FORCEABLE", "%QX0.2", BOOL, forceable),
    SR_ROW_RETAIN("COUNT", UDINT, count),
    SR_ROW_RETAIN("HALF", UDINT, half), /* the double; of the same cycle */
    SR_ROW("VERSION", UDINT, version),
    SR_ROW("CRASH", USINT, crash),
    SR_ROW("SPEED", INT, speed),
#if VERSION > 1
    SR_ROW("STARTS", UDINT, starts),
#endif
};

SR_PLC_IMAGE("SCENARIO", tasks, variables, initialise, 0);
