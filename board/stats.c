/* SPDX-License-Identifier: MIT */
/* stats.c - see stats.h. */
#include "stats.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "seqlock.h"

/* A read is one copy of 16 kB against a writer that is busy for some 100 ns a cycle: more than a
 * few attempts are needed only by a thread that is starved anyway. */
#define READ_ATTEMPTS 1000
#define MILLION 1000000u

enum { WAKEUP, EXECUTION, JITTER, SHIM, HISTOGRAMS };

static const uint32_t bin_ns[HISTOGRAMS] = {STATS_BIN_NS, STATS_BIN_NS, STATS_BIN_NS,
                                            STATS_SHIM_BIN_NS};

/* What a reader copies of a histogram beside its bins; all accesses relaxed, ordered by the
 * seqlock. Two of them lie in a cache line: a cycle should touch few. */
struct summary {
    _Atomic uint32_t count;
    _Atomic uint32_t last_ns;
    _Atomic uint32_t min_ns;
    _Atomic uint32_t max_ns;
    _Atomic uint32_t sum_low; /* 64 bits in two halves: no 64-bit atomics on small targets */
    _Atomic uint32_t sum_high;
    _Atomic uint32_t overflow;
    uint32_t reserved;
};

struct stats {
    _Alignas(SR_CACHE_LINE) _Atomic uint32_t sequence; /* the seqlock of all readers copy */
    _Atomic uint32_t ticks;
    _Atomic uint32_t overruns;
    _Atomic uint32_t skipped;
    _Atomic uint32_t resets_asked; /* any */
    uint32_t resets_done;          /* RT, like the next two */
    int64_t started_ns;
    uint32_t unmeasured;       /* the next so many starts say nothing of the jitter */
    int64_t interval_ns;       /* RT's copy */
    struct recorder *recorder; /* fixed while anything is recorded */
    _Alignas(SR_CACHE_LINE) struct summary summaries[HISTOGRAMS];
    _Atomic uint32_t interval_low; /* for readers */
    _Atomic uint32_t interval_high;
    _Alignas(SR_CACHE_LINE) _Atomic uint32_t bins[HISTOGRAMS][STATS_BINS];
};

SR_RT static uint32_t load(const _Atomic uint32_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

SR_RT static void store(_Atomic uint32_t *word, uint32_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

/* Single writer: no read-modify-write instruction needed. */
SR_RT static void add(_Atomic uint32_t *word, uint32_t value)
{
    store(word, load(word) + value);
}

SR_RT static void clear_all(struct stats *stats)
{
    store(&stats->ticks, 0);
    store(&stats->overruns, 0);
    store(&stats->skipped, 0);
    for (uint32_t i = 0; i < HISTOGRAMS; i++) {
        struct summary *summary = &stats->summaries[i];
        store(&summary->count, 0);
        store(&summary->last_ns, 0);
        store(&summary->min_ns, UINT32_MAX);
        store(&summary->max_ns, 0);
        store(&summary->sum_low, 0);
        store(&summary->sum_high, 0);
        store(&summary->overflow, 0);
        for (uint32_t bin = 0; bin < STATS_BINS; bin++)
            store(&stats->bins[i][bin], 0);
    }
}

int stats_create(struct stats **stats, sr_prefault prefault)
{
    struct stats *made = aligned_alloc(SR_CACHE_LINE, sizeof *made);
    *stats = made;
    if (made == NULL)
        return -ENOMEM;
    memset(made, 0, sizeof *made);
    clear_all(made);
    if (prefault != NULL)
        (void)prefault(made, sizeof *made);
    return 0;
}

void stats_destroy(struct stats *stats)
{
    free(stats);
}

void stats_pause(struct stats *stats)
{
    stats->unmeasured = 1;
}

void stats_set_interval(struct stats *stats, int64_t interval_ns)
{
    /* The cycle that is under way and the next one are yet as far apart as before. */
    stats->unmeasured = 2;
    seqlock_write_begin(&stats->sequence);
    stats->interval_ns = interval_ns;
    store(&stats->interval_low, (uint32_t)interval_ns);
    store(&stats->interval_high, (uint32_t)((uint64_t)interval_ns >> 32));
    seqlock_write_end(&stats->sequence);
}

void stats_begin(struct stats *stats, int64_t interval_ns, struct recorder *recorder)
{
    stats_set_interval(stats, interval_ns);
    stats->recorder = recorder;
    stats_pause(stats);
    stats_reset(stats);
    stats_apply_reset(stats);
}

SR_RT static uint32_t bounded(int64_t time_ns)
{
    return time_ns < 0 ? 0 : time_ns > UINT32_MAX ? UINT32_MAX : (uint32_t)time_ns;
}

/* `bin` is for the caller to compute, who divides by a constant: a division would cost as much as
 * all the rest. Not inlined: four times this code would be as many more cold lines. */
SR_RT static __attribute__((noinline)) void record(struct stats *stats, uint32_t which, uint32_t ns,
                                                   uint32_t bin)
{
    struct summary *summary = &stats->summaries[which];
    store(&summary->last_ns, ns);
    if (ns < load(&summary->min_ns))
        store(&summary->min_ns, ns);
    if (ns > load(&summary->max_ns))
        store(&summary->max_ns, ns);
    if (load(&summary->count) == UINT32_MAX)
        return;
    add(&summary->count, 1);
    const uint32_t low = load(&summary->sum_low) + ns;
    store(&summary->sum_low, low);
    if (low < ns)
        add(&summary->sum_high, 1);
    add(bin < STATS_BINS ? &stats->bins[which][bin] : &summary->overflow, 1);
}

/* What every sample touches, and the bins of what is short. */
SR_RT void stats_expect(const struct stats *stats, int64_t wakeup_ns)
{
    const uint32_t bin = bounded(wakeup_ns) / STATS_BIN_NS;
    rt_expect(&stats->bins[WAKEUP][bin < STATS_BINS ? bin : 0], 1);
    rt_expect(stats, 1);
    rt_expect(stats->summaries, sizeof stats->summaries / SR_CACHE_LINE);
    rt_expect(stats->bins[EXECUTION], 1);
    rt_expect(stats->bins[JITTER], 1);
    rt_expect(stats->bins[SHIM], 2);
    if (stats->recorder != NULL)
        rt_expect(stats->recorder, 1);
}

/* True when a reset is due; it is then taken as done. */
SR_RT static bool take_reset(struct stats *stats)
{
    /* Relaxed: the number carries no other data. */
    uint32_t asked = load(&stats->resets_asked);
    bool due = asked != stats->resets_done;
    stats->resets_done = asked;
    return due;
}

SR_RT void stats_record(struct stats *stats, const struct stats_sample *sample)
{
    const int64_t deviation_ns = sample->start_ns - stats->started_ns - stats->interval_ns;
    const bool measured = stats->unmeasured == 0;
    const struct recorder_cycle cycle = {
        .tick = sample->tick,
        .wakeup_ns = bounded(sample->start_ns - sample->release_ns),
        .execution_ns = bounded(sample->end_ns - sample->start_ns),
        .jitter_ns = measured ? bounded(deviation_ns < 0 ? -deviation_ns : deviation_ns) : 0,
        .task = sample->task,
    };
    seqlock_write_begin(&stats->sequence);
    if (take_reset(stats))
        clear_all(stats);
    add(&stats->ticks, 1);
    if (stats->unmeasured < 2 && sample->end_ns - sample->release_ns > stats->interval_ns)
        add(&stats->overruns, 1);
    add(&stats->skipped, sample->skipped);
    record(stats, WAKEUP, cycle.wakeup_ns, cycle.wakeup_ns / STATS_BIN_NS);
    record(stats, EXECUTION, cycle.execution_ns, cycle.execution_ns / STATS_BIN_NS);
    if (measured)
        record(stats, JITTER, cycle.jitter_ns, cycle.jitter_ns / STATS_BIN_NS);
    if (sample->shim_ns >= 0)
        record(stats, SHIM, bounded(sample->shim_ns), bounded(sample->shim_ns) / STATS_SHIM_BIN_NS);
    seqlock_write_end(&stats->sequence);
    stats->started_ns = sample->start_ns;
    if (!measured)
        stats->unmeasured--;
    if (stats->recorder != NULL)
        recorder_note(stats->recorder, &cycle);
}

SR_RT void stats_apply_reset(struct stats *stats)
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

/* ---- reading ------------------------------------------------------------------------------- */

/* Copies, and returns the sum; average and percentiles wait until the copy is known to be good. */
static uint64_t copy(const struct stats *stats, uint32_t which, struct stats_distribution *to)
{
    const struct summary *from = &stats->summaries[which];
    to->count = load(&from->count);
    to->last_ns = load(&from->last_ns);
    to->min_ns = load(&from->min_ns);
    to->max_ns = load(&from->max_ns);
    to->overflow = load(&from->overflow);
    for (uint32_t i = 0; i < STATS_BINS; i++)
        to->bins[i] = load(&stats->bins[which][i]);
    return (uint64_t)load(&from->sum_high) << 32 | load(&from->sum_low);
}

/* `share` ten-thousandths of all samples are no longer than this. */
static uint32_t percentile(const struct stats_distribution *of, uint32_t share)
{
    const uint64_t rank = ((uint64_t)of->count * share + 9999u) / 10000u;
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

static void finish(struct stats_distribution *of, uint32_t width_ns, uint64_t sum)
{
    of->bin_ns = width_ns;
    if (of->count == 0) {
        of->min_ns = 0;
        return;
    }
    of->avg_ns = (uint32_t)(sum / of->count);
    of->p50_ns = percentile(of, 5000);
    of->p99_ns = percentile(of, 9900);
    of->p999_ns = percentile(of, 9990);
    of->p9999_ns = percentile(of, 9999);
    for (uint32_t i = 0; i < STATS_BINS; i++) {
        if (of->bins[i] != 0)
            of->used_bins = i + 1u;
    }
}

/* Of the time of the cycles recorded and of those skipped. */
static uint32_t load_ppm(const struct stats_figures *figures)
{
    const double cycles = (double)figures->execution.count + figures->skipped;
    if (cycles < 1 || figures->interval_ns == 0)
        return 0;
    const double busy = (double)figures->execution.avg_ns * figures->execution.count;
    return (uint32_t)(busy / (cycles * (double)figures->interval_ns) * MILLION + 0.5);
}

int stats_read(const struct stats *stats, struct stats_figures *figures)
{
    struct stats_distribution *to[HISTOGRAMS] = {&figures->wakeup, &figures->execution,
                                                 &figures->jitter, &figures->shim};
    for (int attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
        uint64_t sums[HISTOGRAMS];
        memset(figures, 0, sizeof *figures);
        const uint32_t begin = seqlock_read_begin(&stats->sequence);
        figures->ticks = load(&stats->ticks);
        figures->overruns = load(&stats->overruns);
        figures->skipped = load(&stats->skipped);
        for (uint32_t i = 0; i < HISTOGRAMS; i++)
            sums[i] = copy(stats, i, to[i]);
        figures->interval_ns =
            (uint64_t)load(&stats->interval_high) << 32 | load(&stats->interval_low);
        if (!seqlock_read_valid(&stats->sequence, begin))
            continue;
        for (uint32_t i = 0; i < HISTOGRAMS; i++)
            finish(to[i], bin_ns[i], sums[i]);
        figures->load_ppm = load_ppm(figures);
        return 0;
    }
    return -EAGAIN;
}
