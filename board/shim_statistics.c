/* SPDX-License-Identifier: MIT */
/* shim_statistics.c - the figures of the cycle and its tasks, for the other side. */
#include "shim_parts.h"

#include <string.h>

static void reset(struct stats *stats)
{
    stats_reset(stats);
    if (board_state() != BOARD_RUNNING)
        stats_apply_reset(stats);
}

/* Of the task of this row (from 1), or of the scan (0); NULL: there is none, or no such row. */
static struct recorder *recorder_of(uint32_t number)
{
    const struct program *program = cycle_program(board->cycle);
    if (number == 0)
        return board->parts.recorder;
    for (uint32_t i = 0; program != NULL && i < program->task_count; i++) {
        if (program->tasks[i].number == number)
            return program->tasks[i].recorder;
    }
    return NULL;
}

void board_begin_recording(void)
{
    for (uint32_t task = 0; task <= IMAGE_MAX_TASKS; task++) {
        struct recorder *recorder = recorder_of(task);
        if (recorder != NULL)
            recorder_reset(recorder, board->record_above_ns[0], board->record_above_ns[1]);
    }
}

int board_statistics(uint32_t task, struct stats_figures *figures)
{
    if (board->own != NULL)
        return -ENOTSUP;
    if (task == 0)
        return stats_read(board->parts.stats, figures);
    if (board->image == NULL || task > image_table(board->image)->task_count)
        return -ENOENT;
    const struct stats *stats = cycle_task_stats(board->cycle, task);
    memset(figures, 0, sizeof *figures);
    return stats != NULL ? stats_read(stats, figures) : 0;
}

int board_mode_switches(uint32_t task, uint32_t *count)
{
    return board->own != NULL ? -ENOTSUP : cycle_mode_switches(board->cycle, task, count);
}

int board_reset_statistics(uint32_t wakeup_ns, uint32_t execution_ns)
{
    struct stats *stats;
    if (board->own != NULL)
        return -ENOTSUP;
    reset(board->parts.stats);
    for (uint32_t task = 1; (stats = cycle_task_stats(board->cycle, task)) != NULL; task++)
        reset(stats);
    board->record_above_ns[0] = wakeup_ns;
    board->record_above_ns[1] = execution_ns;
    board_begin_recording();
    return 0;
}

bool board_take_record(struct recorder_record *record)
{
    const bool stopped = board_state() == BOARD_STOPPED; /* after a fault some may still run */
    for (uint32_t task = 0; task <= IMAGE_MAX_TASKS; task++) {
        struct recorder *recorder = recorder_of(task);
        if (recorder == NULL)
            continue;
        if (stopped)
            recorder_finish(recorder);
        record->owner = task;
        if (recorder_take(recorder, record))
            return true;
    }
    return false;
}
