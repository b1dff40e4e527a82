/* SPDX-License-Identifier: MIT */
/* cycle_change.c - another program for a cycle that goes on; change.h has the story.
 *
 * A scan without a change under way pays for one load. A switch is a copy of values and the
 * exchange of three pointers, at the end of a scan, after its outputs: the next one begins with
 * the new program's inputs. */
#include "cycle_parts.h"

#include <string.h>

/* ---- the scan ------------------------------------------------------------------------------- */

/* The program that runs for the other one, either way. Outputs that it does not have go to 0. */
SR_RT static void exchange_programs(struct cycle *cycle, struct cycle_change *change)
{
    struct program *program = change->program;
    struct force *force = change->force;
    struct snapshot *snapshot = change->snapshot;
    change->program = cycle->program;
    change->force = cycle->parts.force;
    change->snapshot = cycle->parts.snapshot;
    cycle->program = program;
    cycle->parts.force = force;
    cycle->parts.snapshot = snapshot;
    memset(cycle->outputs, 0, sizeof cycle->outputs);
    if (cycle->parts.eval != NULL)
        eval_forget(cycle->parts.eval); /* its answers would go to the other image */
}

/* The next release, that of `tick`, stays where it is; from there on the distance may be another.
 */
SR_RT static void go_on(struct runner *scan, int64_t before_base_ns, uint32_t tick)
{
    struct cycle *cycle = scan->cycle;
    const int64_t base_ns = cycle->program->base_ns;
    program_take_over(cycle->program, before_base_ns, tick);
    if (base_ns == before_base_ns)
        return;
    cycle_pace(scan, base_ns);
    watchdog_allow(&cycle->watchdog, &scan->watch);
    stats_set_interval(cycle->parts.stats, base_ns);
    (void)platform_periodic(scan->thread, scan->next_ns, base_ns);
}

SR_RT static void switch_programs(struct runner *scan, struct cycle_change *change, uint32_t tick)
{
    const int64_t base_ns = scan->cycle->program->base_ns;
    if (!change_switch(change->copy))
        return;
    exchange_programs(scan->cycle, change);
    go_on(scan, base_ns, tick);
    change_switched(change->copy);
}

/* What does not depend on a cycle that has just run. `tick` is the next one's. */
SR_RT static void follow_phase(struct runner *scan, uint32_t tick)
{
    struct cycle *cycle = scan->cycle;
    struct cycle_change *change = cycle->change;
    switch (change_phase(change->copy)) {
    case CHANGE_ORDERED:
        if (change_is_due(change->copy, scan->next_ns))
            switch_programs(scan, change, tick);
        break;
    case CHANGE_WITHDRAWN:
    case CHANGE_CONFIRMED:
    case CHANGE_RELEASED:
        cycle->change = NULL;
        cycle->estranged = false;
        handover_retire(&cycle->changes, &change->item);
        break;
    default:
        break;
    }
}

void cycle_step_change(struct runner *scan)
{
    struct cycle *cycle = scan->cycle;
    if (cycle->change == NULL)
        cycle->change = (struct cycle_change *)(void *)handover_take(&cycle->changes);
    if (cycle->change == NULL)
        return;
    struct change *copy = cycle->change->copy;
    switch (change_phase(copy)) {
    case CHANGE_REHEARSING:
        change_rehearse(copy, scan->next_ns - scan->period_ns, scan->next_ns);
        break;
    case CHANGE_PROBATION:
        change_survived(copy);
        break;
    default:
        follow_phase(scan, scan->tick + 1);
        break;
    }
}

void cycle_look_at_change(struct runner *scan)
{
    if (scan->task != NULL || scan->cycle->change == NULL || !scan->begun)
        return;
    watchdog_enter(&scan->watch);
    follow_phase(scan, scan->tick);
    watchdog_leave(&scan->watch);
}

SR_RT static void note_fault(struct runner *scan, struct cycle_change *change,
                             const struct platform_fault *cause)
{
    const struct program_task *current = atomic_load_explicit(&scan->current, memory_order_relaxed);
    const struct platform_fault verdict = {.signal = scan->verdict};
    memcpy(change->fault_text, scan->seat->fault_text, sizeof change->fault_text);
    change->fault = (struct fault){
        .cause = cause != NULL ? *cause : verdict,
        .where = current != NULL ? current->task->name : "runtime",
        .tick = scan->tick,
        .limit_ns =
            cause == NULL && scan->verdict == FAULT_LONG ? scan->time_ns : scan->watch.limit_ns,
        .times = scan->verdict == FAULT_LONG ? scan->cycle->rules.sensitivity
                                             : scan->cycle->rules.overruns,
        .text = change->fault_text,
    };
    if (change->fault.cause.signal == FAULT_PROGRAM)
        change->fault.cause.pc = scan->seat->fault_pc;
}

/* A cycle that was cut short inside a task, or that was over and only took too long, has left
 * everything of ours whole. The watchdog's signal may come elsewhere too, in the middle of a set
 * of outputs that passes to an I/O thread: there is no going on from there. */
SR_RT static bool left_all_whole(const struct runner *scan, const struct platform_fault *cause)
{
    return cause != NULL ? atomic_load_explicit(&scan->current, memory_order_relaxed) != NULL
                         : scan->verdict != FAULT_CLOCK;
}

bool cycle_take_back(struct runner *runner, const struct platform_fault *cause)
{
    struct cycle *cycle = runner->cycle;
    struct cycle_change *change = runner->task == NULL ? cycle->change : NULL;
    const int64_t base_ns = cycle->program->base_ns;
    if (change == NULL || !left_all_whole(runner, cause) ||
        atomic_load_explicit(&cycle->claimed, memory_order_relaxed) ||
        change_phase(change->copy) != CHANGE_PROBATION)
        return false;
    note_fault(runner, change, cause);
    exchange_programs(cycle, change); /* before the phase tells the worker to look */
    if (!change_roll_back(change->copy)) {
        exchange_programs(cycle, change);
        return false;
    }
    cycle->estranged = true;
    atomic_store_explicit(&runner->current, NULL, memory_order_relaxed);
    stats_pause(cycle->parts.stats);
    runner->verdict = FAULT_CLOCK;
    runner->long_cycles = runner->late_cycles = 0;
    runner->tick++;
    go_on(runner, base_ns, runner->tick);
    host_enter(runner->seat, runner->thread);
    if (atomic_load_explicit(&runner->watch.beat, memory_order_relaxed) % 2 != 0)
        watchdog_leave(&runner->watch); /* the cycle that was cut short */
    return true;
}

/* ---- the worker ---------------------------------------------------------------------------- */

void cycle_begin_change(struct cycle *cycle, struct cycle_change *change)
{
    (void)handover_collect(&cycle->changes); /* of a change before, which the caller owns again */
    (void)handover_publish(&cycle->changes, &change->item);
}

void cycle_hasten_change(struct cycle *cycle)
{
    if (cycle_state(cycle) == CYCLE_RUNNING)
        (void)platform_kick(cycle->runners[0].thread);
}

bool cycle_end_change(struct cycle *cycle, struct cycle_change *change)
{
    if (handover_publish(&cycle->changes, NULL) == &change->item)
        return true; /* it was never taken */
    if (handover_collect(&cycle->changes) == &change->item)
        return true;
    if (cycle_state(cycle) == CYCLE_RUNNING)
        return false;
    cycle->change = NULL;
    cycle->estranged = false;
    return true;
}

void cycle_undo_change(struct cycle *cycle, struct cycle_change *change)
{
    exchange_programs(cycle, change);
}
