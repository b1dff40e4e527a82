/* SPDX-License-Identifier: MIT */
/* test_platform.c - what every backend of platform.h has to do, one case a run.
 *
 * `test_platform CASE` exits 0 (passed), 1 (failed, sentence on stderr) or 77 (the case cannot
 * be tried on this backend or machine, sentence on stdout). Only platform.h is used on the code
 * under test, so one program serves all backends; nothing here asserts a latency: counts, phases
 * and states only.
 */
#define _GNU_SOURCE
#include "conformance.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SKIPPED = 77 };

/* _exit: a thread may be parked or looping, and exit handlers must not wait for it. */
static void end(int status, const char *format, va_list list)
{
    FILE *to = status == SKIPPED ? stdout : stderr;
    vfprintf(to, format, list);
    fputc('\n', to);
    fflush(to);
    _exit(status);
}

void fail(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    end(1, format, list);
    va_end(list);
    abort();
}

void skip(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    end(SKIPPED, format, list);
    va_end(list);
    abort();
}

struct platform_thread *self_of(struct shared *shared)
{
    struct platform_thread *self;
    while ((self = atomic_load(&shared->self)) == NULL)
        platform_poll_sleep(MS);
    return self;
}

void wait_for(atomic_int *value, int at_least)
{
    int64_t deadline_ns = platform_now_ns() + JOIN_NS;
    while (atomic_load(value) < at_least) {
        if (platform_now_ns() > deadline_ns)
            fail("a step never came");
        platform_poll_sleep(MS);
    }
}

void start(struct shared *shared, void (*body)(void *), int priority, int cpu,
           struct platform_actual *actual)
{
    struct platform_schedule schedule = {
        .name = "conformance", .priority = priority, .cpu = cpu, .stack_bytes = 256 * 1024};
    struct platform_thread *thread = NULL;
    CHECK_EQUAL(platform_thread_start(&thread, &schedule, body, shared, actual), 0);
    CHECK(thread != NULL);
    atomic_store(&shared->self, thread);
}

void join(struct shared *shared)
{
    CHECK_EQUAL(platform_thread_join(atomic_load(&shared->self), JOIN_NS), 0);
}

void body_count(void *argument)
{
    struct shared *shared = argument;
    shared->number += 1;
}

void body_wait_go(void *argument)
{
    struct shared *shared = argument;
    atomic_store(&shared->step, 1);
    while (!atomic_load(&shared->go))
        platform_poll_sleep(MS);
}

static void run(const struct conformance_case *one)
{
    char why[256] = "";
    const int result = one->initialised ? platform_init(why, sizeof why) : 0;
    if (result == -ENODEV)
        skip("%s", why);
    if (result != 0)
        fail("platform_init: %s (%s)", strerror(-result), why);
    one->run();
    fflush(stdout);
    _exit(0);
}

int main(int argc, char **argv)
{
    const struct conformance_case *const tables[] = {thread_cases, clock_cases, fault_cases};
    for (size_t i = 0; argc == 2 && i < sizeof tables / sizeof tables[0]; i++)
        for (const struct conformance_case *one = tables[i]; one->name != NULL; one++)
            if (strcmp(argv[1], one->name) == 0)
                run(one);
    fail("usage: %s CASE", argv[0]);
}
