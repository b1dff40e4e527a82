/* SPDX-License-Identifier: MIT */
/* sim.c - the board's side of the simulated plant, see sim.h. */
#include "sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_segment.h"

struct sim {
    struct sim_segment segment;
    uint32_t tick;                  /* of the last write: safe outputs carry it too */
    uint8_t attempt[IO_AREA_BYTES]; /* inputs, until they are known to be whole */
};

static void explain(int error, const char *name, char *why, size_t why_size)
{
    switch (error) {
    case -EINVAL:
        snprintf(why, why_size,
                 "I/O driver \"sim\" needs a name of 1 to %u characters A-Z a-z 0-9 _ - "
                 "(sim:NAME), got \"%s\"",
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

static int sim_open(void **state, const char *argument, char *why, size_t why_size)
{
    struct sim *sim = calloc(1, sizeof *sim);
    *state = NULL;
    int error = sim != NULL ? sim_segment_open(&sim->segment, argument, SIM_BOARD) : -ENOMEM;
    if (error != 0) {
        free(sim);
        explain(error, argument, why, why_size);
        return error;
    }
    *state = sim;
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
