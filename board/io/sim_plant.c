/* SPDX-License-Identifier: MIT */
/* sim_plant.c - the plant's side of the shared memory, see sim.h. Never on the RT thread. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"
#include "sim_segment.h"

/* The board is busy in its write for well under a microsecond; a reader that meets it this
 * often, yielding in between, reads from a board that died there. */
#define READ_ATTEMPTS 10000

struct sim_plant {
    struct sim_segment segment;
};

int sim_attach(struct sim_plant **plant, const char *name)
{
    struct sim_plant *made = calloc(1, sizeof *made);
    *plant = NULL;
    if (made == NULL)
        return -ENOMEM;
    int error = sim_segment_open(&made->segment, name, SIM_PLANT);
    if (error != 0) {
        free(made);
        return error;
    }
    *plant = made;
    return 0;
}

void sim_detach(struct sim_plant *plant)
{
    if (plant == NULL)
        return;
    sim_segment_close(&plant->segment);
    free(plant);
}

static int check_range(uint32_t offset, uint32_t size)
{
    return size > IO_AREA_BYTES || offset > IO_AREA_BYTES - size ? -ERANGE : 0;
}

int sim_write_inputs(struct sim_plant *plant, uint32_t offset, const uint8_t *data, uint32_t size)
{
    int error = check_range(offset, size);
    if (error == 0)
        sim_put_inputs(plant->segment.layout, offset, data, size);
    return error;
}

int sim_read_inputs(const struct sim_plant *plant, uint32_t offset, uint8_t *data, uint32_t size)
{
    uint8_t all[IO_AREA_BYTES];
    int error = check_range(offset, size);
    if (error != 0)
        return error;
    sim_load_words(plant->segment.layout->inputs, all); /* nobody else writes them */
    memcpy(data, all + offset, size);
    return 0;
}

int sim_read_outputs(struct sim_plant *plant, uint32_t offset, uint8_t *data, uint32_t size,
                     uint32_t *tick)
{
    uint8_t all[IO_AREA_BYTES];
    uint32_t seen;
    int error = check_range(offset, size);
    if (error != 0)
        return error;
    for (int attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
        if (sim_get_outputs(plant->segment.layout, all, &seen)) {
            memcpy(data, all + offset, size);
            if (tick != NULL)
                *tick = seen;
            return 0;
        }
        sched_yield();
    }
    return -EAGAIN;
}

bool sim_board_open(const struct sim_plant *plant)
{
    return sim_segment_has_peer(&plant->segment);
}
