/* SPDX-License-Identifier: MIT */
/* shim_switch.c - online change: the other version is run in the first one's place, then kept or
 * dropped; cycle_change.c has what the RT thread does. */
#define _GNU_SOURCE
#include "shim_changing.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define POLL_NS INT64_C(200000)
/* How long the worker waits for a cycle that leaves time for the switch, or lets go of a change. */
#define SWITCH_LIMIT_NS INT64_C(2000000000)

/* ---- the switch ------------------------------------------------------------------------------ */

/* The values of the rehearsal are gone then: init finds what it finds at every start. */
static int begin_new(char *why, uint32_t why_size)
{
    struct fault fault;
    image_reset(changing.image);
    change_seat.tick = cycle_tick(board->cycle);
    const int error = fault_contain(board_call_init, (void *)image_table(changing.image),
                                    &change_seat, "init", board_init_limit_ns(), &fault);
    if (error == -EFAULT) {
        char text[FAULT_TEXT_BYTES];
        fault_describe(&fault, changing.image, text, sizeof text);
        changing.abandoned = true;
        board->abandoned = true;
        return board_refuse(-EFAULT, why, why_size, "the new program crashes in its init: %s",
                            text);
    }
    if (error != 0)
        return board_refuse(error, why, why_size, "cannot run the new program's init: %s",
                            strerror(-error));
    if (board_init_result() != 0)
        return board_refuse(-EFAULT, why, why_size,
                            "the new program refuses to start: init returned %" PRId32,
                            board_init_result());
    return 0;
}

/* No list that the cycle takes over holds an address of the present image any more. */
static int clear_lists(char *why, uint32_t why_size)
{
    int64_t error = board_set_trace(NULL, 0, why, why_size);
    if (error >= 0 && board->parts.shared != NULL)
        error = board_share(NULL, 0, why, why_size);
    snapshot_cancel(board->parts.snapshot);
    snapshot_cancel(board->parts.retain);
    return error < 0 ? (int)error : 0;
}

/* The other image's part of the board, either way; the cycle has exchanged its own. */
static void exchange_parts(void)
{
    struct image *image = board->image;
    struct force *force = board->parts.force;
    struct snapshot *snapshot = board->parts.snapshot;
    board->image = changing.image;
    board->parts.force = changing.force;
    board->parts.snapshot = changing.snapshot;
    changing.image = image;
    changing.force = force;
    changing.snapshot = snapshot;
    changing.switched = !changing.switched;
}

static void hasten(void)
{
    if (image_base_ns(board->image) > BOARD_SHORT_BASE_NS)
        cycle_hasten_change(board->cycle);
}

/* Order it, and wait. -ETIMEDOUT: no cycle left enough time for it. */
static int order_switch(void)
{
    struct change *copy = changing.cycle->copy;
    const int64_t until_ns = platform_now_ns() + SWITCH_LIMIT_NS;
    if (!change_order(copy))
        return -EBUSY;
    for (;;) {
        const enum change_phase phase = change_phase(copy);
        if (phase == CHANGE_PROBATION || phase == CHANGE_ROLLED_BACK)
            return 0;
        const bool runs = board_state() == BOARD_RUNNING;
        if ((!runs || platform_now_ns() > until_ns) && change_withdraw(copy))
            return -ETIMEDOUT;
        if (!runs && change_phase(copy) == CHANGE_SWITCHING)
            return -EFAULT; /* it ended in the middle of it: nobody leaves this phase any more */
        hasten();
        platform_poll_sleep(POLL_NS);
    }
}

static int refuse_switch(int error, char *why, uint32_t why_size)
{
    if (error == -ETIMEDOUT && board_state() == BOARD_RUNNING)
        return board_refuse(-EBUSY, why, why_size,
                            "no cycle left the time to copy the values in: nothing was changed");
    return board_refuse(-EBUSY, why, why_size,
                        "the running program ended before it could be changed");
}

static int refuse_make(char *why, uint32_t why_size)
{
    struct board_change state;
    board_change_state(&state);
    if (state.phase != CHANGE_READY || board_state() != BOARD_RUNNING)
        return board_refuse(-EBUSY, why, why_size, "there is no online change that is ready");
    if (!change_fits(changing.cycle->copy, state.period_ns))
        return board_refuse(-EBUSY, why, why_size,
                            "copying the values takes %" PRIu32 " us, and may take half of what "
                            "even a cycle of %" PRIu32 " us leaves of %" PRId64
                            " us: stop and load",
                            state.copy_ns / 1000, state.busy_ns / 1000, state.period_ns / 1000);
    return 0;
}

int board_make_change(const struct force_order *orders, uint32_t count, char *why,
                      uint32_t why_size)
{
    int error = refuse_make(why, why_size);
    if (error == 0)
        error = begin_new(why, why_size);
    if (error != 0)
        return error;
    error = force_publish(changing.force, image_variables(changing.image),
                          image_table(changing.image)->variable_count, orders, count, NULL);
    if (error != 0)
        return board_refuse(error, why, why_size, "cannot force in the new program: %s",
                            strerror(-error));
    error = clear_lists(why, why_size);
    if (error != 0)
        return error;
    error = order_switch();
    if (error != 0)
        return refuse_switch(error, why, why_size);
    exchange_parts();
    return 0;
}

/* ---- the end --------------------------------------------------------------------------------- */

/* The RT side lets go of the change at its next cycle, or when it is told. */
static int wait_for_release(char *why, uint32_t why_size)
{
    const int64_t until_ns = platform_now_ns() + SWITCH_LIMIT_NS;
    while (!cycle_end_change(board->cycle, changing.cycle)) {
        if (platform_now_ns() > until_ns)
            return board_refuse(-ETIMEDOUT, why, why_size, "the present cycle does not end");
        hasten();
        platform_poll_sleep(POLL_NS);
    }
    return 0;
}

/* The old program's. What it does wrong there is logged, and taints the process: false. */
static bool end_old(const struct image *image)
{
    const struct sr_plc_table *table = image_table(image);
    struct fault fault;
    if (table->fini == NULL || board_tainted())
        return true;
    change_seat.tick = cycle_tick(board->cycle);
    const int error = fault_contain(board_call_fini, (void *)table, &change_seat, "fini",
                                    board_init_limit_ns(), &fault);
    if (error != -EFAULT)
        return true;
    char text[FAULT_TEXT_BYTES];
    fault_describe(&fault, image, text, sizeof text);
    log_put(change_seat.log, SR_LOG_CRITICAL, change_seat.tick, platform_now_ns(), text);
    board->abandoned = true;
    return false;
}

int board_keep_change(char *why, uint32_t why_size)
{
    if (changing.cycle == NULL || !changing.switched)
        return board_refuse(-EBUSY, why, why_size, "no online change was made");
    struct change *copy = changing.cycle->copy;
    if (change_phase(copy) != CHANGE_CONFIRMED && !change_confirm(copy))
        return board_refuse(-EBUSY, why, why_size, "the online change was taken back");
    const int error = wait_for_release(why, why_size);
    if (error != 0)
        return error;
    changing.abandoned = !end_old(changing.image);
    board_forget_change();
    return 0;
}

static void describe_rollback(char *why, uint32_t why_size)
{
    /* The image that crashed is the present one until the parts are exchanged. */
    fault_describe(&changing.cycle->fault, board->image, why, why_size);
}

/* The cycle runs the old program again. The new one's code was abandoned. */
static int release_rolled_back(char *why, uint32_t why_size)
{
    char text[FAULT_TEXT_BYTES];
    if (changing.switched) {
        describe_rollback(text, sizeof text);
        snprintf(changing.fault, sizeof changing.fault, "%s", text);
        exchange_parts();
        const int signal = changing.cycle->fault.cause.signal;
        changing.abandoned = signal != FAULT_LONG && signal != FAULT_OVERRUN;
        board->abandoned = board->abandoned || changing.abandoned;
    }
    int error = clear_lists(why, why_size);
    if (error != 0)
        return error;
    (void)change_release(changing.cycle->copy);
    error = wait_for_release(why, why_size);
    if (error == 0)
        snprintf(why, why_size, "%s", changing.fault);
    return error;
}

/* The new program was stopped before it was the board's for good. */
static int undo_stopped(void)
{
    (void)cycle_end_change(board->cycle, changing.cycle);
    cycle_undo_change(board->cycle, changing.cycle);
    exchange_parts();
    return 0;
}

/* What board_stop does of a program, for the old one that is the stopped board's again. */
static void rest_old(void)
{
    (void)force_publish(board->parts.force, NULL, 0, NULL, 0, NULL);
    force_settle(board->parts.force);
    if (end_old(board->image))
        image_rest(board->image);
}

int board_drop_change(char *why, uint32_t why_size)
{
    int error = 0;
    why[0] = '\0';
    if (changing.image == NULL)
        return 0;
    const bool switched = changing.switched;
    if (changing.cycle != NULL) {
        struct change *copy = changing.cycle->copy;
        if (change_phase(copy) == CHANGE_ROLLED_BACK || change_phase(copy) == CHANGE_RELEASED)
            error = release_rolled_back(why, why_size);
        else if (change_phase(copy) == CHANGE_SWITCHING)
            return 0; /* a fault, nobody knows how far it had come: all stays as it is */
        else if (changing.switched && board_state() == BOARD_STOPPED)
            error = undo_stopped();
        else if (changing.switched)
            return board_refuse(-EBUSY, why, why_size, "the new program runs: stop it");
        else if (change_phase(copy) == CHANGE_WITHDRAWN || change_withdraw(copy))
            error = wait_for_release(why, why_size);
    }
    if (error != 0)
        return error;
    if (switched && board_state() == BOARD_STOPPED)
        rest_old();
    board_forget_change();
    return 0;
}
