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

void board_begin_recording(void)
{
    recorder_reset(board->parts.recorder, board->record_above_ns[0], board->record_above_ns[1]);
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
    if (board_state() != BOARD_RUNNING)
        recorder_finish(board->parts.recorder);
    record->owner = 0;
    return recorder_take(board->parts.recorder, record);
}
