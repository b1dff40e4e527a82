/* SPDX-License-Identifier: MIT */
/* image_copies.c - tasks and their variables: each has one owner, and no other task touches it. */
#include "image_parts.h"

#include "iec.h"

#include <errno.h>
#include <inttypes.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

static int by_address(const void *a, const void *b)
{
    const uintptr_t one = (uintptr_t)(*(const struct sr_variable *const *)a)->address;
    const uintptr_t other = (uintptr_t)(*(const struct sr_variable *const *)b)->address;
    return one < other ? -1 : one > other;
}

/* The row whose value lies at `address`, of several the first found; NULL: none. */
static const struct sr_variable *find(const struct sr_variable *const *sorted, uint32_t count,
                                      const void *address)
{
    const struct sr_variable wanted = {.address = (void *)(uintptr_t)address};
    const struct sr_variable *key = &wanted;
    const struct sr_variable *const *found =
        bsearch(&key, sorted, count, sizeof *sorted, by_address);
    return found != NULL ? *found : NULL;
}

static const char *name_of(const struct image *image, uint32_t task)
{
    return task == 0 ? "without a thread" : image_task(image, task - 1)->name;
}

static int check_rows(const struct image *image, const struct sr_variable *const *sorted, char *why,
                      size_t why_size)
{
    const uint32_t tasks = image->table->task_count;
    uintptr_t end = 0; /* of all values before */
    const struct sr_variable *last = NULL;
    for (uint32_t i = 0; i < image->table->variable_count; i++) {
        const struct sr_variable *row = sorted[i];
        const uintptr_t start = (uintptr_t)row->address;
        if (row->task > tasks)
            return image_refuse(why, why_size,
                                "variable %s belongs to task %" PRIu32 " of %" PRIu32, row->path,
                                row->task, tasks);
        if (last != NULL && start < end && row->task != last->task)
            return image_refuse(why, why_size,
                                "variables %s and %s share memory, and belong to the tasks %s and "
                                "%s: give each its own, and copy (SR_COPY)",
                                last->path, row->path, name_of(image, last->task),
                                name_of(image, row->task));
        if (start + iec_size(row->type, row->capacity) >= end) {
            end = start + iec_size(row->type, row->capacity);
            last = row;
        }
    }
    return 0;
}

static int check_copy(const struct image *image, const struct image_copy *copy, uint32_t index,
                      char *why, size_t why_size)
{
    const struct sr_variable *from = copy->from;
    const struct sr_variable *to = copy->to;
    if (from == NULL || to == NULL)
        return image_refuse(why, why_size,
                            "copy %" PRIu32 ": what it copies %s has no row among the variables",
                            index, from == NULL ? "from" : "to");
    if (from->task == to->task)
        return image_refuse(why, why_size,
                            "the copy from %s to %s stays within one task (%s): copy there",
                            from->path, to->path, name_of(image, from->task));
    if (from->type != to->type || from->capacity != to->capacity)
        return image_refuse(why, why_size,
                            "the copy from %s to %s changes the type (%s to %s): give both the "
                            "same one",
                            from->path, to->path, iec_name(from->type), iec_name(to->type));
    if (to->direction == SR_INPUT)
        return image_refuse(why, why_size, "the copy from %s to %s would overwrite a process input",
                            from->path, to->path);
    return 0;
}

static int by_target(const void *a, const void *b)
{
    const uintptr_t one = (uintptr_t)((const struct image_copy *)a)->to;
    const uintptr_t other = (uintptr_t)((const struct image_copy *)b)->to;
    return one < other ? -1 : one > other;
}

static int check_targets(const struct image *image, char *why, size_t why_size)
{
    qsort(image->copies, image->copy_count, sizeof *image->copies, by_target);
    for (uint32_t i = 1; i < image->copy_count; i++) {
        if (image->copies[i - 1].to == image->copies[i].to)
            return image_refuse(why, why_size, "two copies go to %s", image->copies[i].to->path);
    }
    return 0;
}

static int take_copies(struct image *image, const struct sr_variable *const *sorted, char *why,
                       size_t why_size)
{
    const struct sr_plc_table *table = image->table;
    if (table->table_size < sizeof *table || table->copy_count == 0)
        return 0;
    if (!image_is_array(image, table, 1, sizeof *table) ||
        table->copy_size < sizeof(struct sr_copy) || table->copy_size % sizeof(void *) != 0 ||
        !image_is_array(image, table->copies, table->copy_count, table->copy_size))
        return image_refuse(why, why_size, "the table of copies is not inside the image");
    image->copies = calloc(table->copy_count, sizeof *image->copies);
    if (image->copies == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < table->copy_count; i++) {
        struct sr_copy row;
        memcpy(&row, (const char *)table->copies + (size_t)i * table->copy_size, sizeof row);
        image->copies[i] = (struct image_copy){find(sorted, table->variable_count, row.from),
                                               find(sorted, table->variable_count, row.to)};
        const int error = check_copy(image, &image->copies[i], i, why, why_size);
        if (error != 0)
            return error;
    }
    image->copy_count = table->copy_count;
    return check_targets(image, why, why_size);
}

int image_check_owners(struct image *image, char *why, size_t why_size)
{
    const uint32_t count = image->table->variable_count;
    const struct sr_variable **sorted = calloc((size_t)count + 1, sizeof *sorted);
    if (sorted == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++)
        sorted[i] = &image->variables[i];
    qsort(sorted, count, sizeof *sorted, by_address);
    int error = check_rows(image, sorted, why, why_size);
    if (error == 0)
        error = take_copies(image, sorted, why, why_size);
    free(sorted);
    return error;
}
