/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdatomic.h>

#include "harness.h"
#include "ring.h"

static struct ring *make(uint32_t bytes)
{
    struct ring *ring;
    CHECK_EQ(ring_create(&ring, bytes, NULL), 0);
    return ring;
}

static bool put(struct ring *ring, const void *data, uint32_t n)
{
    void *to = ring_reserve(ring, n);
    if (to == NULL)
        return false;
    memcpy(to, data, n);
    ring_commit(ring, n);
    return true;
}

static void refuses_bad_sizes(void)
{
    static const uint32_t bad[] = {0, 1, 32, 63, 65, 96, 1000, (1u << 30) + 1, 1u << 31};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct ring *ring = (struct ring *)&bad;
        CHECK_EQ(ring_create(&ring, bad[i], NULL), -EINVAL);
        CHECK(ring == NULL);
    }
    ring_destroy(NULL);
}

static void *hooked;
static size_t hooked_size;

static int hook(void *region, size_t size)
{
    hooked = region;
    hooked_size = size;
    return -EPERM; /* must not matter */
}

static void prefaults_its_memory(void)
{
    struct ring *ring;
    CHECK_EQ(ring_create(&ring, 4096, hook), 0);
    uint8_t *record = ring_reserve(ring, 100);
    CHECK((uint8_t *)hooked <= record && record + 100 <= (uint8_t *)hooked + hooked_size);
    ring_destroy(ring);
}

static void is_first_in_first_out(void)
{
    struct ring *ring = make(256);
    uint32_t n = 99;
    CHECK(ring_peek(ring, &n) == NULL);
    CHECK(put(ring, "one", 3) && put(ring, "", 0) && put(ring, "three", 5));
    const void *record = ring_peek(ring, &n);
    CHECK_EQ(n, 3);
    CHECK_BYTES(record, "one", 3);
    CHECK(ring_peek(ring, &n) == record); /* again the same until released */
    ring_release(ring);
    ring_release(ring); /* nothing peeked: nothing happens */
    CHECK(ring_peek(ring, &n) != NULL);
    CHECK_EQ(n, 0);
    ring_release(ring);
    record = ring_peek(ring, &n);
    CHECK_EQ(n, 5);
    CHECK_BYTES(record, "three", 5);
    ring_release(ring);
    CHECK(ring_peek(ring, &n) == NULL);
    CHECK_EQ(ring_dropped(ring), 0);
    ring_destroy(ring);
}

static void commits_less_than_reserved(void)
{
    struct ring *ring = make(256);
    uint32_t n;
    for (int i = 0; i < 100; i++) { /* often enough to show that the rest is not lost */
        void *to = ring_reserve(ring, 100);
        CHECK(to != NULL);
        memcpy(to, "ab", 2);
        ring_commit(ring, 2);
        const void *record = ring_peek(ring, &n);
        CHECK_EQ(n, 2);
        CHECK_BYTES(record, "ab", 2);
        ring_release(ring);
    }
    CHECK_EQ(ring_dropped(ring), 0);
    ring_destroy(ring);
}

static void shows_nothing_uncommitted(void)
{
    struct ring *ring = make(256);
    uint32_t n;
    CHECK(ring_reserve(ring, 8) != NULL);
    CHECK(ring_peek(ring, &n) == NULL);
    CHECK(ring_reserve(ring, 16) != NULL); /* gives up the first */
    ring_commit(ring, 16);
    CHECK(ring_peek(ring, &n) != NULL);
    CHECK_EQ(n, 16);
    ring_release(ring);
    ring_commit(ring, 16); /* nothing is reserved */
    CHECK(ring_peek(ring, &n) == NULL);
    CHECK(ring_reserve(ring, 8) != NULL);
    ring_commit(ring, 64); /* more than reserved: refused */
    CHECK(ring_peek(ring, &n) == NULL);
    ring_destroy(ring);
}

static void counts_drops_when_full(void)
{
    struct ring *ring = make(64);
    uint32_t n;
    CHECK(put(ring, "12345678", 8) && put(ring, "12345678", 8) && put(ring, "12345678", 8) &&
          put(ring, "12345678", 8)); /* 4 x (8 + 8): exactly full */
    CHECK(!put(ring, "", 0));
    CHECK(!put(ring, "x", 1));
    CHECK_EQ(ring_dropped(ring), 2);
    CHECK(ring_peek(ring, &n) != NULL);
    ring_release(ring);
    CHECK(put(ring, "12345678", 8));
    CHECK(ring_reserve(ring, ring_max_record(ring) + 1) == NULL);
    CHECK(ring_reserve(ring, UINT32_MAX) == NULL);
    CHECK_EQ(ring_dropped(ring), 4);
    ring_destroy(ring);
}

/* Wherever the cursors stand, the longest record goes into an empty ring. */
static void takes_the_longest_record_anywhere(void)
{
    for (uint32_t shift = 0; shift < 256; shift += 8) {
        struct ring *ring = make(256);
        uint32_t n;
        for (uint32_t at = 0; at < shift; at += 8) {
            CHECK(put(ring, "", 0));
            CHECK(ring_peek(ring, &n) != NULL);
            ring_release(ring);
        }
        uint8_t *to = ring_reserve(ring, ring_max_record(ring));
        CHECK(to != NULL && (uintptr_t)to % 8 == 0);
        memset(to, 0xA5, ring_max_record(ring));
        ring_commit(ring, ring_max_record(ring));
        const uint8_t *record = ring_peek(ring, &n);
        CHECK_EQ(n, ring_max_record(ring));
        CHECK(record == to && record[n - 1] == 0xA5);
        ring_destroy(ring);
    }
}

/* Against a model, over the wrap of the 32-bit cursors (long records cost no time: their
 * contents are not touched). */
static void survives_cursor_wrap(void)
{
    struct ring *ring = make(1u << 20);
    uint32_t random = 7, n, waiting[64], first = 0, last = 0;
    uint64_t bytes = 0;
    while (bytes < (uint64_t)UINT32_MAX + (1u << 24)) {
        uint32_t length = next_random(&random) % (ring_max_record(ring) + 1);
        uint32_t *to = last - first < 64 ? ring_reserve(ring, length) : NULL;
        if (to != NULL) {
            CHECK((uintptr_t)to % 8 == 0);
            if (length >= 4)
                *to = last;
            ring_commit(ring, length);
            waiting[last++ % 64] = length;
            bytes += length;
        }
        if (to == NULL || next_random(&random) % 2 == 0) {
            const uint32_t *record = ring_peek(ring, &n);
            CHECK((record != NULL) == (first != last));
            if (record == NULL)
                continue;
            CHECK_EQ(n, waiting[first % 64]);
            CHECK(n < 4 || *record == first);
            first++;
            ring_release(ring);
        }
    }
    ring_destroy(ring);
}

/* Two threads: what arrives is whole and in order, and what does not is counted. */
#define STRESS_RECORDS 100000u

struct stress {
    struct ring *ring;
    uint32_t longest;
    atomic_bool done;
};

static void *produce(void *argument)
{
    struct stress *stress = argument;
    uint32_t random = 99;
    for (uint32_t i = 0; i < STRESS_RECORDS; i++) {
        uint32_t reserved = 4 + next_random(&random) % (stress->longest - 3);
        uint32_t length = 4 + next_random(&random) % (reserved - 3);
        uint8_t *to = ring_reserve(stress->ring, reserved);
        if (to == NULL) {
            sched_yield();
            continue;
        }
        memcpy(to, &i, 4);
        memset(to + 4, (int)(i & 0xFF), length - 4);
        ring_commit(stress->ring, length);
    }
    atomic_store(&stress->done, true);
    return NULL;
}

static void stress(uint32_t bytes)
{
    struct stress stress = {.ring = make(bytes)};
    stress.longest = ring_max_record(stress.ring) < 200 ? ring_max_record(stress.ring) : 200;
    pthread_t producer = spawn(produce, &stress);
    uint32_t received = 0, next = 0, n;
    for (;;) {
        bool done = atomic_load(&stress.done); /* before the peek, so that none is missed */
        const uint8_t *record = ring_peek(stress.ring, &n);
        if (record == NULL) {
            if (done)
                break;
            sched_yield();
            continue;
        }
        uint32_t number;
        memcpy(&number, record, 4);
        CHECK(number >= next && number < STRESS_RECORDS);
        for (uint32_t i = 4; i < n; i++)
            CHECK_EQ(record[i], number & 0xFF);
        next = number + 1;
        received++;
        ring_release(stress.ring);
    }
    join(producer);
    CHECK_EQ(received + ring_dropped(stress.ring), STRESS_RECORDS);
    CHECK(received > 0);
    ring_destroy(stress.ring);
}

static void stress_small(void)
{
    stress(64);
}

static void stress_large(void)
{
    stress(8192);
}

int main(void)
{
    RUN(refuses_bad_sizes);
    RUN(prefaults_its_memory);
    RUN(is_first_in_first_out);
    RUN(commits_less_than_reserved);
    RUN(shows_nothing_uncommitted);
    RUN(counts_drops_when_full);
    RUN(takes_the_longest_record_anywhere);
    RUN(survives_cursor_wrap);
    RUN(stress_small);
    RUN(stress_large);
    return 0;
}
