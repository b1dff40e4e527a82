/* SPDX-License-Identifier: MIT */
/* An object of the IDE in memory, which is the input: what it exports, its variables, its located
 * ones. Arguments: how many inputs, the seed. Linked with --wrap=dlsym and
 * --wrap=image_file_symbols. */
#include "image_parts.h"

#include "guided.h"
#include "hosted.h"
#include "image_file.h"
#include "image_memory.h"

#include <errno.h>
#include <link.h>

#include "../../board/c/harness.h"

#define TEXT __attribute__((section("object_code")))

/* What the memory begins with. */
struct head {
    uint32_t absent;     /* functions that are not exported, a bit each */
    uint32_t data[4];    /* where the variables of `data_names` lie */
    uint16_t rows[2];    /* how many variables the object tells, the first time and later */
    uint32_t rows_at;    /* struct beremiz_variable each */
    uint32_t symbols_at; /* to the end: struct symbol, its name, NUL */
    uint8_t own_cycle;
    uint8_t process_io;
    uint8_t lent;
    uint8_t nothing;
};

struct symbol {
    uint8_t kind;
    uint8_t nothing;
    uint16_t at;
};

static const char *const data_names[] = {"PLC_ID", "__tick", "__CURRENT_TIME", "common_ticktime__"};
static const char *const function_names[] = {
    "startPLC",       "stopPLC",      "ResetDebugVariables",    "RegisterDebugVariable",
    "FreeDebugData",  "GetDebugData", "suspendDebug",           "resumeDebug",
    "LogMessage",     "GetLogCount",  "GetLogMessage",          "__init",
    "__run",          "__cleanup",    "GetRetainSize",          "PythonIterator",
    "SR_IMAGE_TABLE", "elsewhere",    "__for_each_variable_do",
};
#define NAMES(names) (sizeof(names) / sizeof *(names))

extern char __start_object_code[], __stop_object_code[];

static char *memory;
static size_t memory_size;
static struct head head;
static uint32_t tellings;

/* The functions of the object. */

TEXT static int log_message(uint8_t level, char *text, uint32_t size)
{
    long now[2];
    (void)level;
    (void)text;
    if (head.lent)
        PLC_GetTime(now);
    return (int)size;
}

TEXT static void tell_variables(void (*visit)(const struct beremiz_variable *variable))
{
    const uint32_t count = head.rows[tellings++ > 0];
    for (uint32_t n = 0; n < count; n++)
        visit((const void *)(memory + head.rows_at + n * sizeof(struct beremiz_variable)));
}

/* The next symbol behind `at`; its name, or NULL. */
static const char *next_symbol(size_t *at, struct symbol *symbol)
{
    if (*at > memory_size || memory_size - *at <= sizeof *symbol)
        return NULL;
    memcpy(symbol, memory + *at, sizeof *symbol);
    const char *name = memory + *at + sizeof *symbol;
    const char *end = memchr(name, 0, memory_size - *at - sizeof *symbol);
    if (end == NULL)
        return NULL;
    *at = (size_t)(end + 1 - memory);
    return name;
}

void *__wrap_dlsym(void *handle, const char *name);
void __wrap_image_file_symbols(const char *path,
                               bool (*visit)(void *, const char *, enum image_symbol_kind),
                               void *context);

void *__wrap_dlsym(void *handle, const char *name)
{
    (void)handle;
    for (size_t i = 0; i < NAMES(data_names); i++)
        if (strcmp(name, data_names[i]) == 0)
            return head.data[i] == UINT32_MAX ? NULL : memory + head.data[i];
    for (size_t i = 0; i < NAMES(function_names); i++) {
        if (strcmp(name, function_names[i]) != 0)
            continue;
        if ((head.absent >> i & 1) != 0)
            return NULL;
        void *function = i + 1 < NAMES(function_names) ? (void *)(uintptr_t)log_message
                                                       : (void *)(uintptr_t)tell_variables;
        return (head.absent >> 31) != 0 ? memory : function;
    }
    struct symbol symbol;
    const char *found;
    for (size_t at = head.symbols_at; (found = next_symbol(&at, &symbol)) != NULL;)
        if (strcmp(name, found) == 0)
            return memory + (symbol.at & ~7u);
    return NULL;
}

void __wrap_image_file_symbols(const char *path,
                               bool (*visit)(void *, const char *, enum image_symbol_kind),
                               void *context)
{
    struct symbol symbol;
    const char *name;
    (void)path;
    for (size_t at = head.symbols_at; (name = next_symbol(&at, &symbol)) != NULL;)
        if (visit(context, name, (enum image_symbol_kind)(symbol.kind % 3)))
            return;
}

/* What the cycle relies on: that all it will touch can be touched. */
static void use(const struct image *image)
{
    volatile uint64_t sum = 0;
    CHECK(image->input_count + image->output_count <= image->located_room);
    for (uint32_t i = 0; i < image->table->variable_count; i++) {
        const struct sr_variable *row = &image->variables[i];
        sum += strlen(row->path) + *(uint8_t *)row->address + *row->flags;
    }
    for (uint32_t i = 0; i < image->located_room; i++) {
        const bool input = i < image->input_count;
        if (!input && i < image->located_room - image->output_count)
            continue;
        const struct image_located *item = &image->located[i];
        CHECK_EQ(item->variable->direction, input ? SR_INPUT : SR_OUTPUT);
        for (uint32_t n = 0; n < (item->location.width + 7u) / 8u; n++)
            sum += ((const uint8_t *)item->variable->address)[n];
    }
}

static void make(const uint8_t *data, size_t size)
{
    char why[256] = "";
    if (size < sizeof head)
        return;
    memory = malloc(size);
    CHECK(memory != NULL);
    memcpy(memory, data, size);
    memory_size = size;
    memcpy(&head, data, sizeof head);
    head.rows_at &= ~7u; /* a compiler aligns what it exports */
    for (size_t i = 0; i < NAMES(data_names); i++)
        if (head.data[i] != UINT32_MAX)
            head.data[i] &= ~7u;
    relocate(memory, size, __start_object_code);
    tellings = 0;
    struct image image = {
        .segments = {{.start = memory, .size = size, .access = PF_R | PF_W},
                     {.start = __start_object_code,
                      .size = (size_t)(__stop_object_code - __start_object_code),
                      .access = PF_R | PF_X}},
        .segment_count = 2,
    };
    (void)image_is_object(&image);
    const struct image_use how = {.own_cycle = head.own_cycle & 1,
                                  .process_io = head.process_io & 1};
    const int error = image_make_object(&image, how, why, sizeof why);
    CHECK(error == 0 || (error == -ENOEXEC && why[0] != '\0'));
    if (error == 0)
        use(&image);
    free(image.located);
    free(image.own_rows);
    image_free_object(image.object);
    free(memory);
}

/* A good object of four variables and three located ones. */
static void add(bool own_cycle)
{
    struct good {
        struct head head;
        uint64_t values[32];
        struct beremiz_variable rows[4];
        uint64_t places[3];
        char symbols[64];
    } good = {.head = {.absent = 1u << 16,
                       .rows = {4, 4},
                       .rows_at = offsetof(struct good, rows),
                       .symbols_at = offsetof(struct good, symbols),
                       .own_cycle = own_cycle,
                       .process_io = 1,
                       .lent = 1}};
    const uint32_t values = offsetof(struct good, values);
    for (uint32_t i = 0; i < 4; i++)
        good.head.data[i] = values + 8 * i;
    good.values[3] = 1000000;
    static const unsigned int kinds[] = {3, 16, 20 + 15, 40 + 3};
    for (uint32_t i = 0; i < 4; i++)
        good.rows[i] = (struct beremiz_variable){
            .address = (void *)(uintptr_t)(DATA << 32 | (values + 32 + 16 * i)), .type = kinds[i]};
    static const char *const names[] = {"__QX0_0", "__IW2", "__MD4"};
    char *end = good.symbols;
    for (uint32_t i = 0; i < 3; i++) {
        good.places[i] = DATA << 32 | (values + 8 * i);
        const struct symbol symbol = {.at = (uint16_t)(offsetof(struct good, places) + 8 * i)};
        memcpy(end, &symbol, sizeof symbol);
        strcpy(end + sizeof symbol, names[i]);
        end += sizeof symbol + strlen(names[i]) + 1;
    }
    memcpy(guided_add(sizeof good), &good, sizeof good);
}

int main(int argc, char **argv)
{
    CHECK_EQ(argc, 3);
    add(false);
    add(true);
    guided_run(make, (uint32_t)strtoul(argv[1], NULL, 10), (uint32_t)strtoul(argv[2], NULL, 10));
    return 0;
}
