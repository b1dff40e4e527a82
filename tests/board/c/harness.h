/* SPDX-License-Identifier: MIT */
/* harness.h - the smallest unit test frame: a failed check says where and ends the program. */
#ifndef SR_HARNESS_H
#define SR_HARNESS_H

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);                \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* Both sides as signed 64-bit numbers. */
#define CHECK_EQ(actual, expected)                                                                 \
    do {                                                                                           \
        int64_t actual_ = (int64_t)(actual), expected_ = (int64_t)(expected);                      \
        if (actual_ != expected_) {                                                                \
            fprintf(stderr, "%s:%d: %s is %" PRId64 ", expected %" PRId64 "\n", __FILE__,          \
                    __LINE__, #actual, actual_, expected_);                                        \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define CHECK_BYTES(actual, expected, n) CHECK(memcmp((actual), (expected), (n)) == 0)

#define RUN(test)                                                                                  \
    do {                                                                                           \
        test();                                                                                    \
        printf("ok %s\n", #test);                                                                  \
    } while (0)

static inline pthread_t spawn(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, body, argument), 0);
    return thread;
}

static inline void join(pthread_t thread)
{
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* Deterministic numbers (xorshift): a failure repeats. `*state` must not be 0. */
static inline uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

#endif
