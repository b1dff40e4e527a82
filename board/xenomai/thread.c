/* SPDX-License-Identifier: MIT */
/* thread.c - Xenomai tasks (alchemy skin) as platform.h wants them.
 *
 * One file for both cores: on Mercury a task is a POSIX thread and a period a POSIX timer, on
 * Cobalt both belong to the core. Nothing wakes a non-RT thread: start and join poll two flags.
 */
#define _GNU_SOURCE
#include "xenomai.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if XENOMAI_COBALT
#include <cobalt/uapi/kernel/thread.h>
#include <cobalt/uapi/signal.h>
#endif

#define MINIMUM_STACK_BYTES ((size_t)1 << 16)
#define GUARD_BYTES ((size_t)1 << 18)
#define POLL_NS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)
/* Cobalt programs its timer early by the latency it was calibrated to; Mercury never is. */
#define EARLY_NS (XENOMAI_COBALT ? INT64_C(100000) : INT64_C(0))

SR_RT int64_t platform_now_ns(void)
{
    return (int64_t)rt_timer_read();
}

void platform_poll_sleep(int64_t ns)
{
    struct timespec left = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
        ;
}

/* ---- in the task --------------------------------------------------------------------------- */

/* The low end of the task's stack becomes its alternate stack and a guard that a large frame
 * cannot jump over: the C library's own guard is one page. */
static int divide_stack(struct platform_thread *self)
{
    pthread_attr_t attributes;
    void *low = NULL;
    size_t size = 0;
    int error = -pthread_getattr_np(pthread_self(), &attributes);
    if (error != 0)
        return error;
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_destroy(&attributes);
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t first = ((uintptr_t)low + page - 1) & ~(page - 1);
    self->alternate = (char *)first;
    self->stack = self->alternate + POSIX_ALTERNATE_BYTES + GUARD_BYTES;
    self->memory_size = (size_t)((char *)low + size - self->stack);
    if (mprotect(self->alternate + POSIX_ALTERNATE_BYTES, GUARD_BYTES, PROT_NONE) != 0)
        return -errno;
    const stack_t alternate = {.ss_sp = self->alternate, .ss_size = POSIX_ALTERNATE_BYTES};
    sigaltstack(&alternate, NULL);
    return 0;
}

/* Whole again: the C library keeps the stacks of ended threads for new ones. */
static void join_stack(struct platform_thread *self)
{
    const stack_t none = {.ss_flags = SS_DISABLE};
    sigaltstack(&none, NULL);
    if (self->alternate != NULL)
        mprotect(self->alternate + POSIX_ALTERNATE_BYTES, GUARD_BYTES, PROT_READ | PROT_WRITE);
}

/* Without the privilege Mercury refuses here in silence, but would complain on stderr about a
 * task created with a priority. */
static void promote(const struct platform_thread *self)
{
    if (!XENOMAI_COBALT && self->schedule.priority > 0)
        (void)rt_task_set_priority(NULL, self->schedule.priority);
}

/* Cobalt's policy is the core's: Linux shows another one. */
static void read_back(struct platform_thread *self)
{
    const int wanted = self->schedule.priority;
    cpu_set_t set;
#if XENOMAI_COBALT
    RT_TASK_INFO info;
    if (rt_task_inquire(NULL, &info) == 0 && (info.stat.status & XNWEAK) == 0)
        self->actual.priority = info.prio;
#else
    struct sched_param parameter = {.sched_priority = 0};
    if ((syscall(SYS_sched_getscheduler, 0) & ~SCHED_RESET_ON_FORK) == SCHED_FIFO &&
        syscall(SYS_sched_getparam, 0, &parameter) == 0) {
        self->actual.priority = parameter.sched_priority;
        syscall(SYS_sched_setscheduler, 0, SCHED_FIFO | SCHED_RESET_ON_FORK, &parameter);
    }
#endif
    self->actual.real_time = wanted > 0 && self->actual.priority == wanted;
    if (self->schedule.cpu >= 0 && sched_getaffinity(0, sizeof set, &set) == 0 &&
        CPU_COUNT(&set) == 1 && CPU_ISSET((size_t)self->schedule.cpu, &set))
        self->actual.cpu = self->schedule.cpu;
}

#if XENOMAI_COBALT
static int mode_switches(RT_TASK *task, uint32_t *count)
{
    RT_TASK_INFO info;
    const int error = rt_task_inquire(task, &info);
    *count = error == 0 ? (uint32_t)info.stat.msw : 0;
    return error;
}
#endif

static void task_main(void *argument)
{
    struct xenomai_thread *self = argument;
    struct platform_thread *common = &self->common;
    sigset_t blocked;

    common->id = pthread_self();
    posix_faults_mask(&blocked);
#if XENOMAI_COBALT
    sigdelset(&blocked, SIGDEBUG);  /* the watchdog's */
    sigdelset(&blocked, SIGSHADOW); /* the core asks the thread to change its mode */
#endif
    pthread_sigmask(SIG_SETMASK, &blocked, NULL);
    prctl(PR_SET_NAME, common->schedule.name);
    prctl(PR_SET_TIMERSLACK, 1UL);
    int error = divide_stack(common);
    if (error == 0)
        error = posix_faults_enter(common);
    if (error == 0) {
        if (common->schedule.priority > 0)
            platform_prefault(common->stack, common->memory_size);
        promote(common);
        read_back(common);
        (void)platform_now_ns(); /* binds the clock's pages */
    } else {
        common->actual.priority = error; /* the starter sees it */
    }
    atomic_store_explicit(&self->ready, true, memory_order_release); /* start: acquire */
    if (error == 0)
        common->body(common->argument);
    posix_faults_leave();
    join_stack(common);
#if XENOMAI_COBALT
    uint32_t switches; /* who asks later cannot ask the core any more */
    (void)mode_switches(NULL, &switches);
    atomic_store_explicit(&self->last_switches, switches, memory_order_relaxed);
#endif
    atomic_store_explicit(&common->ended, true, memory_order_release); /* join: acquire */
}

/* ---- start and join ------------------------------------------------------------------------ */

static int create(struct xenomai_thread *thread, const char *name)
{
    const struct platform_schedule *want = &thread->common.schedule;
    const int priority = XENOMAI_COBALT ? want->priority : 0; /* Mercury: see promote */
    return rt_task_create(&thread->task, name,
                          (int)(want->stack_bytes + POSIX_ALTERNATE_BYTES + GUARD_BYTES), priority,
                          T_JOINABLE);
}

/* Names are unique in Xenomai, and a parked task keeps its own; it then gets a generated one
 * there (Linux shows the wanted one all the same). Cobalt serves its own threads only: one that
 * is not (init ran on another) becomes one, without priority, and stays it. */
static int create_anyhow(struct xenomai_thread *thread)
{
    int error = create(thread, thread->common.schedule.name);
    if (error == -EPERM && XENOMAI_COBALT && rt_task_shadow(NULL, NULL, 0, 0) == 0)
        error = create(thread, thread->common.schedule.name);
    if (error == -EEXIST)
        error = create(thread, NULL);
    return error;
}

int platform_thread_start(struct platform_thread **thread, const struct platform_schedule *schedule,
                          void (*body)(void *argument), void *argument,
                          struct platform_actual *actual)
{
    struct xenomai_thread *new = calloc(1, sizeof *new);
    sigset_t all;
    sigset_t before;
    if (new == NULL)
        return -ENOMEM;
    new->common.schedule = *schedule;
    if (schedule->stack_bytes < MINIMUM_STACK_BYTES)
        new->common.schedule.stack_bytes = MINIMUM_STACK_BYTES;
    new->common.body = body;
    new->common.argument = argument;
    new->common.actual.cpu = -1;
    if (schedule->priority > 0)
        platform_prefault(new, sizeof *new);
    sigfillset(&all); /* inherited, until the task sets its own mask */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = create_anyhow(new);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        free(new);
        return error;
    }
    if (schedule->cpu >= 0 && schedule->cpu < CPU_SETSIZE) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((size_t)schedule->cpu, &set);
        (void)rt_task_set_affinity(&new->task, &set); /* the task reads back what came of it */
    }
    *thread = &new->common; /* before the body runs: it may want to know itself */
    error = rt_task_start(&new->task, task_main, new);
    if (error != 0) {
        *thread = NULL;
        if (rt_task_delete(&new->task) == 0 && rt_task_join(&new->task) == 0)
            free(new);
        return error;
    }
    while (!atomic_load_explicit(&new->ready, memory_order_acquire)) /* task_main: release */
        platform_poll_sleep(POLL_NS / 10);
    if (new->common.actual.priority < 0) {
        error = new->common.actual.priority;
        *thread = NULL;
        (void)rt_task_join(&new->task);
        free(new);
        return error;
    }
    if (actual != NULL)
        *actual = new->common.actual;
    return 0;
}

/* rt_task_join has no timeout, so the end is awaited before. */
int platform_thread_join(struct platform_thread *thread, int64_t timeout_ns)
{
    struct xenomai_thread *self = xenomai_of(thread);
    const int64_t begin_ns = platform_now_ns();
    while (!atomic_load_explicit(&thread->ended, memory_order_acquire)) { /* task_main: release */
        if (timeout_ns >= 0 && platform_now_ns() - begin_ns >= timeout_ns)
            return -ETIMEDOUT;
        platform_poll_sleep(POLL_NS);
    }
    const int error = rt_task_join(&self->task);
    if (error == 0)
        free(self);
    return error;
}

/* ---- the period ---------------------------------------------------------------------------- */

/* A first release in the past is refused by Cobalt: the timer starts at the first one to come,
 * platform_wait_period counts those before it. */
SR_RT int platform_periodic(struct platform_thread *self, int64_t first_ns, int64_t period_ns)
{
    if (period_ns <= 0)
        return -EINVAL;
    int64_t start_ns = first_ns;
    int error = -ETIMEDOUT;
    for (int i = 0; i < 3 && error == -ETIMEDOUT; i++) { /* it may pass before the call */
        const int64_t late_ns = platform_now_ns() - start_ns;
        if (late_ns >= 0)
            start_ns += (late_ns / period_ns + 1) * period_ns;
        error = rt_task_set_periodic(NULL, (RTIME)start_ns, (RTIME)period_ns);
    }
    self->next_ns = first_ns;
    self->period_ns = period_ns;
    self->missed = 0;
#if XENOMAI_COBALT
    uint32_t switches; /* what starting cost does not count */
    (void)mode_switches(NULL, &switches);
    atomic_store_explicit(&xenomai_of(self)->switches, switches, memory_order_relaxed);
#endif
    return error;
}

/* A release that has passed is skipped, not served late, as on POSIX. What Xenomai then still
 * has pending makes rt_task_wait_period return at once, with -ETIMEDOUT and a count of overruns
 * or without; that count is not used, because debuggers hide parts of it: the clock decides. */
SR_RT int platform_wait_period(struct platform_thread *self, int64_t *deadline_ns,
                               uint32_t *skipped)
{
    const int64_t late_ns = platform_now_ns() - self->next_ns;
    if (late_ns > 0) {
        const int64_t missed = late_ns / self->period_ns + 1;
        self->next_ns += missed * self->period_ns;
        self->missed += missed;
    }
    do {
        if (atomic_exchange_explicit(&self->kicked, false, memory_order_relaxed))
            return -EINTR;
        const int error = rt_task_wait_period(NULL);
        if (error != 0 && error != -ETIMEDOUT && error != -EINTR)
            return error;
    } while (platform_now_ns() + EARLY_NS < self->next_ns);
    *deadline_ns = self->next_ns;
    *skipped = self->missed > UINT32_MAX ? UINT32_MAX : (uint32_t)self->missed;
    self->missed = 0;
    self->next_ns += self->period_ns;
    return 0;
}

/* A Linux signal ends a wait on both cores (Cobalt moves the thread to Linux for it). */
int platform_kick(struct platform_thread *thread)
{
    atomic_store_explicit(&thread->kicked, true, memory_order_relaxed);
    return -pthread_kill(thread->id, POSIX_ORDER_SIGNAL);
}

int platform_mode_switches(struct platform_thread *thread, uint32_t *count)
{
#if XENOMAI_COBALT
    struct xenomai_thread *self = xenomai_of(thread);
    *count = 0;
    if (!xenomai_counts_switches())
        return -ENOTSUP;
    int error = 0;
    if (atomic_load_explicit(&thread->ended, memory_order_acquire)) /* task_main: release */
        *count = atomic_load_explicit(&self->last_switches, memory_order_relaxed);
    else
        error = mode_switches(&self->task, count);
    if (error == -EPERM && rt_task_shadow(NULL, NULL, 0, 0) == 0)
        error = mode_switches(&self->task, count);
    if (error == 0)
        *count -= atomic_load_explicit(&self->switches, memory_order_relaxed);
    return error;
#else
    (void)thread;
    *count = 0;
    return -ENOTSUP;
#endif
}
