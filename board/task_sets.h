/* SPDX-License-Identifier: MIT */
/* task_sets.h - the values that pass between the scan and a task with a thread of its own.
 *
 * They pass as whole sets, through two exchanges (exchange.h), so neither waits for the other and
 * no set is ever of two moments. To the task, which takes the newest at the start of a run: its
 * process inputs, and copies of others' variables. From the task, which publishes at the end of
 * a run: all its variables. The scan keeps what it took last in a place of its own: there every
 * variable of the task has a fixed address, which trace, outputs and all the rest read.
 *
 * "Scan" is the RT thread that runs the scan cycle, "task" the other one.
 */
#ifndef SR_TASK_SETS_H
#define SR_TASK_SETS_H

#include <stdint.h>

#include "image.h"
#include "rt.h"

struct task_sets;

/* Worker: for the variables of task `number` (from 1). 0 or -ENOMEM. */
int task_sets_create(struct task_sets **sets, const struct image *image, uint32_t number,
                     sr_prefault prefault);
/* Worker: `rows` are the image's with every task's as they are shown; for all tasks before the
 * first connection. Copies to the task come from there. 0 or -ENOMEM. */
int task_sets_connect(struct task_sets *sets, const struct image *image,
                      const struct sr_variable *rows, sr_prefault prefault);
/* Worker, when no RT thread uses them any more. NULL is allowed. */
void task_sets_destroy(struct task_sets *sets);

/* Worker: let the task's among `rows`, a copy of the image's, point to what the scan is shown. */
void task_sets_show(const struct task_sets *sets, const struct image *image,
                    struct sr_variable *rows);
/* Worker, before every start, after the program's init: the scan is shown what the variables hold
 * now, and no set is under way. */
void task_sets_begin(struct task_sets *sets);

/* Scan, at the start of a cycle: show the newest set of the task. */
SR_RT void task_sets_take(struct task_sets *sets);
/* Scan, after it took the sets of all tasks: the newest set for the task, from these inputs and
 * from what is shown. */
SR_RT void task_sets_give(struct task_sets *sets, const uint8_t *inputs);

/* Task, at the start of a run: take the newest set over, but for forced variables. */
SR_RT void task_sets_receive(struct task_sets *sets);
/* Task, at the end of a run: publish its variables. */
SR_RT void task_sets_publish(struct task_sets *sets);

#endif
