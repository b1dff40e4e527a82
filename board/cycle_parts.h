/* SPDX-License-Identifier: MIT */
/* cycle_parts.h - what the RT side (cycle.c) and the worker's side (cycle_control.c) of the cycle
 * share. Nobody else includes it.
 */
#ifndef SR_CYCLE_PARTS_H
#define SR_CYCLE_PARTS_H

#include "cycle.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "program.h"
#include "watchdog.h"

struct cycle {
    struct cycle_parts parts;
    sr_prefault prefault;
    struct platform_thread *thread;
    struct watchdog watchdog;
    int64_t release_ns; /* the first, unless starting takes longer */
    int64_t limit_ns;   /* the watchdog's */
    /* Of the thread while it runs. */
    struct program *program;
    uint32_t tick;
    bool begun;
    int64_t recording_ns; /* what the statistics of the cycle before took */
    struct fault fault;
    uint8_t inputs[IO_AREA_BYTES];
    uint8_t outputs[IO_AREA_BYTES];
    /* Between the threads. */
    _Atomic(const struct program_task *) current; /* NULL between tasks */
    _Atomic uint32_t last_tick;                   /* written inside the beat */
    atomic_bool stop;
    atomic_bool claimed; /* whoever sets it reports the fault: the thread, or its watchdog */
    _Atomic int state;   /* enum cycle_state */
};

/* RT: the body of the thread. */
SR_RT void cycle_main(void *argument);
/* RT, on the watchdog's thread: see give_up in watchdog.h. */
SR_RT void cycle_give_up(void *owner, int fault);
/* Any: the distance between two moments at which a cycle may begin for the first time. */
SR_RT int64_t cycle_grid_ns(int64_t base_ns);

#endif
