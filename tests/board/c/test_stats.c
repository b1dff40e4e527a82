/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdatomic.h>

#include "harness.h"
#include "stats.h"

static struct stats_figures figures;

static struct stats *make(void)
{
    struct stats *stats;
    CHECK_EQ(stats_create(&stats, NULL), 0);
    return stats;
}

/* Released at 0: what is not about jitter needs no time of day. */
static void record(struct stats *stats, int64_t wakeup_ns, int64_t execution_ns, int64_t shim_ns)
{
    struct stats_sample sample = {
        .start_ns = wakeup_ns, .end_ns = wakeup_ns + execution_ns, .shim_ns = shim_ns};
    stats_expect(stats, wakeup_ns); /* makes no difference but to the time it takes */
    stats_record(stats, &sample);
}

static void is_empty_at_first(void)
{
    struct stats *stats = make();
    CHECK_EQ(stats_read(stats, &figures), 0);
    CHECK_EQ(figures.ticks, 0);
    CHECK_EQ(figures.wakeup.count, 0);
    CHECK_EQ(figures.wakeup.min_ns, 0);
    CHECK_EQ(figures.wakeup.p999_ns, 0);
    CHECK_EQ(figures.wakeup.used_bins, 0);
    CHECK_EQ(figures.wakeup.bin_ns, 1000);
    CHECK_EQ(figures.execution.bin_ns, 1000);
    CHECK_EQ(figures.shim.bin_ns, 10);
    stats_destroy(stats);
    stats_destroy(NULL);
}

static void sorts_into_bins(void)
{
    struct stats *stats = make();
    record(stats, 0, 999, 9);
    record(stats, 1000, 1999, 10);
    record(stats, 999999, 1000000, 9999);
    record(stats, -5, INT64_C(1) << 40, 10000);
    CHECK_EQ(stats_read(stats, &figures), 0);
    CHECK_EQ(figures.ticks, 4);
    CHECK_EQ(figures.wakeup.bins[0], 2);
    CHECK_EQ(figures.wakeup.bins[1], 1);
    CHECK_EQ(figures.wakeup.bins[999], 1);
    CHECK_EQ(figures.wakeup.overflow, 0);
    CHECK_EQ(figures.wakeup.used_bins, 1000);
    CHECK_EQ(figures.wakeup.min_ns, 0);
    CHECK_EQ(figures.wakeup.max_ns, 999999);
    CHECK_EQ(figures.execution.bins[0], 1);
    CHECK_EQ(figures.execution.bins[1], 1);
    CHECK_EQ(figures.execution.used_bins, 2);
    CHECK_EQ(figures.execution.overflow, 2);
    CHECK_EQ(figures.execution.min_ns, 999);
    CHECK_EQ(figures.execution.max_ns, UINT32_MAX);
    CHECK_EQ(figures.shim.bins[0], 1);
    CHECK_EQ(figures.shim.bins[1], 1);
    CHECK_EQ(figures.shim.bins[999], 1);
    CHECK_EQ(figures.shim.overflow, 1);
    stats_destroy(stats);
}

/* 2^32 cycles take seven weeks at 1 ms, so the count is set close to its end by hand. */
static void the_extremes_go_on_when_the_count_is_full(void)
{
    struct stats *stats = make();
    _Atomic uint32_t *words = (void *)stats;
    record(stats, 500, 500, 500);
    CHECK_EQ(words[16], 1); /* wakeup.count, in the second cache line */
    atomic_store(&words[16], UINT32_MAX);
    record(stats, 7000, 500, 500);
    record(stats, 3, 500, 500);
    CHECK_EQ(stats_read(stats, &figures), 0);
    CHECK_EQ(figures.wakeup.count, UINT32_MAX);
    CHECK_EQ(figures.wakeup.max_ns, 7000);
    CHECK_EQ(figures.wakeup.min_ns, 3);
    CHECK_EQ(figures.wakeup.bins[7], 0);
    stats_destroy(stats);
}

static void percentiles_are_upper_edges(void)
{
    struct stats *stats = make();
    for (int i = 0; i < 500; i++)
        record(stats, 4200, 100, 123);
    for (int i = 0; i < 490; i++)
        record(stats, 6500, 100, 124);
    for (int i = 0; i < 9; i++)
        record(stats, 20700, 100, 777);
    record(stats, 5000000, 100, 888);
    CHECK_EQ(stats_read(stats, &figures), 0);
    CHECK_EQ(figures.wakeup.count, 1000);
    CHECK_EQ(figures.wakeup.p50_ns, 5000);
    CHECK_EQ(figures.wakeup.p99_ns, 7000);
    CHECK_EQ(figures.wakeup.p999_ns, 21000);
    CHECK_EQ(figures.wakeup.max_ns, 5000000);
    CHECK_EQ(figures.wakeup.avg_ns, (500 * 4200 + 490 * 6500 + 9 * 20700 + 5000000) / 1000);
    CHECK_EQ(figures.execution.p50_ns, 100); /* not the edge: nothing was longer */
    CHECK_EQ(figures.shim.p50_ns, 130);
    CHECK_EQ(figures.shim.p999_ns, 780);
    record(stats, 6000000, 100, 1);
    CHECK_EQ(stats_read(stats, &figures), 0);
    CHECK_EQ(figures.wakeup.p999_ns, 6000000); /* that rank lies beyond the bins */
    stats_destroy(stats);
}

static void sums_beyond_32_bits(void)
{
    struct stats *stats = make();
    for (int i = 0; i < 10; i++)
        record(stats, 4000000000 + i * 2, 0, 0);
    CHECK_EQ(stats_read(stats, &figures), 0);
    CHECK_EQ(figures.wakeup.avg_ns, 4000000009);
    stats_destroy(stats);
}

static void the_last_and_the_worst_in_ten_thousand(void)
{
    struct stats *stats = make();
    for (int i = 0; i < 19996; i++)
        record(stats, 3000, 0, -1);
    record(stats, 300000, 0, -1);
    for (int i = 0; i < 3; i++)
        record(stats, 500000, 0, -1);
    CHECK_EQ(stats_read(stats, &figures), 0);
    CHECK_EQ(figures.wakeup.p999_ns, 4000);
    CHECK_EQ(figures.wakeup.p9999_ns, 500000);
    CHECK_EQ(figures.wakeup.last_ns, 500000);
    record(stats, 2000, 0, -1);
    CHECK_EQ(stats_read(stats, &figures), 0);
    CHECK_EQ(figures.wakeup.last_ns, 2000);
    CHECK_EQ(figures.shim.count, 0); /* it was not measured */
    stats_destroy(stats);
}

/* Starts at these times, each run for 250 us, due every millisecond. */
static void jitter_is_from_start_to_start(void)
{
    static const int64_t starts_ns[] = {10000, 1010000, 2015500, 3008000, 5008000};
    struct stats *stats = make();
    stats_begin(stats, 1000000, NULL);
    for (uint32_t i = 0; i < 5; i++) {
        const struct stats_sample sample = {.release_ns = starts_ns[i] / 1000000 * 1000000,
                                            .start_ns = starts_ns[i],
                                            .end_ns = starts_ns[i] + 250000,
                                            .skipped = i == 4};
        stats_record(stats, &sample);
    }
    CHECK_EQ(stats_read(stats, &figures), 0);
    CHECK_EQ(figures.interval_ns, 1000000);
    CHECK_EQ(figures.jitter.count, 4); /* the first start has none before it */
    CHECK_EQ(figures.jitter.min_ns, 0);
    CHECK_EQ(figures.jitter.bins[5], 1); /* 5.5 us later than the interval */
    CHECK_EQ(figures.jitter.bins[7], 1); /* 7.5 us earlier */
    CHECK_EQ(figures.jitter.overflow, 1);
    CHECK_EQ(figures.jitter.max_ns, 1000000); /* a skipped period is a whole one */
    CHECK_EQ(figures.load_ppm, 250000u * 5 / 6);
    stats_begin(stats, 5000000000, NULL);
    CHECK_EQ(stats_read(stats, &figures), 0);
    CHECK_EQ(figures.interval_ns, 5000000000);
    CHECK_EQ(figures.jitter.count, 0);
    CHECK_EQ(figures.load_ppm, 0);
    stats_destroy(stats);
}

static void what_is_recorded_reaches_the_recorder(void)
{
    static struct recorder_record found;
    struct recorder *recorder;
    struct stats *stats = make();
    CHECK_EQ(recorder_create(&recorder, NULL), 0);
    stats_begin(stats, 1000, recorder);
    recorder_reset(recorder, 50, 0);
    for (uint32_t tick = 7; tick < 9; tick++) {
        const struct stats_sample sample = {.release_ns = tick * 1000,
                                            .start_ns = tick * 1000 + tick * 10,
                                            .end_ns = tick * 1000 + tick * 10 + 5,
                                            .tick = tick,
                                            .task = tick + 1};
        stats_record(stats, &sample);
    }
    recorder_finish(recorder);
    CHECK(recorder_take(recorder, &found));
    CHECK_EQ(found.count, 2);
    CHECK_EQ(found.cycles[1].tick, 8);
    CHECK_EQ(found.cycles[1].wakeup_ns, 80);
    CHECK_EQ(found.cycles[1].execution_ns, 5);
    CHECK_EQ(found.cycles[1].jitter_ns, 10);
    CHECK_EQ(found.cycles[1].task, 9);
    stats_destroy(stats);
    recorder_destroy(recorder);
}

static void counts_overruns(void)
{
    struct stats *stats = make();
    stats_begin(stats, 1000, NULL);
    struct stats_sample sample = {.end_ns = 1001, .skipped = 3};
    stats_record(stats, &sample);
    sample = (struct stats_sample){.end_ns = 1000, .skipped = 1};
    stats_record(stats, &sample);
    CHECK_EQ(stats_read(stats, &figures), 0);
    CHECK_EQ(figures.ticks, 2);
    CHECK_EQ(figures.overruns, 1);
    CHECK_EQ(figures.skipped, 4);
    stats_destroy(stats);
}

/* The online change at the end of a cycle: that one and the next are yet the old distance apart. */
static void another_interval(void)
{
    struct stats *stats = make();
    stats_begin(stats, 1000, NULL);
    for (int64_t at = 0; at <= 3000; at += 1000) {
        const struct stats_sample sample = {at, at, at + 300, -1, 0, 0, 0};
        if (at == 2000)
            stats_set_interval(stats, 100);
        stats_record(stats, &sample);
    }
    const struct stats_sample late = {3100, 3107, 3290, -1, 0, 0, 0};
    stats_record(stats, &late);
    CHECK_EQ(stats_read(stats, &figures), 0);
    CHECK_EQ(figures.jitter.count, 2);
    CHECK_EQ(figures.jitter.max_ns, 7);
    CHECK_EQ(figures.overruns, 2); /* 300 at 3000, and the last: at 2000 it was none */
    stats_pause(stats);
    const struct stats_sample rested = {900000, 900000, 900010, -1, 0, 0, 0};
    stats_record(stats, &rested);
    CHECK_EQ(stats_read(stats, &figures), 0);
    CHECK_EQ(figures.jitter.count, 2);
    stats_destroy(stats);
}

static void resets(void)
{
    struct stats *stats = make();
    record(stats, 10, 20, 30);
    stats_reset(stats);
    CHECK_EQ(stats_read(stats, &figures), 0);
    CHECK_EQ(figures.ticks, 1); /* the cycle's to do */
    record(stats, 5000, 20, 30);
    CHECK_EQ(stats_read(stats, &figures), 0);
    CHECK_EQ(figures.ticks, 1);
    CHECK_EQ(figures.wakeup.min_ns, 5000);
    CHECK_EQ(figures.wakeup.bins[0], 0);
    stats_reset(stats);
    stats_apply_reset(stats);
    CHECK_EQ(stats_read(stats, &figures), 0);
    CHECK_EQ(figures.ticks, 0);
    CHECK_EQ(figures.wakeup.count, 0);
    CHECK_EQ(figures.wakeup.max_ns, 0);
    record(stats, 7, 7, 7);
    stats_apply_reset(stats); /* none is due */
    CHECK_EQ(stats_read(stats, &figures), 0);
    CHECK_EQ(figures.ticks, 1);
    stats_destroy(stats);
}

/* Every read is of one instant, although cycles are recorded and resets asked all the time. */
#define STRESS_READS 300u

struct stress {
    struct stats *stats;
    atomic_bool stop;
    _Atomic uint32_t cycles;
};

static void *cycle(void *argument)
{
    struct stress *stress = argument;
    for (uint32_t i = 0; !atomic_load(&stress->stop); i++) {
        int64_t ns = i % 2000;
        record(stress->stats, ns * 1000, ns * 1000, ns * 10);
        atomic_fetch_add(&stress->cycles, 1);
        sched_yield(); /* a real cycle sleeps for nearly all of its period */
    }
    return NULL;
}

static void check_consistent(const struct stats_distribution *distribution, uint32_t ticks)
{
    uint64_t in_bins = distribution->overflow;
    for (uint32_t i = 0; i < STATS_BINS; i++)
        in_bins += distribution->bins[i];
    CHECK_EQ(distribution->count, ticks);
    CHECK_EQ(in_bins, ticks);
    CHECK(distribution->min_ns <= distribution->avg_ns);
    CHECK(distribution->avg_ns <= distribution->max_ns);
}

static void reads_are_of_one_instant(void)
{
    struct stress stress = {.stats = make()};
    pthread_t rt = spawn(cycle, &stress);
    uint32_t reads = 0;
    while (reads < STRESS_READS) {
        if (stats_read(stress.stats, &figures) != 0)
            continue; /* allowed, but not for ever */
        reads++;
        check_consistent(&figures.wakeup, figures.ticks);
        check_consistent(&figures.execution, figures.ticks);
        check_consistent(&figures.shim, figures.ticks);
        if (reads % 10 == 0)
            stats_reset(stress.stats);
    }
    atomic_store(&stress.stop, true);
    join(rt);
    stats_destroy(stress.stats);
}

int main(void)
{
    RUN(is_empty_at_first);
    RUN(sorts_into_bins);
    RUN(the_extremes_go_on_when_the_count_is_full);
    RUN(percentiles_are_upper_edges);
    RUN(sums_beyond_32_bits);
    RUN(the_last_and_the_worst_in_ten_thousand);
    RUN(jitter_is_from_start_to_start);
    RUN(what_is_recorded_reaches_the_recorder);
    RUN(counts_overruns);
    RUN(another_interval);
    RUN(resets);
    RUN(reads_are_of_one_instant);
    return 0;
}
