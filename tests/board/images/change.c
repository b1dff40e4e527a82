/* SPDX-License-Identifier: MIT */
/* A program and, with VERSION 2, what became of it. CRASH, FAULT, SPIN, OVERFLOW: its 20th cycle
 * ends so. PROTECT: it cannot be copied to any more after its init. */
#include "plc_blocks.h"

#include <sys/mman.h>

#ifndef VERSION
#define VERSION 1
#endif
#ifndef INTERVAL_NS
#define INTERVAL_NS 1000000
#endif

static sr_udint counter;
static sr_bool lamp;
static sr_ton delay;
static SR_STRING(8 * VERSION) text;
static uint32_t runs; /* no row: begins anew */
static sr_udint cycles;
#if VERSION == 1
static sr_int speed = {.value = -7};
static sr_dint level = {.value = 70000};
static sr_bool siren = {.value = 1};
static sr_dint gone;
#else
static sr_dint speed = {.value = 1};
static sr_int level = {.value = 5};
static sr_dint fresh = {.value = 42};
static union {
    _Alignas(65536) sr_dint gone;
    char bytes[65536];
} page;
#endif

static int32_t initialise(void)
{
#ifdef PROTECT
    (void)mprotect(&page, sizeof page, PROT_READ);
#endif
#ifdef REFUSE
    return 3;
#endif
#ifdef CRASH_INIT
    *(volatile int *)8 = 1;
#endif
    SR_LOG(SR_LOG_INFO, VERSION == 1 ? "first begins" : "second begins");
    if (VERSION == 1)
        SR_SET_STRING(text, "kept");
    return 0;
}

static void finish(void)
{
    SR_LOG(SR_LOG_INFO, VERSION == 1 ? "first ends" : "second ends");
}

#ifdef OVERFLOW
static uint32_t deeper(volatile uint32_t *before)
{
    volatile uint32_t room[100] = {*before};
    return deeper(room) + room[runs % 100];
}
#endif

static void run(const sr_cycle *cycle)
{
    runs++;
    SR_SET(cycles, runs);
    SR_SET(counter, counter.value + 1);
    SR_SET(lamp, counter.value % 2);
    sr_ton_run(&delay, 1, 3600 * SR_SECOND, cycle);
#if defined(CRASH)
    if (runs == 20)
        *(volatile int *)8 = 1;
#elif defined(FAULT)
    if (runs == 20)
        sr_runtime->fault("enough");
#elif defined(OVERFLOW)
    if (runs == 20)
        runs = deeper(&runs);
#elif defined(SPIN)
    while (runs >= 20)
        *(volatile uint32_t *)&runs = 20;
#endif
}

static const sr_task tasks[] = {{.name = "MAIN", .interval_ns = INTERVAL_NS, .run = run}};
static const sr_variable variables[] = {
#if VERSION == 2
    SR_ROW("FRESH", DINT, fresh),
#endif
#ifdef TWICE
    SR_ROW("FRESH", DINT, fresh),
#endif
    SR_ROW("COUNTER", UDINT, counter),
    SR_ROW_OUTPUT("LAMP", VERSION == 1 ? "%QX0.0" : "%QX0.2", BOOL, lamp),
    SR_ROWS("DELAY", TON, delay),
    SR_ROW_STRING("TEXT", text),
    SR_ROW("CYCLES", UDINT, cycles),
#if VERSION == 1
    SR_ROW("SPEED", INT, speed),
    SR_ROW("LEVEL", DINT, level),
    SR_ROW_OUTPUT("SIREN", "%QX0.1", BOOL, siren),
    SR_ROW("GONE", DINT, gone),
#else
#ifdef PROTECT
    SR_ROW("GONE", DINT, page.gone),
#endif
    SR_ROW("SPEED", DINT, speed),
    SR_ROW("LEVEL", INT, level),
#endif
};

SR_PLC_IMAGE("change", tasks, variables, initialise, finish);
