/* SPDX-License-Identifier: MIT */
/* The program of a PLC object as the Beremiz IDE builds it; beremiz_runtime.c is the other half.
 * Defines put defects in. */
#define _GNU_SOURCE
#include "beremiz.h"

#include <stdlib.h>
#include <time.h>

#ifndef PERIOD_NS
#define PERIOD_NS 1000000
#endif
#ifndef TICKS
#define TICKS 0 /* after which __tick begins anew; 0: never */
#endif

/* clang-format off */
#define V(type) struct { type value; uint8_t flags; }
#define P(type) struct { type *value; uint8_t flags; }
/* clang-format on */
#define SET(v, new) ((v).flags & FORCED ? (void)0 : (void)((v).value = (new)))
#define SET_P(v, new) ((v).flags & FORCED ? (void)0 : (void)(*(v).value = (new)))

struct timer {
    V(timespan) et;
    V(uint8_t) q;
};

struct program {
    V(uint32_t) count;
    V(uint8_t) bit;
    V(int8_t) a_sint;
    V(int16_t) an_int;
    V(int64_t) a_lint;
    V(float) a_real;
    V(double) an_lreal;
    V(timespan) now;
    V(timespan) a_date;
    V(string) text;
    struct timer timer;
    P(int16_t) external;
    P(uint16_t) input;
    P(uint8_t) lamp;
    P(int32_t) bus_output;
    P(uint16_t) memory;
    V(uint16_t) input_seen;
    V(int16_t) external_seen;
    V(int16_t) other_seen;
    V(uint8_t) order;
    V(uint32_t) tick;
    V(int32_t) kept;
    V(timespan) clock;
} RES0__INST0;
V(int16_t) CONFIG__GLOBAL;

/* The places of located variables; one lies in memory that an extension allocates. */
static uint16_t input_place, memory_place;
static uint8_t lamp_place;
uint16_t *__IW2 = &input_place;
uint8_t *__QX0_1 = &lamp_place;
uint16_t *__MW3 = &memory_place;
#ifndef UNSERVED
int32_t *__QD1_2;
#endif
uint16_t *__IW1_0 = &memory_place; /* a channel of an extension, no place in the process image */

unsigned long long common_ticktime__ = PERIOD_NS;
unsigned int greatest_tick_count__ = TICKS;
unsigned int __tick;
timespan __CURRENT_TIME;
char *PLC_ID;

static volatile int *volatile nowhere;

__attribute__((noinline)) static void obey(uint8_t order)
{
    switch (order) {
    case 1:
        *nowhere = 1;
        break;
    case 2:
        for (;;)
            __asm__ volatile("");
    case 3:
        LogMessage(0, (char *)"last words", 10);
        abort();
    case 4:
        LogMessage(3, (char *)"detail", 7); /* with its terminator */
        break;
    case 5:
        PLC_SetTimer(1, 1);
        break;
    case 6:
        nanosleep(&(struct timespec){0, 5000000}, NULL);
        break;
    default:
        break;
    }
}

void MAIN_body__(struct program *p)
{
    const uint32_t n = p->count.value + 1;
    SET(p->count, n);
    SET(p->bit, n % 2 ? 1 : 0);
    SET(p->a_sint, (int8_t)-n);
    SET(p->an_int, (int16_t)(n * 100));
    SET(p->a_lint, -(int64_t)n << 33);
    SET(p->a_real, (float)n / 2);
    SET(p->an_lreal, (double)n / 4);
    SET(p->now, __CURRENT_TIME);
    SET(p->a_date, ((timespan){-1, -500000000})); /* not as the wire has it */
    string text = {4, "text"};
    SET(p->text, text);
    SET(p->timer.et, ((timespan){0, (long)n}));
    SET(p->timer.q, n > 3);
    SET(CONFIG__GLOBAL, 7);
    SET(p->input_seen, *p->input.value);
    SET(p->external_seen, *p->external.value);
    SET(p->other_seen, CONFIG__GLOBAL.value);
    SET_P(p->lamp, n % 2 ? 1 : 0);
    SET_P(p->bus_output, (int32_t)n);
    SET_P(p->memory, (uint16_t)(n + 1));
    SET(p->tick, __tick);
    timespan now;
    PLC_GetTime(&now);
    SET(p->clock, now);
    const uint8_t order = p->order.value;
    SET(p->order, 0);
#ifdef ORDER
    if (n == 20)
        obey(ORDER);
#endif
    obey(order);
}

void config_init__(void)
{
    struct program *p = &RES0__INST0;
    p->count.value = 0;
    p->text.value = (string){0, ""};
    CONFIG__GLOBAL.value = 5;
    p->external.value = &CONFIG__GLOBAL.value;
    p->input.value = __IW2;
    p->lamp.value = __QX0_1;
    p->bus_output.value = __QD1_2;
    p->memory.value = __MW3;
    p->kept.value = 11;
    p->kept.flags |= RETAIN;
#ifdef CRASH_IN_INIT
    *nowhere = 1;
#endif
}

const struct row rows[] = {
    {&RES0__INST0.count, UDINT},
    {&RES0__INST0.bit, BOOL},
    {&RES0__INST0.a_sint, SINT},
    {&RES0__INST0.an_int, INT},
    {&RES0__INST0.a_lint, LINT},
    {&RES0__INST0.a_real, REAL},
    {&RES0__INST0.an_lreal, LREAL},
    {&RES0__INST0.now, TIME},
    {&RES0__INST0.a_date, DATE},
    {&RES0__INST0.text, STRING},
    {&RES0__INST0.timer.et, TIME},
    {&RES0__INST0.timer.q, BOOL},
    {&RES0__INST0.external, POINTER(INT)},
    {&RES0__INST0.input, POINTER(WORD)},
    {&RES0__INST0.lamp, OUTPUT(BOOL)},
    {&RES0__INST0.bus_output, OUTPUT(DINT)},
    {&RES0__INST0.memory, OUTPUT(UINT)},
    {&RES0__INST0.input_seen, WORD},
    {&RES0__INST0.external_seen, INT},
    {&RES0__INST0.other_seen, INT},
    {&RES0__INST0.order, USINT},
    {&RES0__INST0.tick, UDINT},
    {&RES0__INST0.kept, DINT},
    {&RES0__INST0.clock, TIME},
    {&CONFIG__GLOBAL, INT},
#ifdef BAD_TYPE
    {&RES0__INST0.count, 3 * TYPES},
#endif
#ifdef BAD_ADDRESS
    {(void *)rows, DINT},
#endif
};
const unsigned int row_count = sizeof rows / sizeof rows[0];

int32_t *kept_value(void)
{
    return &RES0__INST0.kept.value;
}

void config_run__(void)
{
    MAIN_body__(&RES0__INST0);
}

void __for_each_variable_do(void (*visit)(const struct row *row))
{
    for (unsigned int i = 0; i < row_count; i++)
        visit(&rows[i]);
}

#ifdef XENOMAI
extern int rt_pipe_create(void) __attribute__((weak));
int use_a_pipe(void);
int use_a_pipe(void)
{
    return rt_pipe_create != NULL ? rt_pipe_create() : 0;
}
#endif
#ifdef THREAD_LOCAL
__thread int counter;
#endif
