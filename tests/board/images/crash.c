/* SPDX-License-Identifier: MIT */
/* Runs well for ten ticks with its lamp on, then ends as KIND says; with UNTIL_SEEN not before
 * someone says that the lamp was seen; with BESIDE in a task with a thread of its own. */
#define _GNU_SOURCE
#include "plc_abi.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef KIND
#define KIND segmentation
#endif

static sr_udint counter;
static sr_bool lamp, seen;
static volatile int zero;
static int *volatile nowhere;

__attribute__((noinline, used)) static void CRASH_segmentation(void)
{
    *nowhere = 1;
}

__attribute__((noinline, used)) static void CRASH_jump(void)
{
    void (*volatile function)(void) = 0;
    function();
    zero = 0; /* no tail call: the way back stays on the stack */
}

__attribute__((noinline, used)) static void CRASH_library(void)
{
    memset(nowhere + 64, zero, 1000000 + (size_t)zero);
    zero = 0;
}

__attribute__((noinline, used)) static void CRASH_bus(void)
{
    const int file = memfd_create("empty", 0);
    char *past_its_end = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    *past_its_end = 1;
}

__attribute__((noinline, used)) static void CRASH_abort(void)
{
    abort();
}

#pragma GCC diagnostic ignored "-Winfinite-recursion"
__attribute__((noinline, used)) static int recurse(volatile int *depth)
{
    volatile int here[64];
    here[0] = *depth + 1;
    return recurse(here) + here[0];
}

__attribute__((noinline, used)) static void CRASH_overflow(void)
{
    zero = recurse(&zero);
}

__attribute__((noinline, used)) static void CRASH_division(void)
{
    zero = 100 / zero;
}

__attribute__((noinline, used)) static void CRASH_illegal(void)
{
    __builtin_trap();
}

__attribute__((noinline, used)) static void CRASH_loop(void)
{
    while (zero == 0)
        ;
}

__attribute__((noinline, used)) static void CRASH_fault(void)
{
    sr_udint none = {.value = 0};
    SR_SET(counter, SR_DIVIDE(counter.value, none.value));
}

/* Holds a lock of its own for good. */
__attribute__((noinline, used)) static void CRASH_locked(void)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&mutex);
    *nowhere = 1;
}

/* Finds its heap destroyed inside malloc, which holds the lock of the heap then. */
__attribute__((noinline, used)) static void CRASH_heap(void)
{
    volatile char *block = malloc(100000 + (size_t)zero);
    for (int i = 0; i < 64; i++)
        block[100000 + i] = -1; /* what is left of the heap is behind it */
    nowhere = malloc(90000 + (size_t)zero);
    zero = 0;
}

#ifdef LIBRARY
/* In the constructor of a library: the loader's lock is held, which whoever asks for the name of a
 * function wants. */
__attribute__((noinline, used)) static void CRASH_loader(void)
{
    (void)dlopen(LIBRARY, RTLD_NOW);
    zero = 0;
}
#endif

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

static void TANK_RUN(const sr_cycle *cycle)
{
    (void)cycle;
    SR_SET(lamp, 1);
#ifdef UNTIL_SEEN
    if (counter.value < 10 || seen.value)
#endif
        SR_SET(counter, counter.value + 1);
#if !defined(IN_INIT) && !defined(IN_FINI)
    if (counter.value > 10)
        JOIN(CRASH_, KIND)();
#endif
}

static int32_t initialise(void)
{
#ifdef IN_INIT
    JOIN(CRASH_, KIND)();
#endif
    return 0;
}

static void finish(void)
{
#ifdef IN_FINI
    JOIN(CRASH_, KIND)();
#endif
}

#ifdef BESIDE
static sr_udint scans;

static void scan(const sr_cycle *cycle)
{
    (void)cycle;
    SR_SET(scans, scans.value + 1);
}

#define OWNER 2
static const sr_task tasks[] = {
    {.name = "SCAN", .interval_ns = 1000000, .run = scan},
    {.name = "MAIN",
     .interval_ns = 2000000,
     .priority = 1,
     .options = SR_TASK_THREAD,
     .run = TANK_RUN},
};
#else
#define OWNER 0
static const sr_task tasks[] = {{.name = "MAIN", .interval_ns = 2000000, .run = TANK_RUN}};
#endif
static const sr_variable variables[] = {
    SR_TASK_ROW(OWNER, "COUNTER", UDINT, counter),
    SR_TASK_ROW_OUTPUT(OWNER, "LAMP", "%QX0.0", BOOL, lamp),
    SR_TASK_ROW_INPUT(OWNER, "SEEN", "%IX0.0", BOOL, seen),
#ifdef BESIDE
    SR_ROW("SCANS", UDINT, scans),
#endif
};

SR_PLC_IMAGE("crash", tasks, variables, initialise, finish);
