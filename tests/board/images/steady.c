/* SPDX-License-Identifier: MIT */
/* 4000 cycles a second over a hundred variables, and a slower task on a thread of its own; on order
 * it does what no cycle should. */
#define _GNU_SOURCE
#include "plc_abi.h"

#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096
#define PAGES 65536

static sr_udint counter, order;
static sr_dint values[98];
static sr_bool lamp;
static sr_udint slow, slow_seen;
static unsigned char *fresh; /* pages that nobody has touched yet */
static uint32_t touched;

static void run(const sr_cycle *cycle)
{
    SR_SET(counter, counter.value + 1);
    SR_SET(lamp, 1);
    for (uint32_t i = 0; i < sizeof values / sizeof values[0]; i++)
        SR_SET(values[i], (int32_t)(cycle->tick + i));
    if (order.value == 1)
        syscall(SYS_getppid);
    if (order.value == 2 && touched < PAGES)
        fresh[PAGE * touched++] = 1;
}

static void run_slow(const sr_cycle *cycle)
{
    (void)cycle;
    SR_SET(slow, slow_seen.value);
}

#ifdef CONSTRUCTOR
__attribute__((constructor)) static void begin(void)
{
    CONSTRUCTOR;
}
#endif

static int32_t initialise(void)
{
    fresh = mmap(NULL, (size_t)PAGE * PAGES, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return fresh == MAP_FAILED;
}

static const sr_task tasks[] = {
    {.name = "MAIN", .interval_ns = 250000, .run = run},
    {.name = "SLOW",
     .interval_ns = 2000000,
     .priority = 5,
     .options = SR_TASK_THREAD,
     .run = run_slow},
};

#define ROW(n) SR_ROW("V" #n, DINT, values[n])
#define TEN(n)                                                                                     \
    ROW(n##0), ROW(n##1), ROW(n##2), ROW(n##3), ROW(n##4), ROW(n##5), ROW(n##6), ROW(n##7),        \
        ROW(n##8), ROW(n##9)
static const sr_variable variables[] = {
    SR_ROW_RETAIN("COUNTER", UDINT, counter),
    SR_ROW("ORDER", UDINT, order),
    SR_ROW_OUTPUT("LAMP", "%QX0.0", BOOL, lamp),
    SR_TASK_ROW(2, "SLOW", UDINT, slow),
    SR_TASK_ROW(2, "SLOW_SEEN", UDINT, slow_seen),
    TEN(1),
    TEN(2),
    TEN(3),
    TEN(4),
    TEN(5),
    TEN(6),
    TEN(7),
    TEN(8),
};

static const sr_copy copies[] = {SR_COPY(counter, slow_seen)};

SR_PLC_IMAGE_COPIES("steady", tasks, variables, copies, initialise, NULL);
