/* SPDX-License-Identifier: MIT */
/* shim_run.c - the board's program, from its start to its end. */
#define _GNU_SOURCE
#include "shim_parts.h"

#include "host.h"
#include "hosted.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* For init and fini; a watchdog time of the user's stretches or shortens it. */
#define INIT_LIMIT_NS INT64_C(5000000000)
#define INIT_LIMIT_WATCHDOGS 20

static int32_t init_result;

void board_call_init(void *argument)
{
    const struct sr_plc_table *table = argument;
    init_result = table->init(&host_functions);
}

int32_t board_init_result(void)
{
    return init_result;
}

void board_call_fini(void *argument)
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
        board_set_state(BOARD_FAULTED);
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
    board_set_state(BOARD_RUNNING);
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

static int check_lockstep(char *why, uint32_t why_size)
{
    if (board->parts.io->await == NULL || cycle_least_priority(board->cycle) == 0)
        return 0;
    return board_refuse(-EBUSY, why, why_size,
                        "the program's tasks have threads of their own, which the plant of "
                        "lockstep:NAME cannot pace: set rt.tasks to \"single\", or use sim:NAME");
}

int board_start(const struct force_order *retained, uint32_t count, char *why, uint32_t why_size)
{
    int error = board_check_idle(why, why_size);
    if (error != 0)
        return error;
    if (board->image == NULL)
        return board_refuse(-EBUSY, why, why_size, "there is no program to start: load one first");
    error = board->own == NULL ? check_priority(why, why_size) : 0;
    if (error == 0 && board->own == NULL)
        error = check_lockstep(why, why_size);
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
    error = contain(board_call_init, (void *)image_table(board->image), "init", why, why_size);
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
    board_set_state(BOARD_RUNNING);
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
    board_set_state(BOARD_STOPPED);
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
    board_set_state(BOARD_STOPPED);
    (void)force_publish(board->parts.force, NULL, 0, NULL, 0, NULL);
    force_settle(board->parts.force);
    const struct sr_plc_table *table = image_table(board->image);
    if (table->fini == NULL || board_tainted() || board_rolled_back())
        return 0; /* the last is a program that crashed, though nobody has looked at it yet */
    const int fini_error = contain(board_call_fini, (void *)table, "fini", why, why_size);
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
