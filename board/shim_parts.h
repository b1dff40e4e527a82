/* SPDX-License-Identifier: MIT */
/* shim_parts.h - what the shim*.c files share. Nobody else includes it. */
#ifndef SR_SHIM_PARTS_H
#define SR_SHIM_PARTS_H

#include "shim.h"

#include <errno.h>
#include <stdatomic.h>

#include "cycle.h"
#include "guard.h"
#include "io/set.h"
#include "own_cycle.h"

struct board {
    struct board_options options;
    struct platform_actual actual; /* what the task thread got */
    struct platform_actual watchdog_actual;
    struct cycle_parts parts;
    struct guard *guard;   /* NULL: no I/O, nothing to guard */
    struct io_set *io_set; /* NULL: there are no parts beside the driver */
    struct gpio **gpio;    /* by part; NULL: a part that a thread of Python serves */
    struct cycle *cycle;
    struct image *image;
    struct own_cycle *own;         /* of an image that runs itself, else NULL */
    uint32_t log_next[LOG_LEVELS]; /* of a Beremiz object's own log: first not yet taken */
    uint32_t log_lost;             /* messages it overwrote before they were taken */
    uint32_t generation;
    uint32_t shared_generation;
    struct fault fault;          /* of init or fini; the cycle keeps its own */
    _Atomic int state;           /* enum board_state, as far as the worker made it */
    uint32_t record_above_ns[2]; /* thresholds of the recorder: wakeup, execution */
    bool abandoned;              /* code of a program, while another one goes on */
    bool memory_settled;         /* platform_lock_memory was called; then: */
    int memory_error;
    bool memory_all;
    int latency_error;
};

/* The one; set and cleared by the worker. */
extern struct board *board;

/* Write the sentence; returns `error`. */
__attribute__((format(printf, 4, 5))) int board_refuse(int error, char *why, uint32_t why_size,
                                                       const char *format, ...);

/* The watchdog runs one above the task. */
#define BOARD_MAX_PRIORITY 98

/* shim_variables.c: the variables as they are to be captured. While the program runs, and after a
 * fault, those of a task with a thread are what the scan was shown last; at rest, the variables
 * themselves. A list that cycles capture by is made of the former in any case. */
const struct sr_variable *board_rows(void);
const struct sr_variable *board_shown_rows(void);
/* What a Beremiz object's own log holds now was taken, or is not the program's.
 */
void board_begin_log(void);

/* shim_io.c: the driver and the guard of its outputs. The first thing that is made, since it forks,
 * and the last that goes. */
int board_open_io(char *why, uint32_t why_size);
void board_close_io(void);
/* shim_io_parts.c: parts beside the driver, then the threads of those that have one in C. */
int board_open_io_parts(char *why, uint32_t why_size);
/* The guard has the lines that outputs are put out by. */
bool board_io_parts_guarded(void);
int board_start_io_parts(char *why, uint32_t why_size);

/* shim_statistics.c: a maximum of an earlier run is none any more. */
void board_begin_recording(void);

/* shim_retain.c: give values back, see retain_restore; a struct board_restoring. */
struct board_restoring {
    const struct force_order *orders;
    uint32_t count;
    uint32_t misfits;
};
void board_restore_retained(void *restoring);
/* The cycle has ended: what board_take_retained returns are the values now. */
void board_capture_last(void);

/* shim.c */
void board_set_state(enum board_state state);

/* shim_program.c: refuse what wants that no program runs. */
int board_check_idle(char *why, uint32_t why_size);
void board_describe_image(const struct image *image, struct board_image *description);
int board_describe_task(const struct image *image, const struct program *program, uint32_t index,
                        struct board_task *task);
int board_describe_variable(const struct image *image, uint32_t index,
                            struct board_variable *variable);

/* shim_run.c: bodies for fault_contain, given a program's table; what init returned; what either
 * may take. */
void board_call_init(void *table);
int32_t board_init_result(void);
void board_call_fini(void *table);
int64_t board_init_limit_ns(void);

/* Beyond this base tick nobody waits for the next cycle: reading looks between two of them, and a
 * change is made there. */
#define BOARD_SHORT_BASE_NS 20000000u

/* shim_change.c: another image is open; the program of the present one was taken back. */
bool board_changes(void);
bool board_rolled_back(void);
/* What init and fini of programs say beside one that runs; NULL: nothing ever. */
struct log *board_change_log(void);
/* The last thing, when no change is open. */
void board_end_changes(void);

/* shim_python.c */
int board_create_python(void);
/* No list and no request holds an address of the image afterwards. */
void board_forget_python(void);

/* shim_schedule.c */
struct platform_schedule board_schedule(void);
/* Start threads that do nothing, to learn what the real ones will get. */
int board_try_schedule(void);
/* Once, at the first start: lock what may be locked, touch what the cycle runs through. */
void board_settle_memory(void);
void board_hold_latency(void);

#endif
