/* SPDX-License-Identifier: MIT */
#include "program.h"

#include <errno.h>
#include <stdlib.h>

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

static int create_stats(struct program *program, sr_prefault prefault)
{
    for (uint32_t i = 0; i < program->task_count; i++) {
        struct program_task *task = &program->tasks[i];
        const int error = stats_create(&task->stats, prefault);
        if (error != 0)
            return error;
        stats_begin(task->stats, (int64_t)task->task->interval_ns, NULL);
    }
    return 0;
}

int program_create(struct program **program, const struct image *image, sr_prefault prefault)
{
    struct program *new = calloc(1, sizeof *new);
    if (new == NULL)
        return -ENOMEM;
    plan_tasks(new, image);
    new->inputs = image_inputs(image);
    new->outputs = image_outputs(image);
    new->base_ns = (int64_t)image_base_ns(image);
    if (prefault != NULL)
        (void)prefault(new, sizeof *new);
    const int error = create_stats(new, prefault);
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
    for (uint32_t i = 0; i < program->task_count; i++)
        stats_destroy(program->tasks[i].stats);
    free(program);
}
