/* SPDX-License-Identifier: MIT */
/* A program in C++: g++ makes the inline variable unique in the process unless told otherwise. */
#include "plc_abi.h"

struct Counter {
    static inline sr_dint count;
};
static sr_bool lamp;
static SR_STRING(20) text;

static void run(const sr_cycle *cycle)
{
    SR_SET(Counter::count, SR_DIVIDE(Counter::count.value, 1) + 1);
    SR_SET(lamp, cycle->tick % 2);
    SR_SET_STRING(text, "C++");
}

static int32_t init()
{
    SR_LOG(SR_LOG_INFO, "init");
    return 0;
}

static const sr_task tasks[] = {
    {.name = "MAIN", .interval_ns = 1000000, .priority = 0, .options = 0, .run = run}};
static const sr_variable variables[] = {SR_ROW("COUNT", DINT, Counter::count),
                                        SR_ROW_OUTPUT("LAMP", "%QX0.0", BOOL, lamp),
                                        SR_ROW_STRING("TEXT", text)};

SR_PLC_IMAGE("unique", tasks, variables, init, NULL);
