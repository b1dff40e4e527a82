/* SPDX-License-Identifier: MIT */
/* image_statics.c - what a program keeps outside its table, see image.h. */
#include "image_parts.h"

#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "iec.h"
#include "image_file.h"

struct census {
    const struct image *image;
    uint8_t *listed[IMAGE_MAX_SEGMENTS]; /* of writable ones: a byte for each of theirs */
    void (*visit)(void *context, const char *name, size_t bytes);
    void *context;
};

/* The byte for `address`, and how many follow it; NULL: it is not in writable memory. */
static uint8_t *place_of(const struct census *census, uintptr_t address, size_t *room)
{
    for (uint32_t i = 0; i < census->image->segment_count; i++) {
        const struct image_segment *segment = &census->image->segments[i];
        const size_t offset = (size_t)(address - (uintptr_t)segment->start);
        if (census->listed[i] == NULL || address < (uintptr_t)segment->start ||
            offset >= segment->size)
            continue;
        *room = segment->size - offset;
        return census->listed[i] + offset;
    }
    return NULL;
}

static void mark(const struct census *census, const void *address, size_t size)
{
    size_t room;
    uint8_t *place = place_of(census, (uintptr_t)address, &room);
    if (place != NULL)
        memset(place, 1, size < room ? size : room);
}

/* Up to the next number that `end` is a multiple of, so many bytes may be padding. */
static size_t padding_before(uintptr_t end)
{
    const size_t alignment = end & (~end + 1);
    return alignment > 8 ? 7 : alignment - 1;
}

static size_t count_unlisted(const uint8_t *listed, uintptr_t address, size_t size)
{
    size_t sum = 0;
    for (size_t i = 0; i < size; i++) {
        const size_t first = i;
        while (i < size && listed[i] == 0)
            i++;
        const size_t gap = i - first;
        if (gap > 0 && (first == 0 || gap > padding_before(address + i)))
            sum += gap;
    }
    return sum;
}

static void look_at(void *context, const char *name, uintptr_t offset, size_t size)
{
    const struct census *census = context;
    const uintptr_t address = census->image->base + offset;
    size_t room;
    const uint8_t *listed = place_of(census, address, &room);
    if (listed == NULL || size > room || strcmp(name, "sr_runtime") == 0)
        return;
    const size_t bytes = count_unlisted(listed, address, size);
    if (bytes > 0)
        census->visit(census->context, name, bytes);
}

int image_statics(const struct image *image,
                  void (*visit)(void *context, const char *name, size_t bytes), void *context)
{
    struct census census = {.image = image, .visit = visit, .context = context};
    int error = 0;
    for (uint32_t i = 0; i < image->segment_count && error == 0; i++) {
        if ((image->segments[i].access & PF_W) == 0)
            continue;
        census.listed[i] = calloc(image->segments[i].size, 1);
        error = census.listed[i] == NULL ? -ENOMEM : 0;
    }
    for (uint32_t i = 0; i < image->table->variable_count && error == 0; i++) {
        const struct sr_variable *row = &image->variables[i];
        mark(&census, row->address, iec_size(row->type, row->capacity));
        mark(&census, row->flags, 1);
    }
    if (error == 0 && !image_file_objects(image->path, look_at, &census))
        error = -ENODATA;
    for (uint32_t i = 0; i < image->segment_count; i++)
        free(census.listed[i]);
    return error;
}
