/* SPDX-License-Identifier: MIT */
#include "program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* By priority, tasks of the same one in the order of the table. */
static void plan_tasks(struct program *program, const struct image *image)
{
    program->task_count = image_table(image)->task_count;
    for (uint32_t i = 0; i < program->task_count; i++) {
        const struct sr_task *task = image_task(image, i);
        uint32_t at = i;
        for (; at > 0 && program->tasks[at - 1].task->priority > task->priority; at--)
            program->tasks[at] = program->tasks[at - 1];
        program->tasks[at] =
            (struct program_task){.task = task,
                                  .number = i + 1,
                                  .every = (uint32_t)(task->interval_ns / image_base_ns(image))};
    }
}

/* The first is the one of highest priority: nothing is gained by its having a thread. */
static int plan_threads(struct program *program, const struct image *image, sr_prefault prefault)
{
    for (uint32_t i = 1; i < program->task_count; i++) {
        struct program_task *task = &program->tasks[i];
        if ((task->task->options & SR_TASK_THREAD) == 0)
            continue;
        if (program->thread_count == PROGRAM_MAX_THREADS)
            return -E2BIG;
        const int error = task_sets_create(&task->sets, image, task->number, prefault);
        if (error != 0)
            return error;
        program->lanes[task->number] = (uint8_t)++program->thread_count;
    }
    return 0;
}

static bool is_of_scan(const struct program *program, const struct sr_variable *row)
{
    return program->lanes[row->task] == 0;
}

static void choose_located(struct program *program, const struct image *image)
{
    const struct image_located_list inputs = image_inputs(image);
    const struct image_located_list outputs = image_outputs(image);
    struct image_located *item = program->located;
    program->inputs.items = item;
    for (uint32_t i = 0; i < inputs.count; i++) {
        if (is_of_scan(program, inputs.items[i].variable))
            *item++ = inputs.items[i];
    }
    program->inputs.count = (uint32_t)(item - program->located);
    program->outputs = (struct image_located_list){item, outputs.count};
    for (uint32_t i = 0; i < outputs.count; i++, item++) {
        *item = outputs.items[i];
        item->variable = &program->rows[item->variable - image_variables(image)];
    }
}

static void choose_copies(struct program *program, const struct image *image)
{
    const struct image_copy_list copies = image_copies(image);
    struct image_copy *item = program->copied;
    for (uint32_t i = 0; i < copies.count; i++) {
        const struct image_copy *copy = &copies.items[i];
        if (!is_of_scan(program, copy->to))
            continue;
        *item++ =
            (struct image_copy){&program->rows[copy->from - image_variables(image)], copy->to};
    }
    program->copies = (struct image_copy_list){program->copied, (uint32_t)(item - program->copied)};
}

/* What the scan runs shows in the scan's own recorder. */
static int create_recorders(struct program *program, sr_prefault prefault)
{
    int error = 0;
    for (uint32_t i = 0; i < program->task_count && error == 0; i++) {
        if (program->tasks[i].sets != NULL)
            error = recorder_create(&program->tasks[i].recorder, prefault);
    }
    return error;
}

static int create_stats(struct program *program, sr_prefault prefault)
{
    int error = 0;
    for (uint32_t i = 0; i < program->task_count && error == 0; i++)
        error = stats_create(&program->tasks[i].stats, prefault);
    return error;
}

/* Native images only: an object of the IDE has one task. */
static int divide(struct program *program, const struct image *image, sr_prefault prefault)
{
    const uint32_t count = image_table(image)->variable_count;
    const size_t row_bytes = ((size_t)count + 1) * sizeof *program->shown;
    const size_t located_bytes =
        ((size_t)image_inputs(image).count + image_outputs(image).count + 1) *
        sizeof *program->located;
    const size_t copy_bytes = ((size_t)image_copies(image).count + 1) * sizeof *program->copied;
    int error = plan_threads(program, image, prefault);
    if (error != 0 || program->thread_count == 0)
        return error;
    program->shown = malloc(row_bytes);
    program->located = malloc(located_bytes);
    program->copied = malloc(copy_bytes);
    if (program->shown == NULL || program->located == NULL || program->copied == NULL)
        return -ENOMEM;
    if (count > 0)
        memcpy(program->shown, image_variables(image), count * sizeof *program->shown);
    program->rows = program->shown;
    for (uint32_t i = 0; i < program->task_count; i++) {
        if (program->tasks[i].sets != NULL)
            task_sets_show(program->tasks[i].sets, image, program->shown);
    }
    for (uint32_t i = 0; i < program->task_count && error == 0; i++) {
        if (program->tasks[i].sets != NULL)
            error = task_sets_connect(program->tasks[i].sets, image, program->rows, prefault);
    }
    choose_located(program, image);
    choose_copies(program, image);
    if (prefault != NULL) {
        (void)prefault(program->shown, row_bytes);
        (void)prefault(program->located, located_bytes);
        (void)prefault(program->copied, copy_bytes);
    }
    return error;
}

static int fill(struct program *program, const struct image *image, bool threads,
                sr_prefault prefault)
{
    plan_tasks(program, image);
    program->rows = image_variables(image);
    program->inputs = image_inputs(image);
    program->outputs = image_outputs(image);
    program->copies = image_copies(image);
    program->base_ns = (int64_t)image_base_ns(image);
    if (prefault != NULL)
        (void)prefault(program, sizeof *program);
    int error = create_stats(program, prefault);
    if (error == 0 && threads)
        error = divide(program, image, prefault);
    return error == 0 ? create_recorders(program, prefault) : error;
}

int program_create(struct program **program, const struct image *image, bool threads,
                   sr_prefault prefault)
{
    struct program *new = calloc(1, sizeof *new);
    if (new == NULL)
        return -ENOMEM;
    const int error = fill(new, image, threads && image_beremiz(image) == NULL, prefault);
    if (error != 0) {
        program_destroy(new);
        return error;
    }
    *program = new;
    return 0;
}

void program_destroy(struct program *program)
{
    if (program == NULL)
        return;
    for (uint32_t i = 0; i < program->task_count; i++) {
        task_sets_destroy(program->tasks[i].sets);
        stats_destroy(program->tasks[i].stats);
        recorder_destroy(program->tasks[i].recorder);
    }
    free(program->shown);
    free(program->located);
    free(program->copied);
    free(program);
}

void program_begin(struct program *program)
{
    for (uint32_t i = 0; i < program->task_count; i++) {
        struct program_task *task = &program->tasks[i];
        task->next = 0;
        task->ran = false;
        stats_begin(task->stats, (int64_t)task->task->interval_ns, task->recorder);
        if (task->sets != NULL)
            task_sets_begin(task->sets);
    }
}

static void match(struct program *program, const struct program *with)
{
    for (uint32_t i = 0; i < program->task_count; i++) {
        struct program_task *task = &program->tasks[i];
        task->before = NULL;
        for (uint32_t j = 0; j < with->task_count && task->before == NULL; j++)
            if (strcmp(task->task->name, with->tasks[j].task->name) == 0)
                task->before = &with->tasks[j];
    }
}

void program_match(struct program *one, struct program *other)
{
    match(one, other);
    match(other, one);
}

void program_take_over(struct program *program, int64_t before_base_ns, uint32_t tick)
{
    for (uint32_t i = 0; i < program->task_count; i++) {
        struct program_task *task = &program->tasks[i];
        const uint32_t ticks = task->before != NULL ? task->before->next - tick : 0;
        stats_pause(task->stats);
        if (ticks == 0 || ticks > INT32_MAX) { /* due, or overdue */
            task->next = tick;
            continue;
        }
        const int64_t until_ns = ticks * before_base_ns;
        const int64_t after = (until_ns + program->base_ns - 1) / program->base_ns;
        task->next = tick + (after < task->every ? (uint32_t)after : task->every);
    }
}
