/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "image_parts.h"

#include "iec.h"
#include "io/io.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

static int check_table(struct image *image, char *why, size_t why_size)
{
    const struct sr_plc_table *table = dlsym(image->handle, SR_IMAGE_SYMBOL);
    if (table == NULL)
        return image_refuse(why, why_size,
                            "the file does not export %s: it is not a program for this runtime",
                            SR_IMAGE_SYMBOL);
    if (!image_is_array(image, table, 1, SR_FIRST_TABLE_SIZE) || table->magic != SR_ABI_MAGIC)
        return image_refuse(why, why_size, "%s is not a program table", SR_IMAGE_SYMBOL);
    if (table->abi_version != SR_ABI_VERSION)
        return image_refuse(why, why_size,
                            "the image has ABI version %" PRIu32
                            ", this runtime runs version %u: build "
                            "it against this runtime's plc_abi.h",
                            table->abi_version, SR_ABI_VERSION);
    if (table->table_size < SR_FIRST_TABLE_SIZE ||
        table->variable_size < sizeof(struct sr_variable) ||
        table->variable_size % sizeof(void *) != 0 || table->task_size < sizeof(struct sr_task) ||
        table->task_size % _Alignof(struct sr_task) != 0)
        return image_refuse(why, why_size, "the table's sizes are those of no ABI version");
    if (!image_is_text(image, table->name) || !image_is_text(image, table->build_id))
        return image_refuse(why, why_size, "the table has no name or no build id");
    if (table->init == NULL || !image_is_code(image, (uintptr_t)table->init) ||
        (table->fini != NULL && !image_is_code(image, (uintptr_t)table->fini)))
        return image_refuse(why, why_size, "init or fini is not a function of the image");
    image->table = table;
    return 0;
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        const uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static int check_tasks(struct image *image, char *why, size_t why_size)
{
    const struct sr_plc_table *table = image->table;
    uint64_t longest = 0;
    if (table->task_count == 0 || table->task_count > IMAGE_MAX_TASKS)
        return image_refuse(why, why_size, "the program has %" PRIu32 " tasks; it needs 1 to %u",
                            table->task_count, IMAGE_MAX_TASKS);
    if (!image_is_array(image, table->tasks, table->task_count, table->task_size))
        return image_refuse(why, why_size, "the task list is not inside the image");
    for (uint32_t i = 0; i < table->task_count; i++) {
        const struct sr_task *task = image_task(image, i);
        if (!image_is_text(image, task->name) || !image_is_code(image, (uintptr_t)task->run))
            return image_refuse(why, why_size, "task %" PRIu32 " has no name or no function", i);
        if (task->interval_ns == 0 || task->interval_ns > IMAGE_MAX_INTERVAL_NS)
            return image_refuse(why, why_size, "task %s has an interval of %" PRIu64 " ns",
                                task->name, task->interval_ns);
        image->base_ns = common_divisor(image->base_ns, task->interval_ns);
        longest = task->interval_ns > longest ? task->interval_ns : longest;
    }
    if (image->base_ns < IMAGE_MIN_BASE_NS)
        return image_refuse(
            why, why_size,
            "the task intervals have a common divisor of %" PRIu64
            " ns, the shortest base tick is %u ns: choose intervals that are multiples "
            "of each other",
            image->base_ns, IMAGE_MIN_BASE_NS);
    if (longest / image->base_ns > INT32_MAX)
        return image_refuse(why, why_size, "the task intervals lie too far apart");
    return 0;
}

static int check_variable(const struct image *image, const struct sr_variable *row, uint32_t index,
                          char *why, size_t why_size)
{
    if (!image_is_text(image, row->path) || row->path[0] == '\0')
        return image_refuse(why, why_size, "variable %" PRIu32 " has no path", index);
    if (!iec_is_type(row->type) || row->direction > SR_MEMORY)
        return image_refuse(why, why_size, "variable %s has unknown type %u or direction %u",
                            row->path, row->type, row->direction);
    if (row->type == SR_TYPE_STRING ? row->capacity == 0 || row->capacity > 254
                                    : row->capacity != 0)
        return image_refuse(why, why_size, "variable %s has an impossible string capacity",
                            row->path);
    if (image_room(image, row->address, PF_R | PF_W) < iec_size(row->type, row->capacity) ||
        image_room(image, row->flags, PF_R | PF_W) == 0)
        return image_refuse(why, why_size, "variable %s is not in the image's memory", row->path);
    if ((row->direction == SR_LOCAL) != (row->location == NULL))
        return image_refuse(why, why_size,
                            "variable %s has a direction without a location or the "
                            "reverse",
                            row->path);
    if (row->location != NULL && !image_is_text(image, row->location))
        return image_refuse(why, why_size, "the location of variable %s is not inside the image",
                            row->path);
    return 0;
}

static int check_location(const struct sr_variable *row, struct location *location, char *why,
                          size_t why_size)
{
    if (location_parse(row->location, location) != 0)
        return image_refuse(
            why, why_size,
            "variable %s: \"%s\" is not a location (%s); write %%IX0.0, %%QW3 or the like",
            row->path, row->location, location_refusal(row->location));
    switch (location_check(location, row->type, row->direction, IO_AREA_BYTES)) {
    case 0:
        return 0;
    case -EPROTOTYPE:
        return image_refuse(why, why_size, "variable %s: %s is in another area than its row says",
                            row->path, row->location);
    case -ERANGE:
        return image_refuse(why, why_size,
                            "variable %s: %s lies beyond the process image of %u bytes", row->path,
                            row->location, IO_AREA_BYTES);
    default:
        return image_refuse(why, why_size, "variable %s: a %s does not fit %s", row->path,
                            iec_name(row->type), row->location);
    }
}

static int by_path(const void *a, const void *b)
{
    return strcmp((*(const struct sr_variable *const *)a)->path,
                  (*(const struct sr_variable *const *)b)->path);
}

static int check_duplicates(const struct image *image, char *why, size_t why_size)
{
    const uint32_t count = image->table->variable_count;
    const struct sr_variable **sorted = calloc((size_t)count + 1, sizeof *sorted);
    int error = 0;
    if (sorted == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++)
        sorted[i] = &image->variables[i];
    qsort(sorted, count, sizeof *sorted, by_path);
    for (uint32_t i = 1; i < count && error == 0; i++) {
        if (by_path(&sorted[i - 1], &sorted[i]) == 0)
            error = image_refuse(why, why_size, "two variables have the path %s", sorted[i]->path);
    }
    free(sorted);
    return error;
}

static int take_rows(struct image *image)
{
    const struct sr_plc_table *table = image->table;
    image->variables = table->variables;
    if (table->variable_size == sizeof(struct sr_variable) || table->variable_count == 0)
        return 0;
    image->own_rows = calloc(table->variable_count, sizeof *image->own_rows);
    if (image->own_rows == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < table->variable_count; i++)
        memcpy(&image->own_rows[i],
               (const char *)table->variables + (size_t)i * table->variable_size,
               sizeof *image->own_rows);
    image->variables = image->own_rows;
    return 0;
}

/* Inputs fill the list from the front, outputs from the back. */
static int check_variables(struct image *image, char *why, size_t why_size)
{
    const struct sr_plc_table *table = image->table;
    const uint32_t count = table->variable_count;
    if (count > 0 && !image_is_array(image, table->variables, count, table->variable_size))
        return image_refuse(why, why_size, "the variable table is not inside the image");
    int error = take_rows(image);
    image->located_room = count;
    image->located = calloc((size_t)count + 1, sizeof *image->located);
    if (error != 0 || image->located == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        const struct sr_variable *row = &image->variables[i];
        struct image_located item = {.variable = row};
        error = check_variable(image, row, i, why, why_size);
        if (error == 0 && row->direction != SR_LOCAL)
            error = check_location(row, &item.location, why, why_size);
        if (error != 0)
            return error;
        if (row->direction == SR_INPUT)
            image->located[image->input_count++] = item;
        if (row->direction == SR_OUTPUT)
            image->located[count - ++image->output_count] = item;
    }
    return check_duplicates(image, why, why_size);
}

int image_check(struct image *image, char *why, size_t why_size)
{
    int error = check_table(image, why, why_size);
    if (error == 0)
        error = check_tasks(image, why, why_size);
    if (error == 0)
        error = check_variables(image, why, why_size);
    return error != 0 ? error : image_check_owners(image, why, why_size);
}
