/* SPDX-License-Identifier: MIT */
/* stats.h - how well something periodic keeps its time: the cycle, or a task. Histograms, written
 * by the thread that runs it, read by anybody.
 *
 * One writer (RT) under a seqlock, one call a cycle; a reader retries. Percentiles come from the
 * histogram: the upper edge of the bin that holds the sample of that rank, or the maximum if
 * that is smaller (or the sample lies beyond the last bin).
 */
#ifndef SR_STATS_H
#define SR_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder.h"
#include "rt.h"

struct stats;

#define STATS_BINS 1000u
#define STATS_BIN_NS 1000u
#define STATS_SHIM_BIN_NS 10u /* its values are below a microsecond */

/* What one cycle, or one run of a task, reports: times of platform_now_ns. */
struct stats_sample {
    int64_t release_ns; /* when it was due */
    int64_t start_ns;
    int64_t end_ns;
    int64_t shim_ns;  /* the runtime's own part; negative: not measured */
    uint32_t skipped; /* whole periods skipped before it */
    uint32_t tick;
    uint32_t task; /* for the recorder */
};

/* Negative times count as 0, those beyond 32 bits as 2^32-1. */
struct stats_distribution {
    uint32_t bin_ns;
    uint32_t count; /* stands still at 2^32-1, as does then all but last, min and max */
    uint32_t last_ns;
    uint32_t min_ns;
    uint32_t avg_ns;
    uint32_t p50_ns;
    uint32_t p99_ns;
    uint32_t p999_ns;
    uint32_t p9999_ns;
    uint32_t max_ns;
    uint32_t overflow;  /* samples beyond the last bin */
    uint32_t used_bins; /* bins up to the last that is not 0 */
    uint32_t bins[STATS_BINS];
};

struct stats_figures {
    uint32_t ticks;    /* cycles recorded; wraps, as do the next two */
    uint32_t overruns; /* that were not done at their next release */
    uint32_t skipped;
    uint32_t load_ppm; /* execution time of all the time, in millionths */
    uint64_t interval_ns;
    struct stats_distribution wakeup;    /* release to start */
    struct stats_distribution execution; /* start to end */
    struct stats_distribution jitter;    /* start to start, less the interval; without sign */
    struct stats_distribution shim;
};

/* Worker. 0 or -ENOMEM. */
int stats_create(struct stats **stats, sr_prefault prefault);
/* Worker, when no thread uses it any more. NULL is allowed. */
void stats_destroy(struct stats *stats);

/* Worker, while nothing is recorded: begin anew, for something that is due every `interval_ns`.
 * `recorder` gets each cycle too, and is reset with these figures by who owns it; or NULL. */
void stats_begin(struct stats *stats, int64_t interval_ns, struct recorder *recorder);

/* RT: it is due every `interval_ns` from the end of the present cycle on. */
SR_RT void stats_set_interval(struct stats *stats, int64_t interval_ns);
/* RT: it did not run, or was not recorded, for a while: that is no jitter of the next one. */
SR_RT void stats_pause(struct stats *stats);
/* RT: may be called at the beginning of a cycle that stats_record will end: that is faster then. */
SR_RT void stats_expect(const struct stats *stats, int64_t wakeup_ns);
/* RT: once a cycle, at its end. */
SR_RT void stats_record(struct stats *stats, const struct stats_sample *sample);
/* RT: carry out a reset that was asked for; stats_record does it by itself. For the worker
 * while no task runs. */
SR_RT void stats_apply_reset(struct stats *stats);

/* Any: ask for all figures to be set to 0; the next stats_record does it. */
void stats_reset(struct stats *stats);
/* Any non-RT: consistent figures of one instant. 0, or -EAGAIN when the writer got in the way
 * of every one of many attempts. */
int stats_read(const struct stats *stats, struct stats_figures *figures);

#endif
