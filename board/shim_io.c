/* SPDX-License-Identifier: MIT */
/* shim_io.c - the I/O driver of the board, and the guard that outlives it. */
#include "shim_parts.h"

#include <stdlib.h>
#include <string.h>

static int find_driver(const char **argument, char *why, uint32_t why_size)
{
    const char *spec = board->options.io;
    const struct io_driver *driver = io_find(spec, argument);
    if (driver == NULL)
        return board_refuse(-ENODEV, why, why_size, "no I/O driver for \"%s\"; there are: %s", spec,
                            io_names());
    if (!driver->rt_safe)
        return board_refuse(-ENOTSUP, why, why_size, "the I/O driver %s is not safe in the cycle",
                            driver->name);
    board->parts.io = driver;
    return 0;
}

int board_open_io(char *why, uint32_t why_size)
{
    struct cycle_parts *parts = &board->parts;
    const char *argument;
    int error = find_driver(&argument, why, why_size);
    const bool guarded = parts->io != &io_none || board->options.io_part_count > 0;
    if (error == 0 && guarded && (board->guard = guard_prepare()) == NULL)
        error = board_refuse(-ENOMEM, why, why_size, "out of memory");
    if (error != 0)
        return error;
    error = parts->io->open(&parts->io_state, argument, why, why_size);
    if (error != 0) {
        parts->io = NULL; /* it has no state to close */
        return error;
    }
    error = board_open_io_parts(why, why_size);
    if (error != 0 || board->guard == NULL)
        return error;
    error = guard_start(board->guard, parts->io, parts->io_state, board->options.priority);
    if (error != 0)
        return board_refuse(error, why, why_size,
                            "cannot start the process that guards the outputs: %s",
                            strerror(-error));
    return board_start_io_parts(why, why_size);
}

void board_close_io(void)
{
    guard_stop(board->guard); /* first: it must not make safe what somebody else has opened */
    board->guard = NULL;
    if (board->parts.io != NULL)
        board->parts.io->close(board->parts.io_state);
    free(board->gpio);
}

bool board_guarded(void)
{
    return board == NULL || board->guard == NULL ||
           (board_io_parts_guarded() && guard_stands(board->guard));
}

void board_dismiss_guard(void)
{
    if (board == NULL)
        return;
    guard_stop(board->guard);
    board->guard = NULL;
}
