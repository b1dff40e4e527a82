/* SPDX-License-Identifier: MIT */
/* shim.h - the board as Python sees it: one program, loaded, run and watched.
 *
 * One board in a process: signal handlers, memory locks and the Xenomai core belong to the
 * process. Functions return 0 (or a count) or -errno, and then a sentence in `why`:
 *
 *   -EBUSY    the operation does not fit the present state
 *   -ENOEXEC  the image cannot be run here
 *   -ESTALE   it can be loaded, but only by a new process
 *   -ENOTSUP  not with a program that runs its own cycle
 *   -EFAULT   the program crashed, ran too long or refused to start
 *   -EINVAL   a variable index or value is wrong
 *   others    of the system
 *
 * Threads: the worker, unless a function says otherwise. cdef.h repeats these declarations for
 * Python; the compiler compares the two.
 */
#ifndef SR_SHIM_H
#define SR_SHIM_H

#include <stdbool.h>
#include <stdint.h>

#include "change.h"
#include "eval.h"
#include "force.h"
#include "io/gpio.h"
#include "log.h"
#include "stats.h"

#define BOARD_MAX_SENSITIVITY 100u

enum board_state { BOARD_EMPTY, BOARD_STOPPED, BOARD_RUNNING, BOARD_FAULTED };

/* A part of the process image (io/part.h); areas of IO_AREA_BYTES. */
struct board_io_part {
    const uint8_t *inputs; /* bits of %I it fills */
    const uint8_t *outputs;
    const uint8_t *lost;
    const uint8_t *safe;
    int64_t stale_ns;
    const struct io_gpio_options *gpio; /* NULL: a thread of Python serves it */
};

struct board_options {
    int32_t priority;          /* 1..98 (the watchdog runs one above); 0: not real time */
    int32_t cpu;               /* -1: any */
    int64_t watchdog_ns;       /* 0: max(100 ms, 10 periods); else at least 1 ms */
    uint32_t sensitivity;      /* of the watchdog, 1..BOARD_MAX_SENSITIVITY; see cycle.h */
    uint32_t overruns;         /* this many in a row are a fault; 0: never */
    int32_t task_cpu;          /* of tasks with threads of their own; -1: any */
    bool threads;              /* tasks may have threads of their own */
    uint32_t trace_ring_bytes; /* a power of two */
    int32_t cpu_latency_us;    /* held while tasks run; -1: not */
    const char *io;            /* "none", "sim:NAME" */
    const struct board_io_part *io_parts; /* beside `io`; for the time of the call */
    uint32_t io_part_count;
    bool python;    /* programs may have Python code evaluated */
    bool own_cycle; /* objects of the Beremiz IDE run their own (own_cycle.h) */
};

struct board_image {
    const char *name;
    const char *build_id;
    uint32_t task_count;
    uint32_t variable_count;
    uint64_t base_ns;
    bool beremiz; /* an object of the Beremiz IDE: paths are "VAR.<index>" */
};

struct board_task {
    const char *name;
    uint64_t interval_ns;
    int32_t priority;
    bool thread; /* it runs on one of its own */
};

struct board_variable {
    const char *path;
    const char *location; /* "" if none */
    uint8_t type;
    uint8_t direction;
    uint8_t options;
    uint8_t capacity;
};

/* Python's main thread, before all others. -EBUSY: there is a board already. */
int board_open(const struct board_options *options, char *why, uint32_t why_size);
/* Stops a running program. A tainted process keeps its board: -EFAULT. */
int board_close(void);

/* Outputs become safe if the process dies (guard.h), or there is no I/O. Costs a system call. Not
 * so when the guard has died, or since a GPIO chip was opened later than that process began. */
bool board_guarded(void);
/* The last thing before the process executes another program; no program runs. Outputs are safe,
 * and no child is left. */
void board_dismiss_guard(void);

/* Any thread. */
int32_t board_state(void);
/* Any thread: program code was abandoned in this process; it runs no program any more. */
bool board_tainted(void);
/* "posix", "mercury", "cobalt". */
const char *board_backend(void);
/* What the task thread got (before the first start: what a trial thread got), in a sentence with
 * the remedy when it is not real time. Returns whether it is. */
bool board_scheduling(char *text, uint32_t size);

/* Would board_load take it? Loads it, which runs its constructors, and unloads it. Needs no board:
 * for a child process that takes the risk. */
int board_check(const char *path, bool own_cycle, char *why, uint32_t why_size);
/* Replaces a loaded image, only if the new one is good. Strings stay valid until the next
 * board_load or board_unload. `id`: the MD5 of the file, in hexadecimal digits, or "". */
int board_load(const char *path, const char *id, struct board_image *image, char *why,
               uint32_t why_size);
int board_task(uint32_t index, struct board_task *task);
int board_variable(uint32_t index, struct board_variable *variable);
int board_unload(char *why, uint32_t why_size);

/* Every variable as the image holds it, then forces, then the program's init, then the `count`
 * values of `retained`, of which only those of retain variables count; 0: a cold start. */
int board_start(const struct force_order *retained, uint32_t count, char *why, uint32_t why_size);
/* Waits for the end of the cycle; outputs are safe, forces released, fini has run. */
int board_stop(char *why, uint32_t why_size);
/* -EBUSY when not faulted. */
int board_fault(char *text, uint32_t size, int32_t *signal, uint32_t *tick);

/* ---- online change: another version of the running program (change.h) ---- */

/* Beside enum change_phase: */
#define BOARD_NO_CHANGE (-2)
#define BOARD_CHANGE_OPEN (-1) /* opened, not rehearsed */

struct board_change {
    int32_t phase;        /* enum change_phase, or one of the two above */
    uint32_t copy_ns;     /* measured: what copying all values takes */
    uint32_t busy_ns;     /* the shortest cycle seen, from its release to its end */
    uint32_t cycles_left; /* of the probation */
    int64_t period_ns;    /* the base tick of the program before the change */
};

/* Open the new version beside the one that runs. Fails as board_load does; -EBUSY: none runs, or a
 * change is under way; -ENOTSUP: an object of the Beremiz IDE. */
int board_open_change(const char *path, struct board_image *image, char *why, uint32_t why_size);
int board_change_task(uint32_t index, struct board_task *task);
int board_change_variable(uint32_t index, struct board_variable *variable);
/* Of the running program: what it keeps outside its table, a line of name and bytes each, as many
 * as fit. Bytes, or -ENODATA: its symbols were stripped. */
int32_t board_statics(char *text, uint32_t size);
/* enum convert. Any thread; needs no board. */
int32_t board_conversion(uint8_t from, uint8_t from_capacity, uint8_t to, uint8_t to_capacity);

/* Have the cycle rehearse the copy: board_change_state tells when it is ready. `probation`: how
 * many cycles the new program is on trial. -EINVAL: a pair that cannot be. */
int board_rehearse_change(const struct change_pair *pairs, uint32_t count, uint32_t probation,
                          char *why, uint32_t why_size);
void board_change_state(struct board_change *state);
/* Run the new program's init, then have it run instead of the old one, with these variables of it
 * forced; waits for it, two seconds at most. Trace and shared lists are empty then. After an error
 * the old program runs on: -EBUSY: not ready, or the copy does not fit what the cycles leave of the
 * period; -EFAULT: the new program's init crashed (the process is tainted) or refused. */
int board_make_change(const struct force_order *orders, uint32_t count, char *why,
                      uint32_t why_size);
/* There is no way back from here on: closes the old program. -EBUSY: it was taken back. */
int board_keep_change(char *why, uint32_t why_size);
/* End a change before it is made; or after it was taken back by a fault, which `why` tells then; or
 * after the new program was stopped on trial. The old program is the board's afterwards. */
int board_drop_change(char *why, uint32_t why_size);

/* The new generation, or -errno. Takes effect with the next cycle. */
int64_t board_set_trace(const uint32_t *indices, uint32_t count, char *why, uint32_t why_size);
/* Trace thread: whole records, waiting for the first at most timeout_ns; bytes, or -EMSGSIZE. */
int32_t board_read_trace(uint32_t generation, uint8_t *to, uint32_t size, int64_t timeout_ns);
/* Any thread. */
uint32_t board_trace_dropped(void);

/* Replaces all forces. Takes effect with the next cycle, or at once while none runs. */
int board_set_forces(const struct force_order *orders, uint32_t count, char *why,
                     uint32_t why_size);
/* Values of one and the same cycle, in wire form: their bytes, or -errno. A program that runs its
 * own cycle is read as it goes on: every value for itself. */
int32_t board_read(const uint32_t *indices, uint32_t count, uint8_t *to, uint32_t size,
                   uint32_t *tick, char *why, uint32_t why_size);

/* The retain variables: their indices as far as there is room; returns how many there are. A
 * Beremiz object's are known once it was started; one that runs its own cycle has none. */
uint32_t board_retained(uint32_t *indices, uint32_t room);
/* Ask for their values at the end of a cycle. -EMSGSIZE: they take too much. */
int board_ask_retained(char *why, uint32_t why_size);
/* Those values, in wire form, in the order of board_retained: their bytes. -EAGAIN: not yet;
 * -ENOENT: nobody asked. They are valid until the next call about them. A stop asks by itself:
 * then they are those of the last cycle, also when fini crashed. After another fault they are
 * of an earlier cycle, or never come. */
int32_t board_take_retained(const uint8_t **values, uint32_t *tick);

/* Python thread, with `python` only: see eval.h. An answer to an earlier run is thrown away. */
bool board_take_eval(struct eval_request *request);
int board_answer_eval(uint64_t call, uint32_t run, const char *text, uint32_t length);
/* Share exactly these variables with Python: the new generation, or -errno. */
int64_t board_share(const uint32_t *indices, uint32_t count, char *why, uint32_t why_size);
/* Python thread, with `python` only: see shared.h. */
int32_t board_read_shared(uint32_t generation, uint8_t *to, uint32_t size);
int board_write_shared(uint32_t generation, uint32_t position, const uint8_t *wire, uint32_t size);

/* Its I/O thread, of a part that a thread of Python serves: inputs for the cycle, and what it shall
 * put out (enum io_news). The area of `io_part_count` parts, in their order; -EINVAL: no such. */
int board_io_publish(uint32_t part, const uint8_t *inputs);
int board_io_take(uint32_t part, uint8_t *outputs);
/* Any thread: what the part's I/O thread had last. */
int board_io_look(uint32_t part, uint8_t *inputs, uint8_t *outputs);
/* Any thread. -EINVAL: no such part, or not of GPIO. */
int board_io_gpio(uint32_t part, struct io_gpio_report *report);

/* The oldest message; false: none. */
bool board_take_log(struct log_record *record);
/* Any thread: of all levels. */
uint32_t board_log_dropped(void);

/* How `task` keeps its time: 0 the cycle as a whole (any thread), n the n-th task of the program
 * (worker), all 0 when it was not started since it was loaded. -EAGAIN: the cycle kept writing; try
 * again. -ENOENT: no such task. -ENOTSUP: the program runs its own cycle. */
int board_statistics(uint32_t task, struct stats_figures *figures);
/* Worker: how often the thread that runs the task (0: the scan) left Xenomai's real-time domain for
 * Linux since the program was started. -ENOTSUP: no such thing in this backend, or in its kernel;
 * -ESRCH: not started since it was loaded. */
int board_mode_switches(uint32_t task, uint32_t *count);
/* Forget the figures of all tasks and the maxima; from then on, and at every start, record the
 * cycles around maxima that exceed these thresholds; 0: as recorder.h says. -ENOTSUP as above. */
int board_reset_statistics(uint32_t wakeup_ns, uint32_t execution_ns);
/* The cycles around a new maximum; false: there is none. */
bool board_take_record(struct recorder_record *record);

#endif
