/* SPDX-License-Identifier: MIT */
/* shim_io_parts.c - the parts of the process image that have an I/O thread. */
#include "shim_parts.h"

#include <stdlib.h>
#include <string.h>

static int open_part(uint32_t index, const struct board_io_part *wanted)
{
    const struct io_part_masks masks = {.inputs = wanted->inputs,
                                        .outputs = wanted->outputs,
                                        .lost = wanted->lost,
                                        .safe = wanted->safe,
                                        .stale_ns = wanted->stale_ns};
    struct io_part *part;
    int error = io_part_create(&part, &masks, platform_prefault);
    if (error != 0)
        return error;
    if (wanted->gpio == NULL) {
        io_set_add(board->io_set, part, NULL, NULL, NULL);
        return 0;
    }
    struct gpio *gpio;
    error = gpio_create(&gpio, wanted->gpio, &gpio_system, part);
    if (error != 0) {
        io_part_destroy(part);
        return error;
    }
    board->gpio[index] = gpio;
    io_set_add(board->io_set, part, gpio_safe, gpio_close, gpio);
    return 0;
}

static int refuse(int error, char *why, uint32_t why_size)
{
    if (error != 0)
        board_refuse(error, why, why_size, "cannot set up the process I/O: %s", strerror(-error));
    return error;
}

int board_open_io_parts(char *why, uint32_t why_size)
{
    const uint32_t count = board->options.io_part_count;
    struct cycle_parts *parts = &board->parts;
    if (count == 0)
        return 0;
    if (parts->io->await != NULL)
        return board_refuse(-EINVAL, why, why_size,
                            "io.driver = \"lockstep:NAME\" has a time of its own: no io.gpio and "
                            "no io.modbus beside it");
    board->gpio = calloc(count, sizeof *board->gpio);
    int error = -ENOMEM;
    if (board->gpio != NULL)
        error = io_set_create(&board->io_set, parts->io, parts->io_state, count);
    if (error == 0) {
        parts->io = &io_set;
        parts->io_state = board->io_set;
    }
    for (uint32_t i = 0; i < count && error == 0; i++)
        error = open_part(i, &board->options.io_parts[i]);
    return refuse(error, why, why_size);
}

int board_start_io_parts(char *why, uint32_t why_size)
{
    int error = 0;
    for (uint32_t i = 0; i < board->options.io_part_count && error == 0; i++) {
        if (board->gpio[i] != NULL)
            error = gpio_start(board->gpio[i]);
    }
    return refuse(error, why, why_size);
}

bool board_io_parts_guarded(void)
{
    for (uint32_t i = 0; i < board->options.io_part_count; i++) {
        if (board->gpio[i] != NULL && !gpio_guarded(board->gpio[i]))
            return false;
    }
    return true;
}

static struct io_part *part_of(uint32_t index)
{
    if (board == NULL || board->io_set == NULL || index >= board->options.io_part_count)
        return NULL;
    return io_set_part(board->io_set, index);
}

int board_io_publish(uint32_t part, const uint8_t *inputs)
{
    struct io_part *found = part_of(part);
    if (found == NULL || board->gpio[part] != NULL)
        return -EINVAL;
    io_part_publish(found, inputs);
    return 0;
}

int board_io_take(uint32_t part, uint8_t *outputs)
{
    struct io_part *found = part_of(part);
    if (found == NULL || board->gpio[part] != NULL)
        return -EINVAL;
    return (int)io_part_take(found, outputs);
}

int board_io_look(uint32_t part, uint8_t *inputs, uint8_t *outputs)
{
    struct io_part *found = part_of(part);
    if (found == NULL)
        return -EINVAL;
    io_part_look(found, inputs, outputs);
    return 0;
}

int board_io_gpio(uint32_t part, struct io_gpio_report *report)
{
    if (part_of(part) == NULL || board->gpio[part] == NULL)
        return -EINVAL;
    gpio_report(board->gpio[part], report);
    return 0;
}
