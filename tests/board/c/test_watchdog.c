/* SPDX-License-Identifier: MIT */
/* The watchdog's looks, one after the other, on a platform that is a script. */
#include "watchdog.h"

#include <errno.h>

#include "fault.h"
#include "harness.h"

#define MS INT64_C(1000000)
#define MAX_LOOKS 20

static struct watchdog watchdog;
static struct watch watched, other;
static atomic_bool ending;
static void (*body)(void *argument);
static int64_t clock_ns;
static int interrupts, looks_so_far, gave_up, kicks;

/* What a scenario chooses. */
static int periodic_error, wait_error, interrupt_error;
static int stopped_at; /* the process lies still for 10 s before this look */
static int ends_at;    /* the cycle ends before this look */

static void reset(void)
{
    memset(&watchdog, 0, sizeof watchdog);
    memset(&watched, 0, sizeof watched);
    memset(&other, 0, sizeof other);
    atomic_store(&ending, false);
    clock_ns = 1000 * MS;
    interrupts = looks_so_far = gave_up = kicks = periodic_error = wait_error = interrupt_error = 0;
    stopped_at = ends_at = MAX_LOOKS + 1;
}

int64_t platform_now_ns(void)
{
    return clock_ns;
}

int platform_thread_start(struct platform_thread **thread, const struct platform_schedule *schedule,
                          void (*started)(void *argument), void *argument,
                          struct platform_actual *actual)
{
    (void)schedule;
    (void)argument;
    (void)actual;
    *thread = NULL;
    body = started;
    return 0;
}

int platform_thread_join(struct platform_thread *thread, int64_t timeout_ns)
{
    (void)thread;
    (void)timeout_ns;
    return 0;
}

int platform_kick(struct platform_thread *thread)
{
    (void)thread;
    kicks++;
    return 0;
}

int platform_interrupt(struct platform_thread *thread)
{
    (void)thread;
    interrupts++;
    return interrupt_error;
}

int platform_periodic(struct platform_thread *self, int64_t first_ns, int64_t period_ns)
{
    (void)self;
    CHECK(first_ns > 0 && period_ns > 0);
    return periodic_error;
}

int platform_wait_period(struct platform_thread *self, int64_t *deadline_ns, uint32_t *skipped)
{
    (void)self;
    clock_ns += watchdog.step_ns;
    *deadline_ns = clock_ns;
    *skipped = 0;
    looks_so_far++;
    if (looks_so_far == stopped_at)
        clock_ns += 10000 * MS;
    if (looks_so_far == ends_at)
        watchdog_leave(&watched);
    if (looks_so_far == MAX_LOOKS)
        atomic_store(&watchdog.stop, true);
    return wait_error;
}

static void give_up(void *owner, struct watch *watch, int fault)
{
    CHECK(owner == &watchdog);
    CHECK(watch == &watched);
    CHECK_EQ(gave_up, 0);
    gave_up = fault;
    atomic_store(&watch->left, true); /* as the cycle does */
}

static int start(void)
{
    watchdog.give_up = give_up;
    watchdog.owner = &watchdog;
    watchdog.ending = &ending;
    watchdog.watches[watchdog.count++] = &watched;
    watched.interval_ns = 40 * MS;
    return watchdog_start(&watchdog, 50, 1000 * MS, MS);
}

static void attend(struct watch *watch)
{
    watchdog_attend(watch, (struct platform_thread *)watch); /* only its address counts */
}

/* With a cycle under way from the start. */
static void watch(void)
{
    watched.limit_ns = 100 * MS;
    CHECK_EQ(start(), 0);
    attend(&watched);
    watchdog_enter(&watched);
    body(&watchdog);
}

static void an_endless_cycle_is_interrupted_then_given_up(void)
{
    reset();
    watch();
    CHECK_EQ(interrupts, 1);
    CHECK_EQ(gave_up, FAULT_UNRESPONSIVE);
    CHECK_EQ(looks_so_far, 1 + 4 + 4); /* the first may come at any time of the cycle */
}

static void one_that_cannot_be_interrupted_is_given_up_at_once(void)
{
    reset();
    interrupt_error = -ENOTSUP;
    watch();
    CHECK_EQ(looks_so_far, 1 + 4);
    CHECK_EQ(gave_up, FAULT_UNRESPONSIVE);
}

static void a_cycle_within_the_limit_is_left_alone(void)
{
    reset();
    ends_at = 1 + 4;
    watch();
    CHECK_EQ(interrupts, 0);
    CHECK_EQ(gave_up, 0);
}

static void the_time_the_process_was_stopped_does_not_count(void)
{
    reset();
    stopped_at = 2;
    ends_at = 4;
    watch();
    CHECK_EQ(interrupts, 0);
    CHECK_EQ(gave_up, 0);
}

static void without_a_clock_nothing_runs_unwatched(void)
{
    reset();
    periodic_error = -EINVAL;
    watch();
    CHECK_EQ(gave_up, FAULT_CLOCK);
    CHECK_EQ(looks_so_far, 0);
    reset();
    wait_error = -EINVAL;
    watch();
    CHECK_EQ(gave_up, FAULT_CLOCK);
    CHECK_EQ(interrupts, 0);
}

static void a_limit_too_short_to_look(void)
{
    reset();
    watched.limit_ns = 3;
    CHECK_EQ(start(), -EINVAL);
}

/* Between two cycles, for ever. */
static void rest(bool on_time)
{
    watched.limit_ns = 100 * MS;
    CHECK_EQ(start(), 0);
    attend(&watched);
    atomic_store(&watched.on_time, on_time);
    body(&watchdog);
}

static void a_task_that_is_not_released_is_given_up(void)
{
    reset();
    rest(true);
    CHECK_EQ(gave_up, FAULT_OMITTED);
    CHECK_EQ(interrupts, 0);                          /* there is nothing to interrupt */
    CHECK_EQ(looks_so_far, (100 + 40 + 24) / 25 + 1); /* longer than that */
}

static void one_without_real_time_may_wait(void)
{
    reset();
    rest(false);
    CHECK_EQ(gave_up, 0);
    CHECK_EQ(looks_so_far, MAX_LOOKS);
}

static void each_has_its_own_limit(void)
{
    reset();
    other.limit_ns = 400 * MS;
    watchdog.watches[watchdog.count++] = &other;
    watched.limit_ns = 100 * MS;
    CHECK_EQ(start(), 0);
    attend(&watched);
    attend(&other);
    watchdog_enter(&watched);
    watchdog_enter(&other); /* would be interrupted, too, some looks later */
    body(&watchdog);
    CHECK_EQ(gave_up, FAULT_UNRESPONSIVE);
    CHECK_EQ(interrupts, 1 + 1);
    CHECK_EQ(looks_so_far, MAX_LOOKS);
}

static void who_waits_is_woken_at_the_end(void)
{
    reset();
    atomic_store(&ending, true);
    rest(false);
    CHECK_EQ(kicks, MAX_LOOKS);
}

static void when_all_have_left_it_leaves(void)
{
    reset();
    watched.limit_ns = 100 * MS;
    CHECK_EQ(start(), 0);
    attend(&watched);
    atomic_store(&watched.left, true);
    body(&watchdog);
    CHECK_EQ(looks_so_far, 1);
}

int main(void)
{
    RUN(an_endless_cycle_is_interrupted_then_given_up);
    RUN(one_that_cannot_be_interrupted_is_given_up_at_once);
    RUN(a_cycle_within_the_limit_is_left_alone);
    RUN(the_time_the_process_was_stopped_does_not_count);
    RUN(without_a_clock_nothing_runs_unwatched);
    RUN(a_limit_too_short_to_look);
    RUN(a_task_that_is_not_released_is_given_up);
    RUN(one_without_real_time_may_wait);
    RUN(each_has_its_own_limit);
    RUN(who_waits_is_woken_at_the_end);
    RUN(when_all_have_left_it_leaves);
    return 0;
}
