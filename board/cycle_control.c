/* SPDX-License-Identifier: MIT */
/* cycle_control.c - the worker's side of the cycle: prepared, started, stopped. cycle.c has what
 * the thread does meanwhile. */
#include "cycle_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STACK_BYTES ((size_t)1 << 18)
#define POLL_NS INT64_C(1000000)
#define WATCHDOG_MIN_NS INT64_C(100000000)
#define LEAD_NS INT64_C(10000000)

int cycle_create(struct cycle **cycle, const struct cycle_parts *parts, sr_prefault prefault)
{
    struct cycle *new = calloc(1, sizeof *new);
    if (new == NULL)
        return -ENOMEM;
    new->parts = *parts;
    new->prefault = prefault;
    if (prefault != NULL)
        prefault(new, sizeof *new);
    *cycle = new;
    return 0;
}

void cycle_destroy(struct cycle *cycle)
{
    if (cycle == NULL)
        return;
    program_destroy(cycle->program);
    free(cycle);
}

/* Releases lie on a fixed grid of the clock, a quarter of a tick off its full ticks: there the
 * kernel's own timer runs, and others like us. */
static int64_t next_release(int64_t grid_ns)
{
    const int64_t soon_ns = platform_now_ns() + LEAD_NS;
    return soon_ns - soon_ns % grid_ns + grid_ns + grid_ns / 4;
}

void cycle_forget(struct cycle *cycle)
{
    program_destroy(cycle->program);
    cycle->program = NULL;
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

static int take_program(struct cycle *cycle, const struct image *image)
{
    cycle_forget(cycle);
    return program_create(&cycle->program, image, cycle->prefault);
}

int cycle_start(struct cycle *cycle, const struct image *image,
                const struct platform_schedule *schedule, int64_t watchdog_ns,
                struct platform_actual *actual)
{
    struct platform_schedule wanted = *schedule;
    wanted.name = "plc-scan";
    wanted.stack_bytes = STACK_BYTES;
    int error = take_program(cycle, image);
    if (error != 0)
        return error;
    memset(cycle->inputs, 0, sizeof cycle->inputs);
    memset(cycle->outputs, 0, sizeof cycle->outputs);
    const int64_t base_ns = cycle->program->base_ns;
    cycle->tick = 0;
    cycle->begun = false;
    cycle->recording_ns = 0;
    stats_begin(cycle->parts.stats, base_ns, cycle->parts.recorder);
    atomic_store_explicit(&cycle->last_tick, 0, memory_order_relaxed);
    atomic_store_explicit(&cycle->current, NULL, memory_order_relaxed);
    cycle->limit_ns = watchdog_ns;
    if (watchdog_ns <= 0)
        cycle->limit_ns = base_ns * 10 > WATCHDOG_MIN_NS ? base_ns * 10 : WATCHDOG_MIN_NS;
    atomic_store_explicit(&cycle->stop, false, memory_order_relaxed);
    atomic_store_explicit(&cycle->state, CYCLE_RUNNING, memory_order_relaxed);
    cycle->release_ns = next_release(cycle_grid_ns(base_ns));
    cycle->watchdog.give_up = cycle_give_up;
    cycle->watchdog.owner = cycle;
    /* The watchdog first: on one processor nobody could start it beside an endless first cycle. */
    error = watchdog_start(&cycle->watchdog, wanted.priority, cycle->limit_ns, cycle->release_ns,
                           base_ns);
    if (error == 0)
        error = platform_thread_start(&cycle->thread, &wanted, cycle_main, cycle, actual);
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
