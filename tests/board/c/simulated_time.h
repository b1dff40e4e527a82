/* SPDX-License-Identifier: MIT */
/* simulated_time.h - a platform whose clock is a number: days pass in seconds, and every run is the
 * same. The real backend's clock, period and wait (posix/thread.c) on it.
 *
 * Threads are real, but only one at a time runs; it hands over when it sleeps, to the one whose
 * time comes first, of several the one of highest priority. So time passes nowhere but in a sleep,
 * and in `work`, where others may run too, as on another processor.
 */
#ifndef SIMULATED_TIME_H
#define SIMULATED_TIME_H

#include <errno.h>
#include <setjmp.h>
#include <time.h>

#include "harness.h"
#include "platform.h"

static int sim_gettime(clockid_t clock, struct timespec *now);
static int sim_nanosleep(clockid_t clock, int flags, const struct timespec *until, void *rest);
void unused_sleep(int64_t ns);

#define platform_thread_start unused_start
#define platform_thread_join unused_join
#define platform_poll_sleep unused_sleep
#define platform_kick unused_kick
#define clock_gettime sim_gettime
#define clock_nanosleep sim_nanosleep
#include "posix/thread.c"
#undef platform_thread_start
#undef platform_thread_join
#undef platform_poll_sleep
#undef platform_kick
#undef clock_gettime
#undef clock_nanosleep

#define MS INT64_C(1000000)
#define S INT64_C(1000000000)
#define SIM_THREADS 16

struct sim_thread {
    struct platform_thread common; /* first */
    pthread_cond_t turn;
    pthread_t id;
    int64_t wake_ns;
    bool ended, woken, used;
    struct platform_actual actual;
};

static struct sim_thread sim_threads[SIM_THREADS]; /* the first is the worker, who runs main */
static struct sim_thread *sim_current = &sim_threads[0];
static pthread_mutex_t sim_lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t sim_now_ns = 1000 * S;
static int64_t sim_oversleep_ns; /* up to so much, at random */
static uint32_t sim_random = 1;
static bool sim_real_time = true;

static struct sim_thread *sim_next(void)
{
    struct sim_thread *next = NULL;
    for (int i = SIM_THREADS - 1; i >= 0; i--) {
        struct sim_thread *each = &sim_threads[i];
        if ((!each->used && i != 0) || each->ended)
            continue;
        if (next == NULL || each->wake_ns < next->wake_ns ||
            (each->wake_ns == next->wake_ns &&
             each->common.schedule.priority > next->common.schedule.priority))
            next = each;
    }
    return next;
}

static void sim_hand_over(struct sim_thread *me)
{
    struct sim_thread *next = sim_next();
    if (next->wake_ns > sim_now_ns)
        sim_now_ns = next->wake_ns;
    sim_current = next;
    if (next != me)
        pthread_cond_signal(&next->turn);
    while (sim_current != me && !me->ended)
        pthread_cond_wait(&me->turn, &sim_lock);
}

/* Until then; 0, or EINTR when it was kicked. */
static int sim_sleep_until(int64_t until_ns)
{
    struct sim_thread *me = sim_current;
    pthread_mutex_lock(&sim_lock);
    me->woken = false;
    me->wake_ns = until_ns > sim_now_ns ? until_ns : sim_now_ns;
    sim_hand_over(me);
    pthread_mutex_unlock(&sim_lock);
    return me->woken ? EINTR : 0;
}

static int sim_gettime(clockid_t clock, struct timespec *now)
{
    CHECK_EQ(clock,
             CLOCK_MONOTONIC); /* what is set by hand or by a time server matters to nobody */
    *now = to_timespec(sim_now_ns);
    return 0;
}

static int sim_nanosleep(clockid_t clock, int flags, const struct timespec *until, void *rest)
{
    const int64_t late_ns =
        sim_oversleep_ns > 0 ? (int64_t)next_random(&sim_random) % sim_oversleep_ns : 0;
    CHECK_EQ(clock, CLOCK_MONOTONIC);
    CHECK_EQ(flags, TIMER_ABSTIME);
    CHECK(rest == NULL);
    return sim_sleep_until((int64_t)until->tv_sec * S + until->tv_nsec + late_ns);
}

static void *sim_main(void *argument)
{
    struct sim_thread *me = argument;
    pthread_mutex_lock(&sim_lock);
    while (sim_current != me)
        pthread_cond_wait(&me->turn, &sim_lock);
    pthread_mutex_unlock(&sim_lock);
    me->common.body(me->common.argument);
    pthread_mutex_lock(&sim_lock);
    me->ended = true;
    sim_hand_over(me);
    pthread_mutex_unlock(&sim_lock);
    return NULL;
}

int platform_thread_start(struct platform_thread **thread, const struct platform_schedule *schedule,
                          void (*body)(void *argument), void *argument,
                          struct platform_actual *actual)
{
    struct sim_thread *new = &sim_threads[1];
    while (new->used)
        new ++;
    CHECK(new < sim_threads + SIM_THREADS);
    memset(new, 0, sizeof *new);
    new->common.schedule = *schedule;
    new->common.body = body;
    new->common.argument = argument;
    pthread_cond_init(&new->turn, NULL);
    new->wake_ns = sim_now_ns;
    new->used = true;
    *thread = &new->common;
    if (actual != NULL)
        *actual = (struct platform_actual){.real_time = sim_real_time, .cpu = -1};
    new->id = spawn(sim_main, new);
    return 0;
}

int platform_thread_join(struct platform_thread *thread, int64_t timeout_ns)
{
    struct sim_thread *ended = (struct sim_thread *)thread;
    (void)timeout_ns;
    while (!ended->ended)
        (void)sim_sleep_until(sim_now_ns + MS);
    join(ended->id);
    ended->used = false;
    return 0;
}

void platform_poll_sleep(int64_t ns)
{
    (void)sim_sleep_until(sim_now_ns + ns);
}

int platform_kick(struct platform_thread *thread)
{
    struct sim_thread *kicked = (struct sim_thread *)thread;
    atomic_store(&thread->kicked, true);
    if (!kicked->ended) {
        kicked->wake_ns = sim_now_ns;
        kicked->woken = true;
    }
    return 0;
}

/* ---- faults --------------------------------------------------------------------------------- */

int platform_interrupt(struct platform_thread *thread)
{
    atomic_store(&thread->interrupted, true);
    ((struct sim_thread *)thread)->wake_ns = sim_now_ns;
    return 0;
}

int platform_protect(struct platform_thread *self, void (*body)(void *argument), void *argument,
                     struct platform_fault *fault)
{
    if (sigsetjmp(self->jump, 0) != 0) {
        *fault = (struct platform_fault){.signal = 99}; /* the watchdog's */
        return -EFAULT;
    }
    atomic_store(&self->interrupted, false);
    body(argument);
    return 0;
}

void platform_abandon(struct platform_thread *self)
{
    siglongjmp(self->jump, 1);
}

void platform_park(struct platform_thread *self)
{
    struct sim_thread *me = (struct sim_thread *)self;
    pthread_mutex_lock(&sim_lock);
    me->ended = true;
    sim_hand_over(me);
    pthread_mutex_unlock(&sim_lock);
    pthread_exit(NULL);
}

void platform_keep(struct platform_thread *self, void *mine)
{
    (void)self;
    (void)mine;
}

void *platform_kept(void)
{
    return NULL;
}

int platform_prefault(void *region, size_t size)
{
    (void)region;
    (void)size;
    return 0;
}

int posix_faults_enter(struct platform_thread *self)
{
    (void)self;
    return 0;
}

void posix_faults_leave(void)
{
}

void posix_faults_mask(sigset_t *blocked)
{
    (void)blocked;
}

/* What a program does for so long; the watchdog may end it. */
static void work(int64_t ns)
{
    struct sim_thread *me = sim_current;
    (void)sim_sleep_until(sim_now_ns + ns);
    if (atomic_load(&me->common.interrupted))
        platform_abandon(&me->common);
}

#endif
