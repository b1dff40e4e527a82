/* SPDX-License-Identifier: MIT */
/* test_clock.c - the clock of the cycle: phase, overruns, kick. */
#define _GNU_SOURCE
#include "conformance.h"

#include <errno.h>

#define PERIOD (2 * MS)

static struct {
    int64_t first_ns;
    int cycles;
    int busy_cycle; /* spins to 5.5 periods after its release; -1: none does */
    struct {
        int64_t deadline_ns, now_ns;
        uint32_t skipped;
    } at[64];
} cycle;

static void body_cycle(void *argument)
{
    struct shared *shared = argument;
    struct platform_thread *self = self_of(shared);
    shared->result = platform_periodic(self, cycle.first_ns, PERIOD);
    for (int i = 0; i < cycle.cycles && shared->result == 0; i++) {
        shared->result = platform_wait_period(self, &cycle.at[i].deadline_ns, &cycle.at[i].skipped);
        cycle.at[i].now_ns = platform_now_ns();
        if (i == cycle.busy_cycle)
            while (platform_now_ns() < cycle.at[i].deadline_ns + 11 * PERIOD / 2)
                continue;
    }
}

static void run_cycles(int64_t first_ns, int cycles, int busy_cycle)
{
    struct shared shared = {.result = -1};
    cycle.first_ns = first_ns;
    cycle.cycles = cycles;
    cycle.busy_cycle = busy_cycle;
    start(&shared, body_cycle, 50, -1, NULL);
    join(&shared);
    CHECK_EQUAL(shared.result, 0);
    for (int i = 0; i < cycles; i++) {
        int64_t before_ns = i ? cycle.at[i - 1].deadline_ns : cycle.first_ns - PERIOD;
        CHECK_EQUAL(cycle.at[i].deadline_ns - before_ns,
                    (cycle.at[i].skipped + INT64_C(1)) * PERIOD);
        /* Xenomai programs its timer early by the latency it was calibrated to. */
        CHECK(cycle.at[i].now_ns > cycle.at[i].deadline_ns - PERIOD / 4);
    }
}

static void case_periodic_keeps_phase(void)
{
    run_cycles(platform_now_ns() + 20 * MS, 50, -1);
}

static void case_overruns_are_skipped_and_counted(void)
{
    run_cycles(platform_now_ns() + 20 * MS, 20, 5);
    CHECK(cycle.at[6].skipped >= 5); /* a release that has passed is skipped, not served late */
    CHECK(cycle.at[6].deadline_ns >= cycle.at[5].deadline_ns + 6 * PERIOD);
}

static void case_first_release_in_the_past(void)
{
    run_cycles(platform_now_ns() - 7 * PERIOD / 2, 10, -1);
    CHECK(cycle.at[0].skipped >= 4);
}

static void body_wait_long(void *argument)
{
    struct shared *shared = argument;
    struct platform_thread *self = self_of(shared);
    int64_t deadline_ns;
    uint32_t skipped;
    shared->result = platform_periodic(self, platform_now_ns() + 1000 * JOIN_NS, 1000 * JOIN_NS);
    atomic_store(&shared->step, 1);
    if (shared->result == 0)
        shared->result = platform_wait_period(self, &deadline_ns, &skipped);
}

static void case_kick_ends_a_wait(void)
{
    struct shared shared = {0};
    CHECK_EQUAL(platform_faults_arm(), 0); /* the order's handler is among them */
    start(&shared, body_wait_long, 50, -1, NULL);
    wait_for(&shared.step, 1);
    int result = -ETIMEDOUT;
    for (int i = 0; i < 1000 && result == -ETIMEDOUT; i++) { /* one that meets no wait is lost */
        CHECK_EQUAL(platform_kick(atomic_load(&shared.self)), 0);
        result = platform_thread_join(atomic_load(&shared.self), 10 * MS);
    }
    CHECK_EQUAL(result, 0);
    CHECK_EQUAL(shared.result, -EINTR);
}

const struct conformance_case clock_cases[] = {
    CASE(periodic_keeps_phase),
    CASE(overruns_are_skipped_and_counted),
    CASE(first_release_in_the_past),
    CASE(kick_ends_a_wait),
    {NULL, NULL, false},
};
