/* SPDX-License-Identifier: MIT */
/* cycle.h - the real-time thread and the scan cycle it runs.
 *
 * All functions but cycle_state run on the worker. States: idle -> running -> idle by cycle_stop,
 * or -> faulted, which is final.
 */
#ifndef SR_CYCLE_H
#define SR_CYCLE_H

#include <stdint.h>

#include "eval.h"
#include "fault.h"
#include "force.h"
#include "image.h"
#include "io/io.h"
#include "log.h"
#include "platform.h"
#include "shared.h"
#include "snapshot.h"
#include "stats.h"
#include "trace.h"

struct cycle;

/* What the cycle works with; owned by the caller, longer-lived than the cycle. */
struct cycle_parts {
    const struct io_driver *io;
    void *io_state;
    struct force *force;
    struct trace *trace;
    struct snapshot *snapshot; /* for whoever reads */
    struct snapshot *retain;   /* for the retain variables */
    struct log *log;
    struct stats *stats;
    struct recorder *recorder; /* may be NULL, like the next two together */
    struct eval *eval;
    struct shared *shared;
};

/* Ended: seen inside cycle_stop only. */
enum cycle_state { CYCLE_IDLE, CYCLE_RUNNING, CYCLE_ENDED, CYCLE_FAULTED };

/* 0 or -ENOMEM. */
int cycle_create(struct cycle **cycle, const struct cycle_parts *parts, sr_prefault prefault);
/* Only when idle. NULL is allowed. */
void cycle_destroy(struct cycle *cycle);

/* Run the tasks of `image` from now on until cycle_stop. `watchdog_ns` 0: the default,
 * max(100 ms, 10 base ticks). -errno when the thread cannot be started. */
int cycle_start(struct cycle *cycle, const struct image *image,
                const struct platform_schedule *schedule, int64_t watchdog_ns,
                struct platform_actual *actual);
/* Wait for the end of the present cycle and of the thread; outputs are safe then. 0, or -EFAULT
 * when the program faulted before. */
int cycle_stop(struct cycle *cycle);

/* Only when idle or faulted: hold no address of the image any more. */
void cycle_forget(struct cycle *cycle);
/* Worker: how the task of this row (from 1) of the image keeps its time, since the start; NULL: it
 * was not started, or has no such row. */
struct stats *cycle_task_stats(const struct cycle *cycle, uint32_t number);

/* Any. Acquire: all that the thread did before it faulted is seen. */
enum cycle_state cycle_state(const struct cycle *cycle);
/* When faulted. */
const struct fault *cycle_fault(const struct cycle *cycle);

/* Worker, while one runs: the beat of watchdog.h, and the tick of the last cycle (stable while
 * the beat is even and does not change). */
const _Atomic uint32_t *cycle_beat(const struct cycle *cycle);
uint32_t cycle_tick(const struct cycle *cycle);

#endif
