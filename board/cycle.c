/* SPDX-License-Identifier: MIT */
/* cycle.c - what the real-time threads of a program do, in order.
 *
 * cycle_main is such a thread, run_cycles its loop, scan_once or run_task_once one round of it.
 * Everything they call is marked SR_RT: it takes memory that was allocated and touched before,
 * never waits but in platform_wait_period, and talks to other threads through rings, exchanges and
 * atomics only. No thread waits for another, so none can hold up one of higher priority.
 *
 * The scan runs at the base tick, the greatest common divisor of the tasks' intervals: it moves
 * inputs and outputs, and runs the due tasks one after the other, by IEC priority, but for those
 * that have threads of their own. These run at their own intervals, below the scan; all releases
 * lie on one grid, multiples of the base tick from tick 0 on. A cycle that takes too long costs
 * whole periods: they are skipped and counted, the phase is kept, and a task of the scan that
 * became due in a skipped tick runs in the next one.
 *
 * cycle_control.c has the worker's side: it starts the threads and ends them.
 */
#include "cycle_parts.h"

#include "iec.h"

#include <errno.h>

#define LONGEST_GRID_NS INT64_C(10000000)
/* How often a task looks whether the scan has fixed tick 0, and what that leaves it at least. */
#define GATE_NS INT64_C(1000000)
#define GATE_LEAD_NS INT64_C(5000000)

/* ---- the scan -------------------------------------------------------------------------------- */

SR_RT static void take_sets(const struct program *program)
{
    for (uint32_t i = 0; program->thread_count > 0 && i < program->task_count; i++) {
        if (program->tasks[i].sets != NULL)
            task_sets_take(program->tasks[i].sets);
    }
}

SR_RT static void load_inputs(struct cycle *cycle, int64_t now_ns)
{
    const struct image_located_list list = cycle->program->inputs;
    cycle->parts.io->read(cycle->parts.io_state, cycle->inputs, now_ns);
    for (uint32_t i = 0; i < list.count; i++)
        force_write_input(list.items[i].variable, &list.items[i].location, cycle->inputs);
}

SR_RT static void carry_copies(const struct program *program)
{
    for (uint32_t i = 0; i < program->copies.count; i++) {
        const struct image_copy *copy = &program->copies.items[i];
        if (!force_is_set(copy->to))
            iec_copy(copy->to->address, copy->from->address,
                     iec_size(copy->to->type, copy->to->capacity));
    }
}

SR_RT static void give_sets(const struct cycle *cycle)
{
    const struct program *program = cycle->program;
    for (uint32_t i = 0; program->thread_count > 0 && i < program->task_count; i++) {
        if (program->tasks[i].sets != NULL)
            task_sets_give(program->tasks[i].sets, cycle->inputs);
    }
}

/* Returns when the last one ended. */
SR_RT static int64_t run_due_tasks(struct runner *self, int64_t deadline_ns, int64_t began_ns)
{
    struct program *program = self->cycle->program;
    int64_t start_ns = began_ns;
    for (uint32_t i = 0; i < program->task_count; i++) {
        struct program_task *due = &program->tasks[i];
        const uint32_t late = self->tick - due->next; /* wraps with the tick */
        if (late > INT32_MAX || due->sets != NULL)
            continue;
        due->next += (late / due->every + 1) * due->every;
        const struct sr_cycle now = {.tick = self->tick,
                                     .size = sizeof now,
                                     .time_ns = deadline_ns + self->ahead_ns,
                                     .interval_ns = (int64_t)due->task->interval_ns};
        atomic_store_explicit(&self->current, due, memory_order_relaxed);
        due->task->run(&now);
        const int64_t end_ns = platform_now_ns();
        due->ran = true;
        due->run =
            (struct stats_sample){.release_ns = deadline_ns - late % due->every * program->base_ns,
                                  .start_ns = start_ns,
                                  .end_ns = end_ns,
                                  .shim_ns = -1,
                                  .skipped = late / due->every,
                                  .tick = self->tick};
        start_ns = end_ns;
    }
    atomic_store_explicit(&self->current, NULL, memory_order_relaxed);
    return start_ns;
}

SR_RT static void store_outputs(struct cycle *cycle, uint32_t tick)
{
    const struct image_located_list list = cycle->program->outputs;
    for (uint32_t i = 0; i < list.count; i++)
        location_store(&list.items[i].location, list.items[i].variable->address, cycle->outputs);
    cycle->parts.io->write(cycle->parts.io_state, cycle->outputs, tick);
}

/* Behind all else, so that nobody's outputs wait for it. */
SR_RT static void record_figures(struct cycle *cycle, struct program *program,
                                 struct stats_sample *sample)
{
    int64_t longest_ns = 0;
    for (uint32_t i = 0; i < program->task_count; i++) {
        struct program_task *task = &program->tasks[i];
        if (!task->ran)
            continue;
        task->ran = false;
        stats_record(task->stats, &task->run);
        if (task->run.end_ns - task->run.start_ns >= longest_ns) {
            longest_ns = task->run.end_ns - task->run.start_ns;
            sample->task = task->number;
        }
    }
    stats_record(cycle->parts.stats, sample);
    cycle->recording_ns = platform_now_ns() - sample->end_ns;
}

/* One scan: what the tasks with threads have published, inputs, copies, forces, what goes to those
 * tasks, the scan's own tasks, forces again, outputs, trace and other captures, what an online
 * change does, statistics. */
SR_RT static void scan_once(struct runner *self, int64_t deadline_ns, uint32_t skipped)
{
    struct cycle *cycle = self->cycle;
    const struct cycle_parts *parts = &cycle->parts;
    struct program *program = cycle->program; /* another one may run the next cycle */
    self->next_ns = deadline_ns + self->period_ns;
    self->woke_ns = self->done_ns = platform_now_ns();
    cycle_expect(cycle, self->woke_ns - deadline_ns);
    watchdog_enter(&self->watch);
    self->seat->tick = self->tick;

    take_sets(cycle->program);
    load_inputs(cycle, self->woke_ns);
    carry_copies(cycle->program);
    force_apply(parts->force, 0);
    give_sets(cycle);
    if (parts->eval != NULL && !cycle->estranged) {
        /* In this order: who sees a result also sees what was written before it. */
        eval_deliver(parts->eval);
        shared_apply(parts->shared);
    }

    const int64_t began_ns = platform_now_ns();
    const int64_t ended_ns = run_due_tasks(self, deadline_ns, began_ns);
    if (atomic_load_explicit(&cycle->claimed, memory_order_relaxed))
        return; /* too late: there was a fault, the outputs are safe or are about to be */

    force_hold(parts->force, 0);
    store_outputs(cycle, self->tick);
    snapshot_capture(parts->snapshot, self->tick);
    if (!cycle->estranged) {
        trace_capture(parts->trace, self->tick);
        snapshot_capture(parts->retain, self->tick);
    }
    if (parts->shared != NULL && !cycle->estranged)
        shared_capture(parts->shared);
    cycle_step_change(self);
    atomic_store_explicit(&cycle->last_tick, self->tick, memory_order_relaxed);
    watchdog_leave(&self->watch);

    self->done_ns = platform_now_ns();
    const int64_t took_ns = self->done_ns - self->woke_ns;
    struct stats_sample sample = {
        .release_ns = deadline_ns,
        .start_ns = self->woke_ns,
        .end_ns = self->done_ns,
        .shim_ns = took_ns - (ended_ns - began_ns) + cycle->recording_ns,
        .skipped = skipped,
        .tick = self->tick,
    };
    record_figures(cycle, program, &sample);
}

/* ---- a task with a thread of its own -------------------------------------------------------- */

/* One run: inputs and copies, forces, the task, forces again, what the scan gets to see,
 * statistics.
 */
SR_RT static void run_task_once(struct runner *self, int64_t deadline_ns, uint32_t skipped)
{
    const struct program_task *task = self->task;
    struct force *force = self->cycle->parts.force;
    const struct sr_cycle now = {.tick = self->tick,
                                 .size = sizeof now,
                                 .time_ns = deadline_ns,
                                 .interval_ns = self->period_ns};
    self->woke_ns = platform_now_ns();
    watchdog_enter(&self->watch);
    self->seat->tick = self->tick;

    task_sets_receive(task->sets);
    force_apply(force, self->lane);
    task->task->run(&now);
    force_hold(force, self->lane);
    task_sets_publish(task->sets);

    watchdog_leave(&self->watch);
    self->done_ns = platform_now_ns();
    const struct stats_sample sample = {.release_ns = deadline_ns,
                                        .start_ns = self->woke_ns,
                                        .end_ns = self->done_ns,
                                        .shim_ns = -1,
                                        .skipped = skipped,
                                        .tick = self->tick,
                                        .task = task->number};
    stats_record(task->stats, &sample);
}

/* ---- both ------------------------------------------------------------------------------------ */

int64_t cycle_grid_ns(int64_t base_ns)
{
    return base_ns < LONGEST_GRID_NS ? base_ns : LONGEST_GRID_NS;
}

/* The scan: tick 0 is at the release that was planned, or, if that is too near or over, on the same
 * grid later. */
SR_RT static void fix_origin(struct cycle *cycle)
{
    const int64_t lead_ns = cycle->runner_count > 1 ? GATE_LEAD_NS : 0;
    const int64_t late_ns = platform_now_ns() + lead_ns - cycle->release_ns;
    const int64_t grid_ns = cycle_grid_ns(cycle->program->base_ns);
    cycle->origin_ns = cycle->release_ns + (late_ns < 0 ? 0 : (late_ns / grid_ns + 1) * grid_ns);
    /* Release: the origin, for the acquire in await_origin. */
    atomic_store_explicit(&cycle->origin_known, true, memory_order_release);
}

/* A task: false when there will be no tick 0. */
SR_RT static bool await_origin(struct runner *self)
{
    struct cycle *cycle = self->cycle;
    int64_t deadline_ns;
    uint32_t skipped;
    int error = platform_periodic(self->thread, platform_now_ns() + GATE_NS, GATE_NS);
    while (!atomic_load_explicit(&cycle->origin_known, memory_order_acquire)) {
        if ((error != 0 && error != -EINTR) ||
            atomic_load_explicit(&cycle->stop, memory_order_relaxed))
            return false;
        error = platform_wait_period(self->thread, &deadline_ns, &skipped);
    }
    return true;
}

/* True while the profile's rules have nothing against the last cycle. The watchdog sees to those
 * that do not end. */
SR_RT static bool keeps_time(struct runner *self, int64_t deadline_ns)
{
    const struct cycle_rules *rules = &self->cycle->rules;
    const bool is_long = self->done_ns - self->woke_ns > self->time_ns;
    const bool is_late = self->done_ns - deadline_ns > self->period_ns;
    self->long_cycles = is_long ? self->long_cycles + 1 : 0;
    self->late_cycles = is_late ? self->late_cycles + 1 : 0;
    if (rules->sensitivity > 1 && self->long_cycles >= rules->sensitivity)
        self->verdict = FAULT_LONG;
    else if (rules->overruns > 0 && self->late_cycles >= rules->overruns)
        self->verdict = FAULT_OVERRUN;
    else
        return true;
    return false;
}

/* Sleep until the next release. In lockstep the plant has the time: a cycle is released when it is
 * allowed, and to the program each is one period after the one before, the first at 0. */
SR_RT static int await_release(struct runner *self, int64_t *deadline_ns, uint32_t *skipped)
{
    const struct cycle_parts *parts = &self->cycle->parts;
    if (parts->io->await == NULL)
        return platform_wait_period(self->thread, deadline_ns, skipped);
    const int error = parts->io->await(parts->io_state);
    if (error != 0)
        return error;
    *deadline_ns = platform_now_ns();
    *skipped = 0;
    self->program_ns = self->begun ? self->program_ns + self->period_ns : 0;
    self->ahead_ns = self->program_ns - *deadline_ns;
    return 0;
}

SR_RT static bool cycle_once(struct runner *self, int64_t deadline_ns, uint32_t skipped)
{
    const struct program *program = self->cycle->program;
    self->tick += skipped * self->every;
    if (self->task == NULL)
        scan_once(self, deadline_ns, skipped);
    else
        run_task_once(self, deadline_ns, skipped);
    if (self->task == NULL && self->cycle->program != program)
        self->long_cycles = self->late_cycles = 0; /* the new one's rules are not for this cycle */
    else if (!keeps_time(self, deadline_ns))
        return false;
    self->tick += self->every;
    return true;
}

/* A task that comes late to tick 0 does not wait for its next release, which may be far away. */
SR_RT static bool begin(struct runner *self, int64_t *first_ns)
{
    struct cycle *cycle = self->cycle;
    if (self->task == NULL)
        fix_origin(cycle);
    else if (!await_origin(self))
        return false;
    *first_ns = cycle->origin_ns;
    if (self->task == NULL || platform_now_ns() < *first_ns)
        return true;
    *first_ns += self->period_ns;
    self->begun = true;
    return cycle_once(self, cycle->origin_ns, 0);
}

SR_RT static void run_cycles(void *runner)
{
    struct runner *self = runner;
    int64_t deadline_ns;
    uint32_t skipped;

    if (!self->begun && (!begin(self, &deadline_ns) ||
                         platform_periodic(self->thread, deadline_ns, self->period_ns) != 0))
        return;
    while (!atomic_load_explicit(&self->cycle->stop, memory_order_relaxed)) {
        const int error = await_release(self, &deadline_ns, &skipped);
        if (error == -EINTR) { /* kicked: look at `stop`, and there */
            cycle_look_at_change(self);
            continue;
        }
        if (error != 0)
            return; /* no cycle without a clock: cycle_main calls it a fault */
        if (atomic_load_explicit(&self->cycle->stop, memory_order_relaxed))
            return; /* it may have been set long ago, and this thread kept from the processor */
        if (!self->begun && self->task == NULL)
            skipped = 0; /* the first cycle is tick 0, whenever it comes */
        self->begun = true;
        if (!cycle_once(self, deadline_ns, skipped))
            return;
    }
}

/* ---- the end --------------------------------------------------------------------------------- */

/* On the thread itself, or on the watchdog's when the thread does not react any more. Whoever
 * comes first reports; all threads leave then as soon as they look. */
SR_RT static void report_fault(struct runner *runner, const struct platform_fault *cause,
                               uint32_t tick, const char *text)
{
    struct cycle *cycle = runner->cycle;
    const struct program_task *current =
        atomic_load_explicit(&runner->current, memory_order_relaxed);
    if (atomic_exchange(&cycle->claimed, true))
        return;
    atomic_store_explicit(&cycle->stop, true, memory_order_relaxed);
    cycle->fault.cause = *cause;
    cycle->fault.where = current != NULL ? current->task->name : "runtime";
    cycle->fault.tick = tick;
    cycle->fault.limit_ns = cause->signal == FAULT_LONG ? runner->time_ns : runner->watch.limit_ns;
    cycle->fault.times =
        cause->signal == FAULT_LONG ? cycle->rules.sensitivity : cycle->rules.overruns;
    cycle->fault.text = text;
    if (cause->signal == FAULT_PROGRAM)
        cycle->fault.cause.pc = runner->seat->fault_pc;
}

/* The runner runs no cycle any more. */
SR_RT static void leave(struct runner *runner)
{
    struct cycle *cycle = runner->cycle;
    if (atomic_exchange(&runner->watch.left, true))
        return; /* the watchdog did it already */
    /* Acquire and release: the last one has seen all that the others did. */
    if (atomic_fetch_sub_explicit(&cycle->alive, 1, memory_order_acq_rel) > 1)
        return;
    const bool faulted = atomic_load_explicit(&cycle->claimed, memory_order_relaxed);
    /* Release: all of it and the fault, for cycle_state's acquire. */
    atomic_store_explicit(&cycle->state, faulted ? CYCLE_FAULTED : CYCLE_ENDED,
                          memory_order_release);
}

/* The scan drives the outputs, so it makes them safe when it leaves; here only if it cannot. */
void cycle_give_up(void *owner, struct watch *watch, int fault)
{
    struct cycle *cycle = owner;
    const struct platform_fault unknown = {.signal = fault};
    struct runner *runner = cycle->runners;
    while (&runner->watch != watch)
        runner++;
    report_fault(runner, &unknown, cycle_tick(cycle) + 1, "");
    if (runner->task == NULL)
        cycle->parts.io->safe(cycle->parts.io_state);
    atomic_store_explicit(&runner->stays, true, memory_order_relaxed);
    leave(runner);
}

void cycle_main(void *runner)
{
    struct runner *self = runner;
    struct cycle *cycle = self->cycle;
    struct platform_fault cause;

    host_enter(self->seat, self->thread);
    watchdog_attend(&self->watch, self->thread);
    self->verdict = FAULT_CLOCK;
    bool crashed = platform_protect(self->thread, run_cycles, self, &cause) != 0;
    while (cycle_take_back(self, crashed ? &cause : NULL))
        crashed = platform_protect(self->thread, run_cycles, self, &cause) != 0;
    const bool at_fault = crashed || self->verdict != FAULT_CLOCK ||
                          !atomic_load_explicit(&cycle->stop, memory_order_relaxed);
    if (self->task == NULL)
        cycle->parts.io->safe(cycle->parts.io_state);
    if (at_fault) {
        if (!crashed)
            cause = (struct platform_fault){.signal = self->verdict};
        report_fault(self, &cause, self->tick, self->seat->fault_text);
        atomic_store_explicit(&self->stays, true, memory_order_relaxed);
    }
    leave(self);
    if (at_fault)
        platform_park(self->thread);
}
