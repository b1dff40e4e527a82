/* SPDX-License-Identifier: MIT */
/* sim_area.c - the four accesses to a simulated plant's shared memory, see sim_segment.h. */
#include <string.h>

#include "seqlock.h"
#include "sim_segment.h"

void sim_load_words(const _Atomic uint32_t *words, uint8_t *to)
{
    for (uint32_t i = 0; i < SIM_WORDS; i++) {
        uint32_t word = atomic_load_explicit(&words[i], memory_order_relaxed);
        memcpy(to + (size_t)i * sizeof word, &word, sizeof word);
    }
}

void sim_store_words(_Atomic uint32_t *words, const uint8_t *from)
{
    for (uint32_t i = 0; i < SIM_WORDS; i++) {
        uint32_t word;
        memcpy(&word, from + (size_t)i * sizeof word, sizeof word);
        atomic_store_explicit(&words[i], word, memory_order_relaxed);
    }
}

void sim_put_outputs(struct sim_layout *layout, const uint8_t *outputs, uint32_t tick)
{
    seqlock_write_begin(&layout->output_sequence);
    sim_store_words(layout->outputs, outputs);
    atomic_store_explicit(&layout->tick, tick, memory_order_relaxed);
    seqlock_write_end(&layout->output_sequence);
}

bool sim_get_inputs(const struct sim_layout *layout, uint8_t *inputs)
{
    uint32_t begin = seqlock_read_begin(&layout->input_sequence);
    if ((begin & 1u) != 0)
        return false; /* saves the copy; seqlock_read_valid would say the same */
    sim_load_words(layout->inputs, inputs);
    return seqlock_read_valid(&layout->input_sequence, begin);
}

void sim_put_inputs(struct sim_layout *layout, uint32_t offset, const uint8_t *data, uint32_t size)
{
    uint8_t all[IO_AREA_BYTES];
    /* The plant is the only writer, so what it reads back here is what it wrote. */
    sim_load_words(layout->inputs, all);
    memcpy(all + offset, data, size);
    seqlock_write_begin(&layout->input_sequence);
    sim_store_words(layout->inputs, all);
    seqlock_write_end(&layout->input_sequence);
}

bool sim_get_outputs(const struct sim_layout *layout, uint8_t *outputs, uint32_t *tick)
{
    uint32_t begin = seqlock_read_begin(&layout->output_sequence);
    sim_load_words(layout->outputs, outputs);
    *tick = atomic_load_explicit(&layout->tick, memory_order_relaxed);
    return seqlock_read_valid(&layout->output_sequence, begin);
}
