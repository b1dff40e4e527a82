/* SPDX-License-Identifier: MIT */
/* One thousand DINT that change every cycle, 1 ms. */
#include "plc_abi.h"

static sr_dint values[1000];

static void run(const sr_cycle *cycle)
{
    for (int32_t i = 0; i < 1000; i++)
        SR_SET(values[i], (int32_t)cycle->tick + i);
}

static const sr_task tasks[] = {{.name = "MAIN", .interval_ns = 1000000, .run = run}};

/* V0 to V999: the digits are put together where no leading zero can make them octal. */
#define ONE(n) SR_ROW("V" #n, DINT, values[n])
#define TEN(n)                                                                                     \
    ONE(n##0), ONE(n##1), ONE(n##2), ONE(n##3), ONE(n##4), ONE(n##5), ONE(n##6), ONE(n##7),        \
        ONE(n##8), ONE(n##9)
#define HUNDRED(n)                                                                                 \
    TEN(n##0), TEN(n##1), TEN(n##2), TEN(n##3), TEN(n##4), TEN(n##5), TEN(n##6), TEN(n##7),        \
        TEN(n##8), TEN(n##9)
static const sr_variable variables[] = {
    ONE(0),     ONE(1),     ONE(2),     ONE(3),     ONE(4),     ONE(5),     ONE(6),
    ONE(7),     ONE(8),     ONE(9),     TEN(1),     TEN(2),     TEN(3),     TEN(4),
    TEN(5),     TEN(6),     TEN(7),     TEN(8),     TEN(9),     HUNDRED(1), HUNDRED(2),
    HUNDRED(3), HUNDRED(4), HUNDRED(5), HUNDRED(6), HUNDRED(7), HUNDRED(8), HUNDRED(9)};
SR_PLC_IMAGE("thousand", tasks, variables, NULL, NULL);
