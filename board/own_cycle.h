/* SPDX-License-Identifier: MIT */
/* own_cycle.h - an object of the Beremiz IDE that runs its own cycle, on its own thread.
 *
 * The runtime starts and stops it, and traces and forces through the object's own debugger, with
 * its limits. The thread is not the runtime's: no watchdog, no statistics, and a crash on it ends
 * the process.
 *
 * Threads: the worker, but for own_cycle_begin and own_cycle_end.
 */
#ifndef SR_OWN_CYCLE_H
#define SR_OWN_CYCLE_H

#include <stdbool.h>
#include <stdint.h>

#include "force.h"
#include "image.h"
#include "trace.h"

struct own_cycle;

/* The limits of the object's debugger. */
#define OWN_CYCLE_TRACED 1024u
#define OWN_CYCLE_SAMPLE_BYTES 4095u
#define OWN_CYCLE_FORCED 256u
#define OWN_CYCLE_COPIED_BYTES 1024u /* forced located and external variables together */

/* 0 or -ENOMEM. Samples go to `trace`, whose only producer this is. */
int own_cycle_create(struct own_cycle **own, const struct image *image, struct trace *trace);
/* Only when stopped. NULL is allowed. */
void own_cycle_destroy(struct own_cycle *own);

/* Call startPLC, and stopPLC. Both may hang, so they are for fault_contain's thread. `own` is a
 * struct own_cycle; own_cycle_result is what startPLC returned. Signal handlers that startPLC
 * takes are given back: SIGINT's at once, those its thread needs at the end. */
void own_cycle_begin(void *own);
void own_cycle_end(void *own);
int own_cycle_result(const struct own_cycle *own);
/* It was begun: trace and force what was asked for so far. 0, or -errno as below. */
int own_cycle_attend(struct own_cycle *own);
/* It was ended: no forces any more. */
void own_cycle_rest(struct own_cycle *own);

/* From now on, or from the next start on. The old list stays after an error: -ENOENT: no such
 * index; -EMSGSIZE: beyond a limit above; -ENOMEM. */
int own_cycle_trace(struct own_cycle *own, const uint32_t *indices, uint32_t count,
                    uint32_t generation);
/* Likewise; `*bad` is the order at fault. -EINVAL, -E2BIG, -ERANGE: as iec_from_wire; -EEXIST:
 * twice; -EMSGSIZE: beyond a limit. */
int own_cycle_force(struct own_cycle *own, const struct force_order *orders, uint32_t count,
                    uint32_t *bad);

#endif
