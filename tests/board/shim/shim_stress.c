/* SPDX-License-Identifier: MIT */
/* The whole shim in one process, all its threads at once, for the sanitizers to look at.
 *
 * Arguments: an image built from images/forces.c, one from images/crash.c, two copies of the object
 * of tests/images/beremiz.c, one from images/threads.c, and two more of the first. */
#include "shim.h"

#include "../c/harness.h"

#include <errno.h>
#include <stdatomic.h>
#include <time.h>

enum { INTERNAL, SEEN, STUBBORN, COUNTER = 8, NEGATIVE = 9 };

static char why[512];
static atomic_bool done;
static _Atomic uint32_t generation;
static _Atomic uint32_t shared_generation;
static const char *forces_image;
static const char *crash_image;
static const char *hosted_object;
static const char *own_object;
static const char *threads_image;
static const char *versions[2]; /* of the program in forces_image */

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) < 0) {                                                                          \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, why);                    \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static void pause_ms(long ms)
{
    const struct timespec time = {.tv_nsec = ms * 1000000};
    nanosleep(&time, NULL);
}

/* A sanitizer or an emulator may hold a thread up for longer than the usual limit. */
#define WATCHDOG_NS INT64_C(10000000000)

static void open_board(bool own_cycle)
{
    const struct board_options options = {.priority = 50,
                                          .cpu = -1,
                                          .sensitivity = 1,
                                          .task_cpu = -1,
                                          .threads = true,
                                          .watchdog_ns = WATCHDOG_NS,
                                          .trace_ring_bytes = 1 << 16,
                                          .cpu_latency_us = -1,
                                          .io = "none",
                                          .python = true,
                                          .own_cycle = own_cycle};
    OK(board_open(&options, why, sizeof why));
}

static void test_life_repeats(void)
{
    struct board_image image;
    uint32_t tick;
    uint8_t values[8];
    const uint32_t counter = COUNTER;
    for (int i = 0; i < 3; i++) {
        open_board(false);
        CHECK_EQ(board_open(NULL, why, sizeof why), -EBUSY);
        for (int k = 0; k < 3; k++) {
            OK(board_load(forces_image, "", &image, why, sizeof why));
            CHECK_EQ(image.variable_count, 11);
            for (int start = 0; start < 3; start++) {
                OK(board_start(NULL, 0, why, sizeof why));
                do
                    OK(board_read(&counter, 1, values, sizeof values, &tick, why, sizeof why));
                while (values[0] < 2);
                OK(board_stop(why, sizeof why));
            }
            OK(board_unload(why, sizeof why));
        }
        OK(board_close());
    }
}

static void *consume(void *argument)
{
    static uint8_t records[4096];
    _Atomic uint32_t *samples = argument;
    while (!atomic_load(&done)) {
        const uint32_t wanted = atomic_load(&generation);
        const int32_t bytes = board_read_trace(wanted, records, sizeof records, 2000000);
        CHECK(bytes >= 0);
        for (int32_t at = 0; at < bytes;) {
            int32_t value[4];
            memcpy(value, records + at, sizeof value);
            CHECK_EQ(value[1], 8);
            CHECK_EQ(value[2], -value[3]);
            at += 16;
            atomic_fetch_add(samples, 1);
        }
    }
    return NULL;
}

static void check_running(void)
{
    int32_t signal = 0;
    uint32_t tick = 0;
    if (board_state() == BOARD_FAULTED && board_fault(why, sizeof why, &signal, &tick) == 0)
        fprintf(stderr, "broken in tick %u: %s\n", tick, why);
    CHECK_EQ(board_state(), BOARD_RUNNING);
}

static void *observe(void *argument)
{
    static struct stats_figures figures;
    char text[512];
    (void)argument;
    while (!atomic_load(&done)) {
        const int error = board_statistics(0, &figures);
        CHECK(error == 0 || error == -EAGAIN);
        if (error == 0)
            CHECK_EQ(figures.wakeup.count, figures.ticks);
        (void)board_scheduling(text, sizeof text);
        (void)board_trace_dropped();
        check_running();
        pause_ms(1);
    }
    return NULL;
}

/* The Python thread: values of one cycle, and as many changes as the counter counted. */
static void *exchange(void *argument)
{
    static uint8_t shared[256];
    static const uint8_t value[4] = {9};
    _Atomic uint32_t *reads = argument;
    struct eval_request request;
    while (!atomic_load(&done)) {
        const uint32_t wanted = atomic_load(&shared_generation);
        const int32_t bytes = board_read_shared(wanted, shared, sizeof shared);
        CHECK(!board_take_eval(&request));
        (void)board_write_shared(wanted, 2, value, sizeof value); /* INTERNAL, written or forced */
        if (bytes == -EAGAIN)
            continue;
        CHECK_EQ(bytes, 3 * 12);
        int32_t words[9];
        memcpy(words, shared, sizeof words);
        CHECK_EQ(words[2], -words[5]);
        CHECK_EQ(words[0], words[3]);
        atomic_fetch_add(reads, 1);
    }
    return NULL;
}

static void share(void)
{
    const uint32_t shared[] = {COUNTER, NEGATIVE, INTERNAL};
    const int64_t list = board_share(shared, 3, why, sizeof why);
    OK(list);
    atomic_store(&shared_generation, (uint32_t)list);
}

static void test_all_threads_at_once(void)
{
    const uint32_t traced[] = {COUNTER, NEGATIVE};
    const uint32_t read[] = {COUNTER, NEGATIVE, INTERNAL, SEEN};
    struct log_record record;
    struct board_image image;
    _Atomic uint32_t samples = 0, reads = 0;
    open_board(false);
    OK(board_load(forces_image, "", &image, why, sizeof why));
    share();
    OK(board_start(NULL, 0, why, sizeof why));
    int64_t token = board_set_trace(traced, 2, why, sizeof why);
    OK(token);
    atomic_store(&generation, (uint32_t)token);
    const pthread_t consumer = spawn(consume, (void *)&samples);
    const pthread_t observer = spawn(observe, NULL);
    const pthread_t exchanger = spawn(exchange, (void *)&reads);
    for (int32_t i = 0; i < 150; i++) {
        const struct force_order order = {INTERNAL, 4, (const uint8_t *)&i};
        int32_t value[4];
        uint32_t tick;
        OK(board_set_forces(&order, (uint32_t)i % 2, why, sizeof why));
        OK(board_read(read, 4, (uint8_t *)value, sizeof value, &tick, why, sizeof why));
        CHECK_EQ(value[0], -value[1]);
        CHECK_EQ(value[2], value[3]);
        while (board_take_log(&record))
            ;
        if (i % 10 == 0) {
            token = board_set_trace(traced, 2, why, sizeof why);
            OK(token);
            atomic_store(&generation, (uint32_t)token);
            share();
        }
    }
    while (atomic_load(&samples) == 0 || atomic_load(&reads) == 0)
        pause_ms(1);
    atomic_store(&done, true);
    join(consumer);
    join(observer);
    join(exchanger);
    CHECK(atomic_load(&samples) > 0);
    OK(board_stop(why, sizeof why));
    OK(board_close());
}

/* Lists change while the object runs; the number of traced values tells whose a sample is. */
static void run_object(const char *path, bool own_cycle)
{
    enum { OBJECT_COUNT = 0, OBJECT_AN_INT = 3, OBJECT_EXTERNAL = 12 };
    const uint32_t traced[] = {OBJECT_COUNT, OBJECT_EXTERNAL, OBJECT_COUNT};
    static uint8_t records[4096];
    struct log_record record;
    struct board_image image;
    uint8_t values[8];
    uint32_t tick;
    open_board(own_cycle);
    OK(board_load(path, "", &image, why, sizeof why));
    CHECK(image.beremiz);
    for (int start = 0; start < 2; start++) {
        OK(board_start(NULL, 0, why, sizeof why));
        for (uint8_t i = 0; i < 20; i++) {
            const uint8_t value[2] = {i, 1};
            const struct force_order orders[] = {{OBJECT_AN_INT, 2, value},
                                                 {OBJECT_EXTERNAL, 2, value}};
            const uint32_t count = 1u + i % 3u;
            const uint32_t length = count == 1 ? 4 : count == 2 ? 6 : 10;
            OK(board_set_forces(orders, i % 3u, why, sizeof why));
            const int64_t token = board_set_trace(traced, count, why, sizeof why);
            OK(token);
            int32_t bytes;
            while ((bytes = board_read_trace((uint32_t)token, records, sizeof records, 2000000)) ==
                   0)
                ;
            OK(bytes);
            for (int32_t at = 0; at < bytes; at += 8 + (int32_t)length)
                CHECK_BYTES(records + at + 4, &length, 4);
            OK(board_read(traced, 2, values, sizeof values, &tick, why, sizeof why));
            while (board_take_log(&record))
                ;
        }
        OK(board_stop(why, sizeof why));
    }
    OK(board_unload(why, sizeof why));
    OK(board_close());
}

static void test_a_hosted_object(void)
{
    run_object(hosted_object, false);
}

static void test_an_object_with_its_own_cycle(void)
{
    run_object(own_object, true);
}

/* Pairs of a number and its complement, of three threads and copied among them. */
static void test_tasks_with_threads(void)
{
    enum { SCAN, FAST = 2, SLOW = 4, WRONG, PAIRS = 18, FAST_SLOW = 15, LOGS = 26, SCRATCH = 25 };
    uint32_t pairs[PAIRS], values[PAIRS], tick;
    const uint32_t wrong[] = {6, 7, 8};
    static uint8_t records[1 << 14];
    struct log_record record;
    struct board_image image;
    for (uint32_t i = 0; i < PAIRS; i++)
        pairs[i] = i < 6 ? i : i + 3;
    open_board(false);
    OK(board_load(threads_image, "", &image, why, sizeof why));
    for (int start = 0; start < 2; start++) {
        const int64_t token = board_set_trace(pairs, PAIRS, why, sizeof why);
        OK(token);
        OK(board_start(NULL, 0, why, sizeof why));
        for (uint32_t i = 0; i < 60; i++) {
            const struct force_order orders[] = {{LOGS, 1, (const uint8_t *)"\1"},
                                                 {SCRATCH, 4, (const uint8_t *)&i},
                                                 {WRONG + 1, 4, (const uint8_t *)"\0\0\0"}};
            OK(board_set_forces(orders, i % 3, why, sizeof why));
            OK(board_read(pairs, PAIRS, (uint8_t *)values, sizeof values, &tick, why, sizeof why));
            for (uint32_t k = 0; k < PAIRS; k += 2)
                CHECK_EQ(values[k], (uint32_t)~values[k + 1]);
            const int32_t bytes =
                board_read_trace((uint32_t)token, records, sizeof records, 2000000);
            OK(bytes);
            for (int32_t at = 0; at < bytes; at += 8 + (int32_t)sizeof values) {
                memcpy(values, records + at + 8, sizeof values);
                for (uint32_t k = 0; k < PAIRS; k += 2)
                    CHECK_EQ(values[k], (uint32_t)~values[k + 1]);
            }
            while (board_take_log(&record))
                CHECK_EQ(strcmp(record.text, "slow"), 0);
            check_running();
        }
        const uint32_t last = FAST_SLOW; /* what took the longest way */
        do
            OK(board_read(&last, 1, (uint8_t *)values, 4, &tick, why, sizeof why));
        while (values[0] < 2);
        OK(board_read(wrong, 3, (uint8_t *)values, 12, &tick, why, sizeof why));
        CHECK(values[0] == 0 && values[1] == 0 && values[2] == 0);
        OK(board_stop(why, sizeof why));
    }
    OK(board_close());
}

static void test_a_crash(void)
{
    struct board_image image;
    int32_t signal;
    uint32_t tick;
    open_board(false);
    OK(board_load(crash_image, "", &image, why, sizeof why));
    OK(board_start(NULL, 0, why, sizeof why));
    while (board_state() == BOARD_RUNNING)
        pause_ms(1);
    OK(board_fault(why, sizeof why, &signal, &tick));
    CHECK(strstr(why, "in CRASH_segmentation") != NULL);
    CHECK_EQ(board_start(NULL, 0, why, sizeof why), -EBUSY);
    CHECK_EQ(board_close(), -EFAULT);
}

static void trace_and_share(void)
{
    const uint32_t traced[] = {COUNTER, NEGATIVE};
    const int64_t token = board_set_trace(traced, 2, why, sizeof why);
    OK(token);
    atomic_store(&generation, (uint32_t)token);
    share();
}

static void await_phase(int32_t phase)
{
    struct board_change state;
    do {
        pause_ms(1);
        check_running();
        board_change_state(&state);
    } while (state.phase != phase);
}

/* False: no cycle left the time, and nothing was changed. */
static bool change_to(const char *path)
{
    struct change_pair pairs[11];
    struct board_image image;
    struct board_change state;
    const int32_t held = 3;
    const struct force_order force = {INTERNAL, sizeof held, (const uint8_t *)&held};
    for (uint32_t i = 0; i < 11; i++)
        pairs[i] = (struct change_pair){i, i};
    OK(board_open_change(path, &image, why, sizeof why));
    OK(board_rehearse_change(pairs, 11, 3, why, sizeof why));
    await_phase(CHANGE_READY);
    const int error = board_make_change(&force, 1, why, sizeof why);
    trace_and_share();
    if (error != 0) {
        CHECK_EQ(error, -EBUSY);
        OK(board_drop_change(why, sizeof why));
        return false;
    }
    do {
        pause_ms(1);
        board_change_state(&state);
    } while (state.cycles_left > 0);
    OK(board_keep_change(why, sizeof why));
    return true;
}

static int32_t read_counter(void)
{
    const uint32_t counter = COUNTER;
    int32_t value = 0;
    uint32_t tick;
    OK(board_read(&counter, 1, (uint8_t *)&value, sizeof value, &tick, why, sizeof why));
    return value;
}

static void test_online_changes(void)
{
    struct board_image image;
    _Atomic uint32_t samples = 0, reads = 0;
    open_board(false);
    OK(board_load(forces_image, "", &image, why, sizeof why));
    share();
    OK(board_start(NULL, 0, why, sizeof why));
    trace_and_share();
    atomic_store(&done, false);
    const pthread_t consumer = spawn(consume, &samples);
    const pthread_t python = spawn(exchange, &reads);
    const pthread_t observer = spawn(observe, NULL);
    int32_t counter = read_counter();
    for (int made = 0; made < 6;) {
        if (!change_to(versions[made % 2]))
            continue;
        made++;
        const int32_t now = read_counter();
        CHECK(now > counter); /* it goes on counting */
        counter = now;
    }
    OK(board_stop(why, sizeof why));
    atomic_store(&done, true);
    join(consumer);
    join(python);
    join(observer);
    OK(board_close());
}

int main(int count, char **arguments)
{
    CHECK_EQ(count, 8);
    forces_image = arguments[1];
    crash_image = arguments[2];
    hosted_object = arguments[3];
    own_object = arguments[4];
    threads_image = arguments[5];
    versions[0] = arguments[6];
    versions[1] = arguments[7];
    RUN(test_life_repeats);
    RUN(test_all_threads_at_once);
    RUN(test_tasks_with_threads);
    RUN(test_online_changes);
    RUN(test_a_hosted_object);
    RUN(test_an_object_with_its_own_cycle);
    RUN(test_a_crash);
    return 0;
}
