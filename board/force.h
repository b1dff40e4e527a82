/* SPDX-License-Identifier: MIT */
/* force.h - variables held at a value against the program, the plant and the cycle itself.
 *
 * The worker publishes a whole list (it replaces the one before); the cycle takes it over at its
 * start. Each RT thread has a lane: the part of the list whose variables it owns. SR_FORCED in a
 * variable's flags makes the program's macros skip their writes and the runtime skip the input
 * copy; force_hold restores the value after the tasks, so that a program that writes around the
 * macros cannot move a forced output either. Flags are written only by the RT side, relaxed: the
 * program tests them on the same thread.
 *
 * A released variable keeps the forced value until somebody writes it; one behind a pointer
 * (IEC_POINTER) has the value it would have without the force.
 */
#ifndef SR_FORCE_H
#define SR_FORCE_H

#include <stdbool.h>
#include <stdint.h>

#include "location.h"
#include "plc_abi.h"
#include "rt.h"

struct force;

/* Lane 0 is the scan's own, the others those of tasks with threads of their own. */
#define FORCE_LANES 9u

/* One forced variable: its row in the table and its value in wire form (iec.h). */
struct force_order {
    uint32_t index;
    uint32_t size;
    const uint8_t *wire;
};

/* Worker. 0 or -ENOMEM. */
int force_create(struct force **force, sr_prefault prefault);
/* Worker, when no RT thread uses it any more. NULL is allowed. */
void force_destroy(struct force *force);

/* Worker: force exactly these variables from the next force_apply on; count 0 releases all.
 * Everything is checked and converted here. Does not wait; frees the lists the cycle is done
 * with. -ENOENT: no such index; -EEXIST: an index twice; -EINVAL, -E2BIG, -ERANGE: as
 * iec_from_wire, or a row without address or flags; -ENOMEM. The old list stays in force after
 * an error, and `*bad` (may be NULL) is the position of the order at fault (count when it is
 * none of them). */
int force_publish(struct force *force, const struct sr_variable *table, uint32_t table_count,
                  const struct force_order *orders, uint32_t count, uint32_t *bad);
/* Worker, while nothing is forced: lanes[n] is the lane of rows whose `task` is n, for all n a
 * table may hold; NULL: lane 0 has them all. It is not copied. */
void force_route(struct force *force, const uint8_t *lanes);
/* Worker, only while no RT thread runs: drop every list without touching a variable, so that
 * the image may be unloaded. (To clear the flags as well: force_publish of nothing, then
 * force_settle, then this.) */
void force_forget(struct force *force);

/* RT, the lane's thread: at the start of a cycle, after the inputs. Takes a new list over (clears
 * SR_FORCED where it is no longer forced, sets it where it is), then writes the values. */
SR_RT void force_apply(struct force *force, uint32_t lane);
/* RT, likewise: after the tasks, before the outputs are collected. Writes the values (and the
 * flags) again. */
SR_RT void force_hold(struct force *force, uint32_t lane);
/* Worker, only while no RT thread runs: force_apply of every lane. */
void force_settle(struct force *force);

/* RT: is the variable forced now? */
SR_RT bool force_is_set(const struct sr_variable *variable);
/* RT: copy one located input from the process image, unless the variable is forced. */
SR_RT void force_write_input(const struct sr_variable *variable, const struct location *location,
                             const uint8_t *inputs);

#endif
