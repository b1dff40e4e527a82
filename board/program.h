/* SPDX-License-Identifier: MIT */
/* program.h - what a loaded image means to the cycle: everything that another program would change.
 *
 * The cycle reaches an image through this structure only, so putting another program in its place
 * between two cycles is one assignment.
 */
#ifndef SR_PROGRAM_H
#define SR_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "image.h"
#include "rt.h"
#include "stats.h"
#include "task_sets.h"

/* Each has a stack and a log in locked memory. */
#define PROGRAM_MAX_THREADS 8u

struct program_task {
    const struct sr_task *task; /* of the image */
    uint32_t number;            /* of its row in the image, from 1 */
    uint32_t every;             /* base ticks */
    struct task_sets *sets;     /* of a task with a thread of its own; NULL: the scan runs it */
    struct stats *stats;        /* written by the thread that runs it */
    struct recorder *recorder;  /* of a task with a thread of its own; else NULL */
    /* RT: of a task of the scan */
    uint32_t next;                     /* the tick it is due in */
    bool ran;                          /* in this tick; then: */
    struct stats_sample run;           /* how */
    const struct program_task *before; /* in the program that this one replaces; NULL: it is new */
};

struct program {
    int64_t base_ns;
    uint32_t task_count;
    uint32_t thread_count; /* tasks with a thread of their own */
    /* The image's variables as the scan sees them: those of a task with a thread are shown as they
     * were at the end of its last run. */
    const struct sr_variable *rows;
    struct image_located_list inputs;  /* that the scan itself fills */
    struct image_located_list outputs; /* all, among `rows` */
    struct image_copy_list copies;     /* from `rows` to variables of the scan's own tasks */
    struct program_task tasks[IMAGE_MAX_TASKS]; /* by priority; the first soon, see cycle_expect */
    uint8_t lanes[IMAGE_MAX_TASKS + 1];         /* of each task's variables, see force.h */
    /* Memory behind the above, when some task has a thread. */
    struct sr_variable *shown;
    struct image_located *located;
    struct image_copy *copied;
};

/* Worker: 0, -E2BIG (more than PROGRAM_MAX_THREADS), or -ENOMEM. `threads`: tasks that say so get
 * threads of their own, but for the one of highest priority. Holds addresses of the image until
 * program_destroy. */
int program_create(struct program **program, const struct image *image, bool threads,
                   sr_prefault prefault);
/* Worker, when no RT thread uses it any more. NULL is allowed. */
void program_destroy(struct program *program);

/* Worker, before every start, after the program's init: nothing ran yet. */
void program_begin(struct program *program);

/* Worker: find for each task of one its namesake in the other, both ways. */
void program_match(struct program *one, struct program *other);
/* RT: `program` goes on where the one it was matched with is now, `tick` being the next: a task is
 * due when its namesake is, or earlier if its interval is shorter; a new one at once. */
SR_RT void program_take_over(struct program *program, int64_t before_base_ns, uint32_t tick);

#endif
