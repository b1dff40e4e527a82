/* SPDX-License-Identifier: MIT */
/* force.c - see force.h. Values are converted by the worker; the cycle only copies. */
#include "force.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "handover.h"
#include "iec.h"

/* matiec's located and external variables are pointers. Such a one is led to a copy of ours, so
 * that whoever fills the place it led to (an input driver, another block) does not disturb it. */
struct forced {
    void *address; /* IEC_POINTER: of the pointer */
    void *behind;  /* IEC_POINTER: where it led; NULL: it was not led away yet */
    uint8_t *flags;
    uint32_t size; /* of the native value */
    uint8_t type;
    uint8_t flag; /* the bit of `flags` that the program tests */
    uint8_t value[IEC_MAX_BYTES];
    _Alignas(8) uint8_t copy[IEC_MAX_BYTES]; /* IEC_POINTER */
};

struct list {
    struct handover_item item; /* first */
    uint32_t count;
    struct forced forced[];
};

struct lane {
    struct handover lists;
    struct list *active; /* RT: the list in use; NULL: none yet */
};

struct force {
    struct lane lanes[FORCE_LANES];
    sr_prefault prefault;
    const uint8_t *route; /* worker: the lane of each task's variables; NULL: all are lane 0's */
};

static void free_chain(struct handover_item *item)
{
    while (item != NULL) {
        struct handover_item *next = item->next;
        free(item);
        item = next;
    }
}

int force_create(struct force **force, sr_prefault prefault)
{
    struct force *made = calloc(1, sizeof *made);
    *force = made;
    if (made == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < FORCE_LANES; i++)
        handover_init(&made->lanes[i].lists);
    made->prefault = prefault;
    if (prefault != NULL)
        (void)prefault(made, sizeof *made);
    return 0;
}

void force_destroy(struct force *force)
{
    if (force == NULL)
        return;
    force_forget(force);
    free(force);
}

static int fill(struct forced *forced, const struct sr_variable *variable,
                const struct force_order *order)
{
    if (variable->address == NULL || variable->flags == NULL)
        return -EINVAL;
    forced->address = variable->address;
    forced->flags = variable->flags;
    forced->type = variable->type;
    forced->flag = (variable->type & IEC_MATIEC) != 0 ? IEC_MATIEC_FORCED : SR_FORCED;
    forced->size = iec_size(variable->type, variable->capacity);
    return iec_from_wire(variable->type, variable->capacity, order->wire, order->size,
                         forced->value);
}

static uint32_t lane_of(const struct force *force, const struct sr_variable *row)
{
    return force->route != NULL ? force->route[row->task] : 0;
}

/* `seen` has one byte a row of the table, all 0. 0, or an error and the position of its order. */
static int check(const struct sr_variable *table, uint32_t table_count,
                 const struct force_order *orders, uint32_t count, uint8_t *seen, uint32_t *bad)
{
    struct forced forced;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t index = orders[i].index;
        *bad = i;
        if (index >= table_count)
            return -ENOENT;
        if (seen[index] != 0)
            return -EEXIST;
        seen[index] = 1;
        const int error = fill(&forced, &table[index], &orders[i]);
        if (error != 0)
            return error;
    }
    *bad = count;
    return 0;
}

/* What of the orders, which are good, concerns one lane. */
static struct list *compile(const struct force *force, uint32_t lane,
                            const struct sr_variable *table, const struct force_order *orders,
                            uint32_t count)
{
    uint32_t mine = 0;
    for (uint32_t i = 0; i < count; i++)
        mine += lane_of(force, &table[orders[i].index]) == lane;
    const size_t size = sizeof(struct list) + mine * sizeof(struct forced);
    struct list *list = malloc(size);
    if (list == NULL)
        return NULL;
    memset(list, 0, size);
    for (uint32_t i = 0; i < count; i++) {
        const struct sr_variable *row = &table[orders[i].index];
        if (lane_of(force, row) == lane)
            (void)fill(&list->forced[list->count++], row, &orders[i]);
    }
    if (force->prefault != NULL)
        (void)force->prefault(list, size);
    return list;
}

/* All lanes or none: nothing is published before every list is made. */
static int publish(struct force *force, const struct sr_variable *table,
                   const struct force_order *orders, uint32_t count)
{
    struct list *lists[FORCE_LANES] = {NULL};
    for (uint32_t i = 0; i < FORCE_LANES; i++) {
        lists[i] = compile(force, i, table, orders, count);
        if (lists[i] == NULL) {
            while (i-- > 0)
                free(lists[i]);
            return -ENOMEM;
        }
    }
    for (uint32_t i = 0; i < FORCE_LANES; i++) {
        free_chain(handover_publish(&force->lanes[i].lists, &lists[i]->item));
        free_chain(handover_collect(&force->lanes[i].lists));
    }
    return 0;
}

int force_publish(struct force *force, const struct sr_variable *table, uint32_t table_count,
                  const struct force_order *orders, uint32_t count, uint32_t *bad)
{
    uint32_t ignored;
    bad = bad != NULL ? bad : &ignored;
    *bad = count;
    /* Else one of them repeats or does not exist, which `check` finds. */
    if (count <= table_count &&
        sizeof(struct list) + (uint64_t)count * sizeof(struct forced) > PTRDIFF_MAX)
        return -ENOMEM;
    uint8_t *seen = calloc((size_t)table_count + 1u, 1);
    if (seen == NULL)
        return -ENOMEM;
    const int error = check(table, table_count, orders, count, seen, bad);
    free(seen);
    return error != 0 ? error : publish(force, table, orders, count);
}

void force_route(struct force *force, const uint8_t *lanes)
{
    force->route = lanes;
}

void force_forget(struct force *force)
{
    for (uint32_t i = 0; i < FORCE_LANES; i++) {
        struct lane *lane = &force->lanes[i];
        free_chain(handover_publish(&lane->lists, NULL));
        free_chain(handover_collect(&lane->lists));
        free(lane->active);
        lane->active = NULL;
    }
}

/* Other bits of the byte are kept. No read-modify-write instruction: this side is the only
 * writer. Relaxed: the program reads on this thread, others only as a figure. */
static void mark(const struct forced *forced, bool set)
{
    unsigned int old = __atomic_load_n(forced->flags, __ATOMIC_RELAXED);
    unsigned int new = set ? old | forced->flag : old & ~(unsigned int)forced->flag;
    __atomic_store_n(forced->flags, (uint8_t) new, __ATOMIC_RELAXED);
}

static void *pointer_of(const struct forced *forced)
{
    return __atomic_load_n((void **)forced->address, __ATOMIC_RELAXED);
}

static void lead_to(const struct forced *forced, void *value)
{
    __atomic_store_n((void **)forced->address, value, __ATOMIC_RELAXED);
}

/* Again and again: the program's init sets its pointers anew. */
static void lead_away(struct forced *forced)
{
    void *now = pointer_of(forced);
    memcpy(forced->copy, forced->value, forced->size);
    if (now == NULL) /* its init did not run yet */
        return;
    if (now != forced->copy) {
        forced->behind = now;
        lead_to(forced, forced->copy);
    }
    if ((forced->type & IEC_OUTPUT) != 0)
        memcpy(forced->behind, forced->value, forced->size);
}

static void write_all(struct list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        struct forced *forced = &list->forced[i];
        mark(forced, true);
        if ((forced->type & IEC_POINTER) != 0)
            lead_away(forced);
        else
            iec_copy(forced->address, forced->value, forced->size);
    }
}

static void release(const struct list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct forced *forced = &list->forced[i];
        mark(forced, false);
        if ((forced->type & IEC_POINTER) != 0 && pointer_of(forced) == forced->copy)
            lead_to(forced, forced->behind);
    }
}

void force_apply(struct force *force, uint32_t number)
{
    struct lane *lane = &force->lanes[number];
    struct handover_item *news = handover_take(&lane->lists);
    if (news != NULL) {
        struct list *old = lane->active;
        /* Clear all, then set all: two rows of a table may share one flags byte. */
        if (old != NULL)
            release(old);
        lane->active = (struct list *)(void *)news;
        handover_retire(&lane->lists, old != NULL ? &old->item : NULL);
    }
    if (lane->active != NULL)
        write_all(lane->active);
}

void force_hold(struct force *force, uint32_t lane)
{
    if (force->lanes[lane].active != NULL)
        write_all(force->lanes[lane].active);
}

void force_settle(struct force *force)
{
    for (uint32_t i = 0; i < FORCE_LANES; i++)
        force_apply(force, i);
}

bool force_is_set(const struct sr_variable *variable)
{
    return (__atomic_load_n(variable->flags, __ATOMIC_RELAXED) & SR_FORCED) != 0;
}

void force_write_input(const struct sr_variable *variable, const struct location *location,
                       const uint8_t *inputs)
{
    if (!force_is_set(variable))
        location_load(location, inputs, variable->address);
}
