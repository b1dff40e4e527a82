/* SPDX-License-Identifier: MIT */
/* stats.c - see stats.h. */
#include "stats.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "seqlock.h"

/* A read is one copy of 12 kB against a writer that is busy for some 100 ns a cycle: more than a
 * few attempts are needed only by a thread that is starved anyway. */
#define READ_ATTEMPTS 1000

/* Everything a reader copies; all accesses relaxed, ordered by the seqlock. */
struct histogram {
    _Atomic uint32_t count;
    _Atomic uint32_t min_ns;
    _Atomic uint32_t max_ns;
    _Atomic uint32_t sum_low; /* 64 bits in two halves: no 64-bit atomics on small targets */
    _Atomic uint32_t sum_high;
    _Atomic uint32_t overflow;
    _Atomic uint32_t bins[STATS_BINS];
};

struct stats {
    _Atomic uint32_t sequence; /* the seqlock of all below but `resets_*` */
    _Atomic uint32_t ticks;
    _Atomic uint32_t overruns;
    _Atomic uint32_t skipped;
    struct histogram wakeup;
    struct histogram execution;
    struct histogram shim;
    _Atomic uint32_t resets_asked; /* any */
    uint32_t resets_done;          /* RT */
};

static uint32_t load(const _Atomic uint32_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static void store(_Atomic uint32_t *word, uint32_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

/* Single writer: no read-modify-write instruction needed. */
static void add(_Atomic uint32_t *word, uint32_t value)
{
    store(word, load(word) + value);
}

static void clear(struct histogram *histogram)
{
    store(&histogram->count, 0);
    store(&histogram->min_ns, UINT32_MAX);
    store(&histogram->max_ns, 0);
    store(&histogram->sum_low, 0);
    store(&histogram->sum_high, 0);
    store(&histogram->overflow, 0);
    for (uint32_t i = 0; i < STATS_BINS; i++)
        store(&histogram->bins[i], 0);
}

static void clear_all(struct stats *stats)
{
    store(&stats->ticks, 0);
    store(&stats->overruns, 0);
    store(&stats->skipped, 0);
    clear(&stats->wakeup);
    clear(&stats->execution);
    clear(&stats->shim);
}

int stats_create(struct stats **stats, sr_prefault prefault)
{
    struct stats *made = calloc(1, sizeof *made);
    *stats = made;
    if (made == NULL)
        return -ENOMEM;
    clear_all(made);
    if (prefault != NULL)
        (void)prefault(made, sizeof *made);
    return 0;
}

void stats_destroy(struct stats *stats)
{
    free(stats);
}

static void record(struct histogram *histogram, uint32_t bin_ns, int64_t time_ns)
{
    uint32_t ns = time_ns < 0 ? 0 : time_ns > UINT32_MAX ? UINT32_MAX : (uint32_t)time_ns;
    if (ns < load(&histogram->min_ns))
        store(&histogram->min_ns, ns);
    if (ns > load(&histogram->max_ns))
        store(&histogram->max_ns, ns);
    if (load(&histogram->count) == UINT32_MAX)
        return;
    add(&histogram->count, 1);
    uint32_t low = load(&histogram->sum_low) + ns;
    store(&histogram->sum_low, low);
    if (low < ns)
        add(&histogram->sum_high, 1);
    uint32_t bin = ns / bin_ns;
    add(bin < STATS_BINS ? &histogram->bins[bin] : &histogram->overflow, 1);
}

/* True when a reset is due; it is then taken as done. */
static bool take_reset(struct stats *stats)
{
    /* Relaxed: the number carries no other data. */
    uint32_t asked = load(&stats->resets_asked);
    bool due = asked != stats->resets_done;
    stats->resets_done = asked;
    return due;
}

void stats_record(struct stats *stats, const struct stats_sample *sample)
{
    seqlock_write_begin(&stats->sequence);
    if (take_reset(stats))
        clear_all(stats);
    add(&stats->ticks, 1);
    add(&stats->overruns, sample->overrun ? 1 : 0);
    add(&stats->skipped, sample->skipped);
    record(&stats->wakeup, STATS_WAKEUP_BIN_NS, sample->wakeup_ns);
    record(&stats->execution, STATS_EXECUTION_BIN_NS, sample->execution_ns);
    record(&stats->shim, STATS_SHIM_BIN_NS, sample->shim_ns);
    seqlock_write_end(&stats->sequence);
}

void stats_apply_reset(struct stats *stats)
{
    if (!take_reset(stats))
        return;
    seqlock_write_begin(&stats->sequence);
    clear_all(stats);
    seqlock_write_end(&stats->sequence);
}

void stats_reset(struct stats *stats)
{
    atomic_fetch_add_explicit(&stats->resets_asked, 1, memory_order_relaxed);
}

/* Copies; `sum` and the percentiles wait until the copy is known to be good. */
static uint64_t copy(const struct histogram *from, struct stats_distribution *to)
{
    to->count = load(&from->count);
    to->min_ns = load(&from->min_ns);
    to->max_ns = load(&from->max_ns);
    to->overflow = load(&from->overflow);
    for (uint32_t i = 0; i < STATS_BINS; i++)
        to->bins[i] = load(&from->bins[i]);
    return (uint64_t)load(&from->sum_high) << 32 | load(&from->sum_low);
}

/* `permille` of all samples are no longer than this. */
static uint32_t percentile(const struct stats_distribution *of, uint32_t permille)
{
    uint64_t rank = ((uint64_t)of->count * permille + 999u) / 1000u;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < STATS_BINS; i++) {
        seen += of->bins[i];
        if (seen >= rank) {
            uint32_t edge = (i + 1u) * of->bin_ns;
            return edge < of->max_ns ? edge : of->max_ns;
        }
    }
    return of->max_ns;
}

static void finish(struct stats_distribution *of, uint32_t bin_ns, uint64_t sum)
{
    of->bin_ns = bin_ns;
    if (of->count == 0) {
        of->min_ns = 0;
        return;
    }
    of->avg_ns = (uint32_t)(sum / of->count);
    of->p50_ns = percentile(of, 500);
    of->p99_ns = percentile(of, 990);
    of->p999_ns = percentile(of, 999);
    for (uint32_t i = 0; i < STATS_BINS; i++) {
        if (of->bins[i] != 0)
            of->used_bins = i + 1u;
    }
}

int stats_read(const struct stats *stats, struct stats_figures *figures)
{
    for (int attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
        memset(figures, 0, sizeof *figures);
        uint32_t begin = seqlock_read_begin(&stats->sequence);
        figures->ticks = load(&stats->ticks);
        figures->overruns = load(&stats->overruns);
        figures->skipped = load(&stats->skipped);
        uint64_t wakeup = copy(&stats->wakeup, &figures->wakeup);
        uint64_t execution = copy(&stats->execution, &figures->execution);
        uint64_t shim = copy(&stats->shim, &figures->shim);
        if (!seqlock_read_valid(&stats->sequence, begin))
            continue;
        finish(&figures->wakeup, STATS_WAKEUP_BIN_NS, wakeup);
        finish(&figures->execution, STATS_EXECUTION_BIN_NS, execution);
        finish(&figures->shim, STATS_SHIM_BIN_NS, shim);
        return 0;
    }
    return -EAGAIN;
}
