/* SPDX-License-Identifier: MIT */
/* test_faults.c - a fault of a program is contained, and nobody else's is taken. */
#define _GNU_SOURCE
#include "conformance.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static volatile int sink;
static int *volatile nowhere; /* NULL, unknown to the compiler */

static void program_good(void *argument)
{
    struct shared *shared = argument;
    shared->number += 1;
}
static void program_segv(void *argument)
{
    (void)argument;
    *nowhere = 1;
}
static void program_abort(void *argument)
{
    (void)argument;
    abort();
}
static void program_fpe(void *argument)
{
    (void)argument;
    raise(SIGFPE); /* division by zero traps on some processors only */
}
static void program_ill(void *argument)
{
    (void)argument;
    raise(SIGILL);
}
__attribute__((noinline)) static int deeper(int depth)
{
    volatile char room[1024];
    room[0] = (char)depth;
    return depth < 0 ? 0 : deeper(depth + 1) + room[0]; /* never negative before it is over */
}
static void program_overflow(void *argument)
{
    (void)argument;
    sink = deeper(0);
}
/* In a cycle: what comes from a wait runs in Cobalt's own domain, where no signal reaches it. */
static void program_loop(void *argument)
{
    struct shared *shared = argument;
    struct platform_thread *self = self_of(shared);
    int64_t deadline_ns;
    uint32_t skipped;
    if (platform_periodic(self, platform_now_ns() + MS, MS) != 0 ||
        platform_wait_period(self, &deadline_ns, &skipped) != 0)
        return;
    atomic_store(&shared->step, 1);
    for (;;)
        sink = sink + 1;
}
static void program_abandon(void *argument)
{
    struct shared *shared = argument;
    platform_abandon(self_of(shared));
}

/* A good program, the bad one twice (the signal must be open again), a good one. */
static void body_protect(void *argument)
{
    struct shared *shared = argument;
    struct platform_thread *self = self_of(shared);
    struct platform_fault fault = {0};
    shared->result = platform_protect(self, program_good, shared, &shared->fault);
    for (int i = 0; i < 2 && shared->result == 0; i++) {
        int result = platform_protect(self, shared->program, shared, &shared->fault);
        shared->result = result == -EFAULT ? 0 : -1000 + result;
    }
    if (shared->result == 0)
        shared->result = platform_protect(self, program_good, shared, &fault);
}

static struct platform_fault contain(void (*program)(void *))
{
    struct shared shared = {.result = -1, .program = program};
    CHECK_EQUAL(platform_faults_arm(), 0);
    start(&shared, body_protect, 50, -1, NULL);
    join(&shared);
    CHECK_EQUAL(shared.result, 0);
    CHECK_EQUAL(shared.number, 2);
    return shared.fault;
}

static void case_contains_segv(void)
{
    struct platform_fault fault = contain(program_segv);
    CHECK_EQUAL(fault.signal, SIGSEGV);
    CHECK_EQUAL(fault.address, 0);
    CHECK(fault.pc != 0);
    CHECK(!fault.stack_overflow);
}
static void case_contains_abort(void)
{
    CHECK_EQUAL(contain(program_abort).signal, SIGABRT);
}
static void case_contains_fpe(void)
{
    CHECK_EQUAL(contain(program_fpe).signal, SIGFPE);
}
static void case_contains_ill(void)
{
    CHECK_EQUAL(contain(program_ill).signal, SIGILL);
}
static void case_contains_abandon(void)
{
    contain(program_abandon);
}
static void case_contains_stack_overflow(void)
{
    struct platform_fault fault = contain(program_overflow);
    CHECK_EQUAL(fault.signal, SIGSEGV);
    CHECK(fault.stack_overflow);
}

static void case_rearms_replaced_handlers(void)
{
    contain(program_segv);
    signal(SIGSEGV, SIG_DFL); /* as faulthandler, or a program, may do */
    CHECK_EQUAL(contain(program_segv).signal, SIGSEGV);
}

static volatile sig_atomic_t chained;
static void previous_owner(int signal_number)
{
    chained = signal_number;
}

static void case_chains_faults_of_other_threads(void)
{
    signal(SIGFPE, previous_owner);
    CHECK_EQUAL(platform_faults_arm(), 0);
    CHECK_EQUAL(platform_faults_arm(), 0); /* armed twice, it must not become its own previous */
    raise(SIGFPE);
    CHECK_EQUAL(chained, SIGFPE);
}

static _Atomic(struct shared *) watched;

static void body_loop(void *argument)
{
    struct shared *shared = argument;
    struct platform_thread *self = self_of(shared);
    shared->result = platform_protect(self, program_loop, shared, &shared->fault);
    atomic_store(&shared->step, 2);
    while (!atomic_load(&shared->go))
        platform_poll_sleep(MS);
    struct platform_fault fault = {0};
    shared->number = platform_protect(self, program_good, shared, &fault) == 0 ? 2 : -1;
}

static void case_interrupts_an_endless_loop(void)
{
    struct shared shared = {0};
    CHECK_EQUAL(platform_faults_arm(), 0);
    start(&shared, body_loop, 50, sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 1 : -1, NULL);
    wait_for(&shared.step, 1);
    CHECK_EQUAL(platform_interrupt(atomic_load(&shared.self)), 0);
    wait_for(&shared.step, 2);
    CHECK_EQUAL(shared.result, -EFAULT);
    CHECK(shared.fault.signal != 0);
    atomic_store(&shared.go, 1);
    join(&shared);
    CHECK_EQUAL(shared.number, 2); /* the interrupt did not outlive the body it was meant for */
}

/* As the watchdog does it: on the same processor nobody else could. */
static void body_interrupt(void *argument)
{
    struct shared *watcher = argument;
    struct shared *looping = atomic_load(&watched);
    struct platform_thread *self = self_of(watcher);
    int64_t deadline_ns;
    uint32_t skipped;
    watcher->result = platform_periodic(self, platform_now_ns(), 2 * MS);
    while (watcher->result == 0 && !atomic_load(&looping->step))
        watcher->result = platform_wait_period(self, &deadline_ns, &skipped);
    if (watcher->result == 0)
        watcher->result = platform_interrupt(atomic_load(&looping->self));
}

static void case_a_thread_above_interrupts_on_one_processor(void)
{
    struct shared looping = {0}, watcher = {.result = -1};
    CHECK_EQUAL(platform_faults_arm(), 0);
    atomic_store(&watched, &looping);
    start(&watcher, body_interrupt, 51, 0, NULL);
    start(&looping, body_loop, 50, 0, NULL);
    wait_for(&looping.step, 2);
    join(&watcher);
    CHECK_EQUAL(watcher.result, 0);
    CHECK_EQUAL(looping.result, -EFAULT);
    atomic_store(&looping.go, 1);
    join(&looping);
    CHECK_EQUAL(looping.number, 2);
}

static void case_the_core_ends_an_endless_loop(void)
{
    struct shared shared = {0};
    if (strcmp(platform_name(), "cobalt") != 0)
        skip("only Cobalt has a watchdog of its own, not %s", platform_name());
    CHECK_EQUAL(platform_faults_arm(), 0);
    start(&shared, body_loop, 50, 0, NULL);
    wait_for(&shared.step, 2);
    CHECK_EQUAL(shared.result, -EFAULT);
    CHECK_EQUAL(shared.fault.signal, SIGXCPU); /* SIGDEBUG */
    CHECK(shared.fault.pc != 0);
    atomic_store(&shared.go, 1);
    join(&shared);
    CHECK_EQUAL(shared.number, 2);
}

static void case_interrupt_outside_a_program_is_harmless(void)
{
    struct shared shared = {0};
    CHECK_EQUAL(platform_faults_arm(), 0);
    start(&shared, body_wait_go, 50, -1, NULL);
    wait_for(&shared.step, 1);
    CHECK_EQUAL(platform_interrupt(atomic_load(&shared.self)), 0);
    atomic_store(&shared.go, 1);
    join(&shared);
}

const struct conformance_case fault_cases[] = {
    CASE(contains_segv),
    CASE(contains_abort),
    CASE(contains_fpe),
    CASE(contains_ill),
    CASE(contains_abandon),
    CASE(contains_stack_overflow),
    CASE(rearms_replaced_handlers),
    CASE(chains_faults_of_other_threads),
    CASE(interrupts_an_endless_loop),
    CASE(a_thread_above_interrupts_on_one_processor),
    CASE(the_core_ends_an_endless_loop),
    CASE(interrupt_outside_a_program_is_harmless),
    {NULL, NULL, false},
};
