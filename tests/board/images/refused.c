/* SPDX-License-Identifier: MIT */
/* Images with something wrong; which, says the macro. */
#include "plc_abi.h"

static struct {
    sr_dint number;
    sr_bool flag;
    sr_int word;
    SR_STRING(10) text;
} all;
static sr_dint elsewhere;
#ifdef COPY
static sr_dint other;
static SR_STRING(20) longer;
#endif
static const sr_dint constant = {0};

static void run(const sr_cycle *cycle)
{
    (void)cycle;
}

#ifdef TLS
__thread int own;
int *touch(void)
{
    return &own;
}
#endif
#ifdef UNDEFINED
extern int not_there(void);
int (*use)(void) = not_there;
#endif

#ifdef MANY_TASKS
#define T {.name = "T", .interval_ns = 1000000, .run = run},
#define T8 T T T T T T T T
static const sr_task tasks[] = {T8 T8 T8 T8 T};
#elif defined(MANY_THREADS)
#define T {.name = "T", .interval_ns = 1000000, .options = SR_TASK_THREAD, .run = run},
static const sr_task tasks[] = {T T T T T T T T T T};
#elif defined(COPY)
static const sr_task tasks[] = {
    {.name = "MAIN", .interval_ns = 1000000, .run = run},
    {.name = "BESIDE", .interval_ns = 1000000, .options = SR_TASK_THREAD, .run = run},
    {.name = "THIRD", .interval_ns = 1000000, .options = SR_TASK_THREAD, .run = run},
};
#else
static const sr_task tasks[] = {
#ifdef INTERVAL
    {.name = "MAIN", .interval_ns = INTERVAL, .run = run},
#elif defined(NO_INTERVAL)
    {.name = "MAIN", .interval_ns = 0, .run = run},
#elif defined(ODD_INTERVALS)
    {.name = "MAIN", .interval_ns = 1000000, .run = run},
    {.name = "ODD", .interval_ns = 1000001, .run = run},
#elif defined(NO_RUN)
    {.name = "MAIN", .interval_ns = 1000000},
#elif defined(NO_TASK_NAME)
    {.interval_ns = 1000000, .run = run},
#elif defined(DATA_AS_CODE)
    {.name = "MAIN", .interval_ns = 1000000, .run = (void (*)(const sr_cycle *)) & all},
#else
    {.name = "MAIN", .interval_ns = 1000000, .run = run},
#endif
};
#endif

#define ROW(...) ROW_OF(__VA_ARGS__) /* N counts as two */
#define ROW_OF(path_, location_, type_, address_, flags_, direction_, capacity_)                   \
    {.path = (path_),                                                                              \
     .location = (location_),                                                                      \
     .address = (address_),                                                                        \
     .flags = (flags_),                                                                            \
     .type = (type_),                                                                              \
     .direction = (direction_),                                                                    \
     .capacity = (capacity_)}
#define N &all.number.value, &all.number.flags

static const sr_variable variables[] = {
    ROW("NUMBER", 0, SR_TYPE_DINT, N, SR_LOCAL, 0),
#ifdef DUPLICATE
    ROW("FLAG", 0, SR_TYPE_BOOL, &all.flag.value, &all.flag.flags, SR_LOCAL, 0),
    ROW("NUMBER", 0, SR_TYPE_DINT, &elsewhere.value, &elsewhere.flags, SR_LOCAL, 0),
#elif defined(NO_PATH)
    ROW(0, 0, SR_TYPE_DINT, N, SR_LOCAL, 0),
#elif defined(EMPTY_PATH)
    ROW("", 0, SR_TYPE_DINT, N, SR_LOCAL, 0),
#elif defined(WILD_PATH)
    ROW((const char *)8, 0, SR_TYPE_DINT, N, SR_LOCAL, 0),
#elif defined(BAD_TYPE)
    ROW("X", 0, 77, N, SR_LOCAL, 0),
#elif defined(BAD_DIRECTION)
    ROW("X", 0, SR_TYPE_DINT, N, 9, 0),
#elif defined(NO_ADDRESS)
    ROW("X", 0, SR_TYPE_DINT, 0, &all.number.flags, SR_LOCAL, 0),
#elif defined(NO_FLAGS)
    ROW("X", 0, SR_TYPE_DINT, &all.number.value, 0, SR_LOCAL, 0),
#elif defined(CONSTANT)
    ROW("X", 0, SR_TYPE_DINT, (void *)&constant.value, &all.number.flags, SR_LOCAL, 0),
#elif defined(NO_CAPACITY)
    ROW("X", 0, SR_TYPE_STRING, &all.text.value, &all.text.flags, SR_LOCAL, 0),
#elif defined(NUMBER_CAPACITY)
    ROW("X", 0, SR_TYPE_DINT, N, SR_LOCAL, 4),
#elif defined(LOCATION)
    ROW("X", LOCATION, SR_TYPE_INT, &all.word.value, &all.word.flags, SR_OUTPUT, 0),
#elif defined(WILD_LOCATION)
    ROW("X", (const char *)8, SR_TYPE_INT, &all.word.value, &all.word.flags, SR_OUTPUT, 0),
#elif defined(LOCATED_TEXT)
    ROW("X", "%QB0", SR_TYPE_STRING, &all.text.value, &all.text.flags, SR_OUTPUT, 10),
#elif defined(NO_DIRECTION)
    ROW("X", "%QW0", SR_TYPE_INT, &all.word.value, &all.word.flags, SR_LOCAL, 0),
#elif defined(NO_LOCATION)
    ROW("X", 0, SR_TYPE_INT, &all.word.value, &all.word.flags, SR_INPUT, 0),
#elif defined(OWNER)
    SR_TASK_ROW(OWNER, "X", INT, all.word),
#elif defined(COPY)
    SR_TASK_ROW(2, "FLAG", BOOL, all.flag),
    SR_TASK_ROW(2, "B", DINT, elsewhere),
    SR_TASK_ROW(3, "WORD", INT, all.word),
    SR_TASK_ROW_INPUT(2, "I", "%ID0", DINT, other),
    SR_TASK_ROW_STRING(3, "T10", all.text),
    SR_TASK_ROW_STRING(2, "T20", longer),
#ifdef SHARED_MEMORY
    SR_TASK_ROW(3, "ALIAS", DINT, elsewhere),
#endif
#ifdef OVERLAP
    {"PART", 0, (char *)&elsewhere.value + 2, &all.flag.flags, SR_TYPE_INT, 0, 0, 0, 3},
#endif
#endif
};

#ifdef COPY
static const sr_copy copies[] = {COPY};
#endif
#ifndef COPIES
#define COPIES sizeof copies / sizeof *copies
#endif
#ifndef COPY_SIZE
#define COPY_SIZE sizeof(sr_copy)
#endif

static int32_t init(const sr_host *host)
{
    (void)host;
    (void)elsewhere;
    (void)constant;
    return 0;
}

#ifndef MAGIC
#define MAGIC SR_ABI_MAGIC
#endif
#ifdef WRONG_ABI
#define VERSION 7
#else
#define VERSION SR_ABI_VERSION
#endif
#ifndef VARIABLE_SIZE
#define VARIABLE_SIZE sizeof(sr_variable)
#endif
#ifndef TASK_SIZE
#define TASK_SIZE sizeof(sr_task)
#endif
#ifndef TASKS
#define TASKS sizeof tasks / sizeof *tasks
#endif
#ifndef VARIABLES
#define VARIABLES sizeof variables / sizeof *variables
#endif
#ifndef TABLE_SIZE
#define TABLE_SIZE sizeof(sr_plc_table)
#endif
#ifndef NAME
#define NAME "refused"
#endif
#ifndef INIT
#define INIT init
#endif
#ifndef SYMBOL
#define SYMBOL sr_plc_image
#endif

__attribute__((visibility("default"))) extern const sr_plc_table SYMBOL;
const sr_plc_table SYMBOL = {
    .magic = MAGIC,
    .abi_version = VERSION,
    .table_size = TABLE_SIZE,
    .variable_size = VARIABLE_SIZE,
    .task_size = TASK_SIZE,
    .name = NAME,
    .build_id = "0",
    .tasks = tasks,
    .variables = variables,
    .task_count = TASKS,
    .variable_count = VARIABLES,
    .init = INIT,
#ifdef COPY
    .copies = copies,
    .copy_count = COPIES,
    .copy_size = COPY_SIZE,
#endif
};
