/* SPDX-License-Identifier: MIT */
/* The program table of an image in memory, which is the input. Arguments: how many inputs, the
 * seed. Linked with --wrap=dlsym. */
#include "image_parts.h"

#include "guided.h"
#include "image_memory.h"

#include <errno.h>
#include <link.h>

#include "../../board/c/harness.h"

#define CODE_BYTES 64u

static char *memory;
static char code[CODE_BYTES];

void *__wrap_dlsym(void *handle, const char *name);

void *__wrap_dlsym(void *handle, const char *name)
{
    (void)handle;
    (void)name;
    return memory;
}

/* What the cycle relies on: that all it will touch can be touched. */
static void use(const struct image *image)
{
    volatile uint64_t sum = 0;
    const struct sr_plc_table *table = image_table(image);
    sum += strlen(table->name) + strlen(table->build_id);
    for (uint32_t i = 0; i < table->task_count; i++)
        sum += strlen(image_task(image, i)->name) + image_task(image, i)->interval_ns;
    for (uint32_t i = 0; i < table->variable_count; i++) {
        const struct sr_variable *row = &image_variables(image)[i];
        sum += strlen(row->path) + *(uint8_t *)row->address + *row->flags;
    }
    const struct image_copy_list copies = image_copies(image);
    for (uint32_t i = 0; i < copies.count; i++)
        sum += *(uint8_t *)copies.items[i].from->address + *(uint8_t *)copies.items[i].to->address;
    CHECK(image_inputs(image).count + image_outputs(image).count <= table->variable_count);
}

static void check(const uint8_t *data, size_t size)
{
    char why[256] = "";
    memory = malloc(size);
    CHECK(memory != NULL || size == 0);
    if (size > 0)
        memcpy(memory, data, size);
    relocate(memory, size, code);
    struct image image = {
        .segments = {{.start = memory, .size = size, .access = PF_R | PF_W},
                     {.start = code, .size = CODE_BYTES, .access = PF_R | PF_X}},
        .segment_count = 2,
    };
    const int error = image_check(&image, why, sizeof why);
    CHECK(error == 0 || (error == -ENOEXEC && why[0] != '\0'));
    if (error == 0)
        use(&image);
    free(image.located);
    free(image.own_rows);
    free(image.copies);
    free(memory);
}

static void *at(uint64_t kind, size_t offset)
{
    return (void *)(uintptr_t)(kind << 32 | offset);
}

/* A good image of two tasks, four variables and a copy, with rows of a length that is ours or
 * longer. */
static void add(size_t longer)
{
    struct good {
        struct sr_plc_table table;
        struct sr_task tasks[2];
        struct sr_copy copy;
        char texts[64];
        uint8_t flags[8];
        uint64_t values[8];
    } *good;
    const size_t row_size = sizeof(struct sr_variable) + longer;
    uint8_t *bytes = guided_add(sizeof *good + 5 * row_size);
    good = (void *)bytes;
    strcpy(good->texts, "name");
    strcpy(good->texts + 8, "A.B");
    strcpy(good->texts + 16, "%IX0.0");
    strcpy(good->texts + 24, "%QW2");
    strcpy(good->texts + 32, "C");
    strcpy(good->texts + 40, "D");
    strcpy(good->texts + 48, "E");
    const size_t texts = offsetof(struct good, texts);
    good->table = (struct sr_plc_table){
        .magic = SR_ABI_MAGIC,
        .abi_version = SR_ABI_VERSION,
        .table_size = sizeof good->table,
        .variable_size = (uint32_t)row_size,
        .task_size = sizeof good->tasks[0],
        .name = at(DATA, texts),
        .build_id = at(DATA, texts),
        .variables = at(DATA, sizeof *good),
        .variable_count = 5,
        .tasks = at(DATA, offsetof(struct good, tasks)),
        .task_count = 2,
        .copies = at(DATA, offsetof(struct good, copy)),
        .copy_count = 1,
        .copy_size = sizeof good->copy,
    };
    uint64_t pointer = CODE << 32;
    memcpy(&good->table.init, &pointer, 8);
    pointer += 8;
    for (int i = 0; i < 2; i++) {
        good->tasks[i] = (struct sr_task){.name = at(DATA, texts), .interval_ns = 1000000};
        memcpy(&good->tasks[i].run, &pointer, 8);
    }
    good->copy = (struct sr_copy){.from = at(DATA, offsetof(struct good, values) + 8 * 3),
                                  .to = at(DATA, offsetof(struct good, values) + 8 * 7)};
    static const struct {
        uint8_t path, location, type, direction, capacity, value, task;
    } rows[] = {{8, 16, SR_TYPE_BOOL, SR_INPUT, 0, 0, 0},
                {32, 24, SR_TYPE_INT, SR_OUTPUT, 0, 1, 0},
                {40, 0, SR_TYPE_STRING, SR_LOCAL, 7, 2, 0},
                {0, 0, SR_TYPE_LREAL, SR_LOCAL, 0, 3, 0},
                {48, 0, SR_TYPE_LREAL, SR_LOCAL, 0, 7, 2}};
    for (size_t i = 0; i < 5; i++) {
        const struct sr_variable row = {
            .path = at(DATA, texts + rows[i].path),
            .location = rows[i].location != 0 ? at(DATA, texts + rows[i].location) : NULL,
            .address = at(DATA, offsetof(struct good, values) + 8 * rows[i].value),
            .flags = at(DATA, offsetof(struct good, flags) + i),
            .type = rows[i].type,
            .direction = rows[i].direction,
            .capacity = rows[i].capacity,
            .task = rows[i].task,
        };
        memcpy(bytes + sizeof *good + i * row_size, &row, sizeof row);
    }
}

int main(int argc, char **argv)
{
    CHECK_EQ(argc, 3);
    add(0);
    add(8);
    guided_run(check, (uint32_t)strtoul(argv[1], NULL, 10), (uint32_t)strtoul(argv[2], NULL, 10));
    return 0;
}
