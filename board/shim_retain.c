/* SPDX-License-Identifier: MIT */
/* shim_retain.c - the retain variables of the loaded program. Nothing is kept here of its table:
 * every call looks at the present one, so another program needs no call but a cancel. */
#define _GNU_SOURCE
#include "shim_parts.h"

#include "retain.h"

#include <stdlib.h>
#include <string.h>

uint32_t board_retained(uint32_t *indices, uint32_t room)
{
    if (board == NULL || board->image == NULL || board->own != NULL)
        return 0;
    return retain_list(image_variables(board->image), image_table(board->image)->variable_count,
                       indices, room);
}

static int ask(const struct sr_variable *rows)
{
    const uint32_t count = board_retained(NULL, 0);
    uint32_t *indices = calloc((size_t)count + 1, sizeof *indices);
    if (indices == NULL)
        return -ENOMEM;
    (void)board_retained(indices, count);
    const int error = snapshot_request(board->parts.retain, rows,
                                       image_table(board->image)->variable_count, indices, count);
    free(indices);
    return error;
}

int board_ask_retained(char *why, uint32_t why_size)
{
    if (board_state() != BOARD_RUNNING)
        return board_refuse(-EBUSY, why, why_size, "no program is running");
    if (board->own != NULL)
        return board_refuse(-ENOTSUP, why, why_size, "the program runs its own cycle");
    const int error = ask(board_shown_rows());
    if (error == -EMSGSIZE)
        return board_refuse(error, why, why_size, "they take more than %u bytes", RETAIN_MAX_BYTES);
    if (error != 0)
        return board_refuse(error, why, why_size, "%s", strerror(-error));
    return 0;
}

void board_capture_last(void)
{
    /* Too many or no memory: there is no answer then, as with every earlier request. After a fault
     * on trial these are the variables of the program that failed. */
    snapshot_cancel(board->parts.retain);
    if (!board_rolled_back() && ask(image_variables(board->image)) == 0)
        snapshot_capture(board->parts.retain, cycle_tick(board->cycle));
}

int32_t board_take_retained(const uint8_t **values, uint32_t *tick)
{
    uint32_t size;
    const int error = snapshot_result(board->parts.retain, tick, values, &size);
    /* Looked at after the answer: one that came behind a fault on trial is of the program that
     * failed. */
    if (error == 0 && board_rolled_back())
        return -EAGAIN;
    return error == 0 ? (int32_t)size : error;
}

void board_restore_retained(void *argument)
{
    struct board_restoring *restoring = argument;
    restoring->misfits =
        retain_restore(image_variables(board->image), image_table(board->image)->variable_count,
                       restoring->orders, restoring->count);
}
