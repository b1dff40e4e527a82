/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdatomic.h>

#include "harness.h"
#include "log.h"
#include "ring.h"

static struct log *make(uint32_t bytes)
{
    struct log *log;
    CHECK_EQ(log_create(&log, bytes, NULL), 0);
    return log;
}

static void creates_and_refuses(void)
{
    struct log *log;
    CHECK_EQ(log_create(&log, 1024, NULL), -EINVAL);
    CHECK_EQ(log_create(&log, 3000, NULL), -EINVAL);
    CHECK(log == NULL);
    log_destroy(NULL);
}

static void takes_in_order_of_time(void)
{
    struct log *log = make(2048);
    struct log_record record;
    CHECK(!log_take(log, 0, &record));
    log_put(log, SR_LOG_DEBUG, 1, 5, "first");
    log_put(log, SR_LOG_CRITICAL, 2, 5, "second");
    log_put(log, SR_LOG_INFO, 3, 6, "third");
    log_put(log, SR_LOG_CRITICAL, 4, 7, "");
    static const struct {
        const char *text;
        uint32_t level;
    } expected[] = {{"first", 3}, {"second", 0}, {"third", 2}, {"", 0}};
    for (uint32_t i = 0; i < 4; i++) {
        CHECK(log_take(log, 0, &record));
        CHECK_EQ(strcmp(record.text, expected[i].text), 0);
        CHECK_EQ(record.length, strlen(expected[i].text));
        CHECK_EQ(record.level, expected[i].level);
        CHECK_EQ(record.tick, i + 1);
    }
    CHECK(!log_take(log, 0, &record));
    log_destroy(log);
}

static void converts_to_wall_time(void)
{
    struct log *log = make(2048);
    struct log_record record;
    log_put(log, 0, 0, 2500000000, "a");
    log_put(log, 0, 0, 2500000000, "b");
    CHECK(log_take(log, 1700000000600000000, &record));
    CHECK_EQ(record.sec, 1700000003);
    CHECK_EQ(record.nsec, 100000000);
    CHECK(log_take(log, -3000000000, &record)); /* a clock that was never set */
    CHECK_EQ(record.sec, 0);
    CHECK_EQ(record.nsec, 0);
    log_destroy(log);
}

static void cuts_and_copies(void)
{
    struct log *log = make(2048);
    struct log_record record;
    char text[LOG_TEXT_MAX + 1]; /* without a NUL */
    memset(text, 'x', sizeof text);
    log_put(log, 1, 0, 0, text);
    text[LOG_TEXT_MAX] = '\0';
    memset(text, 'y', 3);
    text[3] = '\0';
    log_put(log, 1, 0, 0, text);
    log_put(log, 1, 0, 0, NULL);
    CHECK(log_take(log, 0, &record));
    CHECK_EQ(record.length, LOG_TEXT_MAX);
    CHECK(record.text[0] == 'x' && record.text[LOG_TEXT_MAX] == '\0');
    CHECK(log_take(log, 0, &record));
    CHECK_EQ(strcmp(record.text, "yyy"), 0);
    CHECK(log_take(log, 0, &record));
    CHECK_EQ(record.length, 0);
    log_destroy(log);
}

static void level_beyond_debug_is_debug(void)
{
    struct log *log = make(2048);
    struct log_record record;
    log_put(log, UINT32_MAX, 0, 0, "odd");
    CHECK(log_take(log, 0, &record));
    CHECK_EQ(record.level, SR_LOG_DEBUG);
    log_destroy(log);
}

static void floods_one_level_only(void)
{
    struct log *log = make(2048);
    struct log_record record;
    uint32_t taken = 0;
    for (uint32_t i = 0; i < 200; i++)
        log_put(log, SR_LOG_DEBUG, i, i, "again and again");
    log_put(log, SR_LOG_CRITICAL, 200, 200, "the one that matters");
    CHECK_EQ(log_dropped(log, SR_LOG_CRITICAL), 0);
    CHECK(log_dropped(log, SR_LOG_DEBUG) > 0);
    CHECK_EQ(log_dropped(log, LOG_LEVELS), 0);
    while (log_take(log, 0, &record) && record.level == SR_LOG_DEBUG)
        CHECK_EQ(record.tick, taken++); /* the oldest were kept */
    CHECK_EQ(record.level, SR_LOG_CRITICAL);
    CHECK_EQ(taken + log_dropped(log, SR_LOG_DEBUG), 200);
    log_destroy(log);
}

/* Linked with --wrap=ring_peek: what the other thread may do between two looks at the rings is
 * done exactly there. */
const void *__real_ring_peek(struct ring *ring, uint32_t *n);
const void *__wrap_ring_peek(struct ring *ring, uint32_t *n);

static struct log *meanwhile;
static uint32_t looks; /* until it happens */

const void *__wrap_ring_peek(struct ring *ring, uint32_t *n)
{
    const void *record = __real_ring_peek(ring, n);
    if (meanwhile != NULL && --looks == 0) {
        log_put(meanwhile, SR_LOG_CRITICAL, 1, 0, "earlier");
        log_put(meanwhile, SR_LOG_DEBUG, 2, 0, "later");
    }
    return record;
}

static void order_holds_between_two_looks(void)
{
    for (uint32_t after = 1; after <= 2 * LOG_LEVELS; after++) {
        struct log_record record;
        meanwhile = make(2048);
        looks = after;
        while (!log_take(meanwhile, 0, &record)) /* it may come too late for this one */
            continue;
        CHECK_EQ(record.tick, 1);
        CHECK(log_take(meanwhile, 0, &record));
        CHECK_EQ(record.tick, 2);
        log_destroy(meanwhile);
        meanwhile = NULL;
    }
}

/* Two threads, all levels: what arrives is in the order it was logged. The producer stays a few
 * messages ahead only, so that the rings run empty all the time. */
#define STRESS_MESSAGES 40000u
#define AHEAD 3u

struct stress {
    struct log *log;
    atomic_bool done;
    _Atomic uint32_t taken;
};

static void *produce(void *argument)
{
    struct stress *stress = argument;
    uint32_t random = 17;
    for (uint32_t i = 0; i < STRESS_MESSAGES; i++) {
        char text[16];
        while (i - atomic_load(&stress->taken) > AHEAD)
            sched_yield();
        snprintf(text, sizeof text, "%" PRIu32, i);
        log_put(stress->log, next_random(&random) % LOG_LEVELS, i, i, text);
    }
    atomic_store(&stress->done, true);
    return NULL;
}

static void stays_in_order(void)
{
    struct stress stress = {.log = make(2048)};
    struct log_record record;
    pthread_t producer = spawn(produce, &stress);
    uint32_t next = 0;
    for (;;) {
        bool done = atomic_load(&stress.done);
        if (!log_take(stress.log, 0, &record)) {
            if (done)
                break;
            sched_yield();
            continue;
        }
        CHECK_EQ(record.tick, next);
        CHECK_EQ(strtoul(record.text, NULL, 10), next);
        atomic_store(&stress.taken, ++next);
    }
    join(producer);
    CHECK_EQ(next, STRESS_MESSAGES);
    log_destroy(stress.log);
}

int main(void)
{
    RUN(creates_and_refuses);
    RUN(takes_in_order_of_time);
    RUN(converts_to_wall_time);
    RUN(cuts_and_copies);
    RUN(level_beyond_debug_is_debug);
    RUN(floods_one_level_only);
    RUN(order_holds_between_two_looks);
    RUN(stays_in_order);
    return 0;
}
