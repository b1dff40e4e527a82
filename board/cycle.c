/* SPDX-License-Identifier: MIT */
/* cycle.c - what the real-time thread does, in order.
 *
 * cycle_main is the thread, run_cycles its loop, one_cycle one round of it. Everything it calls
 * is marked SR_RT: it takes memory that was allocated and touched before, never waits but in
 * platform_wait_period, and talks to the rest of the process through rings and atomics only.
 *
 * There is one thread for all tasks of a program. The base tick is the greatest common divisor
 * of the tasks' intervals; in a tick the due tasks run one after the other, by IEC priority.
 * A cycle that takes too long costs whole ticks: they are skipped and counted, the phase is
 * kept, and a task that became due in a skipped tick runs in the next one.
 *
 * cycle_control.c has the worker's side: it starts the thread and ends it.
 */
#include "cycle_parts.h"

#include "host.h"

#include <errno.h>

#define LONGEST_GRID_NS INT64_C(10000000)

SR_RT static void load_inputs(struct cycle *cycle, int64_t now_ns)
{
    const struct image_located_list list = cycle->program->inputs;
    cycle->parts.io->read(cycle->parts.io_state, cycle->inputs, now_ns);
    for (uint32_t i = 0; i < list.count; i++)
        force_write_input(list.items[i].variable, &list.items[i].location, cycle->inputs);
}

/* Returns when the last one ended. */
SR_RT static int64_t run_due_tasks(struct cycle *cycle, int64_t deadline_ns, int64_t began_ns)
{
    struct program *program = cycle->program;
    int64_t start_ns = began_ns;
    for (uint32_t i = 0; i < program->task_count; i++) {
        struct program_task *due = &program->tasks[i];
        const uint32_t late = cycle->tick - due->next; /* wraps with the tick */
        if (late > INT32_MAX)
            continue;
        due->next += (late / due->every + 1) * due->every;
        const struct sr_cycle now = {.tick = cycle->tick,
                                     .size = sizeof now,
                                     .time_ns = deadline_ns,
                                     .interval_ns = (int64_t)due->task->interval_ns};
        atomic_store_explicit(&cycle->current, due, memory_order_relaxed);
        due->task->run(&now);
        const int64_t end_ns = platform_now_ns();
        due->ran = true;
        due->run =
            (struct stats_sample){.release_ns = deadline_ns - late % due->every * program->base_ns,
                                  .start_ns = start_ns,
                                  .end_ns = end_ns,
                                  .shim_ns = -1,
                                  .skipped = late / due->every,
                                  .tick = cycle->tick};
        start_ns = end_ns;
    }
    atomic_store_explicit(&cycle->current, NULL, memory_order_relaxed);
    return start_ns;
}

SR_RT static void store_outputs(struct cycle *cycle)
{
    const struct image_located_list list = cycle->program->outputs;
    for (uint32_t i = 0; i < list.count; i++)
        location_store(&list.items[i].location, list.items[i].variable->address, cycle->outputs);
    cycle->parts.io->write(cycle->parts.io_state, cycle->outputs, cycle->tick);
}

/* Behind all else, so that nobody's outputs wait for it. */
SR_RT static void record_figures(struct cycle *cycle, struct stats_sample *sample)
{
    struct program *program = cycle->program;
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

/* One scan: inputs, forces, tasks, forces again, outputs, trace, statistics. */
SR_RT static void one_cycle(struct cycle *cycle, int64_t deadline_ns, uint32_t skipped)
{
    const struct cycle_parts *parts = &cycle->parts;
    const int64_t woke_ns = platform_now_ns();
    watchdog_enter(&cycle->watchdog);
    host_tick(cycle->tick);

    load_inputs(cycle, woke_ns);
    force_apply(parts->force);
    if (parts->eval != NULL) {
        /* In this order: who sees a result also sees what was written before it. */
        eval_deliver(parts->eval);
        shared_apply(parts->shared);
    }

    const int64_t began_ns = platform_now_ns();
    const int64_t ended_ns = run_due_tasks(cycle, deadline_ns, began_ns);
    if (atomic_load_explicit(&cycle->claimed, memory_order_relaxed))
        return; /* too late: the watchdog gave up and made the outputs safe */

    force_hold(parts->force);
    store_outputs(cycle);
    trace_capture(parts->trace, cycle->tick);
    snapshot_capture(parts->snapshot, cycle->tick);
    snapshot_capture(parts->retain, cycle->tick);
    if (parts->shared != NULL)
        shared_capture(parts->shared);
    atomic_store_explicit(&cycle->last_tick, cycle->tick, memory_order_relaxed);
    watchdog_leave(&cycle->watchdog);

    const int64_t done_ns = platform_now_ns();
    struct stats_sample sample = {
        .release_ns = deadline_ns,
        .start_ns = woke_ns,
        .end_ns = done_ns,
        .shim_ns = done_ns - woke_ns - (ended_ns - began_ns) + cycle->recording_ns,
        .skipped = skipped,
        .tick = cycle->tick,
    };
    record_figures(cycle, &sample);
}

int64_t cycle_grid_ns(int64_t base_ns)
{
    return base_ns < LONGEST_GRID_NS ? base_ns : LONGEST_GRID_NS;
}

SR_RT static void run_cycles(void *argument)
{
    struct cycle *cycle = argument;
    int64_t deadline_ns;
    uint32_t skipped;

    const int64_t late_ns = platform_now_ns() - cycle->release_ns;
    const int64_t grid_ns = cycle_grid_ns(cycle->program->base_ns);
    const int64_t first_ns =
        cycle->release_ns + (late_ns < 0 ? 0 : (late_ns / grid_ns + 1) * grid_ns);
    if (platform_periodic(cycle->thread, first_ns, cycle->program->base_ns) != 0)
        return;
    while (!atomic_load_explicit(&cycle->stop, memory_order_relaxed)) {
        const int error = platform_wait_period(cycle->thread, &deadline_ns, &skipped);
        if (error == -EINTR)
            continue; /* kicked: look at `stop` */
        if (error != 0)
            return; /* no cycle without a clock: cycle_main calls it a fault */
        if (!cycle->begun)
            skipped = 0; /* nothing was due before the first cycle */
        cycle->begun = true;
        cycle->tick += skipped;
        one_cycle(cycle, deadline_ns, skipped);
        cycle->tick++;
    }
}

/* On the thread itself, or on the watchdog's when the thread does not react any more. Whoever
 * comes first reports; a thread that reacts later finds `stop` set and drives nothing any more. */
SR_RT static void report_fault(struct cycle *cycle, const struct platform_fault *cause,
                               uint32_t tick, const char *text)
{
    const struct program_task *current =
        atomic_load_explicit(&cycle->current, memory_order_relaxed);
    if (atomic_exchange(&cycle->claimed, true))
        return;
    atomic_store_explicit(&cycle->stop, true, memory_order_relaxed);
    atomic_store_explicit(&cycle->watchdog.stop, true, memory_order_relaxed);
    cycle->parts.io->safe(cycle->parts.io_state);
    cycle->fault.cause = *cause;
    cycle->fault.where = current != NULL ? current->task->name : "runtime";
    cycle->fault.tick = tick;
    cycle->fault.limit_ns = cycle->limit_ns;
    cycle->fault.text = text;
    if (cause->signal == FAULT_PROGRAM)
        cycle->fault.cause.pc = host_fault_pc();
    /* Release: the fault, for cycle_state's acquire. */
    atomic_store_explicit(&cycle->state, CYCLE_FAULTED, memory_order_release);
}

void cycle_give_up(void *owner, int fault)
{
    const struct platform_fault unknown = {.signal = fault};
    report_fault(owner, &unknown, cycle_tick(owner) + 1, "");
}

void cycle_main(void *argument)
{
    struct cycle *cycle = argument;
    struct platform_fault cause;

    host_enter(cycle->thread);
    watchdog_attend(&cycle->watchdog, cycle->thread);
    if (platform_protect(cycle->thread, run_cycles, cycle, &cause) == 0) {
        cycle->parts.io->safe(cycle->parts.io_state);
        if (atomic_load_explicit(&cycle->stop, memory_order_relaxed)) {
            int running = CYCLE_RUNNING; /* unless the watchdog says otherwise */
            (void)atomic_compare_exchange_strong(&cycle->state, &running, CYCLE_ENDED);
            return;
        }
        cause = (struct platform_fault){.signal = FAULT_CLOCK};
    }
    report_fault(cycle, &cause, cycle->tick, host_fault_text());
    platform_park(cycle->thread);
}
