/* SPDX-License-Identifier: MIT */
/* cycle_control.c - the worker's side of the cycle: prepared, started, stopped. cycle.c has what
 * the threads do meanwhile. */
#include "cycle_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STACK_BYTES ((size_t)1 << 18)
#define TASK_LOG_RING_BYTES (1u << 12)
#define POLL_NS INT64_C(1000000)
#define WATCHDOG_MIN_NS INT64_C(100000000)
#define LONGEST_LIMIT_NS (INT64_MAX / 4)
#define LEAD_NS INT64_C(10000000)

int cycle_create(struct cycle **cycle, const struct cycle_parts *parts, sr_prefault prefault)
{
    struct cycle *new = calloc(1, sizeof *new);
    if (new == NULL)
        return -ENOMEM;
    new->parts = *parts;
    new->prefault = prefault;
    handover_init(&new->changes);
    if (prefault != NULL)
        prefault(new, sizeof *new);
    *cycle = new;
    return 0;
}

void cycle_destroy(struct cycle *cycle)
{
    if (cycle == NULL)
        return;
    cycle_forget(cycle);
    for (uint32_t i = 0; i < PROGRAM_MAX_THREADS; i++)
        log_destroy(cycle->seats[i].log);
    free(cycle);
}

/* ---- the program --------------------------------------------------------------------------- */

/* A ring has one writer, so every thread has its own; they stay, with what was not taken yet. */
static int create_logs(struct cycle *cycle)
{
    for (uint32_t i = 0; i < cycle->program->thread_count; i++) {
        struct log **log = &cycle->seats[i].log;
        const int error = *log == NULL ? log_create(log, TASK_LOG_RING_BYTES, cycle->prefault) : 0;
        if (error != 0)
            return error;
    }
    return 0;
}

void cycle_load(struct cycle *cycle, struct program *program)
{
    cycle_forget(cycle);
    cycle->program = program;
}

void cycle_forget(struct cycle *cycle)
{
    program_destroy(cycle->program);
    cycle->program = NULL;
    cycle->runner_count = 0;
}

struct program *cycle_program(const struct cycle *cycle)
{
    return cycle->program;
}

struct log *cycle_task_log(const struct cycle *cycle, uint32_t n)
{
    return n < PROGRAM_MAX_THREADS ? cycle->seats[n].log : NULL;
}

struct stats *cycle_task_stats(const struct cycle *cycle, uint32_t number)
{
    const struct program *program = cycle->program;
    for (uint32_t i = 0; program != NULL && i < program->task_count; i++) {
        if (program->tasks[i].number == number)
            return program->tasks[i].stats;
    }
    return NULL;
}

/* A task without a thread of its own runs on that of the scan. */
int cycle_mode_switches(const struct cycle *cycle, uint32_t number, uint32_t *count)
{
    const struct runner *runner = &cycle->runners[0];
    if (cycle->runner_count == 0)
        return -ESRCH;
    for (uint32_t i = 1; i < cycle->runner_count; i++) {
        if (cycle->runners[i].task->number == number)
            runner = &cycle->runners[i];
    }
    if (runner->thread != NULL)
        return platform_mode_switches(runner->thread, count);
    *count = runner->mode_switches;
    return runner->counted;
}

/* ---- the start ----------------------------------------------------------------------------- */

/* Releases lie on a fixed grid of the clock, a quarter of a tick off its full ticks: there the
 * kernel's own timer runs, and others like us. */
static int64_t next_release(int64_t grid_ns)
{
    const int64_t soon_ns = platform_now_ns() + LEAD_NS;
    return soon_ns - soon_ns % grid_ns + grid_ns + grid_ns / 4;
}

/* How many steps below the scan; tasks of one IEC priority share a step. */
static int steps_below(const struct program *program, const struct program_task *task)
{
    const struct program_task *last = NULL;
    int steps = 0;
    for (uint32_t i = 0; i < program->task_count; i++) {
        const struct program_task *other = &program->tasks[i];
        if (other->sets == NULL)
            continue;
        if (last == NULL || last->task->priority != other->task->priority)
            steps++;
        last = other;
        if (other == task)
            break;
    }
    return steps;
}

int cycle_least_priority(const struct cycle *cycle)
{
    const int steps = steps_below(cycle->program, NULL);
    return steps > 0 ? steps + 1 : 0;
}

SR_RT static int64_t watchdog_time(const struct cycle_rules *rules, int64_t period_ns)
{
    if (rules->watchdog_ns > 0)
        return rules->watchdog_ns;
    return period_ns * 10 > WATCHDOG_MIN_NS ? period_ns * 10 : WATCHDOG_MIN_NS;
}

void cycle_pace(struct runner *runner, int64_t period_ns)
{
    const struct cycle_rules *rules = &runner->cycle->rules;
    const int64_t time_ns = watchdog_time(rules, period_ns);
    runner->period_ns = period_ns;
    runner->time_ns = time_ns;
    runner->watch.limit_ns = time_ns < LONGEST_LIMIT_NS / rules->sensitivity
                                 ? time_ns * rules->sensitivity
                                 : LONGEST_LIMIT_NS;
    runner->watch.interval_ns = period_ns;
}

static void prepare_runner(struct cycle *cycle, struct program_task *task)
{
    const uint32_t lane = cycle->runner_count++;
    struct runner *runner = &cycle->runners[lane];
    const int64_t period_ns =
        task != NULL ? (int64_t)task->task->interval_ns : cycle->program->base_ns;
    runner->cycle = cycle;
    runner->task = task;
    runner->thread = NULL;
    runner->seat = task != NULL ? &cycle->seats[lane - 1] : &host_first;
    runner->lane = lane;
    runner->every = task != NULL ? task->every : 1;
    cycle_pace(runner, period_ns);
    runner->tick = 0;
    runner->begun = false;
    runner->ahead_ns = 0;
    atomic_store_explicit(&runner->stays, false, memory_order_relaxed);
    runner->long_cycles = runner->late_cycles = 0;
    atomic_store_explicit(&runner->current, task, memory_order_relaxed);
    cycle->watchdog.watches[lane] = &runner->watch;
    cycle->watchdog.count = cycle->runner_count;
    if (task == NULL) {
        snprintf(runner->name, sizeof runner->name, "plc-scan");
        return;
    }
    snprintf(runner->name, sizeof runner->name, "plc-task-%u", (unsigned)task->number);
    runner->seat->why_not = "a task with a thread of its own has Python code evaluated, which only "
                            "the others can: see docs/tasks.md";
}

/* Lanes count the tasks with threads in this order too. */
static void prepare_runners(struct cycle *cycle)
{
    struct program *program = cycle->program;
    cycle->runner_count = 0;
    prepare_runner(cycle, NULL);
    for (uint32_t i = 0; i < program->task_count; i++) {
        if (program->tasks[i].sets != NULL)
            prepare_runner(cycle, &program->tasks[i]);
    }
}

static void prepare(struct cycle *cycle, const struct cycle_rules *rules)
{
    cycle->rules = *rules;
    program_begin(cycle->program);
    prepare_runners(cycle);
    cycle->recording_ns = 0;
    cycle->change = NULL;
    cycle->estranged = false;
    stats_begin(cycle->parts.stats, cycle->program->base_ns, cycle->parts.recorder);
    memset(cycle->inputs, 0, sizeof cycle->inputs);
    memset(cycle->outputs, 0, sizeof cycle->outputs);
    atomic_store_explicit(&cycle->last_tick, 0, memory_order_relaxed);
    atomic_store_explicit(&cycle->origin_known, false, memory_order_relaxed);
    atomic_store_explicit(&cycle->stop, false, memory_order_relaxed);
    atomic_store_explicit(&cycle->alive, cycle->runner_count, memory_order_relaxed);
    atomic_store_explicit(&cycle->state, CYCLE_RUNNING, memory_order_relaxed);
    cycle->release_ns = next_release(cycle_grid_ns(cycle->program->base_ns));
    cycle->watchdog.give_up = cycle_give_up;
    cycle->watchdog.owner = cycle;
    cycle->watchdog.ending = &cycle->stop;
}

static int start_runner(struct runner *runner, struct platform_schedule schedule,
                        struct platform_actual *actual)
{
    const struct cycle *cycle = runner->cycle;
    schedule.name = runner->name;
    schedule.stack_bytes = STACK_BYTES;
    if (runner->task != NULL) {
        schedule.cpu = cycle->rules.task_cpu;
        if (schedule.priority > 0)
            schedule.priority -= steps_below(cycle->program, runner->task);
    }
    const int error = platform_thread_start(&runner->thread, &schedule, cycle_main, runner, actual);
    if (error == 0) /* relaxed: it decides about nothing but a fault */
        atomic_store_explicit(&runner->watch.on_time,
                              actual->real_time && cycle->parts.io->await == NULL,
                              memory_order_relaxed);
    return error;
}

/* All that were started but those that stay; after the watchdog, which might yet touch them. */
static int join_runners(struct cycle *cycle)
{
    int error = 0;
    for (uint32_t i = 0; i < cycle->runner_count; i++) {
        struct runner *runner = &cycle->runners[i];
        if (runner->thread == NULL || atomic_load_explicit(&runner->stays, memory_order_relaxed))
            continue;
        const int failed = platform_thread_join(runner->thread, -1);
        error = failed != 0 ? failed : error;
        runner->thread = NULL;
    }
    return error;
}

/* Before it is woken to leave, which is a mode switch of its own. */
static void keep_mode_switches(struct cycle *cycle)
{
    for (uint32_t i = 0; i < cycle->runner_count; i++) {
        struct runner *runner = &cycle->runners[i];
        if (runner->thread != NULL)
            runner->counted = platform_mode_switches(runner->thread, &runner->mode_switches);
    }
}

static void wake_runners(struct cycle *cycle)
{
    for (uint32_t i = 0; i < cycle->runner_count; i++) {
        if (cycle->runners[i].thread != NULL)
            (void)platform_kick(cycle->runners[i].thread);
    }
}

/* The scan last: it fixes tick 0, for which the tasks wait. */
static int start_runners(struct cycle *cycle, const struct platform_schedule *schedule,
                         struct platform_actual *actual)
{
    for (uint32_t i = cycle->runner_count; i-- > 0;) {
        const int error = start_runner(&cycle->runners[i], *schedule, actual);
        if (error != 0)
            return error;
    }
    return 0;
}

int cycle_start(struct cycle *cycle, const struct platform_schedule *schedule,
                const struct cycle_rules *rules, struct platform_actual *actual)
{
    struct platform_actual ignored;
    if (schedule->priority > 0 && schedule->priority < cycle_least_priority(cycle))
        return -ERANGE;
    int error = create_logs(cycle);
    if (error != 0)
        return error;
    prepare(cycle, rules);
    /* The watchdog first: on one processor nobody could start it beside an endless first cycle. */
    error = watchdog_start(&cycle->watchdog, schedule->priority, cycle->release_ns,
                           cycle->program->base_ns);
    if (error == 0)
        error = start_runners(cycle, schedule, actual != NULL ? actual : &ignored);
    if (error != 0) {
        atomic_store_explicit(&cycle->stop, true, memory_order_relaxed);
        wake_runners(cycle);
        watchdog_stop(&cycle->watchdog);
        (void)join_runners(cycle);
        atomic_store_explicit(&cycle->state, CYCLE_IDLE, memory_order_relaxed);
    }
    return error;
}

/* ---- the end ------------------------------------------------------------------------------- */

int cycle_stop(struct cycle *cycle)
{
    keep_mode_switches(cycle);
    atomic_store_explicit(&cycle->stop, true, memory_order_relaxed);
    while (cycle_state(cycle) == CYCLE_RUNNING) {
        wake_runners(cycle);
        platform_poll_sleep(POLL_NS);
    }
    watchdog_stop(&cycle->watchdog); /* before the threads it watches are freed */
    const enum cycle_state state = cycle_state(cycle);
    if (state == CYCLE_IDLE)
        return 0;
    const int error = join_runners(cycle);
    if (state == CYCLE_FAULTED)
        return -EFAULT;
    atomic_store_explicit(&cycle->state, CYCLE_IDLE, memory_order_relaxed);
    return error;
}

enum cycle_state cycle_state(const struct cycle *cycle)
{
    return (enum cycle_state)atomic_load_explicit(&cycle->state, memory_order_acquire);
}

const struct fault *cycle_fault(const struct cycle *cycle)
{
    return &cycle->fault;
}

const _Atomic uint32_t *cycle_beat(const struct cycle *cycle)
{
    return &cycle->runners[0].watch.beat;
}

uint32_t cycle_tick(const struct cycle *cycle)
{
    return atomic_load_explicit(&cycle->last_tick, memory_order_relaxed);
}
