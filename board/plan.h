/* SPDX-License-Identifier: MIT */
/* plan.h - a list of variables, compiled for fast copying: what trace and snapshot capture by.
 *
 * Neighbours of the same kind become one run, whose inner loop is a load and a store; only
 * BOOL, times and STRING take more. Values come out in wire form (iec.h) in list order.
 */
#ifndef SR_PLAN_H
#define SR_PLAN_H

#include <stdint.h>

#include "plc_abi.h"
#include "rt.h"

struct plan;

/* Worker: compile `indices` into `table`; an index may repeat, `count` may be 0. -ENOENT: no
 * such index; -EINVAL: a row without address or of no type; -EMSGSIZE: the values could take
 * more than `max_bytes`; -ENOMEM. Holds addresses of the image until plan_destroy. */
int plan_create(struct plan **plan, const struct sr_variable *table, uint32_t table_count,
                const uint32_t *indices, uint32_t count, uint32_t max_bytes, sr_prefault prefault);
/* Worker, when no thread captures by it any more. NULL is allowed. */
void plan_destroy(struct plan *plan);

/* Any: variables in the plan, and the most bytes plan_capture can write. */
SR_RT uint32_t plan_count(const struct plan *plan);
SR_RT uint32_t plan_max_bytes(const struct plan *plan);

/* RT: write the values to `to` (room for plan_max_bytes, 8-byte aligned or not); returns the
 * bytes written. */
SR_RT uint32_t plan_capture(const struct plan *plan, uint8_t *to);

#endif
