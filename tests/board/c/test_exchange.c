/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>

#include "exchange.h"
#include "harness.h"

static struct exchange *make(uint32_t size)
{
    struct exchange *exchange;
    CHECK_EQ(exchange_create(&exchange, size, NULL), 0);
    return exchange;
}

static void publish(struct exchange *exchange, uint8_t value)
{
    memset(exchange_back(exchange), value, exchange->size);
    exchange_publish(exchange);
}

static void refuses_bad_sizes(void)
{
    struct exchange *exchange = (struct exchange *)&exchange;
    CHECK_EQ(exchange_create(&exchange, 0, NULL), -EINVAL);
    CHECK(exchange == NULL);
    CHECK_EQ(exchange_create(&exchange, UINT32_MAX, NULL), -EINVAL);
    exchange_destroy(NULL);
}

static void begins_with_zeros(void)
{
    struct exchange *exchange = make(5);
    CHECK(!exchange_take(exchange));
    CHECK_BYTES(exchange_front(exchange), "\0\0\0\0\0", 5);
    exchange_destroy(exchange);
}

static void gives_the_newest(void)
{
    struct exchange *exchange = make(3);
    publish(exchange, 1);
    publish(exchange, 2);
    CHECK_BYTES(exchange_front(exchange), "\0\0\0", 3); /* not before it is taken */
    CHECK(exchange_take(exchange));
    CHECK_BYTES(exchange_front(exchange), "\2\2\2", 3);
    CHECK(!exchange_take(exchange));
    publish(exchange, 3);
    publish(exchange, 4);
    publish(exchange, 5);
    CHECK_BYTES(exchange_front(exchange), "\2\2\2", 3); /* what was taken stays */
    CHECK(exchange_take(exchange));
    CHECK_BYTES(exchange_front(exchange), "\5\5\5", 3);
    exchange_destroy(exchange);
}

#define SETS 100000u

static void *produce(void *argument)
{
    struct exchange *exchange = argument;
    for (uint32_t n = 1; n <= SETS; n++) {
        uint32_t *words = exchange_back(exchange);
        for (uint32_t i = 0; i < 16; i++)
            words[i] = n;
        exchange_publish(exchange);
        if (n % 64 == 0)
            sched_yield();
    }
    return NULL;
}

static void never_mixes_sets(void)
{
    struct exchange *exchange = make(16 * sizeof(uint32_t));
    const pthread_t producer = spawn(produce, exchange);
    uint32_t seen = 0;
    while (seen < SETS) {
        if (!exchange_take(exchange))
            sched_yield();
        const uint32_t *words = exchange_front(exchange);
        CHECK(words[0] >= seen);
        for (uint32_t i = 1; i < 16; i++)
            CHECK_EQ(words[i], words[0]);
        seen = words[0];
    }
    join(producer);
    exchange_destroy(exchange);
}

int main(void)
{
    RUN(refuses_bad_sizes);
    RUN(begins_with_zeros);
    RUN(gives_the_newest);
    RUN(never_mixes_sets);
    return 0;
}
