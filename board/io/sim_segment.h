/* SPDX-License-Identifier: MIT */
/* sim_segment.h - the shared memory itself: private to sim.c (board) and sim_plant.c (plant).
 * Layout and life are described in sim.h. */
#ifndef SR_SIM_SEGMENT_H
#define SR_SIM_SEGMENT_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sim.h"

#define SIM_WORDS (IO_AREA_BYTES / 4u)

struct sim_layout {
    _Atomic uint32_t magic;
    uint32_t version;
    uint32_t input_offset;
    uint32_t input_bytes;
    uint32_t output_offset;
    uint32_t output_bytes;
    _Atomic uint32_t lockstep;
    uint32_t reserved[9];
    _Atomic uint32_t input_sequence;
    _Atomic uint32_t allowed;
    uint32_t reserved_input[14];
    _Atomic uint32_t output_sequence;
    _Atomic uint32_t tick;
    _Atomic uint32_t finished;
    uint32_t reserved_output[29];
    _Atomic uint32_t inputs[SIM_WORDS];
    _Atomic uint32_t outputs[SIM_WORDS];
};

static_assert(sizeof(_Atomic uint32_t) == 4, "the layout is the same on every target");
static_assert(offsetof(struct sim_layout, input_sequence) == 64, "as documented in sim.h");
static_assert(offsetof(struct sim_layout, output_sequence) == 128, "as documented in sim.h");
static_assert(offsetof(struct sim_layout, allowed) == 68, "as documented in sim.h");
static_assert(offsetof(struct sim_layout, finished) == 136, "as documented in sim.h");
static_assert(offsetof(struct sim_layout, inputs) == 256, "as documented in sim.h");
static_assert(offsetof(struct sim_layout, outputs) == 1280, "as documented in sim.h");
static_assert(sizeof(struct sim_layout) == 2304, "as documented in sim.h");

enum sim_role { SIM_BOARD = 0, SIM_PLANT = 1 }; /* also the byte each of them locks */

struct sim_segment {
    struct sim_layout *layout;
    int fd;
    enum sim_role role;
    char path[sizeof "/serial-runtime." + SIM_NAME_MAX];
};

/* Non-RT: open, lock, and (board) make or reset the segment. -errno as sim_attach's. */
int sim_segment_open(struct sim_segment *segment, const char *name, enum sim_role role);
/* Non-RT: leave; the last one removes it. */
void sim_segment_close(struct sim_segment *segment);
/* Non-RT: is the other role attached now, and alive? */
bool sim_segment_has_peer(const struct sim_segment *segment);

/* RT and non-RT: copy an area, relaxed, inside a seqlock's bracket. */
SR_RT void sim_load_words(const _Atomic uint32_t *words, uint8_t *to);
SR_RT void sim_store_words(_Atomic uint32_t *words, const uint8_t *from);

/* The four accesses, each under its seqlock. The board writes its outputs and tick; it makes one
 * attempt at the inputs, which fails (false) during or across a write. The plant likewise. */
SR_RT void sim_put_outputs(struct sim_layout *layout, const uint8_t *outputs, uint32_t tick);
SR_RT bool sim_get_inputs(const struct sim_layout *layout, uint8_t *inputs);
void sim_put_inputs(struct sim_layout *layout, uint32_t offset, const uint8_t *data, uint32_t size);
bool sim_get_outputs(const struct sim_layout *layout, uint8_t *outputs, uint32_t *tick);

#endif
