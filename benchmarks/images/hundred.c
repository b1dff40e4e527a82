/* SPDX-License-Identifier: MIT */
/* One hundred DINT that change every cycle, 1 ms. */
#include "plc_abi.h"

static sr_dint values[100];

static void run(const sr_cycle *cycle)
{
    for (int32_t i = 0; i < 100; i++)
        SR_SET(values[i], (int32_t)cycle->tick + i);
}

static const sr_task tasks[] = {{.name = "MAIN", .interval_ns = 1000000, .run = run}};

#define ONE(n) SR_ROW("V" #n, DINT, values[n])
#define TEN(n)                                                                                     \
    ONE(n##0), ONE(n##1), ONE(n##2), ONE(n##3), ONE(n##4), ONE(n##5), ONE(n##6), ONE(n##7),        \
        ONE(n##8), ONE(n##9)
static const sr_variable variables[] = {ONE(0), ONE(1), ONE(2), ONE(3), ONE(4), ONE(5), ONE(6),
                                        ONE(7), ONE(8), ONE(9), TEN(1), TEN(2), TEN(3), TEN(4),
                                        TEN(5), TEN(6), TEN(7), TEN(8), TEN(9)};
SR_PLC_IMAGE("hundred", tasks, variables, NULL, NULL);
