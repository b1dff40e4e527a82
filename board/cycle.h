/* SPDX-License-Identifier: MIT */
/* cycle.h - the real-time threads of a program: the scan cycle, and tasks beside it.
 *
 * All functions but cycle_state run on the worker. States: idle -> running -> idle by cycle_stop,
 * or -> faulted, which is final.
 */
#ifndef SR_CYCLE_H
#define SR_CYCLE_H

#include <stdint.h>

#include "change.h"
#include "eval.h"
#include "fault.h"
#include "force.h"
#include "handover.h"
#include "image.h"
#include "io/io.h"
#include "log.h"
#include "platform.h"
#include "program.h"
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

/* What the profile says of time that is exceeded; docs/tasks.md is the manual. */
struct cycle_rules {
    int64_t watchdog_ns;  /* of a cycle; 0: of each thread the longer of 100 ms and 10 periods */
    uint32_t sensitivity; /* 1 or more: this many longer ones in a row are a fault, and one of so
                           * many times the watchdog's time */
    uint32_t overruns;    /* this many in a row are a fault; 0: they are skipped for ever */
    int task_cpu;         /* of tasks with threads of their own; -1: any */
};

/* Only when idle: run this one at the next start; it is the cycle's now. */
void cycle_load(struct cycle *cycle, struct program *program);
/* Only when idle: hold no address of the image any more. */
void cycle_forget(struct cycle *cycle);
/* What was loaded; NULL: nothing. */
struct program *cycle_program(const struct cycle *cycle);

/* The least priority of the scan that leaves one for each task with a thread; 0: any will do. */
int cycle_least_priority(const struct cycle *cycle);
/* Run the loaded tasks from now on until cycle_stop. `actual` is the scan's. -ERANGE: a priority
 * below the least one; -errno when a thread cannot be started. */
int cycle_start(struct cycle *cycle, const struct platform_schedule *schedule,
                const struct cycle_rules *rules, struct platform_actual *actual);
/* Wait for the end of the present cycles and of the threads; outputs are safe then. 0, or -EFAULT
 * when the program faulted before. */
int cycle_stop(struct cycle *cycle);

/* Worker: how the task of this row (from 1) of the image keeps its time, since the start; NULL: it
 * has no such row. */
struct stats *cycle_task_stats(const struct cycle *cycle, uint32_t number);
/* Worker: mode switches of the thread that runs a task (0: the scan) since the start, or in the run
 * that ended. 0, -ESRCH: nothing was started; -ENOTSUP: see platform_mode_switches. */
int cycle_mode_switches(const struct cycle *cycle, uint32_t number, uint32_t *count);
/* The log of the n-th task with a thread, from 0; NULL: there was never one. */
struct log *cycle_task_log(const struct cycle *cycle, uint32_t n);

/* A program in place of the one that runs (change.h); neither has tasks with threads of their own.
 * Before the switch `program`, `force` and `snapshot` are the new one's; the RT side exchanges them
 * for the old one's, which are here during the probation. The worker has taken all other lists that
 * hold addresses of the old image back before it orders the switch, and all of the new one before
 * it releases a change that was rolled back; in between the cycle takes no list over. */
struct cycle_change {
    struct handover_item item; /* first */
    struct change *copy;
    struct program *program;
    struct force *force;
    struct snapshot *snapshot;
    struct fault fault; /* RT, when rolled back: why; its text is the next one */
    char fault_text[LOG_TEXT_MAX + 1];
};

/* Worker, while one runs: begin with `change`, which stays the RT side's until cycle_end_change. */
void cycle_begin_change(struct cycle *cycle, struct cycle_change *change);
/* Worker: have the RT side look at its change's phase now, if it waits for a distant cycle. */
void cycle_hasten_change(struct cycle *cycle);
/* Worker: true when the RT side has let go of it, or none runs. */
bool cycle_end_change(struct cycle *cycle, struct cycle_change *change);
/* Worker, while none runs: the exchange of a switch, backwards. */
void cycle_undo_change(struct cycle *cycle, struct cycle_change *change);

/* Any. Acquire: all that the threads did before a fault is seen. */
enum cycle_state cycle_state(const struct cycle *cycle);
/* When faulted. */
const struct fault *cycle_fault(const struct cycle *cycle);

/* Worker, while one runs: the scan's beat of watchdog.h, and the tick of the last cycle (stable
 * while the beat is even and does not change). */
const _Atomic uint32_t *cycle_beat(const struct cycle *cycle);
uint32_t cycle_tick(const struct cycle *cycle);

#endif
