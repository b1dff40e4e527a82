/* SPDX-License-Identifier: MIT */
/* One hundred DINT at 1 ms, of which CHANGING change every cycle, as PATTERN says. */
#include "plc_abi.h"

enum pattern { RANDOM, STEPS, NOISE, COUNTERS };

static sr_dint values[100];
static sr_dint changing, pattern;

static uint32_t random_bits(void)
{
    static uint32_t state = 1;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static int32_t next(const sr_cycle *cycle, int32_t i)
{
    const uint32_t bits = random_bits();
    switch (pattern.value) {
    case STEPS: /* -3 to 3 from one cycle to the next */
        return values[i].value + (int32_t)(bits % 7u) - 3;
    case NOISE: /* 16 levels about zero */
        return (int32_t)(bits % 16u) - 8;
    case COUNTERS:
        return (int32_t)cycle->tick + i;
    default:
        return (int32_t)bits;
    }
}

static void run(const sr_cycle *cycle)
{
    const int32_t count = changing.value;
    /* Spread over the list: 5 of 100 are the 1st, 21st, 41st ... */
    const int32_t step = count > 0 && count < 100 ? 100 / count : 1;
    for (int32_t n = 0; n < count && n < 100; n++)
        SR_SET(values[n * step], next(cycle, n * step));
}

static const sr_task tasks[] = {{.name = "MAIN", .interval_ns = 1000000, .run = run}};

#define ONE(n) SR_ROW("V" #n, DINT, values[n])
#define TEN(n)                                                                                     \
    ONE(n##0), ONE(n##1), ONE(n##2), ONE(n##3), ONE(n##4), ONE(n##5), ONE(n##6), ONE(n##7),        \
        ONE(n##8), ONE(n##9)
static const sr_variable variables[] = {ONE(0), ONE(1), ONE(2), ONE(3), ONE(4), ONE(5), ONE(6),
                                        ONE(7), ONE(8), ONE(9), TEN(1), TEN(2), TEN(3), TEN(4),
                                        TEN(5), TEN(6), TEN(7), TEN(8), TEN(9),
                                        SR_ROW("CHANGING", DINT, changing),
                                        SR_ROW("PATTERN", DINT, pattern)};
SR_PLC_IMAGE("patterns", tasks, variables, NULL, NULL);
