/* SPDX-License-Identifier: MIT */
/* io.h - what moves the process image to and from the plant.
 *
 * A driver is a table of functions. `open`, `begin` and `close` run on the worker while no task
 * runs; the others on the RT side (rt.h): the RT thread while one runs, the worker otherwise.
 */
#ifndef SR_IO_H
#define SR_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rt.h"

/* Bytes of each area of the process image: %I, %Q, %M. */
#define IO_AREA_BYTES 1024u

struct io_driver {
    const char *name;
    bool rt_safe; /* read, write and safe never block; others need an I/O thread of their own */
    /* `argument` is what follows "name:" in the specification, "" when nothing does. On error
     * `why` gets a sentence. *state is passed to all others. */
    int (*open)(void **state, const char *argument, char *why, size_t why_size);
    /* Before a cycle begins: its outputs are no longer the safe ones. May be NULL. */
    void (*begin)(void *state);
    /* In place of the clock, where the plant has the time: wait until the next cycle may begin. 0,
     * or -EINTR: the thread was kicked. NULL: the clock has it, as for everything real. */
    SR_RT_POINTER int (*await)(void *state);
    /* Fill `inputs` (IO_AREA_BYTES), which are those of the last call. `now_ns` is the cycle's
     * clock. False: nothing new could be had, `inputs` is unchanged. */
    SR_RT_POINTER bool (*read)(void *state, uint8_t *inputs, int64_t now_ns);
    /* Put `outputs` (IO_AREA_BYTES) out. `tick` is for drivers whose plant wants to know. */
    SR_RT_POINTER void (*write)(void *state, const uint8_t *outputs, uint32_t tick);
    /* Outputs to their safe state: stop, fault, before close. Also the watchdog's thread beside an
     * RT thread that is stuck anywhere, and a forked child of a process that has died: no lock, no
     * memory, and no thread that must do it, as far as the driver can. */
    SR_RT_POINTER void (*safe)(void *state);
    void (*close)(void *state); /* NULL state is allowed */
};

/* No I/O at all: inputs stay as they are, outputs go nowhere. */
extern const struct io_driver io_none;
/* Shared memory to a simulated plant, see sim.h; the argument is the segment's name. */
extern const struct io_driver io_sim;
/* The same, and the plant says when each cycle begins. */
extern const struct io_driver io_lockstep;

/* Worker: the driver for a specification "none", "sim:NAME", "lockstep:NAME"; `*argument` points
 * into `spec`. NULL when there is no driver of that name. */
const struct io_driver *io_find(const char *spec, const char **argument);
/* Worker: the drivers there are, for a message: "none, sim:NAME, lockstep:NAME". */
const char *io_names(void);

#endif
