/* SPDX-License-Identifier: MIT */
/* latency.h - how late the machine wakes a thread like that of the cycle, which does nothing.
 *
 * For measuring a board that runs no program: the thread is scheduled, its memory locked and its
 * releases placed as the cycle's are, so what it finds is what a cycle would. All functions are
 * for one thread, any one but a real-time one; there is one measurement at a time.
 */
#ifndef SR_LATENCY_H
#define SR_LATENCY_H

#include <stdbool.h>
#include <stdint.h>

#include "stats.h"

struct latency;

struct latency_options {
    int32_t priority;       /* SCHED_FIFO 1..98, 0: not real time */
    int32_t cpu;            /* -1: any */
    int64_t period_ns;      /* at least 10 us */
    int32_t cpu_latency_us; /* held in /dev/cpu_dma_latency; -1: not held */
};

/* What was got. */
struct latency_actual {
    bool real_time;
    int32_t cpu; /* -1: any */
    bool memory_locked;
    bool idle_states_held; /* as cpu_latency_us says */
};

/* Begin to measure. -errno with a sentence: bad options, or the thread cannot be started; missing
 * privileges are no error, see `actual`. */
int latency_start(struct latency **latency, const struct latency_options *options,
                  struct latency_actual *actual, char *why, uint32_t why_size);
/* Begin anew, from the next wake-up on. */
void latency_reset(struct latency *latency);
/* As stats_read; `execution` is the time that the measurement itself takes. */
int latency_read(const struct latency *latency, struct stats_figures *figures);
/* End it. NULL is allowed. */
void latency_stop(struct latency *latency);

#endif
