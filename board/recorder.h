/* SPDX-License-Identifier: MIT */
/* recorder.h - the cycles around a new maximum, so that one can see what came before it.
 *
 * A ring of the last cycles. A cycle that is longer, or wakes later, than all before it lets the
 * ring run on for RECORDER_AFTER cycles and then stand still until the worker has taken it. Later
 * maxima are greater ones, so what was taken last is the record of the greatest.
 *
 * One writer (RT), one taker (worker). A maximum that falls into the time in which the ring stands
 * still has no record, but the next one must exceed it.
 */
#ifndef SR_RECORDER_H
#define SR_RECORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "rt.h"

struct recorder;

#define RECORDER_CYCLES 128u
#define RECORDER_AFTER 31u
/* Without a threshold: the first maxima are those of a histogram that is nearly empty. */
#define RECORDER_SETTLING_CYCLES 1000u

enum recorder_cause { RECORDER_NOTHING, RECORDER_WAKEUP, RECORDER_EXECUTION };

struct recorder_cycle {
    uint32_t tick;
    uint32_t wakeup_ns;
    uint32_t execution_ns;
    uint32_t jitter_ns;
    uint32_t task; /* the one that took longest in it, counted from 1; 0: none ran */
};

struct recorder_record {
    uint32_t owner; /* whose: 0 the cycle, n the n-th task; left alone by this module */
    uint32_t cause; /* enum recorder_cause */
    uint32_t value_ns;
    uint32_t before_ns; /* the maximum until then */
    uint32_t position;  /* of the cycle in `cycles`, which are in order of time */
    uint32_t count;
    struct recorder_cycle cycles[RECORDER_CYCLES];
};

/* Worker. 0 or -ENOMEM. */
int recorder_create(struct recorder **recorder, sr_prefault prefault);
/* Worker, when no thread uses it any more. NULL is allowed. */
void recorder_destroy(struct recorder *recorder);

/* RT: once a cycle, at its end. */
SR_RT void recorder_note(struct recorder *recorder, const struct recorder_cycle *cycle);
/* RT: do not wait for the cycles after a maximum. For the worker while no task runs. */
SR_RT void recorder_finish(struct recorder *recorder);

/* Worker: forget all, the maxima too; from the next cycle on. Record only what exceeds a
 * threshold, or, where that is 0, what exceeds the first RECORDER_SETTLING_CYCLES. */
void recorder_reset(struct recorder *recorder, uint32_t wakeup_ns, uint32_t execution_ns);
/* Worker: true: `*record` is a new one, and the ring runs again. */
bool recorder_take(struct recorder *recorder, struct recorder_record *record);

#endif
