/* SPDX-License-Identifier: MIT */
/* image_object.c - an object of the Beremiz IDE: its entry points, and the table made for it. */
#define _GNU_SOURCE
#include "image_parts.h"

#include "hosted.h"
#include "iec.h"
#include "image_file.h"
#include "io/io.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <link.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_PERIOD_NS 1000000u /* what the object takes when it has none */
#define NAME_BYTES 16              /* "VAR.4294967295" */
#define STRING_CAPACITY 126

enum need { ALWAYS, TO_HOST, OPTIONAL };

/* What an entry point is: a function, or so many writable bytes. */
struct entry {
    const char *name;
    size_t offset;
    enum need need;
    size_t bytes;
};

#define FUNCTION(name_, member, need_) {name_, offsetof(struct beremiz, member), need_, 0}
#define DATA(name_, member, need_, bytes_) {name_, offsetof(struct beremiz, member), need_, bytes_}

static const struct entry entry_points[] = {
    DATA("PLC_ID", plc_id, ALWAYS, sizeof(char *)),
    FUNCTION("startPLC", start, ALWAYS),
    FUNCTION("stopPLC", stop, ALWAYS),
    FUNCTION("ResetDebugVariables", reset_debug, ALWAYS),
    FUNCTION("RegisterDebugVariable", register_debug, ALWAYS),
    FUNCTION("FreeDebugData", free_debug, ALWAYS),
    FUNCTION("GetDebugData", get_debug, ALWAYS),
    FUNCTION("suspendDebug", suspend_debug, ALWAYS),
    FUNCTION("resumeDebug", resume_debug, ALWAYS),
    FUNCTION("LogMessage", log, ALWAYS),
    FUNCTION("GetLogCount", log_count, ALWAYS),
    FUNCTION("GetLogMessage", log_message, ALWAYS),
    FUNCTION("__for_each_variable_do", for_each_variable, TO_HOST),
    DATA("__tick", tick, TO_HOST, sizeof(unsigned int)),
    FUNCTION("__init", init, TO_HOST),
    FUNCTION("__run", run, TO_HOST),
    FUNCTION("__cleanup", cleanup, TO_HOST),
    DATA("__CURRENT_TIME", current_time, TO_HOST, 2 * sizeof(long)),
    DATA("common_ticktime__", period_ns, TO_HOST, sizeof(unsigned long long)),
    FUNCTION("GetRetainSize", retain_size, OPTIONAL),
    FUNCTION("PythonIterator", python_iterator, OPTIONAL),
};

bool image_is_object(const struct image *image)
{
    return dlsym(image->handle, SR_IMAGE_SYMBOL) == NULL &&
           dlsym(image->handle, "startPLC") != NULL;
}

static int resolve(struct image *image, bool own_cycle, char *why, size_t why_size)
{
    for (size_t i = 0; i < sizeof entry_points / sizeof entry_points[0]; i++) {
        const struct entry *entry = &entry_points[i];
        void *found = dlsym(image->handle, entry->name);
        /* In the object itself, not in a library it needs. */
        if (entry->bytes == 0 ? !image_is_code(image, (uintptr_t)found)
                              : image_room(image, found, PF_R | PF_W) < entry->bytes)
            found = NULL;
        if (found == NULL && entry->need == ALWAYS)
            return image_refuse(why, why_size,
                                "the object exports startPLC, but no %s: it is no whole PLC object",
                                entry->name);
        if (found == NULL && entry->need == TO_HOST && !own_cycle)
            return image_refuse(
                why, why_size,
                "the object exports no %s, so the runtime cannot run its cycle: set "
                "beremiz.cycle = \"own\" in the profile",
                entry->name);
        memcpy((char *)&image->object->entries + entry->offset, &found, sizeof found);
    }
    return 0;
}

static bool is_xenomai(void *context, const char *name, enum image_symbol_kind kind)
{
    bool *found = context;
    *found = kind == IMAGE_IMPORTED && strncmp(name, "rt_pipe_", 8) == 0;
    return *found;
}

static int check_hosted(const struct image *image, char *why, size_t why_size)
{
    bool xenomai = false;
    image_file_symbols(image->path, is_xenomai, &xenomai);
    if (xenomai)
        return image_refuse(why, why_size,
                            "the object was built for Xenomai, where only its own startPLC can "
                            "run it: set beremiz.cycle = \"own\" in the profile");
    if (!hosted_is_lent(&image->object->entries))
        return image_refuse(why, why_size,
                            "the object's calls to its own runtime cannot be replaced (is it "
                            "linked with -Bsymbolic, or compiled by clang?): set beremiz.cycle = "
                            "\"own\" in the profile");
    if (image->base_ns < IMAGE_MIN_BASE_NS || image->base_ns > IMAGE_MAX_INTERVAL_NS)
        return image_refuse(why, why_size,
                            "the program's cycle is %" PRIu64 " ns, it must be %u ns to 366 days",
                            image->base_ns, IMAGE_MIN_BASE_NS);
    return 0;
}

/* ---- variables ----------------------------------------------------------------------------- */

/* In the order of matiec's enumeration, which goes through them three times: values, pointers,
 * pointers to outputs and memory. */
static const uint8_t types[] = {
    SR_TYPE_REAL, SR_TYPE_LREAL,  SR_TYPE_SINT, SR_TYPE_INT,   SR_TYPE_DINT,
    SR_TYPE_LINT, SR_TYPE_USINT,  SR_TYPE_UINT, SR_TYPE_UDINT, SR_TYPE_ULINT,
    SR_TYPE_TIME, SR_TYPE_BYTE,   SR_TYPE_WORD, SR_TYPE_DWORD, SR_TYPE_LWORD,
    SR_TYPE_BOOL, SR_TYPE_STRING, SR_TYPE_DATE, SR_TYPE_TOD,   SR_TYPE_DT,
};
#define TYPES (sizeof types / sizeof types[0])

static const uint8_t forms[] = {IEC_MATIEC, IEC_MATIEC | IEC_POINTER,
                                IEC_MATIEC | IEC_POINTER | IEC_OUTPUT};

/* The object's iterator passes no context along. */
static struct {
    struct image *image;
    uint32_t count;
    uint32_t room;
    uint32_t bad; /* the first that cannot be; room: none */
} visit;

static bool take_variable(const struct image *image, const struct beremiz_variable *variable,
                          struct sr_variable *row)
{
    if (image_room(image, variable, PF_R) < sizeof *variable ||
        variable->type >= TYPES * sizeof forms)
        return false;
    const uint8_t bare = types[variable->type % TYPES];
    const uint8_t form = forms[variable->type / TYPES];
    row->type = (uint8_t)(bare | form);
    row->capacity = bare == SR_TYPE_STRING ? STRING_CAPACITY : 0;
    row->address = variable->address;
    /* The flags lie behind what they belong to. */
    const size_t before =
        (form & IEC_POINTER) != 0 ? sizeof(void *) : iec_size(row->type, row->capacity);
    if (image_room(image, variable->address, PF_R | PF_W) <= before)
        return false;
    row->flags = (uint8_t *)variable->address + before;
    return true;
}

static void count_variable(const struct beremiz_variable *variable)
{
    (void)variable;
    visit.count++;
}

static void add_variable(const struct beremiz_variable *variable)
{
    const uint32_t index = visit.count++;
    if (index >= visit.room)
        return;
    struct sr_variable *row = &visit.image->own_rows[index];
    char *name = visit.image->object->names + (size_t)index * NAME_BYTES;
    snprintf(name, NAME_BYTES, "VAR.%" PRIu32, index);
    row->path = name;
    if (!take_variable(visit.image, variable, row) && visit.bad == visit.room)
        visit.bad = index;
}

static int take_variables(struct image *image, char *why, size_t why_size)
{
    struct image_object *object = image->object;
    memset(&visit, 0, sizeof visit);
    if (object->entries.for_each_variable != NULL)
        object->entries.for_each_variable(count_variable);
    visit.image = image;
    visit.room = visit.bad = visit.count;
    visit.count = 0;
    image->own_rows = calloc((size_t)visit.room + 1, sizeof *image->own_rows);
    object->names = calloc((size_t)visit.room + 1, NAME_BYTES);
    if (image->own_rows == NULL || object->names == NULL)
        return -ENOMEM;
    if (visit.room > 0)
        object->entries.for_each_variable(add_variable);
    if (visit.count != visit.room)
        return image_refuse(why, why_size, "the object tells its variables twice, differently");
    if (visit.bad < visit.room)
        return image_refuse(why, why_size,
                            "variable %" PRIu32 " of the object has no known type, or does not lie "
                            "in its memory",
                            visit.bad);
    image->variables = image->own_rows;
    object->table.variables = image->own_rows;
    object->table.variable_count = visit.room;
    return 0;
}

void image_mark_retained(struct image *image)
{
    if (image->object == NULL)
        return;
    for (uint32_t i = 0; i < image->object->table.variable_count; i++) {
        struct sr_variable *row = &image->own_rows[i];
        row->options = (*row->flags & IEC_MATIEC_RETAIN) != 0 ? SR_RETAIN : 0;
    }
}

/* ---- located variables --------------------------------------------------------------------- */

/* A row nobody sees, for the cycle. Never forced: see force.h, what pointers lead to. */
static uint8_t no_flags;

/* "__QX0_0" is a pointer to the byte of %QX0.0. Others' numbers and storage are left alone: they
 * belong to an extension of the project, such as a field bus. */
static bool find_place(const struct image *image, const char *name, struct sr_variable *row,
                       struct location *location)
{
    static const uint8_t type_of_width[] = {[1] = SR_TYPE_BOOL,
                                            [8] = SR_TYPE_BYTE,
                                            [16] = SR_TYPE_WORD,
                                            [32] = SR_TYPE_DWORD,
                                            [64] = SR_TYPE_LWORD};
    char text[32] = "%";
    if (strncmp(name, "__", 2) != 0 || strlen(name) >= sizeof text)
        return false;
    snprintf(text + 1, sizeof text - 1, "%s", name + 2);
    for (char *c = text; *c != '\0'; c++)
        *c = *c == '_' ? '.' : *c;
    if (location_parse(text, location) != 0)
        return false;
    void **pointer = dlsym(image->handle, name);
    if (image_room(image, pointer, PF_R) < sizeof *pointer ||
        image_room(image, *pointer, PF_R | PF_W) < (location->width + 7u) / 8u)
        return false;
    *row = (struct sr_variable){.address = *pointer,
                                .flags = &no_flags,
                                .type = type_of_width[location->width],
                                .direction = location->area};
    return location_check(location, row->type, row->direction, IO_AREA_BYTES) == 0;
}

static bool count_place(void *context, const char *name, enum image_symbol_kind kind)
{
    struct image *image = context;
    struct sr_variable row;
    struct location location;
    if (kind != IMAGE_IMPORTED && find_place(image, name, &row, &location))
        image->located_room++;
    return false;
}

static bool add_place(void *context, const char *name, enum image_symbol_kind kind)
{
    struct image *image = context;
    struct sr_variable *row = &image->object->places[image->input_count + image->output_count];
    struct image_located item = {.variable = row};
    if (kind == IMAGE_IMPORTED || !find_place(image, name, row, &item.location))
        return false;
    if (row->direction == SR_INPUT)
        image->located[image->input_count++] = item;
    if (row->direction == SR_OUTPUT)
        image->located[image->located_room - ++image->output_count] = item;
    return false;
}

static int take_places(struct image *image, bool connect)
{
    if (connect)
        image_file_symbols(image->path, count_place, image);
    image->located = calloc((size_t)image->located_room + 1, sizeof *image->located);
    image->object->places = calloc((size_t)image->located_room + 1, sizeof(struct sr_variable));
    if (image->located == NULL || image->object->places == NULL)
        return -ENOMEM;
    if (image->located_room > 0)
        image_file_symbols(image->path, add_place, image);
    return 0;
}

/* -------------------------------------------------------------------------------------------- */

int image_make_object(struct image *image, struct image_use use, char *why, size_t why_size)
{
    struct image_object *object = calloc(1, sizeof *object);
    if (object == NULL)
        return -ENOMEM;
    image->object = object;
    object->own_cycle = use.own_cycle;
    int error = resolve(image, use.own_cycle, why, why_size);
    if (error != 0)
        return error;
    const unsigned long long *period_ns = object->entries.period_ns;
    image->base_ns = period_ns != NULL && *period_ns != 0 ? *period_ns : DEFAULT_PERIOD_NS;
    if (!use.own_cycle)
        error = check_hosted(image, why, why_size);
    if (error != 0)
        return error;
    object->task =
        (struct sr_task){.name = "PLC", .interval_ns = image->base_ns, .run = hosted_run};
    object->table = (struct sr_plc_table){.magic = SR_ABI_MAGIC,
                                          .abi_version = SR_ABI_VERSION,
                                          .table_size = sizeof object->table,
                                          .variable_size = sizeof(struct sr_variable),
                                          .task_size = sizeof object->task,
                                          .name = "Beremiz",
                                          .build_id = object->id,
                                          .tasks = &object->task,
                                          .task_count = 1,
                                          .init = hosted_init,
                                          .fini = hosted_fini};
    image->table = &object->table;
    error = take_variables(image, why, why_size);
    return error != 0 ? error : take_places(image, use.process_io && !use.own_cycle);
}

void image_free_object(struct image_object *object)
{
    if (object == NULL)
        return;
    free(object->places);
    free(object->names);
    free(object);
}
