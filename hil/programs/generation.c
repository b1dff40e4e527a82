/* SPDX-License-Identifier: MIT
 *
 * A program that tells whether anything of it, or of what it keeps, is of another time.
 *
 * Each build has its GENERATION, and ballast that no compressor makes smaller. 130 retained
 * counters are written in the same cycle: a set in which two differ was never there. Their names
 * are long, so that they fill more than a page of the file they are kept in.
 */
#include "plc_abi.h"

#ifndef GENERATION
#define GENERATION 1
#endif
#define COUNTERS 130

/* 4096 numbers that look like noise. */
#define NOISE(i)                                                                                   \
    ((UINT64_C(0x9E3779B97F4A7C15) * (0##i + 1)) ^                                                 \
     (UINT64_C(0xD1B54A32D192ED03) * GENERATION * 0##i)),
#define N8(i)                                                                                      \
    NOISE(i##0) NOISE(i##1) NOISE(i##2) NOISE(i##3) NOISE(i##4) NOISE(i##5) NOISE(i##6) NOISE(i##7)
#define N64(i) N8(i##0) N8(i##1) N8(i##2) N8(i##3) N8(i##4) N8(i##5) N8(i##6) N8(i##7)
#define N512(i) N64(i##0) N64(i##1) N64(i##2) N64(i##3) N64(i##4) N64(i##5) N64(i##6) N64(i##7)

static sr_udint generation = {.value = GENERATION};
static sr_udint count;
static sr_udint uneven; /* cycles in which the counters that were kept were not one set */
static sr_udint kept[COUNTERS];
static uint64_t ballast[] = {N512(0) N512(1) N512(2) N512(3) N512(4) N512(5) N512(6) N512(7)};

static void run(const sr_cycle *cycle)
{
    (void)cycle;
    for (int i = 1; i < COUNTERS; i++)
        if (kept[i].value != kept[0].value)
            SR_SET(uneven, uneven.value + 1);
    SR_SET(count, kept[0].value + 1);
    for (int i = 0; i < COUNTERS; i++)
        SR_SET(kept[i], count.value);
    ballast[count.value % (sizeof ballast / sizeof *ballast)] += GENERATION;
}

static const sr_task tasks[] = {{.name = "MAIN", .interval_ns = 50000000, .run = run}};

#define ONE(i) SR_ROW_RETAIN("KEPT.IN_ONE_CYCLE." #i, UDINT, kept[1##i - 1000]),
#define TEN(i)                                                                                     \
    ONE(i##0)                                                                                      \
    ONE(i##1) ONE(i##2) ONE(i##3) ONE(i##4) ONE(i##5) ONE(i##6) ONE(i##7) ONE(i##8) ONE(i##9)
#define HUNDRED(i)                                                                                 \
    TEN(i##0)                                                                                      \
    TEN(i##1) TEN(i##2) TEN(i##3) TEN(i##4) TEN(i##5) TEN(i##6) TEN(i##7) TEN(i##8) TEN(i##9)

static const sr_variable variables[] = {
    SR_ROW("GENERATION", UDINT, generation), SR_ROW("COUNT", UDINT, count),
    SR_ROW("UNEVEN", UDINT, uneven), HUNDRED(0) TEN(10) TEN(11) TEN(12)};

SR_PLC_IMAGE("generation", tasks, variables, NULL, NULL);
