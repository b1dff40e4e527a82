/* SPDX-License-Identifier: MIT */
/* image_parts.h - what the image_*.c files share. Nobody else includes it. */
#ifndef SR_IMAGE_PARTS_H
#define SR_IMAGE_PARTS_H

#include "image.h"

#include <stdbool.h>

#define IMAGE_MAX_SEGMENTS 8

struct image_segment {
    char *start;
    size_t size;
    uint32_t access; /* PF_R, PF_W, PF_X */
    char *initial;   /* writable ones: their content after loading */
};

struct image {
    void *handle;
    char *path;
    uintptr_t base;
    struct image_segment segments[IMAGE_MAX_SEGMENTS];
    uint32_t segment_count;
    const struct sr_plc_table *table;
    const struct sr_variable *variables;
    struct sr_variable *own_rows;  /* when the image's rows have another length than ours */
    struct image_located *located; /* inputs from the front, outputs from the back */
    uint32_t located_room;
    uint32_t input_count;
    uint32_t output_count;
    struct image_copy *copies; /* as many as the table says */
    uint32_t copy_count;
    uint64_t base_ns;
    struct image_object *object; /* of the Beremiz IDE; NULL: a native image */
};

/* Write the sentence; returns -ENOEXEC. */
__attribute__((format(printf, 3, 4))) int image_refuse(char *why, size_t why_size,
                                                       const char *format, ...);

/* image_segments.c: find the segments of the object loaded at image->base; whether it has
 * thread-local storage. */
bool image_find_segments(struct image *image);
/* How many bytes from `address` on lie in one segment with this access (PF_R...); 0: none. */
size_t image_room(const struct image *image, const void *address, uint32_t access);
/* A NUL-terminated text, a function, an aligned array inside the image. */
bool image_is_text(const struct image *image, const char *text);
bool image_is_code(const struct image *image, uintptr_t function);
bool image_is_array(const struct image *image, const void *array, uint32_t count, size_t each);

/* image_copies.c: who owns which variable, and the copies between tasks. */
int image_check_owners(struct image *image, char *why, size_t why_size);

/* image_check.c: the table, and all that image_open takes from it. */
int image_check(struct image *image, char *why, size_t why_size);

/* What the shim makes for an object that has no table. */
struct image_object {
    struct beremiz entries;
    bool own_cycle;
    char id[33];
    struct sr_plc_table table;
    struct sr_task task;
    struct sr_variable *places; /* behind `located` */
    char *names;
};

/* image_object.c: is it one of the Beremiz IDE? Then make what image_check takes from a table. */
bool image_is_object(const struct image *image);
int image_make_object(struct image *image, struct image_use use, char *why, size_t why_size);
void image_free_object(struct image_object *object);

#endif
