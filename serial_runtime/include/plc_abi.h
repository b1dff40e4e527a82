/* SPDX-License-Identifier: MIT
 *
 * plc_abi.h - what a native PLC image exports, and the macros a PLC program is written with.
 *
 * A program is one shared object that exports one symbol, `sr_plc_image`. The runtime reads the
 * table behind it, checks it, and calls `init`, then the `run` function of every due task, and
 * finally `fini`. An image imports nothing from the runtime: what it may call arrives as a table
 * of functions (`sr_host`).
 *
 * This ABI is frozen: images outlive runtimes. Fields are only ever appended; `table_size`,
 * `variable_size` and `task_size` tell a newer runtime what an older image has, `size` of sr_host
 * and sr_cycle tell a newer image what an older runtime has.
 *
 * Forcing. A forced variable ignores the program's writes, also in the middle of a cycle
 * (the meaning it has in matiec). So every variable carries a flags byte, and a program writes
 * through SR_SET and SR_SET_STRING only, which honour it. Reading is plain: `level.value`.
 *
 * Threads. `init` and `fini` run on a thread that is not real time, while no task runs; every
 * `run` runs on a real-time thread: it must not allocate, block, or call libc functions that may.
 * Tasks take turns on one thread, by priority, unless their options say SR_TASK_THREAD: such a task
 * may be interrupted by one of higher priority, or run at the same time, so it touches variables
 * of its own only (SR_TASK_ROW and its kin say which they are); what it wants to see of another's
 * is a variable of its own that the runtime copies to (sr_copy).
 *
 * Start. All writable data of the image has its initial values again before `init` is called; the
 * values of SR_RETAIN variables are set after it, before the first cycle, unless the start is cold.
 *
 * Layout. Fixed-width types only; natural alignment of the target; little-endian targets.
 */
#ifndef SR_PLC_ABI_H
#define SR_PLC_ABI_H

#include <stddef.h>
#include <stdint.h>

#define SR_ABI_MAGIC 0x434C5053u /* "SPLC" in memory */
#define SR_ABI_VERSION 1u
#define SR_IMAGE_SYMBOL "sr_plc_image"

/* IEC 61131-3 elementary data types (2nd edition, table 10), less WSTRING. Values are frozen. */
enum sr_type {
    SR_TYPE_BOOL = 1,
    SR_TYPE_SINT = 2,
    SR_TYPE_INT = 3,
    SR_TYPE_DINT = 4,
    SR_TYPE_LINT = 5,
    SR_TYPE_USINT = 6,
    SR_TYPE_UINT = 7,
    SR_TYPE_UDINT = 8,
    SR_TYPE_ULINT = 9,
    SR_TYPE_BYTE = 10,
    SR_TYPE_WORD = 11,
    SR_TYPE_DWORD = 12,
    SR_TYPE_LWORD = 13,
    SR_TYPE_REAL = 14,
    SR_TYPE_LREAL = 15,
    SR_TYPE_TIME = 16,   /* int64_t, nanoseconds */
    SR_TYPE_DATE = 17,   /* int64_t, nanoseconds since 1970-01-01, a whole day */
    SR_TYPE_TOD = 18,    /* int64_t, nanoseconds since midnight */
    SR_TYPE_DT = 19,     /* int64_t, nanoseconds since 1970-01-01 00:00:00 */
    SR_TYPE_STRING = 20, /* uint8_t length, then up to `capacity` characters */
};

enum sr_direction {
    SR_LOCAL = 0,  /* not located */
    SR_INPUT = 1,  /* %I: written by the runtime before the tasks run */
    SR_OUTPUT = 2, /* %Q: read by the runtime after the tasks ran */
    SR_MEMORY = 3, /* %M: located, not connected to I/O */
};

enum sr_variable_option { SR_RETAIN = 1u };

enum sr_task_option {
    SR_TASK_THREAD = 1u, /* may run on a thread of its own, see "Threads" */
};

/* Bits of a variable's flags byte. Owned by the runtime; the program only tests SR_FORCED. */
enum sr_variable_flag { SR_FORCED = 1u };

/* Log levels, as the IDE numbers them. */
enum sr_log_level { SR_LOG_CRITICAL = 0, SR_LOG_WARNING = 1, SR_LOG_INFO = 2, SR_LOG_DEBUG = 3 };

/* clang-format off */
typedef struct { uint8_t value; uint8_t flags; } sr_bool;
typedef struct { int8_t value; uint8_t flags; } sr_sint;
typedef struct { int16_t value; uint8_t flags; } sr_int;
typedef struct { int32_t value; uint8_t flags; } sr_dint;
typedef struct { int64_t value; uint8_t flags; } sr_lint;
typedef struct { uint8_t value; uint8_t flags; } sr_usint;
typedef struct { uint16_t value; uint8_t flags; } sr_uint;
typedef struct { uint32_t value; uint8_t flags; } sr_udint;
typedef struct { uint64_t value; uint8_t flags; } sr_ulint;
typedef sr_usint sr_byte;
typedef sr_uint sr_word;
typedef sr_udint sr_dword;
typedef sr_ulint sr_lword;
typedef struct { float value; uint8_t flags; } sr_real;
typedef struct { double value; uint8_t flags; } sr_lreal;
/* clang-format on */
typedef sr_lint sr_time;
typedef sr_lint sr_date;
typedef sr_lint sr_tod;
typedef sr_lint sr_dt;
/* STRING[n], 1 <= n <= 254 (another does not compile). `value` is what the table points at: length,
 * then characters. */
#define SR_STRING(n)                                                                               \
    struct {                                                                                       \
        struct {                                                                                   \
            uint8_t length;                                                                        \
            char text[(n) >= 1 && (n) <= 254 ? (n) : -1];                                          \
        } value;                                                                                   \
        uint8_t flags;                                                                             \
    }

/* What a task knows of its cycle. */
typedef struct sr_cycle {
    uint32_t tick;       /* number of the base tick; wraps */
    uint32_t size;       /* of this structure; later runtimes append */
    int64_t time_ns;     /* monotonic PLC time of this cycle: the deadline, free of jitter */
    int64_t interval_ns; /* the interval of this task */
} sr_cycle;

struct sr_python_call; /* plc_python.h */

/* What the runtime offers to an image. Callable from `run` (they never block) and from `init`. */
typedef struct sr_host {
    uint32_t size; /* of this structure; later runtimes append */
    uint32_t reserved;
    /* Queue a log message; `text` is copied, cut at 255 bytes. A full ring drops and counts. */
    void (*log)(uint32_t level, const char *text);
    /* Stop this program with a fault whose reason is `text`. Does not return. */
    void (*fault)(const char *text);
    /* Have the program's Python evaluate `length` characters. The call is the runtime's until its
     * state says that the result is there. enum sr_python_post; see plc_python.h. */
    uint32_t (*python_post)(struct sr_python_call *call, const char *code, uint32_t length);
} sr_host;

typedef struct sr_task {
    const char *name;
    uint64_t interval_ns; /* > 0; the base tick is the greatest common divisor of all tasks' */
    int32_t priority;     /* IEC: 0 is the highest */
    uint32_t options;     /* enum sr_task_option */
    void (*run)(const sr_cycle *cycle);
} sr_task;

typedef struct sr_variable {
    const char *path;     /* IEC path, upper case by habit: "TANK.PID.OUT" */
    const char *location; /* "%IX0.0", "%QW3", ... or NULL */
    void *address;        /* of the value, not of the flags */
    uint8_t *flags;
    uint8_t type;      /* enum sr_type */
    uint8_t direction; /* enum sr_direction */
    uint8_t options;   /* enum sr_variable_option */
    uint8_t capacity;  /* STRING: characters; else 0 */
    uint32_t task;     /* who writes it: n is tasks[n - 1], 0 any task without SR_TASK_THREAD */
} sr_variable;

/* The value of one task's variable, in a variable of another's: both have rows of the same type.
 * The copy is that of a whole run of the writer, at most one of its runs and one base tick old. */
typedef struct sr_copy {
    const void *from; /* address of the value */
    void *to;
} sr_copy;

typedef struct sr_plc_table {
    uint32_t magic;         /* SR_ABI_MAGIC */
    uint32_t abi_version;   /* SR_ABI_VERSION */
    uint32_t table_size;    /* sizeof(sr_plc_table) when the image was built */
    uint32_t variable_size; /* sizeof(sr_variable), likewise */
    uint32_t task_size;     /* sizeof(sr_task), likewise */
    uint32_t reserved;
    const char *name;
    const char *build_id;
    const sr_task *tasks;
    const sr_variable *variables;
    uint32_t task_count;
    uint32_t variable_count;
    int32_t (*init)(const sr_host *host); /* 0, or a nonzero code that refuses to start */
    void (*fini)(void);
    /* Since the second table_size: */
    const sr_copy *copies;
    uint32_t copy_count;
    uint32_t copy_size; /* sizeof(sr_copy) when the image was built */
} sr_plc_table;

/* Of an image that was built before there were copies. */
#define SR_FIRST_TABLE_SIZE ((uint32_t)offsetof(sr_plc_table, copies))

/* ---- writing a program -------------------------------------------------------------------- */

/* The functions of the runtime, set before the program's own init runs. */
extern const sr_host *sr_runtime __attribute__((visibility("hidden")));

/* True when the variable is forced. Relaxed: the runtime changes it between cycles. */
#define SR_IS_FORCED(v) ((__atomic_load_n(&(v).flags, __ATOMIC_RELAXED) & SR_FORCED) != 0)

/* Write a variable of any type but STRING. `expression` is evaluated once, forced or not. */
#define SR_SET(v, expression)                                                                      \
    do {                                                                                           \
        __typeof__((v).value) sr_new_ = (__typeof__((v).value))(expression);                       \
        if (!SR_IS_FORCED(v))                                                                      \
            (v).value = sr_new_;                                                                   \
    } while (0)

/* Write a STRING from a NUL-terminated text; what does not fit is cut. */
#define SR_SET_STRING(v, characters)                                                               \
    do {                                                                                           \
        if (!SR_IS_FORCED(v))                                                                      \
            sr_string_set_(&(v).value.length, (v).value.text, sizeof(v).value.text, (characters)); \
    } while (0)

static inline void sr_string_set_(uint8_t *length, char *to, size_t capacity, const char *from)
{
    size_t n = 0;
    while (n < capacity && from[n] != '\0') {
        to[n] = from[n];
        n++;
    }
    *length = (uint8_t)n;
}

/* Integer division that faults by name instead of by trap (x86) or silently giving 0 (ARM). */
#define SR_DIVIDE(a, b)                                                                            \
    (__extension__({                                                                               \
        __typeof__(b) sr_divisor_ = (b);                                                           \
        if (sr_divisor_ == 0)                                                                      \
            sr_runtime->fault("integer division by zero");                                         \
        (a) / sr_divisor_;                                                                         \
    }))

#define SR_LOG(level, text) (sr_runtime->log((level), (text)))

/* One row of the variable table. `c_type` in lower case, IEC type in upper: SR_ROW("A", BOOL, a) */
#define SR_ROW(path, iec_type, v) SR_TASK_ROW(0, path, iec_type, v)
#define SR_ROW_RETAIN(path, iec_type, v) SR_TASK_ROW_RETAIN(0, path, iec_type, v)
#define SR_ROW_INPUT(path, location, iec_type, v) SR_TASK_ROW_INPUT(0, path, location, iec_type, v)
#define SR_ROW_OUTPUT(path, location, iec_type, v)                                                 \
    SR_TASK_ROW_OUTPUT(0, path, location, iec_type, v)
#define SR_ROW_MEMORY(path, location, iec_type, v)                                                 \
    SR_TASK_ROW_MEMORY(0, path, location, iec_type, v)
#define SR_ROW_STRING(path, v) SR_TASK_ROW_STRING(0, path, v)
#define SR_ROW_STRING_RETAIN(path, v) SR_TASK_ROW_STRING_RETAIN(0, path, v)

/* The same for a variable of tasks[task - 1], which says SR_TASK_THREAD. */
#define SR_TASK_ROW(task, path, iec_type, v) SR_ROW_(task, path, NULL, iec_type, v, SR_LOCAL, 0, 0)
#define SR_TASK_ROW_RETAIN(task, path, iec_type, v)                                                \
    SR_ROW_(task, path, NULL, iec_type, v, SR_LOCAL, SR_RETAIN, 0)
#define SR_TASK_ROW_INPUT(task, path, location, iec_type, v)                                       \
    SR_ROW_(task, path, location, iec_type, v, SR_INPUT, 0, 0)
#define SR_TASK_ROW_OUTPUT(task, path, location, iec_type, v)                                      \
    SR_ROW_(task, path, location, iec_type, v, SR_OUTPUT, 0, 0)
#define SR_TASK_ROW_MEMORY(task, path, location, iec_type, v)                                      \
    SR_ROW_(task, path, location, iec_type, v, SR_MEMORY, 0, 0)
#define SR_TASK_ROW_STRING(task, path, v)                                                          \
    SR_ROW_(task, path, NULL, STRING, v, SR_LOCAL, 0, sizeof(v).value.text)
#define SR_TASK_ROW_STRING_RETAIN(task, path, v)                                                   \
    SR_ROW_(task, path, NULL, STRING, v, SR_LOCAL, SR_RETAIN, sizeof(v).value.text)

#define SR_ROW_(task_, path_, location_, iec_type_, v_, direction_, options_, capacity_)           \
    {                                                                                              \
        .path = (path_),                                                                           \
        .location = (location_),                                                                   \
        .address = &(v_).value,                                                                    \
        .flags = &(v_).flags,                                                                      \
        .type = SR_TYPE_##iec_type_,                                                               \
        .direction = (direction_),                                                                 \
        .options = (options_),                                                                     \
        .capacity = (capacity_),                                                                   \
        .task = (task_),                                                                           \
    }

/* One row of the table of copies: the variable `to_` of one task follows `from_` of another. */
#define SR_COPY(from_, to_)                                                                        \
    {                                                                                              \
        .from = &(from_).value,                                                                    \
        .to = &(to_).value,                                                                        \
    }

#ifndef SR_BUILD_ID
#define SR_BUILD_ID "unversioned" /* `serial-runtime build` passes a digest of the source */
#endif

/* Export the table; once per program, at file scope. `tasks_` and `variables_` are arrays. */
#define SR_PLC_IMAGE(name_, tasks_, variables_, init_, fini_)                                      \
    SR_PLC_IMAGE_(name_, tasks_, variables_, NULL, 0, init_, fini_)
/* Likewise, with an array of copies between tasks. */
#define SR_PLC_IMAGE_COPIES(name_, tasks_, variables_, copies_, init_, fini_)                      \
    SR_PLC_IMAGE_(name_, tasks_, variables_, copies_, sizeof(copies_) / sizeof((copies_)[0]),      \
                  init_, fini_)
#define SR_PLC_IMAGE_(name_, tasks_, variables_, copies_, copy_count_, init_, fini_)               \
    const sr_host *sr_runtime;                                                                     \
    static int32_t sr_init_(const sr_host *host)                                                   \
    {                                                                                              \
        int32_t (*program_init)(void) = (init_);                                                   \
        sr_runtime = host;                                                                         \
        return program_init != NULL ? program_init() : 0;                                          \
    }                                                                                              \
    __attribute__((visibility("default"))) extern const sr_plc_table sr_plc_image;                 \
    const sr_plc_table sr_plc_image = {                                                            \
        .magic = SR_ABI_MAGIC,                                                                     \
        .abi_version = SR_ABI_VERSION,                                                             \
        .table_size = sizeof(sr_plc_table),                                                        \
        .variable_size = sizeof(sr_variable),                                                      \
        .task_size = sizeof(sr_task),                                                              \
        .reserved = 0,                                                                             \
        .name = (name_),                                                                           \
        .build_id = SR_BUILD_ID,                                                                   \
        .tasks = (tasks_),                                                                         \
        .variables = (variables_),                                                                 \
        .task_count = sizeof(tasks_) / sizeof((tasks_)[0]),                                        \
        .variable_count = sizeof(variables_) / sizeof((variables_)[0]),                            \
        .init = sr_init_,                                                                          \
        .fini = (fini_),                                                                           \
        .copies = (copies_),                                                                       \
        .copy_count = (copy_count_),                                                               \
        .copy_size = sizeof(sr_copy),                                                              \
    }

#endif
