/* SPDX-License-Identifier: MIT */
/* shim_change.c - online change: another version of the program, opened beside the one that runs,
 * then run in its place; cycle_change.c has what the RT thread does. */
#define _GNU_SOURCE
#include "shim_parts.h"

#include "convert.h"
#include "host.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLL_NS INT64_C(200000)
/* How long the worker waits for a cycle that leaves time for the switch, or lets go of a change. */
#define SWITCH_LIMIT_NS INT64_C(2000000000)
#define SEAT_LOG_RING_BYTES (1u << 12)
/* A rehearsal looks at cycles for so long at most, until all tasks have run. */
#define OBSERVE_NS INT64_C(1000000000)

/* For code of one program while the other one runs: its messages need a ring of their own. */
static struct host_seat seat;

static struct {
    struct image *image; /* the new one; after the switch the old one; NULL: no change is open */
    struct cycle_change *cycle;
    struct force *force; /* this and `snapshot`: of that image, as the worker sees it */
    struct snapshot *snapshot;
    bool switched;
    bool abandoned; /* code of that image was: it stays mapped */
    char fault[FAULT_TEXT_BYTES];
} changing;

/* ---- the other image ------------------------------------------------------------------------ */

static void free_cycle_change(struct cycle_change *change)
{
    if (change == NULL)
        return;
    change_destroy(change->copy);
    program_destroy(change->program);
    if (change->force != NULL)
        force_forget(change->force);
    force_destroy(change->force);
    snapshot_destroy(change->snapshot);
    free(change);
}

static void forget_change(void)
{
    free_cycle_change(changing.cycle);
    if (!changing.abandoned)
        image_close(changing.image);
    memset(&changing, 0, sizeof changing);
}

bool board_changes(void)
{
    return changing.image != NULL;
}

bool board_rolled_back(void)
{
    return changing.switched && change_phase(changing.cycle->copy) == CHANGE_ROLLED_BACK;
}

static int refuse_open(char *why, uint32_t why_size)
{
    if (board_state() != BOARD_RUNNING)
        return board_refuse(-EBUSY, why, why_size,
                            "no program is running: load the new one without online change");
    if (changing.image != NULL)
        return board_refuse(-EBUSY, why, why_size, "another online change is under way");
    if (board_tainted())
        return board_refuse(-EBUSY, why, why_size,
                            "a program crashed in this process: stop and start, which begins a "
                            "new one, before another online change");
    if (image_beremiz(board->image) != NULL)
        return board_refuse(-ENOTSUP, why, why_size,
                            "objects of the Beremiz IDE cannot be changed online: stop and load");
    return 0;
}

static bool has_threads(const struct image *image)
{
    struct program *program;
    if (program_create(&program, image, board->options.threads, NULL) != 0)
        return true; /* too many */
    const bool some = program->thread_count > 0;
    program_destroy(program);
    return some;
}

/* It could be done only when all threads rest at once, which may never be. */
static int refuse_new(const struct image *image, char *why, uint32_t why_size)
{
    if (image_beremiz(image) != NULL)
        return board_refuse(-ENOTSUP, why, why_size,
                            "an object of the Beremiz IDE cannot replace a program online: stop "
                            "and load");
    if (has_threads(board->image) || has_threads(image))
        return board_refuse(-ENOTSUP, why, why_size,
                            "tasks with threads of their own cannot be changed online: stop and "
                            "load, or set rt.tasks to \"single\" in the profile");
    return 0;
}

static int make_seat(void)
{
    seat.why_not = "init and fini beside a running program cannot have Python code evaluated";
    return seat.log != NULL ? 0 : log_create(&seat.log, SEAT_LOG_RING_BYTES, platform_prefault);
}

struct log *board_change_log(void)
{
    return seat.log;
}

void board_end_changes(void)
{
    log_destroy(seat.log);
    seat.log = NULL;
}

int board_open_change(const char *path, struct board_image *image, char *why, uint32_t why_size)
{
    const struct image_use use = {.own_cycle = false, .process_io = board->parts.io != &io_none};
    struct image *new = NULL;
    int error = refuse_open(why, why_size);
    if (error == 0)
        error = image_open(&new, path, use, platform_prefault, why, why_size);
    if (error != 0)
        return error;
    error = refuse_new(new, why, why_size);
    if (error == 0)
        error = make_seat();
    if (error != 0) {
        image_close(new);
        return error;
    }
    memset(&changing, 0, sizeof changing);
    changing.image = new;
    board_describe_image(new, image);
    return 0;
}

int board_change_task(uint32_t index, struct board_task *task)
{
    return board_describe_task(changing.image, NULL, index, task);
}

int board_change_variable(uint32_t index, struct board_variable *variable)
{
    return board_describe_variable(changing.image, index, variable);
}

int32_t board_conversion(uint8_t from, uint8_t from_capacity, uint8_t to, uint8_t to_capacity)
{
    return (int32_t)convert_kind((struct convert_type){from, from_capacity},
                                 (struct convert_type){to, to_capacity});
}

struct lines {
    char *text;
    uint32_t size;
    uint32_t used;
};

static void add_line(void *context, const char *name, size_t bytes)
{
    struct lines *lines = context;
    const uint32_t room = lines->size - lines->used;
    const int length = snprintf(lines->text + lines->used, room, "%.200s %zu\n", name, bytes);
    if (length > 0 && (uint32_t)length < room)
        lines->used += (uint32_t)length;
    else
        lines->text[lines->used] = '\0';
}

int32_t board_statics(char *text, uint32_t size)
{
    struct lines lines = {text, size, 0};
    text[0] = '\0';
    const int error = image_statics(board->image, add_line, &lines);
    return error != 0 ? error : (int32_t)lines.used;
}

/* ---- rehearsal ------------------------------------------------------------------------------ */

static uint32_t cycles_to_observe(const struct program *program)
{
    const int64_t limit = OBSERVE_NS / program->base_ns + 1;
    uint32_t most = 1;
    for (uint32_t i = 0; i < program->task_count; i++)
        most = program->tasks[i].every > most ? program->tasks[i].every : most;
    return most < limit ? most + 1 : (uint32_t)limit;
}

static int make_parts(struct cycle_change *change, const struct change_pair *pairs, uint32_t count,
                      uint32_t probation, uint32_t *bad)
{
    const struct image *from = board->image, *to = changing.image;
    int error = program_create(&change->program, to, false, platform_prefault);
    if (error == 0)
        program_begin(change->program);
    if (error == 0)
        error = force_create(&change->force, platform_prefault);
    if (error == 0)
        error = snapshot_create(&change->snapshot, SNAPSHOT_MAX_BYTES, platform_prefault);
    if (error == 0)
        error = change_create(
            &change->copy, image_variables(from), image_table(from)->variable_count,
            image_variables(to), image_table(to)->variable_count, pairs, count,
            cycles_to_observe(cycle_program(board->cycle)), probation, platform_prefault, bad);
    return error;
}

int board_rehearse_change(const struct change_pair *pairs, uint32_t count, uint32_t probation,
                          char *why, uint32_t why_size)
{
    uint32_t bad = count;
    if (changing.image == NULL || changing.cycle != NULL || board_state() != BOARD_RUNNING)
        return board_refuse(-EBUSY, why, why_size, "there is no online change to rehearse");
    struct cycle_change *change = calloc(1, sizeof *change);
    const int error = change != NULL ? make_parts(change, pairs, count, probation, &bad) : -ENOMEM;
    if (error != 0) {
        free_cycle_change(change);
        if (bad < count)
            return board_refuse(-EINVAL, why, why_size,
                                "variable %" PRIu32 " of the running program cannot become "
                                "variable %" PRIu32 " of the new one",
                                pairs[bad].from, pairs[bad].to);
        return board_refuse(error, why, why_size, "cannot prepare the change: %s",
                            strerror(-error));
    }
    (void)platform_prefault(change, sizeof *change);
    program_match(change->program, cycle_program(board->cycle));
    changing.cycle = change;
    changing.force = change->force;
    changing.snapshot = change->snapshot;
    cycle_begin_change(board->cycle, change);
    return 0;
}

void board_change_state(struct board_change *state)
{
    const struct cycle_change *change = changing.cycle;
    *state = (struct board_change){.phase = BOARD_NO_CHANGE};
    if (changing.image == NULL)
        return;
    state->phase = BOARD_CHANGE_OPEN;
    if (change == NULL)
        return;
    const struct change *copy = change->copy;
    state->phase = (int32_t)change_phase(copy);
    state->copy_ns = atomic_load_explicit(&copy->copy_ns, memory_order_relaxed);
    state->busy_ns = atomic_load_explicit(&copy->busy_ns, memory_order_relaxed);
    state->cycles_left = atomic_load_explicit(&copy->cycles_left, memory_order_relaxed);
    state->period_ns =
        changing.switched ? change->program->base_ns : (int64_t)image_base_ns(board->image);
}

/* ---- the switch ------------------------------------------------------------------------------ */

static int32_t init_result;

static void call_init(void *argument)
{
    const struct sr_plc_table *table = argument;
    init_result = table->init(&host_functions);
}

/* The values of the rehearsal are gone then: init finds what it finds at every start. */
static int begin_new(char *why, uint32_t why_size)
{
    struct fault fault;
    image_reset(changing.image);
    seat.tick = cycle_tick(board->cycle);
    const int error = fault_contain(call_init, (void *)image_table(changing.image), &seat, "init",
                                    board_init_limit_ns(), &fault);
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
    if (init_result != 0)
        return board_refuse(-EFAULT, why, why_size,
                            "the new program refuses to start: init returned %" PRId32,
                            init_result);
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
        if ((board_state() != BOARD_RUNNING || platform_now_ns() > until_ns) &&
            change_withdraw(copy))
            return -ETIMEDOUT;
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

static void call_fini(void *argument)
{
    const struct sr_plc_table *table = argument;
    table->fini();
}

/* The old program's. What it does wrong there is logged, and taints the process. */
static void end_old(void)
{
    const struct sr_plc_table *table = image_table(changing.image);
    struct fault fault;
    if (table->fini == NULL || board_tainted())
        return;
    seat.tick = cycle_tick(board->cycle);
    const int error =
        fault_contain(call_fini, (void *)table, &seat, "fini", board_init_limit_ns(), &fault);
    if (error != -EFAULT)
        return;
    char text[FAULT_TEXT_BYTES];
    fault_describe(&fault, changing.image, text, sizeof text);
    log_put(seat.log, SR_LOG_CRITICAL, seat.tick, platform_now_ns(), text);
    changing.abandoned = true;
    board->abandoned = true;
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
    end_old();
    forget_change();
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

int board_drop_change(char *why, uint32_t why_size)
{
    int error = 0;
    why[0] = '\0';
    if (changing.image == NULL)
        return 0;
    if (changing.cycle != NULL) {
        struct change *copy = changing.cycle->copy;
        if (change_phase(copy) == CHANGE_ROLLED_BACK || change_phase(copy) == CHANGE_RELEASED)
            error = release_rolled_back(why, why_size);
        else if (changing.switched && board_state() == BOARD_STOPPED)
            error = undo_stopped();
        else if (changing.switched)
            return board_refuse(-EBUSY, why, why_size, "the new program runs: stop it");
        else if (change_phase(copy) == CHANGE_WITHDRAWN || change_withdraw(copy))
            error = wait_for_release(why, why_size);
    }
    if (error != 0)
        return error;
    forget_change();
    return 0;
}
