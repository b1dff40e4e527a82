/* SPDX-License-Identifier: MIT */
/* shim_program.c - the program of the board: loaded, described, unloaded. */
#define _GNU_SOURCE
#include "shim_parts.h"

#include "iec.h"

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

int board_check_idle(char *why, uint32_t why_size)
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
    int error = board_check_idle(why, why_size);
    if (error == 0)
        error = open_image(path, &new, why, why_size);
    if (error != 0)
        return error;
    take_image(&new, id);
    board_begin_log();
    board_set_state(BOARD_STOPPED);
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
    int error = board_check_idle(why, why_size);
    if (error != 0)
        return error;
    drop_image();
    board_set_state(BOARD_EMPTY);
    return 0;
}
