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

struct force {
    struct handover lists;
    sr_prefault prefault;
    struct list *active; /* RT: the list in use; NULL: none yet */
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
    handover_init(&made->lists);
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

/* `seen` has one byte a row of the table, all 0. */
static int compile(struct list *list, const struct sr_variable *table, uint32_t table_count,
                   const struct force_order *orders, uint32_t count, uint8_t *seen)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = orders[i].index;
        if (index >= table_count)
            return -ENOENT;
        if (seen[index] != 0)
            return -EEXIST;
        seen[index] = 1;
        int error = fill(&list->forced[i], &table[index], &orders[i]);
        if (error != 0)
            return error;
        list->count = i + 1u;
    }
    return 0;
}

int force_publish(struct force *force, const struct sr_variable *table, uint32_t table_count,
                  const struct force_order *orders, uint32_t count, uint32_t *bad)
{
    if (bad != NULL)
        *bad = count;
    if (count > table_count)
        count = table_count + 1u; /* so many hold one that repeats or does not exist */
    uint64_t bytes = sizeof(struct list) + (uint64_t)count * sizeof(struct forced);
    if (bytes > PTRDIFF_MAX)
        return -ENOMEM;
    size_t size = (size_t)bytes;
    struct list *list = malloc(size);
    uint8_t *seen = calloc((size_t)table_count + 1u, 1);
    if (list == NULL || seen == NULL) {
        free(list);
        free(seen);
        return -ENOMEM;
    }
    memset(list, 0, size);
    int error = compile(list, table, table_count, orders, count, seen);
    free(seen);
    if (error != 0) {
        if (bad != NULL)
            *bad = list->count; /* the first that was not compiled */
        free(list);
        return error;
    }
    if (force->prefault != NULL)
        (void)force->prefault(list, size);
    free_chain(handover_publish(&force->lists, &list->item));
    free_chain(handover_collect(&force->lists));
    return 0;
}

void force_forget(struct force *force)
{
    free_chain(handover_publish(&force->lists, NULL));
    free_chain(handover_collect(&force->lists));
    free(force->active);
    force->active = NULL;
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

static void write_value(const struct forced *forced)
{
    switch (forced->size) { /* a constant size makes memcpy a load and a store */
    case 1:
        memcpy(forced->address, forced->value, 1);
        break;
    case 2:
        memcpy(forced->address, forced->value, 2);
        break;
    case 4:
        memcpy(forced->address, forced->value, 4);
        break;
    case 8:
        memcpy(forced->address, forced->value, 8);
        break;
    default:
        memcpy(forced->address, forced->value, forced->size);
        break;
    }
}

static void write_all(struct list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        struct forced *forced = &list->forced[i];
        mark(forced, true);
        if ((forced->type & IEC_POINTER) != 0)
            lead_away(forced);
        else
            write_value(forced);
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

void force_apply(struct force *force)
{
    struct handover_item *news = handover_take(&force->lists);
    if (news != NULL) {
        struct list *old = force->active;
        /* Clear all, then set all: two rows of a table may share one flags byte. */
        if (old != NULL)
            release(old);
        force->active = (struct list *)(void *)news;
        handover_retire(&force->lists, old != NULL ? &old->item : NULL);
    }
    if (force->active != NULL)
        write_all(force->active);
}

void force_hold(struct force *force)
{
    if (force->active != NULL)
        write_all(force->active);
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
