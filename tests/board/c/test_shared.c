/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdatomic.h>

#include "harness.h"
#include "shared.h"

static sr_dint number;
static sr_bool flag;
static SR_STRING(10) text;
static sr_time span;
static const sr_variable table[] = {SR_ROW("NUMBER", DINT, number), SR_ROW("FLAG", BOOL, flag),
                                    SR_ROW_STRING("TEXT", text), SR_ROW("SPAN", TIME, span)};
enum { ROWS = sizeof table / sizeof table[0] };
static const uint32_t all[] = {0, 1, 2, 3};

struct seen {
    uint32_t changes;
    uint16_t bytes, room;
    uint8_t value[20];
};

static uint8_t buffer[SHARED_MAX_BYTES];

static struct seen look(const struct shared *shared, uint32_t generation, uint32_t position)
{
    struct seen seen = {0};
    const uint8_t *at = buffer;
    const int32_t size = shared_read(shared, generation, buffer, sizeof buffer);
    CHECK(size > 0);
    for (uint32_t i = 0; i <= position; i++) {
        memcpy(&seen, at, 8);
        CHECK(seen.room <= sizeof seen.value && seen.room % 4 == 0 && seen.bytes <= seen.room);
        memcpy(seen.value, at + 8, seen.room);
        at += 8 + seen.room;
        CHECK(at <= buffer + size);
    }
    return seen;
}

static struct shared *make(void)
{
    struct shared *shared;
    number.value = 0;
    flag.value = 0;
    text.value.length = 0;
    number.flags = 0;
    CHECK_EQ(shared_create(&shared, NULL), 0);
    CHECK_EQ(shared_select(shared, table, ROWS, all, ROWS, 7), 0);
    return shared;
}

static void counts_changes_and_shows_values(void)
{
    struct shared *shared = make();
    CHECK_EQ(shared_read(shared, 7, buffer, sizeof buffer), -EAGAIN);
    shared_capture(shared);
    CHECK_EQ(look(shared, 7, 0).changes, 0);
    CHECK_EQ(look(shared, 7, 3).bytes, 16);
    number.value = 5;
    shared_capture(shared);
    shared_capture(shared);
    number.value = -6;
    text.value.length = 2;
    memcpy(text.value.text, "ab", 2);
    shared_capture(shared);
    CHECK_EQ(look(shared, 7, 0).changes, 2);
    CHECK_BYTES(look(shared, 7, 0).value, "\xFA\xFF\xFF\xFF", 4);
    CHECK_EQ(look(shared, 7, 1).changes, 0);
    CHECK_EQ(look(shared, 7, 2).changes, 1);
    CHECK_EQ(look(shared, 7, 2).bytes, 3);
    CHECK_BYTES(look(shared, 7, 2).value,
                "\x02"
                "ab",
                3);
    CHECK_EQ(shared_read(shared, 7, buffer, 8), -EMSGSIZE);
    shared_destroy(shared);
    shared_destroy(NULL);
}

static void writes_between_cycles(void)
{
    struct shared *shared = make();
    CHECK_EQ(shared_write(shared, 7, 0, (const uint8_t *)"\x09\0\0\0", 4), 0);
    shared_apply(shared); /* the list is not in use yet */
    CHECK_EQ(number.value, 0);
    shared_capture(shared);
    CHECK_EQ(shared_write(shared, 7, 0, (const uint8_t *)"\x09\0\0\0", 4), 0);
    CHECK_EQ(shared_write(shared, 7, 2, (const uint8_t *)"\x03xyz", 4), 0);
    CHECK_EQ(number.value, 0);
    shared_apply(shared);
    CHECK_EQ(number.value, 9);
    CHECK_EQ(text.value.length, 3);
    shared_destroy(shared);
}

/* The image of the old list may be closed before the cycle takes the new one over. */
static void writes_end_with_their_list(void)
{
    struct shared *shared = make();
    shared_capture(shared);
    CHECK_EQ(shared_write(shared, 7, 0, (const uint8_t *)"\x09\0\0\0", 4), 0);
    CHECK_EQ(shared_select(shared, NULL, 0, NULL, 0, 8), 0);
    shared_apply(shared);
    CHECK_EQ(number.value, 0);
    shared_capture(shared);
    shared_destroy(shared);
}

static void leaves_forced_and_unfit_ones_alone(void)
{
    struct shared *shared = make();
    static uint8_t long_value[300];
    shared_capture(shared);
    number.flags = SR_FORCED;
    CHECK_EQ(shared_write(shared, 7, 0, (const uint8_t *)"\x09\0\0\0", 4), 0);
    CHECK_EQ(shared_write(shared, 7, 1, (const uint8_t *)"\x01\0", 2), 0);
    CHECK_EQ(shared_write(shared, 7, 2, (const uint8_t *)"\x0Bxxxxxxxxxxx", 12), 0);
    CHECK_EQ(shared_write(shared, 7, 4, (const uint8_t *)"\x01", 1), 0);
    CHECK_EQ(shared_write(shared, 6, 1, (const uint8_t *)"\x01", 1), 0);
    CHECK_EQ(shared_write(shared, 7, 1, long_value, sizeof long_value), -EINVAL);
    shared_apply(shared);
    CHECK_EQ(number.value, 0);
    CHECK_EQ(flag.value, 0);
    CHECK_EQ(text.value.length, 0);
    uint32_t writes = 0;
    while (shared_write(shared, 7, 1, (const uint8_t *)"\x01", 1) == 0)
        writes++;
    CHECK(writes > 100 && writes < 100000);
    shared_apply(shared);
    CHECK_EQ(flag.value, 1);
    shared_destroy(shared);
}

static void lists_follow_each_other(void)
{
    struct shared *shared = make();
    static const uint32_t beyond[] = {ROWS}, last[] = {1};
    static uint32_t many[SHARED_MAX_BYTES];
    shared_capture(shared);
    CHECK_EQ(shared_select(shared, table, ROWS, beyond, 1, 8), -ENOENT);
    CHECK_EQ(shared_select(shared, table, ROWS, many, SHARED_MAX_BYTES / 12 + 1, 8), -EMSGSIZE);
    CHECK_EQ(shared_select(shared, table, ROWS, many, SHARED_MAX_BYTES, 8), -EMSGSIZE);
    shared_capture(shared);
    CHECK_EQ(look(shared, 7, 0).changes, 0);
    CHECK_EQ(shared_select(shared, table, ROWS, last, 1, 9), 0);
    CHECK_EQ(look(shared, 7, 0).changes, 0);
    flag.value = 1;
    shared_capture(shared);
    CHECK_EQ(shared_read(shared, 7, buffer, sizeof buffer), -EAGAIN);
    CHECK_EQ(look(shared, 9, 0).changes, 0);
    CHECK_EQ(shared_read(shared, 9, buffer, sizeof buffer), 12);
    CHECK_EQ(shared_select(shared, table, ROWS, many, SHARED_MAX_BYTES / 12, 10), 0);
    shared_capture(shared);
    CHECK(shared_read(shared, 10, buffer, sizeof buffer) > 0);
    shared_forget(shared);
    shared_capture(shared);
    shared_apply(shared);
    shared_destroy(shared);
}

/* Two variables that the cycle keeps equal: a reader never sees them differ. */
struct scene {
    struct shared *shared;
    atomic_bool end;
};

static void *cycle(void *argument)
{
    struct scene *scene = argument;
    while (!atomic_load(&scene->end)) {
        shared_apply(scene->shared);
        number.value++;
        span.value = (int64_t)number.value * 1000000000;
        shared_capture(scene->shared);
    }
    return NULL;
}

static void two_threads(void)
{
    struct scene scene = {.shared = make()};
    uint32_t reads = 0;
    number.value = -1;
    pthread_t thread = spawn(cycle, &scene);
    while (reads < 2000) {
        int32_t n;
        int64_t seconds;
        if (shared_read(scene.shared, 7, buffer, sizeof buffer) <= 0)
            continue;
        memcpy(&n, buffer + 8, 4);
        memcpy(&seconds, buffer + 12 + 12 + 8 + 12 + 8, 8);
        CHECK_EQ(n, seconds);
        (void)shared_write(scene.shared, 7, 1, (const uint8_t *)"\x01", 1);
        reads++;
    }
    atomic_store(&scene.end, true);
    join(thread);
    shared_destroy(scene.shared);
}

int main(void)
{
    RUN(counts_changes_and_shows_values);
    RUN(writes_between_cycles);
    RUN(writes_end_with_their_list);
    RUN(leaves_forced_and_unfit_ones_alone);
    RUN(lists_follow_each_other);
    RUN(two_threads);
    return 0;
}
