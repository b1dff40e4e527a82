/* SPDX-License-Identifier: MIT */
/* shim.c - the board's life. shim_program.c has what it loads, shim_run.c how that runs,
 * shim_variables.c what is done with the values. */
#define _GNU_SOURCE
#include "shim_parts.h"

#include "host.h"
#include "retain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_RING_BYTES (1u << 14)
#define MIN_WATCHDOG_NS INT64_C(1000000)

struct board *board;

int board_refuse(int error, char *why, uint32_t why_size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, why_size, format, arguments);
    va_end(arguments);
    return error;
}

static int create_parts(char *why, uint32_t why_size)
{
    struct cycle_parts *parts = &board->parts;
    int error = board_open_io(why, why_size);
    if (error != 0)
        return error;
    error = trace_create(&parts->trace, board->options.trace_ring_bytes, platform_prefault);
    if (error != 0)
        return board_refuse(error, why, why_size,
                            "cannot make a trace ring of %" PRIu32 " bytes (a power of two): %s",
                            board->options.trace_ring_bytes, strerror(-error));
    error = force_create(&parts->force, platform_prefault);
    if (error == 0)
        error = snapshot_create(&parts->snapshot, SNAPSHOT_MAX_BYTES, platform_prefault);
    if (error == 0)
        error = snapshot_create(&parts->retain, RETAIN_MAX_BYTES, platform_prefault);
    if (error == 0)
        error = log_create(&parts->log, LOG_RING_BYTES, platform_prefault);
    if (error == 0)
        error = stats_create(&parts->stats, platform_prefault);
    if (error == 0)
        error = recorder_create(&parts->recorder, platform_prefault);
    if (error == 0 && board->options.python)
        error = board_create_python();
    if (error == 0)
        error = cycle_create(&board->cycle, parts, platform_prefault);
    if (error == 0)
        error = board_try_schedule();
    if (error != 0)
        return board_refuse(error, why, why_size, "cannot set up the board: %s", strerror(-error));
    host_bind(parts->log, parts->eval);
    return 0;
}

static void destroy(void)
{
    struct cycle_parts *parts = &board->parts;
    cycle_destroy(board->cycle);
    trace_destroy(parts->trace);
    force_destroy(parts->force);
    snapshot_destroy(parts->snapshot);
    snapshot_destroy(parts->retain);
    log_destroy(parts->log);
    stats_destroy(parts->stats);
    recorder_destroy(parts->recorder);
    eval_destroy(parts->eval);
    shared_destroy(parts->shared);
    own_cycle_destroy(board->own);
    image_close(board->image);
    board_end_changes();
    board_close_io();
    free((char *)board->options.io);
    free(board);
    board = NULL;
}

int board_open(const struct board_options *options, char *why, uint32_t why_size)
{
    if (board != NULL)
        return board_refuse(-EBUSY, why, why_size, "this process already has a board");
    if (options->priority < 0 || options->priority > BOARD_MAX_PRIORITY ||
        (options->watchdog_ns != 0 && options->watchdog_ns < MIN_WATCHDOG_NS))
        return board_refuse(-EINVAL, why, why_size,
                            "the priority must be 0 to %d (it is %" PRId32
                            "), the watchdog time 0 or at least 1 ms",
                            BOARD_MAX_PRIORITY, options->priority);
    if (options->sensitivity < 1 || options->sensitivity > BOARD_MAX_SENSITIVITY)
        return board_refuse(-EINVAL, why, why_size,
                            "the watchdog's sensitivity must be 1 to %u (it is %" PRIu32 ")",
                            BOARD_MAX_SENSITIVITY, options->sensitivity);
    int error = platform_init(why, why_size);
    if (error != 0)
        return error;
    board = calloc(1, sizeof *board);
    char *io = strdup(options->io);
    if (board == NULL || io == NULL) {
        free(board);
        free(io);
        board = NULL;
        return board_refuse(-ENOMEM, why, why_size, "out of memory");
    }
    board->options = *options;
    board->options.io = io;
    error = create_parts(why, why_size);
    board->options.io_parts = NULL; /* the caller's */
    if (error != 0)
        destroy();
    return error;
}

int32_t board_state(void)
{
    if (board == NULL)
        return BOARD_EMPTY;
    if (board->cycle != NULL && cycle_state(board->cycle) == CYCLE_FAULTED)
        return BOARD_FAULTED;
    return atomic_load_explicit(&board->state, memory_order_acquire);
}

bool board_tainted(void)
{
    return board_state() == BOARD_FAULTED || (board != NULL && board->abandoned);
}

/* Release: what the worker prepared, for the acquire in board_state. */
void board_set_state(enum board_state state)
{
    atomic_store_explicit(&board->state, (int)state, memory_order_release);
}

int board_close(void)
{
    char why[FAULT_TEXT_BYTES];
    if (board == NULL)
        return 0;
    if (board_state() == BOARD_RUNNING)
        (void)board_stop(why, sizeof why);
    if (!board_tainted())
        (void)board_drop_change(why, sizeof why);
    if (board_tainted()) {
        if (board_state() == BOARD_FAULTED)
            (void)cycle_stop(board->cycle); /* ends the watchdog; the parked thread stays */
        platform_release_cpu_latency();
        return -EFAULT;
    }
    destroy();
    return 0;
}

const char *board_backend(void)
{
    return platform_name();
}
