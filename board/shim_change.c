/* SPDX-License-Identifier: MIT */
/* shim_change.c - online change: another version of the program, opened beside the one that runs,
 * and the rehearsal of the copy; shim_switch.c runs it in the other one's place. */
#define _GNU_SOURCE
#include "shim_changing.h"

#include "convert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEAT_LOG_RING_BYTES (1u << 12)
/* A rehearsal looks at cycles for so long at most, until all tasks have run. */
#define OBSERVE_NS INT64_C(1000000000)

struct host_seat change_seat;
struct board_changing changing;

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

void board_forget_change(void)
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
    change_seat.why_not =
        "init and fini beside a running program cannot have Python code evaluated";
    return change_seat.log != NULL
               ? 0
               : log_create(&change_seat.log, SEAT_LOG_RING_BYTES, platform_prefault);
}

struct log *board_change_log(void)
{
    return change_seat.log;
}

void board_end_changes(void)
{
    log_destroy(change_seat.log);
    change_seat.log = NULL;
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
