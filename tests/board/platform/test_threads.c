/* SPDX-License-Identifier: MIT */
/* test_threads.c - life of a thread, what it got, memory. */
#define _GNU_SOURCE
#include "conformance.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- life of a thread ---------------------------------------------------------------------- */

static void case_start_join(void)
{
    struct shared shared = {0};
    struct platform_actual actual = {0};
    for (int i = 1; i <= 20; i++) {
        start(&shared, body_count, 50, -1, &actual);
        join(&shared);
        CHECK_EQUAL(shared.number, i);
    }
    start(&shared, body_count, 0, -1, NULL); /* `actual` is optional */
    CHECK_EQUAL(platform_thread_join(atomic_load(&shared.self), -1), 0);
    CHECK_EQUAL(shared.number, 21);
}

static void case_stack_has_a_minimum(void)
{
    const struct platform_schedule schedule = {.name = "conformance", .cpu = -1, .stack_bytes = 0};
    struct shared shared = {0};
    struct platform_thread *thread = NULL;
    CHECK_EQUAL(platform_thread_start(&thread, &schedule, body_count, &shared, NULL), 0);
    CHECK_EQUAL(platform_thread_join(thread, JOIN_NS), 0);
    CHECK_EQUAL(shared.number, 1);
}

static void case_two_threads_of_one_name(void)
{
    struct shared first = {0}, second = {0};
    start(&first, body_wait_go, 50, -1, NULL);
    start(&second, body_wait_go, 51, -1, NULL);
    wait_for(&first.step, 1);
    wait_for(&second.step, 1);
    CHECK_EQUAL(platform_thread_join(atomic_load(&first.self), 5 * MS), -ETIMEDOUT);
    atomic_store(&second.go, 1);
    join(&second);
    atomic_store(&first.go, 1);
    join(&first);
}

static void body_park(void *argument)
{
    struct shared *shared = argument;
    struct platform_thread *self = self_of(shared);
    atomic_store(&shared->step, 1);
    platform_park(self);
}

static void case_join_times_out_on_a_parked_thread(void)
{
    struct shared parked = {0}, other = {0};
    start(&parked, body_park, 50, -1, NULL);
    wait_for(&parked.step, 1);
    int64_t before_ns = platform_now_ns();
    CHECK_EQUAL(platform_thread_join(atomic_load(&parked.self), 50 * MS), -ETIMEDOUT);
    CHECK(platform_now_ns() - before_ns >= 50 * MS);
    CHECK_EQUAL(platform_thread_join(atomic_load(&parked.self), 0), -ETIMEDOUT);
    start(&other, body_count, 50, -1, NULL); /* the process goes on, with a thread parked */
    join(&other);
    CHECK_EQUAL(other.number, 1);
}

/* ---- what the thread got ------------------------------------------------------------------- */

static struct {
    int policy, priority, cpus, cpu;
    sigset_t blocked;
    stack_t alternate;
    int slack;
} seen;

static void body_look(void *argument)
{
    struct sched_param param = {0};
    cpu_set_t set;
    (void)argument;
    seen.policy = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
    sched_getparam(0, &param);
    seen.priority = param.sched_priority;
    sched_getaffinity(0, sizeof set, &set);
    seen.cpus = CPU_COUNT(&set);
    seen.cpu = CPU_ISSET(0, &set) ? 0 : -1;
    pthread_sigmask(SIG_SETMASK, NULL, &seen.blocked);
    sigaltstack(NULL, &seen.alternate);
    seen.slack = prctl(PR_GET_TIMERSLACK);
}

static bool may_be_real_time(void)
{
    const struct sched_param fifo = {.sched_priority = 50}, other = {0};
    bool may = sched_setscheduler(0, SCHED_FIFO, &fifo) == 0;
    sched_setscheduler(0, SCHED_OTHER, &other);
    return may;
}

static void case_actual_policy_is_read_back(void)
{
    struct shared shared = {0};
    struct platform_actual actual = {0};
    start(&shared, body_look, 50, 0, &actual);
    join(&shared);
    if (strcmp(platform_name(), "cobalt") != 0) { /* Linux cannot see Cobalt's own policy */
        CHECK_EQUAL(actual.real_time, seen.policy == SCHED_FIFO && seen.priority == 50);
        CHECK_EQUAL(actual.priority, seen.priority);
    }
    if (may_be_real_time())
        CHECK(actual.real_time);
    if (actual.real_time)
        CHECK_EQUAL(actual.priority, 50);
    CHECK_EQUAL(seen.cpus, 1);
    CHECK_EQUAL(seen.cpu, 0);
    CHECK_EQUAL(actual.cpu, 0);

    start(&shared, body_look, 0, -1, &actual);
    join(&shared);
    CHECK_EQUAL(seen.policy, SCHED_OTHER);
    CHECK(!actual.real_time);
    CHECK_EQUAL(actual.priority, 0);
    CHECK_EQUAL(actual.cpu, -1);
}

static void case_signals_stack_and_slack(void)
{
    struct shared shared = {0};
    CHECK_EQUAL(platform_faults_arm(), 0);
    start(&shared, body_look, 50, -1, NULL);
    join(&shared);
    const int blocked[] = {SIGINT, SIGTERM, SIGHUP, SIGALRM, SIGCHLD, SIGUSR2};
    for (size_t i = 0; i < sizeof blocked / sizeof *blocked; i++)
        CHECK(sigismember(&seen.blocked, blocked[i]));
    const int open[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        CHECK(!sigismember(&seen.blocked, open[i]));
    CHECK(!(seen.alternate.ss_flags & SS_DISABLE));
    CHECK(seen.slack <= 1); /* newer kernels report 0 for a real-time thread */
}

/* Before platform_init: no capability, no rtprio limit. */
static void drop_privilege(void)
{
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_RTPRIO, &none);
    setrlimit(RLIMIT_MEMLOCK, &none);
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
        skip("setresuid: %m");
    prctl(PR_SET_DUMPABLE, 1); /* else /proc/self belongs to root */
}

static void case_without_privilege(void)
{
    struct shared shared = {0};
    struct platform_actual actual = {.real_time = true};
    bool all = true;
    char why[256];
    drop_privilege();
    if (platform_init(why, sizeof why) != 0)
        skip("refused without the privilege: %s", why);
    CHECK(platform_lock_memory(&all) != 0 || !all);
    start(&shared, body_look, 50, -1, &actual);
    join(&shared);
    CHECK_EQUAL(seen.policy, SCHED_OTHER);
    CHECK(!actual.real_time);
    CHECK_EQUAL(actual.priority, 0);
}

/* ---- memory and the rest ------------------------------------------------------------------- */

static void case_prefault_makes_pages_resident(void)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), size = 64 * page;
    bool all = false;
    char *region = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char resident[64] = {0};
    CHECK(region != MAP_FAILED);
    int locked = platform_lock_memory(&all);
    CHECK(locked == 0 || locked == -EPERM || locked == -ENOMEM);
    region[page] = 42;
    const int result = platform_prefault(region + 8, size - 16); /* need not be page aligned */
    /* Where the limit lets it not be locked, it is resident all the same. */
    CHECK(result == 0 || (!all && (result == -EPERM || result == -ENOMEM)));
    CHECK_EQUAL(region[page], 42); /* and keeps what is there */
    CHECK_EQUAL(mincore(region, size, resident), 0);
    for (int i = 0; i < 64; i++)
        CHECK(resident[i] & 1);
}

static void case_cpu_latency_is_held_and_released(void)
{
    int result = platform_hold_cpu_latency(0);
    if (result == -ENOENT || result == -EACCES || result == -EPERM)
        skip("/dev/cpu_dma_latency: %s", strerror(-result));
    CHECK_EQUAL(result, 0);
    CHECK_EQUAL(platform_hold_cpu_latency(20), 0); /* a new value replaces the old one */
    platform_release_cpu_latency();
    platform_release_cpu_latency();
}

/* Cycles, then, when it may, a call of Linux, and more cycles. */
static void body_switch(void *argument)
{
    struct shared *shared = argument;
    struct platform_thread *self = self_of(shared);
    int64_t deadline_ns;
    uint32_t skipped;
    bool switched = false;
    shared->result = platform_periodic(self, platform_now_ns() + 2 * MS, 2 * MS);
    while (shared->result == 0 && atomic_load(&shared->go) < 2) {
        shared->result = platform_wait_period(self, &deadline_ns, &skipped);
        if (atomic_load(&shared->go) == 1 && !switched) {
            switched = true;
            (void)syscall(SYS_getppid);
            atomic_store(&shared->step, 1000);
        }
        atomic_fetch_add(&shared->step, 1);
    }
}

static uint32_t switches_of(struct shared *shared)
{
    uint32_t count = 12345;
    CHECK_EQUAL(platform_mode_switches(atomic_load(&shared->self), &count), 0);
    return count;
}

static void case_mode_switches_are_counted_or_refused(void)
{
    struct shared shared = {0};
    uint32_t count = 12345;
    start(&shared, body_switch, 50, -1, NULL);
    wait_for(&shared.step, 20);
    const bool cobalt = strcmp(platform_name(), "cobalt") == 0;
    if (cobalt && platform_mode_switches(atomic_load(&shared.self), &count) == -ENOTSUP)
        skip("this kernel does not count: CONFIG_XENO_OPT_STATS is off");
    if (cobalt) {
        CHECK_EQUAL(switches_of(&shared), 0); /* none in twenty cycles */
        atomic_store(&shared.go, 1);
        wait_for(&shared.step, 1020);
        CHECK_EQUAL(switches_of(&shared), 1); /* so the counter is one that moves */
    } else {
        CHECK_EQUAL(platform_mode_switches(atomic_load(&shared.self), &count), -ENOTSUP);
        CHECK_EQUAL(count, 0);
    }
    atomic_store(&shared.go, 2);
    join(&shared);
    CHECK_EQUAL(shared.result, 0);
}

static char why_elsewhere[256];
static void *init_elsewhere(void *result)
{
    *(int *)result = platform_init(why_elsewhere, sizeof why_elsewhere);
    return NULL;
}

/* Allowed or refused, but with a sentence and without ending the process. */
static void case_init_off_the_main_thread(void)
{
    pthread_t thread;
    int result = 1;
    CHECK_EQUAL(pthread_create(&thread, NULL, init_elsewhere, &result), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    CHECK(result <= 0);
    CHECK((result == 0) == (why_elsewhere[0] == '\0'));
    if (strcmp(platform_name(), "posix") != 0)
        CHECK_EQUAL(result, -EPERM);
}

const struct conformance_case thread_cases[] = {
    CASE_BEFORE_INIT(init_off_the_main_thread),
    CASE(start_join),
    CASE(stack_has_a_minimum),
    CASE(two_threads_of_one_name),
    CASE(join_times_out_on_a_parked_thread),
    CASE(actual_policy_is_read_back),
    CASE(signals_stack_and_slack),
    CASE_BEFORE_INIT(without_privilege),
    CASE(prefault_makes_pages_resident),
    CASE(cpu_latency_is_held_and_released),
    CASE(mode_switches_are_counted_or_refused),
    {NULL, NULL, false},
};
