/* SPDX-License-Identifier: MIT */
/* cycle.c - what the real-time thread does, in order.
 *
 * task_main is the thread, run_cycles its loop, one_cycle one round of it. Everything it calls
 * is marked SR_RT: it takes memory that was allocated and touched before, never waits but in
 * platform_wait_period, and talks to the rest of the process through rings and atomics only.
 *
 * There is one thread for all tasks of a program. The base tick is the greatest common divisor
 * of the tasks' intervals; in a tick the due tasks run one after the other, by IEC priority.
 * A cycle that takes too long costs whole ticks: they are skipped and counted, the phase is
 * kept, and a task that became due in a skipped tick runs in the next one.
 */
#include "cycle.h"

#include "host.h"
#include "watchdog.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define STACK_BYTES ((size_t)1 << 18)
#define POLL_NS INT64_C(1000000)
#define WATCHDOG_MIN_NS INT64_C(100000000)
#define LEAD_NS INT64_C(10000000)
#define LONGEST_GRID_NS INT64_C(10000000)

struct cycle_task {
    const struct sr_task *task;
    uint32_t every; /* base ticks */
    uint32_t next;  /* the tick it is due in */
};

struct cycle {
    struct cycle_parts parts;
    struct platform_thread *thread;
    struct watchdog watchdog;
    /* Fixed while the thread runs. */
    struct cycle_task tasks[IMAGE_MAX_TASKS]; /* by priority */
    uint32_t task_count;
    struct image_located_list located_inputs;
    struct image_located_list located_outputs;
    int64_t base_ns;
    int64_t release_ns; /* the first, unless starting takes longer */
    int64_t limit_ns;   /* the watchdog's */
    /* Of the thread while it runs. */
    uint32_t tick;
    bool begun;
    struct fault fault;
    uint8_t inputs[IO_AREA_BYTES];
    uint8_t outputs[IO_AREA_BYTES];
    /* Between the threads. */
    _Atomic(const struct cycle_task *) current; /* NULL between tasks */
    _Atomic uint32_t last_tick;                 /* written inside the beat */
    atomic_bool stop;
    atomic_bool claimed; /* whoever sets it reports the fault: the thread, or its watchdog */
    _Atomic int state;   /* enum cycle_state */
};

/* ---- the real-time thread ------------------------------------------------------------------ */

SR_RT static void load_inputs(struct cycle *cycle)
{
    const struct image_located_list list = cycle->located_inputs;
    cycle->parts.io->read(cycle->parts.io_state, cycle->inputs);
    for (uint32_t i = 0; i < list.count; i++)
        force_write_input(list.items[i].variable, &list.items[i].location, cycle->inputs);
}

SR_RT static void run_due_tasks(struct cycle *cycle, int64_t deadline_ns)
{
    for (uint32_t i = 0; i < cycle->task_count; i++) {
        struct cycle_task *due = &cycle->tasks[i];
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
    }
    atomic_store_explicit(&cycle->current, NULL, memory_order_relaxed);
}

SR_RT static void store_outputs(struct cycle *cycle)
{
    const struct image_located_list list = cycle->located_outputs;
    for (uint32_t i = 0; i < list.count; i++)
        location_store(&list.items[i].location, list.items[i].variable->address, cycle->outputs);
    cycle->parts.io->write(cycle->parts.io_state, cycle->outputs, cycle->tick);
}

/* One scan: inputs, forces, tasks, forces again, outputs, trace, statistics. */
SR_RT static void one_cycle(struct cycle *cycle, int64_t deadline_ns, uint32_t skipped)
{
    const struct cycle_parts *parts = &cycle->parts;
    const int64_t woke_ns = platform_now_ns();
    watchdog_enter(&cycle->watchdog);
    host_tick(cycle->tick);

    load_inputs(cycle);
    force_apply(parts->force);
    if (parts->eval != NULL) {
        /* In this order: who sees a result also sees what was written before it. */
        eval_deliver(parts->eval);
        shared_apply(parts->shared);
    }

    const int64_t began_ns = platform_now_ns();
    run_due_tasks(cycle, deadline_ns);
    const int64_t ended_ns = platform_now_ns();
    if (atomic_load_explicit(&cycle->claimed, memory_order_relaxed))
        return; /* too late: the watchdog gave up and made the outputs safe */

    force_hold(parts->force);
    store_outputs(cycle);
    trace_capture(parts->trace, cycle->tick);
    snapshot_capture(parts->snapshot, cycle->tick);
    if (parts->shared != NULL)
        shared_capture(parts->shared);
    atomic_store_explicit(&cycle->last_tick, cycle->tick, memory_order_relaxed);
    watchdog_leave(&cycle->watchdog);

    const int64_t done_ns = platform_now_ns();
    const struct stats_sample sample = {
        .wakeup_ns = woke_ns - deadline_ns,
        .execution_ns = done_ns - woke_ns,
        .shim_ns = done_ns - woke_ns - (ended_ns - began_ns),
        .skipped = skipped,
        .overrun = done_ns - deadline_ns > cycle->base_ns,
    };
    stats_record(parts->stats, &sample);
}

/* Releases lie on a fixed grid of the clock, a quarter of a tick off its full ticks: there the
 * kernel's own timer runs, and others like us. */
static int64_t next_release(int64_t grid_ns)
{
    const int64_t soon_ns = platform_now_ns() + LEAD_NS;
    return soon_ns - soon_ns % grid_ns + grid_ns + grid_ns / 4;
}

SR_RT static int64_t grid(int64_t base_ns)
{
    return base_ns < LONGEST_GRID_NS ? base_ns : LONGEST_GRID_NS;
}

SR_RT static void run_cycles(void *argument)
{
    struct cycle *cycle = argument;
    int64_t deadline_ns;
    uint32_t skipped;

    const int64_t late_ns = platform_now_ns() - cycle->release_ns;
    const int64_t grid_ns = grid(cycle->base_ns);
    const int64_t first_ns =
        cycle->release_ns + (late_ns < 0 ? 0 : (late_ns / grid_ns + 1) * grid_ns);
    if (platform_periodic(cycle->thread, first_ns, cycle->base_ns) != 0)
        return;
    while (!atomic_load_explicit(&cycle->stop, memory_order_relaxed)) {
        const int error = platform_wait_period(cycle->thread, &deadline_ns, &skipped);
        if (error == -EINTR)
            continue; /* kicked: look at `stop` */
        if (error != 0)
            return; /* no cycle without a clock: task_main calls it a fault */
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
    const struct cycle_task *current = atomic_load_explicit(&cycle->current, memory_order_relaxed);
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

SR_RT static void give_up(void *owner, int fault)
{
    const struct platform_fault unknown = {.signal = fault};
    report_fault(owner, &unknown, cycle_tick(owner) + 1, "");
}

SR_RT static void task_main(void *argument)
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

/* ---- the worker ---------------------------------------------------------------------------- */

int cycle_create(struct cycle **cycle, const struct cycle_parts *parts, sr_prefault prefault)
{
    struct cycle *new = calloc(1, sizeof *new);
    if (new == NULL)
        return -ENOMEM;
    new->parts = *parts;
    if (prefault != NULL)
        prefault(new, sizeof *new);
    *cycle = new;
    return 0;
}

void cycle_destroy(struct cycle *cycle)
{
    free(cycle);
}

/* By priority, tasks of the same one in the order of the table. */
static void plan_tasks(struct cycle *cycle, const struct image *image)
{
    cycle->task_count = image_table(image)->task_count;
    for (uint32_t i = 0; i < cycle->task_count; i++) {
        const struct sr_task *task = image_task(image, i);
        uint32_t at = i;
        for (; at > 0 && cycle->tasks[at - 1].task->priority > task->priority; at--)
            cycle->tasks[at] = cycle->tasks[at - 1];
        cycle->tasks[at] = (struct cycle_task){
            .task = task, .every = (uint32_t)(task->interval_ns / image_base_ns(image))};
    }
}

int cycle_start(struct cycle *cycle, const struct image *image,
                const struct platform_schedule *schedule, int64_t watchdog_ns,
                struct platform_actual *actual)
{
    struct platform_schedule wanted = *schedule;
    wanted.name = "plc-scan";
    wanted.stack_bytes = STACK_BYTES;
    plan_tasks(cycle, image);
    cycle->located_inputs = image_inputs(image);
    cycle->located_outputs = image_outputs(image);
    memset(cycle->inputs, 0, sizeof cycle->inputs);
    memset(cycle->outputs, 0, sizeof cycle->outputs);
    cycle->base_ns = (int64_t)image_base_ns(image);
    cycle->tick = 0;
    cycle->begun = false;
    atomic_store_explicit(&cycle->last_tick, 0, memory_order_relaxed);
    atomic_store_explicit(&cycle->current, NULL, memory_order_relaxed);
    cycle->limit_ns = watchdog_ns;
    if (watchdog_ns <= 0)
        cycle->limit_ns =
            cycle->base_ns * 10 > WATCHDOG_MIN_NS ? cycle->base_ns * 10 : WATCHDOG_MIN_NS;
    atomic_store_explicit(&cycle->stop, false, memory_order_relaxed);
    atomic_store_explicit(&cycle->state, CYCLE_RUNNING, memory_order_relaxed);
    cycle->release_ns = next_release(grid(cycle->base_ns));
    cycle->watchdog.give_up = give_up;
    cycle->watchdog.owner = cycle;
    /* The watchdog first: on one processor nobody could start it beside an endless first cycle. */
    int error = watchdog_start(&cycle->watchdog, wanted.priority, cycle->limit_ns,
                               cycle->release_ns, cycle->base_ns);
    if (error == 0)
        error = platform_thread_start(&cycle->thread, &wanted, task_main, cycle, actual);
    if (error != 0) {
        watchdog_stop(&cycle->watchdog);
        atomic_store_explicit(&cycle->state, CYCLE_IDLE, memory_order_relaxed);
    }
    return error;
}

int cycle_stop(struct cycle *cycle)
{
    atomic_store_explicit(&cycle->stop, true, memory_order_relaxed);
    while (cycle_state(cycle) == CYCLE_RUNNING) {
        (void)platform_kick(cycle->thread);
        platform_poll_sleep(POLL_NS);
    }
    watchdog_stop(&cycle->watchdog); /* before the thread it watches is freed */
    if (cycle_state(cycle) != CYCLE_ENDED)
        return cycle_state(cycle) == CYCLE_FAULTED ? -EFAULT : 0;
    const int error = platform_thread_join(cycle->thread, -1);
    atomic_store_explicit(&cycle->state, CYCLE_IDLE, memory_order_relaxed);
    cycle->thread = NULL;
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
    return &cycle->watchdog.beat;
}

uint32_t cycle_tick(const struct cycle *cycle)
{
    return atomic_load_explicit(&cycle->last_tick, memory_order_relaxed);
}
