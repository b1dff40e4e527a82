/* SPDX-License-Identifier: MIT */
/* shim_python.c - what a program and its Python exchange. */
#define _GNU_SOURCE
#include "shim_parts.h"

#include <inttypes.h>
#include <string.h>

int board_create_python(void)
{
    struct cycle_parts *parts = &board->parts;
    const int error = eval_create(&parts->eval, platform_prefault);
    return error != 0 ? error : shared_create(&parts->shared, platform_prefault);
}

void board_forget_python(void)
{
    if (board->parts.eval == NULL)
        return;
    eval_forget(board->parts.eval);
    shared_forget(board->parts.shared);
}

bool board_take_eval(struct eval_request *request)
{
    return eval_take(board->parts.eval, request);
}

int board_answer_eval(uint64_t call, uint32_t run, const char *text, uint32_t length)
{
    return eval_answer(board->parts.eval, call, run, text, length);
}

/* What Python writes, the scan applies: it must own the variable. */
static const char *first_of_a_thread(const uint32_t *indices, uint32_t count)
{
    const struct program *program = cycle_program(board->cycle);
    for (uint32_t i = 0; program != NULL && i < count; i++) {
        if (indices[i] >= image_table(board->image)->variable_count)
            continue;
        const struct sr_variable *row = &image_variables(board->image)[indices[i]];
        if (program->lanes[row->task] != 0)
            return row->path;
    }
    return NULL;
}

int64_t board_share(const uint32_t *indices, uint32_t count, char *why, uint32_t why_size)
{
    struct shared *shared = board->parts.shared;
    if (shared == NULL || board->image == NULL)
        return board_refuse(-EBUSY, why, why_size, "there is nothing to share variables with");
    const char *path = first_of_a_thread(indices, count);
    if (path != NULL)
        return board_refuse(-EINVAL, why, why_size,
                            "%s belongs to a task with a thread of its own, and cannot be shared "
                            "with Python: share one that it is copied to or from (SR_COPY)",
                            path);
    const uint32_t generation = board->shared_generation + 1u;
    const int error =
        shared_select(shared, image_variables(board->image),
                      image_table(board->image)->variable_count, indices, count, generation);
    if (error == -EMSGSIZE)
        return board_refuse(-EINVAL, why, why_size,
                            "%" PRIu32 " shared variables are more than %u bytes", count,
                            SHARED_MAX_BYTES);
    if (error == -ENOENT || error == -EINVAL)
        return board_refuse(-EINVAL, why, why_size, "a variable to share does not exist");
    if (error != 0)
        return board_refuse(error, why, why_size, "cannot share: %s", strerror(-error));
    board->shared_generation = generation;
    if (board_state() == BOARD_STOPPED)
        shared_capture(shared);
    return generation;
}

int32_t board_read_shared(uint32_t generation, uint8_t *to, uint32_t size)
{
    return shared_read(board->parts.shared, generation, to, size);
}

int board_write_shared(uint32_t generation, uint32_t position, const uint8_t *wire, uint32_t size)
{
    return shared_write(board->parts.shared, generation, position, wire, size);
}
