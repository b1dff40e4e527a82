/* SPDX-License-Identifier: MIT */
/* simulated_program.h - a cycle in simulated time, with a program of tasks that a test gives. */
#ifndef SIMULATED_PROGRAM_H
#define SIMULATED_PROGRAM_H

#include "cycle.h"
#include "simulated_time.h"

#define MAX_TASKS 8u

static struct sr_task sim_tasks[MAX_TASKS];
static struct sr_plc_table sim_table = {.tasks = sim_tasks};
static int64_t sim_base_ns;
/* Of the image that is not NULL: what an online change makes of the first task. */
static struct sr_task sim_next_task;
static int64_t sim_next_base_ns;
static bool outputs_safe;
static uint32_t outputs_written; /* since they were safe */
static int64_t outputs_take_ns;
static struct cycle *cycle;

const struct sr_plc_table *image_table(const struct image *image)
{
    (void)image;
    return &sim_table;
}

const struct sr_task *image_task(const struct image *image, uint32_t index)
{
    return image == NULL ? &sim_tasks[index] : &sim_next_task;
}

struct image_located_list image_inputs(const struct image *image)
{
    (void)image;
    return (struct image_located_list){0};
}

struct image_located_list image_outputs(const struct image *image)
{
    (void)image;
    return (struct image_located_list){0};
}

struct image_copy_list image_copies(const struct image *image)
{
    (void)image;
    return (struct image_copy_list){0};
}

const struct sr_variable *image_variables(const struct image *image)
{
    (void)image;
    return NULL;
}

const struct beremiz *image_beremiz(const struct image *image)
{
    (void)image;
    return NULL;
}

uint64_t image_base_ns(const struct image *image)
{
    return (uint64_t)(image == NULL ? sim_base_ns : sim_next_base_ns);
}

static bool io_read(void *state, uint8_t *inputs, int64_t now_ns)
{
    (void)state;
    (void)inputs;
    (void)now_ns;
    return true;
}

static void io_write(void *state, const uint8_t *outputs, uint32_t tick)
{
    (void)state;
    (void)outputs;
    (void)tick;
    outputs_written++;
    if (outputs_take_ns > 0)
        work(outputs_take_ns);
}

static void io_safe(void *state)
{
    (void)state;
    outputs_safe = true;
    outputs_written = 0;
}

static const struct io_driver sim_io = {.read = io_read, .write = io_write, .safe = io_safe};
static struct cycle_parts sim_parts = {.io = &sim_io};

static void sim_create_parts(void)
{
    CHECK_EQ(force_create(&sim_parts.force, NULL), 0);
    CHECK_EQ(trace_create(&sim_parts.trace, 4096, NULL), 0);
    CHECK_EQ(snapshot_create(&sim_parts.snapshot, SNAPSHOT_MAX_BYTES, NULL), 0);
    CHECK_EQ(snapshot_create(&sim_parts.retain, SNAPSHOT_MAX_BYTES, NULL), 0);
    CHECK_EQ(stats_create(&sim_parts.stats, NULL), 0);
}

static void sim_destroy_parts(void)
{
    force_destroy(sim_parts.force);
    trace_destroy(sim_parts.trace);
    snapshot_destroy(sim_parts.snapshot);
    snapshot_destroy(sim_parts.retain);
    stats_destroy(sim_parts.stats);
}

/* The first `count` tasks of sim_tasks, which the test has filled. */
static void sim_start(uint32_t count, const struct cycle_rules *rules)
{
    const struct platform_schedule schedule = {.priority = 50, .cpu = -1};
    struct program *program;
    sim_table.task_count = count;
    outputs_safe = false;
    outputs_written = 0;
    outputs_take_ns = 0;
    CHECK_EQ(program_create(&program, NULL, true, NULL), 0);
    CHECK_EQ(cycle_create(&cycle, &sim_parts, NULL), 0);
    cycle_load(cycle, program);
    CHECK_EQ(cycle_start(cycle, &schedule, rules, NULL), 0);
}

#endif
