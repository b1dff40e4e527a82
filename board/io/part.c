/* SPDX-License-Identifier: MIT */
/* part.c - see part.h. */
#define _GNU_SOURCE
#include "part.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "exchange.h"
#include "runs.h"

struct io_part {
    int64_t stale_ns;
    int64_t heard_ns; /* RT: when the newest inputs were taken */
    struct io_runs *inputs;
    struct io_runs *outputs;
    struct io_runs *lost;
    struct exchange *in;  /* an area, I/O thread to cycle */
    struct exchange *out; /* an area, cycle to I/O thread */
    atomic_bool safe;
    uint8_t safe_values[IO_AREA_BYTES];
    pthread_mutex_t look; /* the two below: between I/O thread and who looks, never the cycle */
    uint8_t seen_inputs[IO_AREA_BYTES];
    uint8_t seen_outputs[IO_AREA_BYTES];
};

int io_part_create(struct io_part **part, const struct io_part_masks *masks, sr_prefault prefault)
{
    struct io_part *made = calloc(1, sizeof *made);
    *part = NULL;
    if (made == NULL)
        return -ENOMEM;
    made->stale_ns = masks->stale_ns;
    atomic_init(&made->safe, true);
    memcpy(made->safe_values, masks->safe, IO_AREA_BYTES);
    memcpy(made->seen_outputs, masks->safe, IO_AREA_BYTES);
    pthread_mutex_init(&made->look, NULL);
    if (prefault != NULL)
        prefault(made, sizeof *made);
    int error = io_runs_create(&made->inputs, masks->inputs, prefault);
    if (error == 0)
        error = io_runs_create(&made->outputs, masks->outputs, prefault);
    if (error == 0)
        error = io_runs_create(&made->lost, masks->lost, prefault);
    if (error == 0)
        error = exchange_create(&made->in, IO_AREA_BYTES, prefault);
    if (error == 0)
        error = exchange_create(&made->out, IO_AREA_BYTES, prefault);
    if (error != 0)
        io_part_destroy(made);
    else
        *part = made;
    return error;
}

void io_part_destroy(struct io_part *part)
{
    if (part == NULL)
        return;
    io_runs_destroy(part->inputs);
    io_runs_destroy(part->outputs);
    io_runs_destroy(part->lost);
    exchange_destroy(part->in);
    exchange_destroy(part->out);
    pthread_mutex_destroy(&part->look);
    free(part);
}

void io_part_begin(struct io_part *part)
{
    /* What an earlier cycle published may still wait there; the first thing taken is safe. */
    io_part_store(part, part->safe_values);
    /* Release: that set, for the acquire in io_part_take. */
    atomic_store_explicit(&part->safe, false, memory_order_release);
}

void io_part_load(struct io_part *part, uint8_t *inputs, int64_t now_ns)
{
    if (exchange_take(part->in))
        part->heard_ns = now_ns;
    io_runs_copy(part->inputs, inputs, exchange_front(part->in));
    if (now_ns - part->heard_ns > part->stale_ns)
        io_runs_fill(part->lost, inputs, 0);
}

void io_part_store(struct io_part *part, const uint8_t *outputs)
{
    io_runs_copy(part->outputs, exchange_back(part->out), outputs);
    exchange_publish(part->out);
}

void io_part_safe(struct io_part *part)
{
    /* Sequentially consistent, as is io_part_is_safe: of a driver that makes the outputs safe
     * itself and a thread that has just put out others, one notices the other. */
    atomic_store(&part->safe, true);
}

bool io_part_is_safe(const struct io_part *part)
{
    return atomic_load(&part->safe);
}

void io_part_publish(struct io_part *part, const uint8_t *inputs)
{
    memcpy(exchange_back(part->in), inputs, IO_AREA_BYTES);
    exchange_publish(part->in);
    pthread_mutex_lock(&part->look);
    memcpy(part->seen_inputs, inputs, IO_AREA_BYTES);
    pthread_mutex_unlock(&part->look);
}

enum io_news io_part_take(struct io_part *part, uint8_t *outputs)
{
    enum io_news news = IO_SAFE;
    const uint8_t *found = part->safe_values;
    /* Acquire: pairs with the release in io_part_begin. */
    if (!atomic_load_explicit(&part->safe, memory_order_acquire)) {
        news = exchange_take(part->out) ? IO_NEW : IO_OLD;
        found = exchange_front(part->out);
    }
    memcpy(outputs, found, IO_AREA_BYTES);
    pthread_mutex_lock(&part->look);
    memcpy(part->seen_outputs, outputs, IO_AREA_BYTES);
    pthread_mutex_unlock(&part->look);
    return news;
}

void io_part_look(struct io_part *part, uint8_t *inputs, uint8_t *outputs)
{
    pthread_mutex_lock(&part->look);
    memcpy(inputs, part->seen_inputs, IO_AREA_BYTES);
    memcpy(outputs, part->seen_outputs, IO_AREA_BYTES);
    pthread_mutex_unlock(&part->look);
}
