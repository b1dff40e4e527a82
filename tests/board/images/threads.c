/* SPDX-License-Identifier: MIT */
/* A scan and two tasks with threads of their own. Each writes pairs of a number and its complement,
 * with time between the two, and notes when a pair that it sees does not belong together, or when
 * its tick does not fit the clock. */
#include "plc_abi.h"

#ifndef BURN
#define BURN 20000
#endif
#define BASE_NS 1000000

#define PAIR(name) static sr_udint name = {0, 0}, name##_not = {~0u, 0}
#define SEEN_PAIR(name) PAIR(name)
#define IS_BROKEN(name) ((name).value != (uint32_t) ~(name##_not).value)

PAIR(scan);           /* of the scan */
SEEN_PAIR(scan_fast); /* the scan's copy of `fast` */
SEEN_PAIR(scan_slow);
PAIR(fast);
SEEN_PAIR(fast_scan);
SEEN_PAIR(fast_slow);
PAIR(slow);
SEEN_PAIR(slow_scan);
SEEN_PAIR(slow_fast);
static SR_STRING(20) slow_text, fast_text;
static sr_udint scan_wrong, fast_wrong, slow_wrong;
static sr_uint in, in_not, out, out_not; /* of the fast task */
static sr_udint fast_scratch;            /* written around the macros */
static sr_udint off_grid; /* runs of the fast task in ticks that are none of its own */
static sr_bool slow_logs;

static uint32_t last_in;

static void burn(uint32_t rounds)
{
    for (volatile uint32_t i = 0; i < rounds; i++)
        ;
}

static void write_pair(sr_udint *number, sr_udint *complement, uint32_t rounds)
{
    SR_SET(*number, number->value + 1);
    burn(rounds);
    SR_SET(*complement, ~number->value);
}

struct phase {
    int64_t origin_ns;
    uint32_t last_tick;
    uint32_t runs;
};

/* 1: the tick is not a later one, or not at its time. */
static uint32_t is_off(struct phase *phase, const sr_cycle *cycle)
{
    const int64_t origin_ns = cycle->time_ns - (int64_t)cycle->tick * BASE_NS;
    uint32_t wrong = 0;
    if (phase->runs++ > 0)
        wrong |= origin_ns != phase->origin_ns || cycle->tick <= phase->last_tick;
    else
        phase->origin_ns = origin_ns;
    phase->last_tick = cycle->tick;
    return wrong;
}

static struct phase scan_phase, fast_phase, slow_phase;

static void run_scan(const sr_cycle *cycle)
{
    uint32_t wrong = is_off(&scan_phase, cycle);
    wrong += IS_BROKEN(scan_fast) + IS_BROKEN(scan_slow);
    wrong += slow_text.value.length != 4 + slow_text.value.text[0] % 16;
    write_pair(&scan, &scan_not, 0);
    SR_SET(scan_wrong, scan_wrong.value + wrong);
}

static void run_fast(const sr_cycle *cycle)
{
    uint32_t wrong = is_off(&fast_phase, cycle);
    SR_SET(off_grid, off_grid.value + cycle->tick % 2);
    wrong += IS_BROKEN(fast_scan) + IS_BROKEN(fast_slow);
    wrong += in.value != (uint16_t)~in_not.value && in.value + in_not.value != 0;
    wrong += last_in > in.value; /* the plant counts */
    last_in = in.value;
    write_pair(&fast, &fast_not, BURN / 10);
    SR_SET(out, out.value + 1);
    burn(BURN / 10);
    SR_SET(out_not, ~out.value);
    fast_scratch.value++;
    SR_SET(fast_wrong, fast_wrong.value + wrong);
}

static void run_slow(const sr_cycle *cycle)
{
    uint32_t wrong = is_off(&slow_phase, cycle);
    wrong += IS_BROKEN(slow_scan) + IS_BROKEN(slow_fast);
    write_pair(&slow, &slow_not, BURN);
    wrong += IS_BROKEN(slow_scan) + IS_BROKEN(slow_fast); /* nor does it change meanwhile */
    fast_text.value.length = (uint8_t)(4 + slow.value % 16);
    burn(BURN);
    for (uint32_t i = 0; i < fast_text.value.length; i++)
        fast_text.value.text[i] = (char)('0' + slow.value % 16);
    if (slow_logs.value != 0)
        SR_LOG(SR_LOG_INFO, "slow");
    SR_SET(slow_wrong, slow_wrong.value + wrong);
}

static int32_t initialise(void)
{
    static const struct phase none;
    scan_phase = fast_phase = slow_phase = none;
    last_in = 0;
    SR_SET_STRING(slow_text, "0000"); /* '0' is a multiple of 16 */
    SR_SET_STRING(fast_text, "0000");
    return 0;
}

#ifndef OPTIONS
#define OPTIONS SR_TASK_THREAD
#endif

static const sr_task tasks[] = {
    {.name = "SLOW",
     .interval_ns = 5 * BASE_NS,
     .priority = 7,
     .options = OPTIONS,
     .run = run_slow},
    {.name = "SCAN", .interval_ns = BASE_NS, .priority = 0, .options = OPTIONS, .run = run_scan},
    {.name = "FAST",
     .interval_ns = 2 * BASE_NS,
     .priority = 3,
     .options = OPTIONS,
     .run = run_fast},
};
enum { SLOW = 1, SCAN, FAST };

#define ROWS(task, path, name)                                                                     \
    SR_TASK_ROW(task, path, UDINT, name), SR_TASK_ROW(task, path "_NOT", UDINT, name##_not)

static const sr_variable variables[] = {
    ROWS(SCAN, "SCAN", scan),
    ROWS(FAST, "FAST", fast),
    ROWS(SLOW, "SLOW", slow),
    SR_TASK_ROW(SCAN, "SCAN_WRONG", UDINT, scan_wrong),
    SR_TASK_ROW(FAST, "FAST_WRONG", UDINT, fast_wrong),
    SR_TASK_ROW(SLOW, "SLOW_WRONG", UDINT, slow_wrong),
    ROWS(SCAN, "SCAN_FAST", scan_fast),
    ROWS(SCAN, "SCAN_SLOW", scan_slow),
    ROWS(FAST, "FAST_SCAN", fast_scan),
    ROWS(FAST, "FAST_SLOW", fast_slow),
    ROWS(SLOW, "SLOW_SCAN", slow_scan),
    ROWS(SLOW, "SLOW_FAST", slow_fast),
    SR_TASK_ROW_INPUT(FAST, "IN", "%IW0", UINT, in),
    SR_TASK_ROW_INPUT(FAST, "IN_NOT", "%IW1", UINT, in_not),
    SR_TASK_ROW_OUTPUT(FAST, "OUT", "%QW0", UINT, out),
    SR_TASK_ROW_OUTPUT(FAST, "OUT_NOT", "%QW1", UINT, out_not),
    SR_TASK_ROW(FAST, "SCRATCH", UDINT, fast_scratch),
    SR_TASK_ROW(SLOW, "LOGS", BOOL, slow_logs),
    SR_TASK_ROW_STRING(SCAN, "SCAN_TEXT", slow_text),
    SR_TASK_ROW_STRING(SLOW, "TEXT", fast_text),
    SR_TASK_ROW(FAST, "OFF_GRID", UDINT, off_grid),
};

#define COPIES(from, to) SR_COPY(from, to), SR_COPY(from##_not, to##_not)

static const sr_copy copies[] = {
    COPIES(fast, scan_fast),       COPIES(slow, scan_slow), COPIES(scan, fast_scan),
    COPIES(slow, fast_slow),       COPIES(scan, slow_scan), COPIES(fast, slow_fast),
    SR_COPY(fast_text, slow_text),
};

SR_PLC_IMAGE_COPIES("threads", tasks, variables, copies, initialise, 0);
