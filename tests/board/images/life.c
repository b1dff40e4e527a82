/* SPDX-License-Identifier: MIT */
/* init, fini, log messages, a cycle that takes too long, and a long period. */
#define _POSIX_C_SOURCE 200809L
#include "plc_abi.h"

#include <time.h>

#ifndef INTERVAL_NS
#define INTERVAL_NS 1000000
#endif

static sr_udint counter;
static sr_dint preset = {.value = 5};
static sr_udint inits;
static sr_udint burn_us;
static sr_bool flood;
static uint32_t zeroed;

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int32_t initialise(void)
{
    SR_LOG(SR_LOG_INFO, "init");
    SR_SET(inits, inits.value + 1 + zeroed);
    zeroed = 100;
#ifdef REFUSE
    return REFUSE;
#else
    return 0;
#endif
}

static void finish(void)
{
    SR_LOG(SR_LOG_WARNING, "fini");
}

static void run(const sr_cycle *cycle)
{
    const int64_t end_ns = now_ns() + (int64_t)burn_us.value * 1000;
    SR_SET(counter, counter.value + 1);
    SR_SET(preset, preset.value + 1);
    if (cycle->tick == 3) {
        SR_LOG(SR_LOG_DEBUG, "tick three");
        SR_LOG(SR_LOG_CRITICAL, "M\xc3\xbcller \xff");
    }
    if (flood.value)
        for (int i = 0; i < 50; i++)
            SR_LOG(SR_LOG_DEBUG, "flood");
    if (burn_us.value > 0)
        while (now_ns() < end_ns)
            ;
    SR_SET(burn_us, 0);
}

static const sr_task tasks[] = {{.name = "MAIN", .interval_ns = INTERVAL_NS, .run = run}};
static const sr_variable variables[] = {
    SR_ROW("COUNTER", UDINT, counter), SR_ROW("PRESET", DINT, preset),
    SR_ROW("INITS", UDINT, inits),     SR_ROW("BURN_US", UDINT, burn_us),
    SR_ROW("FLOOD", BOOL, flood),
};

SR_PLC_IMAGE("life", tasks, variables, initialise, finish);
