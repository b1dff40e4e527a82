/* SPDX-License-Identifier: MIT */
/* The watchdog's looks, one after the other, on a platform that is a script. */
#include "watchdog.h"

#include <errno.h>

#include "fault.h"
#include "harness.h"

#define MS INT64_C(1000000)
#define MAX_LOOKS 20

static struct watchdog watchdog;
static void (*body)(void *argument);
static int64_t clock_ns;
static int interrupts, look, gave_up;

/* What a scenario chooses. */
static int periodic_error, wait_error, interrupt_error;
static int stopped_at; /* the process lies still for 10 s before this look */
static int ends_at;    /* the cycle ends before this look */

static void reset(void)
{
    memset(&watchdog, 0, sizeof watchdog);
    clock_ns = 1000 * MS;
    interrupts = look = gave_up = periodic_error = wait_error = interrupt_error = 0;
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
    look++;
    if (look == stopped_at)
        clock_ns += 10000 * MS;
    if (look == ends_at)
        watchdog_leave(&watchdog);
    if (look == MAX_LOOKS)
        atomic_store(&watchdog.stop, true);
    return wait_error;
}

static void give_up(void *owner, int fault)
{
    CHECK(owner == &watchdog);
    CHECK_EQ(gave_up, 0);
    gave_up = fault;
}

/* With a cycle under way from the start. */
static void watch(void)
{
    watchdog.give_up = give_up;
    watchdog.owner = &watchdog;
    CHECK_EQ(watchdog_start(&watchdog, 50, 100 * MS, 1000 * MS, MS), 0);
    watchdog_attend(&watchdog, (struct platform_thread *)&watchdog); /* only its address counts */
    watchdog_enter(&watchdog);
    body(&watchdog);
}

static void an_endless_cycle_is_interrupted_then_given_up(void)
{
    reset();
    watch();
    CHECK_EQ(interrupts, 1);
    CHECK_EQ(gave_up, FAULT_UNRESPONSIVE);
    CHECK_EQ(look, 1 + 4 + 4); /* the first may come at any time of the cycle */
}

static void one_that_cannot_be_interrupted_is_given_up_at_once(void)
{
    reset();
    interrupt_error = -ENOTSUP;
    watch();
    CHECK_EQ(look, 1 + 4);
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
    CHECK_EQ(look, 0);
    reset();
    wait_error = -EINVAL;
    watch();
    CHECK_EQ(gave_up, FAULT_CLOCK);
    CHECK_EQ(interrupts, 0);
}

static void a_limit_too_short_to_look(void)
{
    reset();
    CHECK_EQ(watchdog_start(&watchdog, 50, 3, 1000 * MS, MS), -EINVAL);
}

int main(void)
{
    RUN(an_endless_cycle_is_interrupted_then_given_up);
    RUN(one_that_cannot_be_interrupted_is_given_up_at_once);
    RUN(a_cycle_within_the_limit_is_left_alone);
    RUN(the_time_the_process_was_stopped_does_not_count);
    RUN(without_a_clock_nothing_runs_unwatched);
    RUN(a_limit_too_short_to_look);
    return 0;
}
