/* SPDX-License-Identifier: MIT */
/* sim.c - the board's side of the simulated plant, see sim.h. */
#include "sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_segment.h"
#include "sim_word.h"

struct sim {
    struct sim_segment segment;
    bool lockstep;
    uint32_t finished;              /* the layout's, which nobody else writes */
    uint32_t tick;                  /* of the last write: safe outputs carry it too */
    uint8_t attempt[IO_AREA_BYTES]; /* inputs, until they are known to be whole */
};

static void explain(int error, const char *name, char *why, size_t why_size)
{
    switch (error) {
    case -EINVAL:
        snprintf(
            why, why_size,
            "the I/O drivers sim and lockstep need a name of 1 to %u characters A-Z a-z 0-9 _ - "
            "(sim:NAME, lockstep:NAME), got \"%s\"",
            SIM_NAME_MAX, name);
        break;
    case -EBUSY:
        snprintf(why, why_size, "simulated plant \"%s\" is in use by another runtime", name);
        break;
    case -EPERM:
        snprintf(why, why_size, "simulated plant \"%s\" belongs to another user", name);
        break;
    default:
        snprintf(why, why_size, "shared memory of simulated plant \"%s\": %s", name,
                 strerror(-error));
        break;
    }
}

static int open_as(void **state, const char *argument, bool lockstep, char *why, size_t why_size)
{
    struct sim *sim = calloc(1, sizeof *sim);
    *state = NULL;
    int error = sim != NULL ? sim_segment_open(&sim->segment, argument, SIM_BOARD) : -ENOMEM;
    if (error != 0) {
        free(sim);
        explain(error, argument, why, why_size);
        return error;
    }
    sim->lockstep = lockstep;
    sim->finished = atomic_load_explicit(&sim->segment.layout->finished, memory_order_relaxed);
    /* Relaxed: a plant that comes too early is told that there is no lockstep, and tries again. */
    atomic_store_explicit(&sim->segment.layout->lockstep, lockstep, memory_order_relaxed);
    *state = sim;
    return 0;
}

static int sim_open(void **state, const char *argument, char *why, size_t why_size)
{
    return open_as(state, argument, false, why, why_size);
}

static int lockstep_open(void **state, const char *argument, char *why, size_t why_size)
{
    return open_as(state, argument, true, why, why_size);
}

SR_RT static int lockstep_await(void *state)
{
    struct sim *sim = state;
    struct sim_layout *layout = sim->segment.layout;
    /* Acquire: the inputs written before, for the release in sim_step. */
    while (atomic_load_explicit(&layout->allowed, memory_order_acquire) == sim->finished) {
        const int error = sim_word_wait(&layout->allowed, sim->finished, -1);
        if (error != 0)
            return error;
    }
    return 0;
}

SR_RT static bool sim_read(void *state, uint8_t *inputs, int64_t now_ns)
{
    (void)now_ns;
    struct sim *sim = state;
    if (!sim_get_inputs(sim->segment.layout, sim->attempt))
        return false;
    memcpy(inputs, sim->attempt, IO_AREA_BYTES);
    return true;
}

SR_RT static void sim_write(void *state, const uint8_t *outputs, uint32_t tick)
{
    struct sim *sim = state;
    sim->tick = tick;
    sim_put_outputs(sim->segment.layout, outputs, tick);
    if (!sim->lockstep)
        return;
    sim->finished++;
    /* Release: the outputs, for the acquire in sim_step. */
    atomic_store_explicit(&sim->segment.layout->finished, sim->finished, memory_order_release);
    sim_word_wake(&sim->segment.layout->finished);
}

SR_RT static void sim_safe(void *state)
{
    static const uint8_t zeros[IO_AREA_BYTES];
    struct sim *sim = state;
    sim_put_outputs(sim->segment.layout, zeros, sim->tick);
}

static void sim_close(void *state)
{
    struct sim *sim = state;
    if (sim == NULL)
        return;
    sim_safe(sim);
    sim_segment_close(&sim->segment);
    free(sim);
}

const struct io_driver io_sim = {
    .name = "sim",
    .rt_safe = true,
    .open = sim_open,
    .read = sim_read,
    .write = sim_write,
    .safe = sim_safe,
    .close = sim_close,
};

const struct io_driver io_lockstep = {
    .name = "lockstep",
    .rt_safe = true,
    .open = lockstep_open,
    .await = lockstep_await,
    .read = sim_read,
    .write = sim_write,
    .safe = sim_safe,
    .close = sim_close,
};
