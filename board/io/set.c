/* SPDX-License-Identifier: MIT */
/* set.c - see set.h. */
#include "set.h"

#include <errno.h>
#include <stdlib.h>

struct member {
    struct io_part *part;
    SR_RT_POINTER void (*safe)(void *state);
    void (*close)(void *state);
    void *state;
};

struct io_set {
    const struct io_driver *base;
    void *base_state;
    uint32_t count;
    struct member members[];
};

int io_set_create(struct io_set **set, const struct io_driver *base, void *base_state,
                  uint32_t room)
{
    struct io_set *made = calloc(1, sizeof *made + room * sizeof made->members[0]);
    *set = made;
    if (made == NULL)
        return -ENOMEM;
    made->base = base;
    made->base_state = base_state;
    return 0;
}

void io_set_add(struct io_set *set, struct io_part *part, SR_RT_POINTER void (*safe)(void *state),
                void (*close)(void *state), void *state)
{
    set->members[set->count++] = (struct member){part, safe, close, state};
}

struct io_part *io_set_part(const struct io_set *set, uint32_t index)
{
    return set->members[index].part;
}

static void set_begin(void *state)
{
    struct io_set *set = state;
    for (uint32_t i = 0; i < set->count; i++)
        io_part_begin(set->members[i].part);
    if (set->base->begin != NULL)
        set->base->begin(set->base_state);
}

SR_RT static bool set_read(void *state, uint8_t *inputs, int64_t now_ns)
{
    struct io_set *set = state;
    (void)set->base->read(set->base_state, inputs, now_ns);
    /* Each time: the base may have filled all of it. */
    for (uint32_t i = 0; i < set->count; i++)
        io_part_load(set->members[i].part, inputs, now_ns);
    return true;
}

SR_RT static void set_write(void *state, const uint8_t *outputs, uint32_t tick)
{
    struct io_set *set = state;
    set->base->write(set->base_state, outputs, tick);
    for (uint32_t i = 0; i < set->count; i++)
        io_part_store(set->members[i].part, outputs);
}

SR_RT static void set_safe(void *state)
{
    struct io_set *set = state;
    set->base->safe(set->base_state);
    for (uint32_t i = 0; i < set->count; i++) {
        const struct member *member = &set->members[i];
        io_part_safe(member->part); /* first: its I/O thread puts nothing else out any more */
        if (member->safe != NULL)
            member->safe(member->state);
    }
}

static void set_close(void *state)
{
    struct io_set *set = state;
    if (set == NULL)
        return;
    set_safe(set);
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->members[i].close != NULL)
            set->members[i].close(set->members[i].state);
        io_part_destroy(set->members[i].part);
    }
    set->base->close(set->base_state);
    free(set);
}

const struct io_driver io_set = {
    .name = "set",
    .rt_safe = true,
    .begin = set_begin,
    .read = set_read,
    .write = set_write,
    .safe = set_safe,
    .close = set_close,
};
