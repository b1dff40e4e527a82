/* SPDX-License-Identifier: MIT */
/* shim.c - the board's life and its program's; shim_variables.c has what is done with the values
 * of a program. */
#define _GNU_SOURCE
#include "shim_parts.h"

#include "host.h"
#include "hosted.h"
#include "iec.h"
#include "retain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_RING_BYTES (1u << 14)
/* For init and fini; a watchdog time of the user's stretches or shortens it. */
#define INIT_LIMIT_NS INT64_C(5000000000)
#define INIT_LIMIT_WATCHDOGS 20
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

/* ---- life ---------------------------------------------------------------------------------- */

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
static void set_state(enum board_state state)
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

/* ---- the program --------------------------------------------------------------------------- */

/* No list holds an address of the image afterwards. */
static void drop_image(void)
{
    (void)force_publish(board->parts.force, NULL, 0, NULL, 0, NULL);
    force_settle(board->parts.force);
    force_forget(board->parts.force);
    trace_forget(board->parts.trace);
    snapshot_cancel(board->parts.snapshot);
    cycle_forget(board->cycle);
    snapshot_cancel(board->parts.retain);
    force_route(board->parts.force, NULL);
    board_forget_python();
    own_cycle_destroy(board->own);
    image_close(board->image);
    board->own = NULL;
    board->image = NULL;
}

static int check_idle(char *why, uint32_t why_size)
{
    switch (board_state()) {
    case BOARD_RUNNING:
        return board_refuse(-EBUSY, why, why_size, "a program is running: stop it first");
    case BOARD_FAULTED:
        return board_refuse(-EBUSY, why, why_size,
                            "a program crashed in this process: only a new process can load one");
    default:
        break;
    }
    if (board_tainted())
        return board_refuse(-EBUSY, why, why_size,
                            "a new program crashed in this process: only another process can load "
                            "or start one");
    if (board_changes())
        return board_refuse(-EBUSY, why, why_size, "an online change is under way: drop it first");
    return 0;
}

int board_check(const char *path, bool own_cycle, char *why, uint32_t why_size)
{
    struct image *image = NULL;
    const struct image_use use = {.own_cycle = own_cycle, .process_io = true};
    const int error = image_open(&image, path, use, NULL, why, why_size);
    image_close(image);
    return error;
}

/* An image, and how it is run: by the shim, or by itself. */
struct opened {
    struct image *image;
    struct program *program;
    struct own_cycle *own;
};

static int open_program(struct opened *opened, char *why, uint32_t why_size)
{
    const int error = image_runs_itself(opened->image)
                          ? own_cycle_create(&opened->own, opened->image, board->parts.trace)
                          : program_create(&opened->program, opened->image, board->options.threads,
                                           platform_prefault);
    if (error == -E2BIG)
        return board_refuse(-ENOEXEC, why, why_size,
                            "more than %u tasks want threads of their own (SR_TASK_THREAD): let "
                            "some do without, or set rt.tasks to \"single\" in the profile",
                            PROGRAM_MAX_THREADS);
    return error == 0 ? 0 : board_refuse(error, why, why_size, "out of memory");
}

static int open_image(const char *path, struct opened *opened, char *why, uint32_t why_size)
{
    const struct image_use use = {.own_cycle = board->options.own_cycle,
                                  .process_io = board->parts.io != &io_none};
    int error = image_open(&opened->image, path, use, platform_prefault, why, why_size);
    if (error != 0)
        return error;
    error = open_program(opened, why, why_size);
    if (error != 0)
        image_close(opened->image);
    return error;
}

static void take_image(const struct opened *opened, const char *id)
{
    drop_image();
    image_identify(opened->image, id);
    board->image = opened->image;
    board->own = opened->own;
    if (opened->program != NULL) {
        cycle_load(board->cycle, opened->program);
        force_route(board->parts.force, opened->program->lanes);
    }
}

int board_load(const char *path, const char *id, struct board_image *image, char *why,
               uint32_t why_size)
{
    struct opened new = {.image = NULL};
    int error = check_idle(why, why_size);
    if (error == 0)
        error = open_image(path, &new, why, why_size);
    if (error != 0)
        return error;
    take_image(&new, id);
    board_begin_log();
    set_state(BOARD_STOPPED);
    board_describe_image(new.image, image);
    return 0;
}

void board_describe_image(const struct image *image, struct board_image *description)
{
    const struct sr_plc_table *table = image_table(image);
    *description = (struct board_image){.name = table->name,
                                        .build_id = table->build_id,
                                        .task_count = table->task_count,
                                        .variable_count = table->variable_count,
                                        .base_ns = image_base_ns(image),
                                        .beremiz = image_beremiz(image) != NULL};
}

int board_describe_task(const struct image *image, const struct program *program, uint32_t index,
                        struct board_task *task)
{
    if (image == NULL || index >= image_table(image)->task_count)
        return -EINVAL;
    const struct sr_task *row = image_task(image, index);
    *task = (struct board_task){.name = row->name,
                                .interval_ns = row->interval_ns,
                                .priority = row->priority,
                                .thread = program != NULL && program->lanes[index + 1] != 0};
    return 0;
}

int board_task(uint32_t index, struct board_task *task)
{
    return board_describe_task(board->image, cycle_program(board->cycle), index, task);
}

int board_describe_variable(const struct image *image, uint32_t index,
                            struct board_variable *variable)
{
    if (image == NULL || index >= image_table(image)->variable_count)
        return -EINVAL;
    const struct sr_variable *row = &image_variables(image)[index];
    *variable = (struct board_variable){.path = row->path,
                                        .location = row->location != NULL ? row->location : "",
                                        .type = row->type & IEC_TYPE,
                                        .direction = row->direction,
                                        .options = row->options,
                                        .capacity = row->capacity};
    return 0;
}

int board_variable(uint32_t index, struct board_variable *variable)
{
    return board_describe_variable(board->image, index, variable);
}

int board_unload(char *why, uint32_t why_size)
{
    int error = check_idle(why, why_size);
    if (error != 0)
        return error;
    drop_image();
    set_state(BOARD_EMPTY);
    return 0;
}

static int32_t init_result;

static void call_init(void *argument)
{
    const struct sr_plc_table *table = argument;
    init_result = table->init(&host_functions);
}

static void call_fini(void *argument)
{
    const struct sr_plc_table *table = argument;
    table->fini();
}

int64_t board_init_limit_ns(void)
{
    const int64_t watchdog_ns = board->options.watchdog_ns;
    return watchdog_ns > 0 ? watchdog_ns * INIT_LIMIT_WATCHDOGS : INIT_LIMIT_NS;
}

/* Init and fini: -EFAULT leaves the board faulted. */
static int contain(void (*body)(void *argument), void *argument, const char *where, char *why,
                   uint32_t why_size)
{
    host_first.tick = where[0] == 'i' ? 0 : cycle_tick(board->cycle);
    const int error =
        fault_contain(body, argument, &host_first, where, board_init_limit_ns(), &board->fault);
    if (error == -EFAULT) {
        fault_describe(&board->fault, board->image, why, why_size);
        set_state(BOARD_FAULTED);
    } else if (error != 0) {
        board_refuse(error, why, why_size, "cannot run the program's %s: %s", where,
                     strerror(-error));
    }
    return error;
}

/* Contained like init, for pointers of the program may lead anywhere. */
static int restore_retained(const struct force_order *retained, uint32_t count, char *why,
                            uint32_t why_size)
{
    struct board_restoring restoring = {retained, count, 0};
    image_mark_retained(board->image);
    if (count == 0)
        return 0;
    const int error =
        contain(board_restore_retained, &restoring, "init (retained values)", why, why_size);
    if (error == 0 && restoring.misfits != 0)
        host_functions.log(SR_LOG_WARNING, "a retained value does not fit its variable any more");
    return error;
}

static int refuse_start(int result, char *why, uint32_t why_size)
{
    return board_refuse(-EFAULT, why, why_size, "the program refuses to start: init returned %d",
                        result);
}

static int start_own_cycle(char *why, uint32_t why_size)
{
    int error = contain(own_cycle_begin, board->own, "init", why, why_size);
    if (error != 0)
        return error;
    if (own_cycle_result(board->own) != 0)
        return refuse_start(own_cycle_result(board->own), why, why_size);
    set_state(BOARD_RUNNING);
    error = own_cycle_attend(board->own);
    if (error != 0)
        host_functions.log(SR_LOG_WARNING, "the program's own debugger refuses to trace or force");
    return 0;
}

static int start_cycle(void)
{
    const struct board_options *options = &board->options;
    const struct platform_schedule wanted = board_schedule();
    const struct cycle_rules rules = {.watchdog_ns = options->watchdog_ns,
                                      .sensitivity = options->sensitivity,
                                      .overruns = options->overruns,
                                      .task_cpu = options->task_cpu};
    return cycle_start(board->cycle, &wanted, &rules, &board->actual);
}

static int check_priority(char *why, uint32_t why_size)
{
    const int wanted = board->options.priority;
    const int least = cycle_least_priority(board->cycle);
    if (wanted == 0 || wanted >= least)
        return 0;
    return board_refuse(-EBUSY, why, why_size,
                        "the program's tasks with threads of their own run at priorities below the "
                        "scan's %d: rt.priority must be at least %d, or rt.tasks \"single\"",
                        wanted, least);
}

int board_start(const struct force_order *retained, uint32_t count, char *why, uint32_t why_size)
{
    int error = check_idle(why, why_size);
    if (error != 0)
        return error;
    if (board->image == NULL)
        return board_refuse(-EBUSY, why, why_size, "there is no program to start: load one first");
    error = board->own == NULL ? check_priority(why, why_size) : 0;
    if (error != 0)
        return error;
    error = platform_faults_arm();
    if (error != 0)
        return board_refuse(error, why, why_size, "cannot take the fault signals: %s",
                            strerror(-error));
    hosted_bind(image_beremiz(board->image), count > 0);
    if (board->own != NULL)
        return start_own_cycle(why, why_size);
    snapshot_cancel(board->parts.retain); /* values of an earlier run are none of this one */
    board_settle_memory();
    image_reset(board->image);
    board_begin_log();
    force_settle(board->parts.force);
    if (board->parts.eval != NULL)
        eval_forget(board->parts.eval);
    board_begin_recording();
    error = contain(call_init, (void *)image_table(board->image), "init", why, why_size);
    if (error != 0)
        return error;
    if (init_result != 0)
        return refuse_start(init_result, why, why_size);
    error = restore_retained(retained, count, why, why_size);
    if (error != 0)
        return error;
    board_hold_latency();
    if (board->parts.io->begin != NULL)
        board->parts.io->begin(board->parts.io_state);
    error = start_cycle();
    if (error != 0) {
        platform_release_cpu_latency();
        return board_refuse(error, why, why_size, "cannot start the task threads: %s",
                            strerror(-error));
    }
    set_state(BOARD_RUNNING);
    return 0;
}

static int report_cycle_fault(char *why, uint32_t why_size)
{
    fault_describe(cycle_fault(board->cycle), board->image, why, why_size);
    return -EFAULT;
}

static int stop_own_cycle(char *why, uint32_t why_size)
{
    const int error = contain(own_cycle_end, board->own, "fini", why, why_size);
    own_cycle_rest(board->own); /* also after a fault, which may have left its locks held */
    if (error != 0)
        return error;
    set_state(BOARD_STOPPED);
    image_rest(board->image);
    return 0;
}

int board_stop(char *why, uint32_t why_size)
{
    if (atomic_load_explicit(&board->state, memory_order_relaxed) != BOARD_RUNNING)
        return board_refuse(-EBUSY, why, why_size, "no program is running");
    if (board->own != NULL)
        return stop_own_cycle(why, why_size);
    const int error = cycle_stop(board->cycle);
    platform_release_cpu_latency();
    if (error != 0)
        return report_cycle_fault(why, why_size);
    board_capture_last();
    set_state(BOARD_STOPPED);
    (void)force_publish(board->parts.force, NULL, 0, NULL, 0, NULL);
    force_settle(board->parts.force);
    const struct sr_plc_table *table = image_table(board->image);
    if (table->fini == NULL || board_tainted())
        return 0;
    const int fini_error = contain(call_fini, (void *)table, "fini", why, why_size);
    if (fini_error == 0)
        image_rest(board->image);
    return fini_error;
}

int board_fault(char *text, uint32_t size, int32_t *signal, uint32_t *tick)
{
    if (board_state() != BOARD_FAULTED)
        return board_refuse(-EBUSY, text, size, "the program did not crash");
    const bool in_cycle = cycle_state(board->cycle) == CYCLE_FAULTED;
    const struct fault *fault = in_cycle ? cycle_fault(board->cycle) : &board->fault;
    fault_describe(fault, board->image, text, size);
    *signal = fault->cause.signal;
    *tick = fault->tick;
    return 0;
}
