/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "image_parts.h"

#include "hosted.h"
#include "iec.h"
#include "image_file.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An object with its own cycle calls its own functions, not those that hosted_lend lends; the
 * sanitizers cannot live with that flag. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_FIRST 0
#else
#define OWN_FIRST RTLD_DEEPBIND
#endif

int image_refuse(char *why, size_t why_size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, why_size, format, arguments);
    va_end(arguments);
    return -ENOEXEC;
}

static int keep_initial(struct image *image)
{
    for (uint32_t i = 0; i < image->segment_count; i++) {
        struct image_segment *segment = &image->segments[i];
        if ((segment->access & PF_W) == 0)
            continue;
        segment->initial = malloc(segment->size);
        if (segment->initial == NULL)
            return -ENOMEM;
        memcpy(segment->initial, segment->start, segment->size);
    }
    return 0;
}

/* A symbol that is unique in the process, and lies in an image that was here before. */
struct foreign {
    const struct image *image;
    char name[128];
};

static bool is_foreign(void *context, const char *name, enum image_symbol_kind kind)
{
    struct foreign *foreign = context;
    if (kind != IMAGE_UNIQUE ||
        image_room(foreign->image, dlsym(foreign->image->handle, name), PF_R) > 0)
        return false;
    snprintf(foreign->name, sizeof foreign->name, "%.*s", (int)sizeof foreign->name - 1, name);
    return true;
}

static int check_fresh(const struct image *image, char *why, size_t why_size)
{
    struct foreign foreign = {.image = image};
    image_file_symbols(image->path, is_foreign, &foreign);
    if (foreign.name[0] == '\0')
        return 0;
    image_refuse(why, why_size,
                 "the loader kept the value of %s of an earlier image for this one: restart the "
                 "runtime, or compile images with -fno-gnu-unique",
                 foreign.name);
    return -ESTALE;
}

static bool is_entry(void *context, const char *name, enum image_symbol_kind kind)
{
    bool *found = context;
    *found = kind != IMAGE_IMPORTED && strcmp(name, "startPLC") == 0;
    return *found;
}

/* Before the loader binds the object's calls. */
static void prepare_object(const char *path)
{
    bool found = false;
    image_file_symbols(path, is_entry, &found);
    if (found)
        hosted_lend();
}

/* "__QX0_0" and the like are defined by an extension of the project, or by nobody. */
static int refuse_import(const char *error, char *why, size_t why_size)
{
    static const char words[] = "undefined symbol: __";
    const char *symbol = strstr(error, words);
    const bool located = symbol != NULL && symbol[sizeof words - 1] != '\0' &&
                         strchr("IQM", symbol[sizeof words - 1]) != NULL;
    return image_refuse(why, why_size, "the loader refuses the image: %s%s", error,
                        located ? " (no extension of the project serves this located variable)"
                                : "");
}

static int map(struct image *image, struct image_use use, char *why, size_t why_size)
{
    const struct link_map *entry = NULL;
    int flags = RTLD_NOW | RTLD_LOCAL;
    void *mapped = dlopen(image->path, RTLD_NOW | RTLD_NOLOAD | RTLD_LOCAL);
    if (mapped != NULL) {
        dlclose(mapped);
        return image_refuse(why, why_size,
                            "the file is already mapped, with the state of an earlier "
                            "run: load a copy of it under another path");
    }
    if (use.own_cycle)
        flags |= OWN_FIRST;
    else
        prepare_object(image->path);
    image->handle = dlopen(image->path, flags);
    if (image->handle == NULL)
        return refuse_import(dlerror(), why, why_size);
    if (dlinfo(image->handle, RTLD_DI_LINKMAP, &entry) != 0)
        return image_refuse(why, why_size, "the loader does not know the image: %s", dlerror());
    image->base = entry->l_addr;
    if (image_find_segments(image))
        return image_refuse(why, why_size,
                            "the image has thread-local storage, whose first use may "
                            "allocate in the cycle: remove __thread variables");
    return check_fresh(image, why, why_size);
}

int image_open(struct image **image, const char *path, struct image_use use, sr_prefault prefault,
               char *why, size_t why_size)
{
    int error = image_file_check(path, why, why_size);
    if (error != 0)
        return error;
    struct image *new = calloc(1, sizeof *new);
    if (new == NULL)
        return -ENOMEM;
    snprintf(why, why_size, "out of memory");
    /* A slash keeps the loader from searching its library path. */
    if (asprintf(&new->path, "%s%s", strchr(path, '/') == NULL ? "./" : "", path) < 0) {
        free(new);
        return -ENOMEM;
    }
    error = map(new, use, why, why_size);
    if (error == 0)
        error = image_is_object(new) ? image_make_object(new, use, why, why_size)
                                     : image_check(new, why, why_size);
    if (error == 0 && !image_runs_itself(new))
        error = keep_initial(new);
    if (error != 0) {
        image_close(new);
        return error;
    }
    image_prefault(new, prefault);
    why[0] = '\0';
    *image = new;
    return 0;
}

void image_close(struct image *image)
{
    if (image == NULL)
        return;
    for (uint32_t i = 0; i < image->segment_count; i++)
        free(image->segments[i].initial);
    if (image->handle != NULL)
        dlclose(image->handle);
    image_free_object(image->object);
    free(image->located);
    free(image->own_rows);
    free(image->copies);
    free(image->path);
    free(image);
}

const struct sr_plc_table *image_table(const struct image *image)
{
    return image->table;
}

const struct sr_task *image_task(const struct image *image, uint32_t index)
{
    const struct sr_plc_table *table = image->table;
    return (const void *)((const char *)table->tasks + (size_t)index * table->task_size);
}

const struct sr_variable *image_variables(const struct image *image)
{
    return image->variables;
}

struct image_located_list image_inputs(const struct image *image)
{
    return (struct image_located_list){image->located, image->input_count};
}

struct image_located_list image_outputs(const struct image *image)
{
    const uint32_t first = image->located_room - image->output_count;
    return (struct image_located_list){image->located + first, image->output_count};
}

struct image_copy_list image_copies(const struct image *image)
{
    return (struct image_copy_list){image->copies, image->copy_count};
}

uint64_t image_base_ns(const struct image *image)
{
    return image->base_ns;
}

void image_reset(struct image *image)
{
    for (uint32_t i = 0; i < image->segment_count; i++) {
        struct image_segment *segment = &image->segments[i];
        if (segment->initial != NULL)
            memcpy(segment->start, segment->initial, segment->size);
    }
    if (image->object != NULL)
        image_identify(image, image->object->id);
}

void image_rest(struct image *image)
{
    for (uint32_t i = 0; i < image->table->variable_count; i++) {
        const struct sr_variable *row = &image->variables[i];
        void **pointer = row->address;
        if ((row->type & IEC_POINTER) != 0 &&
            image_room(image, *pointer, PF_R) < iec_size(row->type, row->capacity))
            *pointer = NULL;
    }
}

const struct beremiz *image_beremiz(const struct image *image)
{
    return image->object != NULL ? &image->object->entries : NULL;
}

bool image_runs_itself(const struct image *image)
{
    return image->object != NULL && image->object->own_cycle;
}

void image_identify(struct image *image, const char *id)
{
    if (image->object == NULL)
        return;
    char *text = image->object->id;
    if (id != text)
        snprintf(text, sizeof image->object->id, "%s", id);
    *image->object->entries.plc_id = text[0] != '\0' ? text : NULL;
}

void image_prefault(const struct image *image, sr_prefault prefault)
{
    if (prefault == NULL)
        return;
    for (uint32_t i = 0; i < image->segment_count; i++)
        prefault(image->segments[i].start, image->segments[i].size);
    prefault(image->located, (image->located_room + 1) * sizeof *image->located);
    if (image->own_rows != NULL)
        prefault(image->own_rows, image->table->variable_count * sizeof *image->own_rows);
    if (image->object == NULL)
        return;
    prefault(image->object, sizeof *image->object);
    prefault(image->object->places, (image->located_room + 1) * sizeof(struct sr_variable));
}

void image_symbol(const struct image *image, uintptr_t pc, char *name, size_t name_size)
{
    name[0] = '\0';
    if (image_is_code(image, pc))
        image_file_symbol(image->path, pc - image->base, name, name_size);
    name[strcspn(name, ".")] = '\0'; /* without what compilers append: ".cold", ".part.0" */
}
