/* SPDX-License-Identifier: MIT */
/* Counts for 20 cycles, then does what CRASH names. */
#include "plc_abi.h"

#include <stdlib.h>

static sr_udint cycles;

#if defined(CRASH_STACK)
static volatile int depth;

static int deeper(int level) /* no tail call: the result is used */
{
    volatile char room[4096];
    room[0] = (char)level;
    depth = level;
    return deeper(level + 1) + room[0];
}
#endif

static void crash(void)
{
#if defined(CRASH_SEGV)
    *(volatile int *)8 = 1;
#elif defined(CRASH_ABORT)
    abort();
#elif defined(CRASH_STACK)
    depth = deeper(0);
#elif defined(CRASH_DIVIDE)
    SR_SET(cycles, SR_DIVIDE(1, (int)cycles.value - (int)cycles.value));
#elif defined(CRASH_TRAP)
    __builtin_trap();
#elif defined(CRASH_FAULT)
    sr_runtime->fault("pump 1 runs dry"); /* a tail call: no return address in the image */
#elif defined(CRASH_LOOP)
    for (volatile int forever = 1; forever != 0;) {
    }
#endif
}

static void run(const sr_cycle *cycle)
{
    (void)cycle;
    SR_SET(cycles, cycles.value + 1);
    if (cycles.value == 20)
        crash();
}

static const sr_task tasks[] = {{.name = "MAIN", .interval_ns = 1000000, .run = run}};
static const sr_variable variables[] = {SR_ROW("CYCLES", UDINT, cycles)};
SR_PLC_IMAGE("crash", tasks, variables, NULL, NULL);
