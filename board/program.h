/* SPDX-License-Identifier: MIT */
/* program.h - what a loaded image means to the cycle: everything that another program would change.
 *
 * The cycle reaches an image through this structure only, so putting another program in its place
 * between two cycles is one assignment.
 */
#ifndef SR_PROGRAM_H
#define SR_PROGRAM_H

#include <stdint.h>

#include "image.h"
#include "rt.h"
#include "stats.h"

struct program_task {
    const struct sr_task *task; /* of the image */
    uint32_t number;            /* of the image's row, from 1 */
    uint32_t every;             /* base ticks */
    struct stats *stats;
    /* RT */
    uint32_t next;           /* the tick it is due in */
    bool ran;                /* in this tick; then: */
    struct stats_sample run; /* how */
};

struct program {
    struct program_task tasks[IMAGE_MAX_TASKS]; /* by priority */
    uint32_t task_count;
    struct image_located_list inputs;
    struct image_located_list outputs;
    int64_t base_ns;
};

/* Worker: 0 or -ENOMEM. Holds addresses of the image until program_destroy. */
int program_create(struct program **program, const struct image *image, sr_prefault prefault);
/* Worker, when no RT thread uses it any more. NULL is allowed. */
void program_destroy(struct program *program);

#endif
