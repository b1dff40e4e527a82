/* SPDX-License-Identifier: MIT */
/* own_cycle.c - see own_cycle.h.
 *
 * Trace and forces are one list in the object, which is always set as a whole. A thread waits in
 * the object for samples. It may wake up with one of the list before, or of a list that is just
 * being replaced; so a sample counts only if no list was set since the sample before it was given
 * back: until then the object takes no other. */
#define _GNU_SOURCE
#include "own_cycle.h"

#include "iec.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define STACK_BYTES ((size_t)1 << 18)

struct forced {
    uint32_t index;
    uint32_t size;
    _Alignas(8) uint8_t value[IEC_MAX_BYTES];
};

struct own_cycle {
    const struct beremiz *entries;
    const struct sr_variable *rows;
    uint32_t row_count;
    struct trace *trace;
    int result; /* of startPLC */
    bool attended;
    struct sigaction interrupt, first, second; /* whose SIGINT, SIGUSR1, SIGUSR2 were */
    pthread_t sampler;
    pthread_mutex_t lock; /* protects what follows; worker and sampler */
    uint32_t *indices;
    uint32_t count;
    uint32_t generation;
    uint32_t lists;        /* set so far */
    struct forced *forces; /* worker */
    uint32_t force_count;
};

int own_cycle_create(struct own_cycle **own, const struct image *image, struct trace *trace)
{
    struct own_cycle *made = calloc(1, sizeof *made);
    *own = made;
    if (made == NULL)
        return -ENOMEM;
    made->entries = image_beremiz(image);
    made->rows = image_variables(image);
    made->row_count = image_table(image)->variable_count;
    made->trace = trace;
    pthread_mutex_init(&made->lock, NULL);
    return 0;
}

void own_cycle_destroy(struct own_cycle *own)
{
    if (own == NULL)
        return;
    pthread_mutex_destroy(&own->lock);
    free(own->indices);
    free(own->forces);
    free(own);
}

/* ---- samples ------------------------------------------------------------------------------- */

/* Bytes of a value as the object packs it; 0: it is cut. */
static uint32_t packed_size(const struct sr_variable *row, const uint8_t *value, uint32_t left)
{
    uint32_t size = iec_size(row->type, row->capacity);
    if ((row->type & IEC_TYPE) == SR_TYPE_STRING && left > 0)
        size = 1u + value[0];
    return size <= left ? size : 0;
}

static void deliver(struct own_cycle *own, uint32_t tick, const uint8_t *values, uint32_t size)
{
    uint8_t wire[2 * OWN_CYCLE_SAMPLE_BYTES + IEC_MAX_BYTES]; /* times are twice as long there */
    uint32_t length = 0, at = 0;
    for (uint32_t i = 0; i < own->count; i++) {
        const struct sr_variable *row = &own->rows[own->indices[i]];
        const uint32_t bytes = packed_size(row, values + at, size - at);
        if (bytes == 0)
            return; /* of a list that the object did not take whole */
        length += iec_to_wire((uint8_t)(row->type & ~IEC_POINTER), row->capacity, values + at,
                              wire + length);
        at += bytes;
    }
    if (own->count > 0)
        trace_put(own->trace, own->generation, tick, wire, length);
}

static void *sample(void *argument)
{
    struct own_cycle *own = argument;
    const struct beremiz *entries = own->entries;
    unsigned int tick, size;
    void *values;
    pthread_mutex_lock(&own->lock);
    uint32_t lists = own->lists;
    pthread_mutex_unlock(&own->lock);
    while (entries->get_debug(&tick, &size, &values) == 0) { /* else it was stopped */
        pthread_mutex_lock(&own->lock);
        if (lists == own->lists && size <= OWN_CYCLE_SAMPLE_BYTES)
            deliver(own, tick, values, size);
        lists = own->lists;
        pthread_mutex_unlock(&own->lock);
        entries->free_debug();
    }
    return NULL;
}

/* ---- start and stop ------------------------------------------------------------------------ */

static int start_sampler(struct own_cycle *own)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&own->sampler, &attributes, sample, own);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return -error;
}

static void give_back_thread_signals(const struct own_cycle *own)
{
    sigaction(SIGUSR1, &own->first, NULL);
    sigaction(SIGUSR2, &own->second, NULL);
}

void own_cycle_begin(void *argument)
{
    struct own_cycle *own = argument;
    char *words[] = {NULL};
    sigset_t signals;
    sigaction(SIGINT, NULL, &own->interrupt);
    sigaction(SIGUSR1, NULL, &own->first);
    sigaction(SIGUSR2, NULL, &own->second);
    /* The object's threads inherit the mask; its cycle is woken and ended by these two. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGUSR2);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
    own->result = own->entries->start(0, words);
    sigaction(SIGINT, &own->interrupt, NULL);
    if (own->result == 0 && start_sampler(own) != 0) {
        own->result = -EAGAIN;
        own->entries->stop();
    }
    if (own->result != 0)
        give_back_thread_signals(own);
}

/* Its init forgets what is forced, but leaves the flags of those variables set. */
static void clear_list(const struct beremiz *entries)
{
    (void)entries->suspend_debug(0);
    entries->reset_debug();
    entries->resume_debug();
    (void)entries->suspend_debug(1);
}

void own_cycle_end(void *argument)
{
    struct own_cycle *own = argument;
    clear_list(own->entries);
    own->entries->stop();
    give_back_thread_signals(own);
    pthread_join(own->sampler, NULL);
}

int own_cycle_result(const struct own_cycle *own)
{
    return own->result;
}

/* ---- lists --------------------------------------------------------------------------------- */

static struct forced *force_of(const struct own_cycle *own, uint32_t index)
{
    for (uint32_t i = 0; i < own->force_count; i++) {
        if (own->forces[i].index == index)
            return &own->forces[i];
    }
    return NULL;
}

static bool is_traced(const struct own_cycle *own, uint32_t index)
{
    for (uint32_t i = 0; i < own->count; i++) {
        if (own->indices[i] == index)
            return true;
    }
    return false;
}

/* The variable of a list once, with its force; a repetition must not be forced again. */
static int enter(const struct own_cycle *own, uint32_t index, bool again)
{
    struct forced *forced = again ? NULL : force_of(own, index);
    const int error = own->entries->register_debug(index, forced != NULL ? forced->value : NULL,
                                                   forced != NULL ? forced->size : 0);
    return error == 0 ? 0 : -EMSGSIZE;
}

static bool is_again(const struct own_cycle *own, uint32_t position)
{
    for (uint32_t i = 0; i < position; i++) {
        if (own->indices[i] == own->indices[position])
            return true;
    }
    return false;
}

static bool fits(const struct own_cycle *own)
{
    uint32_t entered = own->count;
    uint32_t copied_bytes = 0; /* of what lies behind pointers */
    for (uint32_t i = 0; i < own->force_count; i++) {
        const struct forced *forced = &own->forces[i];
        entered += is_traced(own, forced->index) ? 0 : 1;
        if ((own->rows[forced->index].type & IEC_POINTER) != 0)
            copied_bytes += forced->size;
    }
    return entered <= OWN_CYCLE_TRACED && copied_bytes <= OWN_CYCLE_COPIED_BYTES;
}

/* Give the object the whole list. What it refuses it has taken a part of. */
static int set_list(struct own_cycle *own)
{
    const struct beremiz *entries = own->entries;
    int error = 0;
    if (!fits(own))
        return -EMSGSIZE;
    if (!own->attended)
        return 0;
    if (entries->suspend_debug(0) != 0)
        return -EBUSY;
    entries->reset_debug();
    for (uint32_t i = 0; i < own->count && error == 0; i++)
        error = enter(own, own->indices[i], is_again(own, i));
    /* Behind the traced ones, where `deliver` does not look. */
    for (uint32_t i = 0; i < own->force_count && error == 0; i++) {
        if (!is_traced(own, own->forces[i].index))
            error = enter(own, own->forces[i].index, false);
    }
    entries->resume_debug();
    if (own->count == 0 && own->force_count == 0)
        (void)entries->suspend_debug(1);
    return error;
}

int own_cycle_attend(struct own_cycle *own)
{
    pthread_mutex_lock(&own->lock);
    own->attended = true;
    own->lists++;
    const int error = set_list(own);
    pthread_mutex_unlock(&own->lock);
    return error;
}

void own_cycle_rest(struct own_cycle *own)
{
    own->attended = false;
    free(own->forces);
    own->forces = NULL;
    own->force_count = 0;
}

static int check_trace(const struct own_cycle *own, const uint32_t *indices, uint32_t count)
{
    uint32_t bytes = 0;
    if (count > OWN_CYCLE_TRACED)
        return -EMSGSIZE;
    for (uint32_t i = 0; i < count; i++) {
        if (indices[i] >= own->row_count)
            return -ENOENT;
        bytes += iec_size(own->rows[indices[i]].type, own->rows[indices[i]].capacity);
    }
    return bytes > OWN_CYCLE_SAMPLE_BYTES ? -EMSGSIZE : 0;
}

int own_cycle_trace(struct own_cycle *own, const uint32_t *indices, uint32_t count,
                    uint32_t generation)
{
    int error = check_trace(own, indices, count);
    if (error != 0)
        return error;
    uint32_t *copy = calloc((size_t)count + 1, sizeof *copy);
    if (copy == NULL)
        return -ENOMEM;
    memcpy(copy, indices, count * sizeof *copy);
    pthread_mutex_lock(&own->lock);
    uint32_t *old = own->indices;
    const uint32_t old_count = own->count;
    own->indices = copy;
    own->count = count;
    own->lists++;
    error = set_list(own);
    if (error == 0) {
        own->generation = generation;
        free(old);
    } else {
        own->indices = old;
        own->count = old_count;
        (void)set_list(own);
        free(copy);
    }
    pthread_mutex_unlock(&own->lock);
    return error;
}

static int convert(const struct own_cycle *own, struct forced *forces,
                   const struct force_order *orders, uint32_t count, uint32_t *bad)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t index = orders[i].index;
        *bad = i;
        if (index >= own->row_count)
            return -ENOENT;
        for (uint32_t k = 0; k < i; k++) {
            if (forces[k].index == index)
                return -EEXIST;
        }
        const struct sr_variable *row = &own->rows[index];
        forces[i].index = index;
        forces[i].size = iec_size(row->type, row->capacity);
        const int error = iec_from_wire(row->type, row->capacity, orders[i].wire, orders[i].size,
                                        forces[i].value);
        if (error != 0)
            return error;
    }
    *bad = count;
    return 0;
}

int own_cycle_force(struct own_cycle *own, const struct force_order *orders, uint32_t count,
                    uint32_t *bad)
{
    *bad = count;
    if (count > OWN_CYCLE_FORCED)
        return -EMSGSIZE;
    struct forced *forces = calloc((size_t)count + 1, sizeof *forces);
    if (forces == NULL)
        return -ENOMEM;
    int error = convert(own, forces, orders, count, bad);
    if (error != 0) {
        free(forces);
        return error;
    }
    pthread_mutex_lock(&own->lock);
    struct forced *old = own->forces;
    const uint32_t old_count = own->force_count;
    own->forces = forces;
    own->force_count = count;
    own->lists++;
    error = set_list(own);
    if (error == 0) {
        free(old);
    } else {
        own->forces = old;
        own->force_count = old_count;
        (void)set_list(own);
        free(forces);
    }
    pthread_mutex_unlock(&own->lock);
    return error;
}
