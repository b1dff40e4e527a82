/* SPDX-License-Identifier: MIT */
#include <stdatomic.h>

#include "harness.h"
#include "recorder.h"

static struct recorder_record found;

static struct recorder *make(uint32_t wakeup_ns, uint32_t execution_ns)
{
    struct recorder *recorder;
    CHECK_EQ(recorder_create(&recorder, NULL), 0);
    recorder_reset(recorder, wakeup_ns, execution_ns);
    return recorder;
}

static void note(struct recorder *recorder, uint32_t tick, uint32_t wakeup_ns,
                 uint32_t execution_ns)
{
    const struct recorder_cycle cycle = {tick, wakeup_ns, execution_ns, tick + 1, 3};
    recorder_note(recorder, &cycle);
}

/* Unremarkable cycles. */
static void pass(struct recorder *recorder, uint32_t *tick, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        note(recorder, (*tick)++, 10, 20);
}

static void the_cycles_around_a_maximum(void)
{
    struct recorder *recorder = make(100, 1000);
    uint32_t tick = 0;
    pass(recorder, &tick, 500);
    CHECK(!recorder_take(recorder, &found));
    note(recorder, tick++, 150, 20);
    pass(recorder, &tick, RECORDER_AFTER - 1);
    CHECK(!recorder_take(recorder, &found));
    pass(recorder, &tick, 1);
    CHECK(recorder_take(recorder, &found));
    CHECK_EQ(found.cause, RECORDER_WAKEUP);
    CHECK_EQ(found.value_ns, 150);
    CHECK_EQ(found.before_ns, 10);
    CHECK_EQ(found.count, RECORDER_CYCLES);
    CHECK_EQ(found.position, RECORDER_CYCLES - 1 - RECORDER_AFTER);
    CHECK_EQ(found.cycles[found.position].tick, 500);
    CHECK_EQ(found.cycles[found.position].wakeup_ns, 150);
    for (uint32_t i = 0; i < found.count; i++) {
        CHECK_EQ(found.cycles[i].tick, 500 - found.position + i);
        CHECK_EQ(found.cycles[i].jitter_ns, found.cycles[i].tick + 1);
        CHECK_EQ(found.cycles[i].task, 3);
    }
    CHECK(!recorder_take(recorder, &found)); /* once */
    recorder_destroy(recorder);
    recorder_destroy(NULL);
}

static void the_next_maximum_must_exceed_it(void)
{
    struct recorder *recorder = make(100, 1000);
    uint32_t tick = 0;
    note(recorder, tick++, 150, 20);
    pass(recorder, &tick, RECORDER_AFTER);
    note(recorder, tick++, 160, 20); /* while the ring stands still: no record */
    CHECK(recorder_take(recorder, &found));
    CHECK_EQ(found.count, RECORDER_AFTER + 1);
    CHECK_EQ(found.position, 0);
    note(recorder, tick++, 155, 20);
    pass(recorder, &tick, RECORDER_AFTER);
    CHECK(!recorder_take(recorder, &found));
    note(recorder, tick++, 161, 20);
    pass(recorder, &tick, RECORDER_AFTER);
    CHECK(recorder_take(recorder, &found));
    CHECK_EQ(found.value_ns, 161);
    CHECK_EQ(found.before_ns, 160);
    CHECK_EQ(found.cycles[found.position].tick, tick - RECORDER_AFTER - 1);
    recorder_destroy(recorder);
}

static void a_greater_one_takes_over_another_figure_waits(void)
{
    struct recorder *recorder = make(100, 1000);
    uint32_t tick = 0;
    note(recorder, tick++, 20, 1500);
    note(recorder, tick++, 900, 20);
    note(recorder, tick++, 20, 1700);
    pass(recorder, &tick, RECORDER_AFTER);
    CHECK(recorder_take(recorder, &found));
    CHECK_EQ(found.cause, RECORDER_EXECUTION);
    CHECK_EQ(found.value_ns, 1700);
    CHECK_EQ(found.before_ns, 1500);
    CHECK_EQ(found.position, 2);
    CHECK_EQ(found.cycles[found.position].execution_ns, 1700);
    recorder_destroy(recorder);
}

static void without_a_threshold_it_settles_first(void)
{
    struct recorder *recorder = make(0, 0);
    uint32_t tick = 0;
    pass(recorder, &tick, RECORDER_SETTLING_CYCLES - 1);
    note(recorder, tick++, 500, 20);
    pass(recorder, &tick, 2 * RECORDER_AFTER);
    CHECK(!recorder_take(recorder, &found));
    note(recorder, tick++, 501, 20);
    pass(recorder, &tick, RECORDER_AFTER);
    CHECK(recorder_take(recorder, &found));
    CHECK_EQ(found.value_ns, 501);
    recorder_destroy(recorder);
}

static void a_reset_forgets_maxima_and_records(void)
{
    struct recorder *recorder = make(100, 1000);
    uint32_t tick = 0;
    note(recorder, tick++, 500, 20);
    pass(recorder, &tick, RECORDER_AFTER);
    recorder_reset(recorder, 100, 1000);
    CHECK(!recorder_take(recorder, &found)); /* of before */
    pass(recorder, &tick, 1);
    note(recorder, tick++, 300, 20);
    recorder_reset(recorder, 200, 1000); /* within the cycles after it */
    pass(recorder, &tick, 2 * RECORDER_AFTER);
    CHECK(!recorder_take(recorder, &found));
    note(recorder, tick++, 150, 20);
    note(recorder, tick++, 250, 20);
    pass(recorder, &tick, RECORDER_AFTER);
    CHECK(recorder_take(recorder, &found));
    CHECK_EQ(found.value_ns, 250);
    CHECK_EQ(found.before_ns, 150);
    recorder_destroy(recorder);
}

static void the_end_of_the_program_does_not_lose_it(void)
{
    struct recorder *recorder = make(100, 1000);
    uint32_t tick = 0;
    pass(recorder, &tick, 3);
    recorder_finish(recorder);
    CHECK(!recorder_take(recorder, &found)); /* there is none */
    note(recorder, tick++, 500, 20);
    pass(recorder, &tick, 2);
    recorder_finish(recorder);
    CHECK(recorder_take(recorder, &found));
    CHECK_EQ(found.count, 6);
    CHECK_EQ(found.position, 3);
    recorder_destroy(recorder);
}

/* Two threads: every record is whole and in order, whatever the cycle does meanwhile. */
#define STRESS_RECORDS 300u

struct stress {
    struct recorder *recorder;
    atomic_bool stop;
};

static void *cycle(void *argument)
{
    struct stress *stress = argument;
    for (uint32_t tick = 0; !atomic_load(&stress->stop); tick++) {
        note(stress->recorder, tick, tick % 50 == 0 ? tick + 1 : 0, 0);
        if (tick % 64 == 0)
            sched_yield();
    }
    return NULL;
}

static void records_are_whole(void)
{
    struct stress stress = {.recorder = make(1, 1)};
    pthread_t rt = spawn(cycle, &stress);
    for (uint32_t taken = 0; taken < STRESS_RECORDS;) {
        if (!recorder_take(stress.recorder, &found)) {
            sched_yield();
            continue;
        }
        CHECK_EQ(found.cycles[found.position].wakeup_ns, found.value_ns);
        for (uint32_t i = 1; i < found.count; i++)
            CHECK_EQ(found.cycles[i].tick, found.cycles[i - 1].tick + 1);
        if (++taken % 7 == 0)
            recorder_reset(stress.recorder, 1, 1);
    }
    atomic_store(&stress.stop, true);
    join(rt);
    recorder_destroy(stress.recorder);
}

int main(void)
{
    RUN(the_cycles_around_a_maximum);
    RUN(the_next_maximum_must_exceed_it);
    RUN(a_greater_one_takes_over_another_figure_waits);
    RUN(without_a_threshold_it_settles_first);
    RUN(a_reset_forgets_maxima_and_records);
    RUN(the_end_of_the_program_does_not_lose_it);
    RUN(records_are_whole);
    return 0;
}
