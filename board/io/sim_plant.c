/* SPDX-License-Identifier: MIT */
/* sim_plant.c - the plant's side of the shared memory, see sim.h. Never on the RT thread. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim.h"
#include "sim_segment.h"
#include "sim_word.h"

/* The board is busy in its write for well under a microsecond; a reader that meets it this
 * often, yielding in between, reads from a board that died there. */
#define READ_ATTEMPTS 10000
#define STEP_POLL_NS 100000000 /* how late the end of the time is noticed */

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

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int sim_step(struct sim_plant *plant, uint32_t cycles, int64_t timeout_ns)
{
    struct sim_layout *layout = plant->segment.layout;
    if (atomic_load_explicit(&layout->lockstep, memory_order_relaxed) == 0)
        return -ENOTSUP;
    /* The plant alone writes it. */
    const uint32_t goal = atomic_load_explicit(&layout->allowed, memory_order_relaxed) + cycles;
    if (cycles != 0) {
        /* Release: the inputs, for the acquire in lockstep_await. */
        atomic_store_explicit(&layout->allowed, goal, memory_order_release);
        sim_word_wake(&layout->allowed);
    }
    const int64_t until_ns = now_ns() + timeout_ns;
    for (;;) {
        /* Acquire: the outputs, for the release in sim_write. */
        const uint32_t now = atomic_load_explicit(&layout->finished, memory_order_acquire);
        if (now == goal)
            return 0;
        if (now_ns() >= until_ns)
            return -ETIMEDOUT;
        (void)sim_word_wait(&layout->finished, now, STEP_POLL_NS);
    }
}

bool sim_board_open(const struct sim_plant *plant)
{
    return sim_segment_has_peer(&plant->segment);
}
