/* SPDX-License-Identifier: MIT */
/* conformance.h - what the cases for the backends of platform.h share; see test_platform.c. */
#ifndef SR_CONFORMANCE_H
#define SR_CONFORMANCE_H

#include "platform.h"

#include <stdatomic.h>
#include <stdlib.h>

#define MS INT64_C(1000000)
#define JOIN_NS (10000 * MS) /* far above any wait here: reached only by a hang */

/* End the process: 1 and a sentence on stderr, or 77 and a sentence on stdout. */
__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...);
__attribute__((noreturn, format(printf, 1, 2))) void skip(const char *format, ...);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail("%s:%d: %s", __FILE__, __LINE__, #condition);                                     \
    } while (0)
#define CHECK_EQUAL(got, wanted)                                                                   \
    do {                                                                                           \
        long long got_ = (long long)(got), wanted_ = (long long)(wanted);                          \
        if (got_ != wanted_)                                                                       \
            fail("%s:%d: %s is %lld, wanted %lld", __FILE__, __LINE__, #got, got_, wanted_);       \
    } while (0)

/* What one RT thread shares with the case that started it. Bodies get their own platform_thread
 * from here: it is published before they may use it. */
struct shared {
    _Atomic(struct platform_thread *) self;
    atomic_int step; /* set by the body, waited for by the case */
    atomic_int go;   /* set by the case, waited for by the body */
    int result;      /* read after the join */
    int number;
    struct platform_fault fault;
    void (*program)(void *);
};

struct platform_thread *self_of(struct shared *shared);
void wait_for(atomic_int *value, int at_least);
void start(struct shared *shared, void (*body)(void *), int priority, int cpu,
           struct platform_actual *actual);
void join(struct shared *shared);

/* Bodies: one that counts, one that says it runs (step 1) and waits for go. */
void body_count(void *argument);
void body_wait_go(void *argument);

/* A table of cases ends with a NULL name. */
struct conformance_case {
    const char *name;
    void (*run)(void);
    bool initialised; /* platform_init is called before it */
};
#define CASE(name) {#name, case_##name, true}
#define CASE_BEFORE_INIT(name) {#name, case_##name, false}

extern const struct conformance_case thread_cases[];
extern const struct conformance_case clock_cases[];
extern const struct conformance_case fault_cases[];

#endif
