/* SPDX-License-Identifier: MIT */
/* thread.c - POSIX threads as platform.h wants them: SCHED_FIFO, absolute deadlines.
 *
 * The thread promotes itself, so that nothing is ever started with inherited real-time
 * attributes, and reads back what the kernel gave it. SCHED_RESET_ON_FORK keeps whatever the
 * program may start from inheriting the priority.
 */
#define _GNU_SOURCE
#include "posix.h"

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

/* A frame that is larger than the guard would jump over it; address space costs nothing. */
#define GUARD_BYTES (sizeof(void *) == 8 ? (size_t)1 << 20 : (size_t)1 << 18)
/* The C library takes the thread's static storage from the stack: little, but for sanitizers. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define MINIMUM_BYTES ((size_t)1 << 21)
#else
#define MINIMUM_BYTES ((size_t)1 << 16)
#endif
#define JOIN_POLL_NS INT64_C(200000)
#define NS_PER_S INT64_C(1000000000)

int platform_init(char *why, size_t why_size)
{
    if (why_size > 0)
        why[0] = '\0';
    return 0;
}

const char *platform_name(void)
{
    return "posix";
}

static struct timespec to_timespec(int64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
}

SR_RT int64_t platform_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static bool only_cpu(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) == 1 &&
           CPU_ISSET((size_t)cpu, &set);
}

/* Ask for the schedule, then read back what came of it. glibc's wrappers drop the reset flag. */
static void promote(struct platform_thread *self)
{
    const struct platform_schedule *want = &self->schedule;
    struct sched_param parameter = {.sched_priority = want->priority};
    self->actual = (struct platform_actual){.cpu = -1};
    if (want->cpu >= 0 && want->cpu < CPU_SETSIZE) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((size_t)want->cpu, &set);
        if (sched_setaffinity(0, sizeof set, &set) == 0 && only_cpu(want->cpu))
            self->actual.cpu = want->cpu;
    }
    if (want->priority > 0)
        syscall(SYS_sched_setscheduler, 0, SCHED_FIFO | SCHED_RESET_ON_FORK, &parameter);
    if ((syscall(SYS_sched_getscheduler, 0) & ~SCHED_RESET_ON_FORK) == SCHED_FIFO &&
        syscall(SYS_sched_getparam, 0, &parameter) == 0) {
        self->actual.priority = parameter.sched_priority;
        self->actual.real_time = want->priority > 0 && parameter.sched_priority == want->priority;
    }
}

static void *thread_main(void *argument)
{
    struct platform_thread *self = argument;
    const stack_t alternate = {.ss_sp = self->alternate, .ss_size = POSIX_ALTERNATE_BYTES};
    const stack_t none = {.ss_flags = SS_DISABLE};
    sigset_t blocked;

    prctl(PR_SET_NAME, self->schedule.name);
    prctl(PR_SET_TIMERSLACK, 1UL);
    sigaltstack(&alternate, NULL);
    if (posix_faults_enter(self) != 0)
        self->body = NULL; /* the starter sees an actual.priority of -1 */
    posix_faults_mask(&blocked);
    pthread_sigmask(SIG_SETMASK, &blocked, NULL);
    promote(self);
    if (self->body == NULL)
        self->actual.priority = -1;
    (void)platform_now_ns(); /* binds the clock's pages before the first cycle needs them */
    sem_post(&self->ready);
    if (self->body != NULL)
        self->body(self->argument);
    posix_faults_leave();
    sigaltstack(&none, NULL);
    atomic_store_explicit(&self->ended, true, memory_order_release);
    return NULL;
}

static int map_stacks(struct platform_thread *thread, size_t stack_bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const long least = sysconf(_SC_THREAD_STACK_MIN); /* 128 KiB on 64-bit ARM */
    if (stack_bytes < MINIMUM_BYTES)
        stack_bytes = MINIMUM_BYTES;
    if (least > 0 && stack_bytes < (size_t)least)
        stack_bytes = (size_t)least;
    stack_bytes = (stack_bytes + page - 1) & ~(page - 1);
    thread->schedule.stack_bytes = stack_bytes;
    thread->memory_size = 2 * GUARD_BYTES + POSIX_ALTERNATE_BYTES + stack_bytes;
    thread->memory = mmap(NULL, thread->memory_size, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (thread->memory == MAP_FAILED)
        return -errno;
    thread->alternate = thread->memory + GUARD_BYTES;
    thread->stack = thread->alternate + POSIX_ALTERNATE_BYTES + GUARD_BYTES;
    if (mprotect(thread->alternate, POSIX_ALTERNATE_BYTES, PROT_READ | PROT_WRITE) != 0 ||
        mprotect(thread->stack, stack_bytes, PROT_READ | PROT_WRITE) != 0) {
        int error = -errno;
        munmap(thread->memory, thread->memory_size);
        return error;
    }
    return 0;
}

static void release(struct platform_thread *thread)
{
    sem_destroy(&thread->ready);
    munmap(thread->memory, thread->memory_size);
    free(thread);
}

/* Created with every signal blocked and explicit non-RT attributes, whatever the caller has. */
static int create(struct platform_thread *thread)
{
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    int error = pthread_attr_init(&attributes);
    if (error != 0)
        return -error;
    error = pthread_attr_setstack(&attributes, thread->stack, thread->schedule.stack_bytes);
    if (error == 0)
        error = pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
    if (error == 0)
        error = pthread_attr_setschedpolicy(&attributes, SCHED_OTHER);
    if (error == 0) {
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        error = pthread_create(&thread->id, &attributes, thread_main, thread);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attributes);
    return -error;
}

int platform_thread_start(struct platform_thread **thread, const struct platform_schedule *schedule,
                          void (*body)(void *argument), void *argument,
                          struct platform_actual *actual)
{
    struct platform_thread *new = calloc(1, sizeof *new);
    if (new == NULL)
        return -ENOMEM;
    new->schedule = *schedule;
    new->body = body;
    new->argument = argument;
    int error = map_stacks(new, schedule->stack_bytes);
    if (error != 0) {
        free(new);
        return error;
    }
    sem_init(&new->ready, 0, 0);
    if (schedule->priority > 0) {
        platform_prefault(new, sizeof *new);
        platform_prefault(new->alternate, POSIX_ALTERNATE_BYTES);
        platform_prefault(new->stack, new->schedule.stack_bytes);
    }
    *thread = new; /* before the body runs: it may want to know itself */
    error = create(new);
    if (error != 0) {
        *thread = NULL;
        release(new);
        return error;
    }
    while (sem_wait(&new->ready) != 0)
        ; /* EINTR: Python's signals end here too */
    if (new->actual.priority < 0) {
        pthread_join(new->id, NULL);
        *thread = NULL;
        release(new);
        return -EAGAIN;
    }
    if (actual != NULL)
        *actual = new->actual;
    return 0;
}

/* Polling: a join with a timeout on the monotonic clock is new in glibc and absent elsewhere. */
int platform_thread_join(struct platform_thread *thread, int64_t timeout_ns)
{
    const int64_t begin_ns = platform_now_ns();
    while (!atomic_load_explicit(&thread->ended, memory_order_acquire)) { /* thread_main: release */
        if (timeout_ns >= 0 && platform_now_ns() - begin_ns >= timeout_ns)
            return -ETIMEDOUT;
        platform_poll_sleep(JOIN_POLL_NS);
    }
    const int error = pthread_join(thread->id, NULL);
    if (error != 0)
        return -error;
    release(thread);
    return 0;
}

SR_RT int platform_periodic(struct platform_thread *self, int64_t first_ns, int64_t period_ns)
{
    if (period_ns <= 0)
        return -EINVAL;
    self->next_ns = first_ns;
    self->period_ns = period_ns;
    self->missed = 0;
    return 0;
}

SR_RT int platform_wait_period(struct platform_thread *self, int64_t *deadline_ns,
                               uint32_t *skipped)
{
    const int64_t late_ns = platform_now_ns() - self->next_ns;
    if (late_ns > 0) {
        const int64_t missed = late_ns / self->period_ns + 1;
        self->next_ns += missed * self->period_ns;
        self->missed += missed;
    }
    const struct timespec until = to_timespec(self->next_ns);
    int error = EINTR;
    while (error == EINTR) {
        if (atomic_exchange_explicit(&self->kicked, false, memory_order_relaxed))
            return -EINTR;
        error = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    }
    if (error != 0)
        return -error;
    *deadline_ns = self->next_ns;
    *skipped = self->missed > UINT32_MAX ? UINT32_MAX : (uint32_t)self->missed;
    self->missed = 0;
    self->next_ns += self->period_ns;
    return 0;
}

SR_RT int platform_kick(struct platform_thread *thread)
{
    atomic_store_explicit(&thread->kicked, true, memory_order_relaxed);
    return -pthread_kill(thread->id, POSIX_ORDER_SIGNAL);
}

void platform_poll_sleep(int64_t ns)
{
    const struct timespec until = to_timespec(platform_now_ns() + ns);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

int platform_mode_switches(struct platform_thread *thread, uint32_t *count)
{
    (void)thread;
    *count = 0;
    return -ENOTSUP;
}
