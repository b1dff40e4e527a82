/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdatomic.h>

#include "harness.h"
#include "snapshot.h"

#define VARIABLES 16u

static sr_dint values[VARIABLES];
static sr_variable table[VARIABLES];

static void fill_table(void)
{
    for (uint32_t i = 0; i < VARIABLES; i++)
        table[i] = (sr_variable)SR_ROW("V", DINT, values[i]);
}

static struct snapshot *make(void)
{
    struct snapshot *snapshot;
    CHECK_EQ(snapshot_create(&snapshot, SNAPSHOT_MAX_BYTES, NULL), 0);
    return snapshot;
}

static void answers_once(void)
{
    struct snapshot *snapshot = make();
    static const uint32_t list[] = {3, 1};
    const uint8_t *bytes;
    uint32_t tick, size;
    snapshot_capture(snapshot, 1); /* nothing asked */
    CHECK_EQ(snapshot_result(snapshot, &tick, &bytes, &size), -ENOENT);
    values[1].value = 11;
    values[3].value = 33;
    CHECK_EQ(snapshot_request(snapshot, table, VARIABLES, list, 2), 0);
    CHECK_EQ(snapshot_result(snapshot, &tick, &bytes, &size), -EAGAIN);
    snapshot_capture(snapshot, 2);
    values[1].value = 12;
    snapshot_capture(snapshot, 3); /* answers nothing more */
    for (int again = 0; again < 2; again++) {
        CHECK_EQ(snapshot_result(snapshot, &tick, &bytes, &size), 0);
        CHECK_EQ(tick, 2);
        CHECK_EQ(size, 8);
        CHECK_BYTES(bytes, "\x21\0\0\0\x0B\0\0\0", 8);
    }
    snapshot_cancel(snapshot);
    CHECK_EQ(snapshot_result(snapshot, &tick, &bytes, &size), -ENOENT);
    snapshot_destroy(snapshot);
    snapshot_destroy(NULL);
}

static void refuses_bad_lists(void)
{
    struct snapshot *snapshot = make();
    static const uint32_t beyond[] = {VARIABLES}, good[] = {0};
    static uint32_t many[SNAPSHOT_MAX_BYTES / 4 + 1];
    const uint8_t *bytes;
    uint32_t tick, size;
    CHECK_EQ(snapshot_request(snapshot, table, VARIABLES, good, 1), 0);
    CHECK_EQ(snapshot_request(snapshot, table, VARIABLES, beyond, 1), -ENOENT);
    CHECK_EQ(snapshot_result(snapshot, &tick, &bytes, &size), -ENOENT);
    CHECK_EQ(snapshot_request(snapshot, table, VARIABLES, many, SNAPSHOT_MAX_BYTES / 4 + 1),
             -EMSGSIZE);
    CHECK_EQ(snapshot_request(snapshot, table, VARIABLES, many, SNAPSHOT_MAX_BYTES / 4), 0);
    snapshot_capture(snapshot, 9);
    CHECK_EQ(snapshot_result(snapshot, &tick, &bytes, &size), 0);
    CHECK_EQ(size, SNAPSHOT_MAX_BYTES);
    CHECK_EQ(snapshot_request(snapshot, table, VARIABLES, NULL, 0), 0);
    snapshot_capture(snapshot, 10);
    CHECK_EQ(snapshot_result(snapshot, &tick, &bytes, &size), 0);
    CHECK_EQ(size, 0);
    snapshot_destroy(snapshot);
}

/* An answer nobody read is not taken for the next request's. */
static void new_request_replaces_an_answer(void)
{
    struct snapshot *snapshot = make();
    static const uint32_t old[] = {0}, new[] = {1, 2};
    const uint8_t *bytes;
    uint32_t tick, size;
    CHECK_EQ(snapshot_request(snapshot, table, VARIABLES, old, 1), 0);
    snapshot_capture(snapshot, 1);
    CHECK_EQ(snapshot_request(snapshot, table, VARIABLES, new, 2), 0);
    CHECK_EQ(snapshot_result(snapshot, &tick, &bytes, &size), -EAGAIN);
    snapshot_capture(snapshot, 2);
    CHECK_EQ(snapshot_result(snapshot, &tick, &bytes, &size), 0);
    CHECK_EQ(tick, 2);
    CHECK_EQ(size, 8);
    snapshot_destroy(snapshot);
}

static void cancel_lets_go_of_the_image(void)
{
    struct snapshot *snapshot = make();
    static const uint32_t list[] = {0};
    sr_dint *gone = calloc(1, sizeof *gone);
    sr_variable row = SR_ROW("GONE", DINT, *gone);
    CHECK_EQ(snapshot_request(snapshot, &row, 1, list, 1), 0);
    snapshot_cancel(snapshot);
    free(gone);
    snapshot_capture(snapshot, 1); /* the sanitizer watches */
    snapshot_destroy(snapshot);
}

/* Every answer is of one cycle and of the request asked last, also after requests given up. */
#define STRESS_ANSWERS 300u

struct stress {
    struct snapshot *snapshot;
    atomic_bool stop;
};

static void *cycle(void *argument)
{
    struct stress *stress = argument;
    for (uint32_t tick = 0; !atomic_load(&stress->stop); tick++) {
        for (uint32_t i = 0; i < VARIABLES; i++)
            values[i].value = (int32_t)(tick + i);
        snapshot_capture(stress->snapshot, tick);
        sched_yield();
    }
    return NULL;
}

static void is_of_one_cycle(void)
{
    struct stress stress = {.snapshot = make()};
    pthread_t rt = spawn(cycle, &stress);
    uint32_t random = 5, tick, size;
    const uint8_t *bytes;
    for (uint32_t answers = 0; answers < STRESS_ANSWERS; answers++) {
        uint32_t first = next_random(&random) % 8, count = 1 + next_random(&random) % 8, list[8];
        for (uint32_t i = 0; i < 8; i++)
            list[i] = first + i;
        CHECK_EQ(snapshot_request(stress.snapshot, table, VARIABLES, list, 8), 0);
        if (next_random(&random) % 4 == 0)
            snapshot_cancel(stress.snapshot);
        CHECK_EQ(snapshot_request(stress.snapshot, table, VARIABLES, list, count), 0);
        while (snapshot_result(stress.snapshot, &tick, &bytes, &size) == -EAGAIN)
            sched_yield();
        CHECK_EQ(size, 4 * count);
        for (uint32_t i = 0; i < count; i++) {
            int32_t value;
            memcpy(&value, bytes + 4 * i, 4);
            CHECK_EQ(value, (int32_t)(tick + first + i));
        }
    }
    atomic_store(&stress.stop, true);
    join(rt);
    snapshot_destroy(stress.snapshot);
}

int main(void)
{
    fill_table();
    RUN(answers_once);
    RUN(refuses_bad_lists);
    RUN(new_request_replaces_an_answer);
    RUN(cancel_lets_go_of_the_image);
    RUN(is_of_one_cycle);
    return 0;
}
