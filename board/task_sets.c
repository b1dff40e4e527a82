/* SPDX-License-Identifier: MIT */
#include "task_sets.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "exchange.h"
#include "force.h"
#include "iec.h"

#define LARGEST_SET (1u << 30)

/* A value in a set. */
struct item {
    const struct sr_variable *variable; /* the task's own */
    const void *source;                 /* of a copy, as the scan is shown it; NULL: an input */
    struct location location;           /* of an input */
    uint32_t at;
    uint32_t size;
};

struct list {
    struct item *items;
    uint32_t count;
    uint32_t bytes;
};

struct task_sets {
    uint32_t number;
    struct list in;  /* to the task: inputs, then copies */
    struct list out; /* all its variables */
    struct exchange *to;
    struct exchange *from;
    uint8_t *shown; /* scan: the last set taken */
    bool received;  /* task: a first set came */
};

/* 0, or -ENOMEM: no set is that large. */
static int add(struct list *list, struct item item)
{
    if (list->bytes > LARGEST_SET)
        return -ENOMEM;
    item.at = list->bytes;
    item.size = iec_size(item.variable->type, item.variable->capacity);
    list->bytes += (item.size + 7u) & ~7u; /* aligned for any type */
    list->items[list->count++] = item;
    return 0;
}

static int create_list(struct list *list, uint32_t room)
{
    list->items = calloc((size_t)room + 1, sizeof *list->items);
    return list->items != NULL ? 0 : -ENOMEM;
}

/* One byte at least: an exchange of nothing is none. */
static int create_exchange(struct exchange **exchange, const struct list *list,
                           sr_prefault prefault)
{
    if (prefault != NULL)
        (void)prefault(list->items, ((size_t)list->count + 1) * sizeof *list->items);
    return exchange_create(exchange, list->bytes + 1u, prefault);
}

static int create(struct task_sets *sets, const struct image *image, sr_prefault prefault)
{
    const uint32_t count = image_table(image)->variable_count;
    if (create_list(&sets->out, count) != 0)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        const struct sr_variable *row = &image_variables(image)[i];
        if (row->task == sets->number && add(&sets->out, (struct item){.variable = row}) != 0)
            return -ENOMEM;
    }
    sets->shown = calloc(1, sets->out.bytes + 1u);
    if (sets->shown == NULL)
        return -ENOMEM;
    if (prefault != NULL) {
        (void)prefault(sets, sizeof *sets);
        (void)prefault(sets->shown, sets->out.bytes + 1u);
    }
    return create_exchange(&sets->from, &sets->out, prefault);
}

int task_sets_create(struct task_sets **sets, const struct image *image, uint32_t number,
                     sr_prefault prefault)
{
    struct task_sets *new = calloc(1, sizeof *new);
    if (new == NULL)
        return -ENOMEM;
    new->number = number;
    const int error = create(new, image, prefault);
    if (error != 0) {
        task_sets_destroy(new);
        return error;
    }
    *sets = new;
    return 0;
}

void task_sets_show(const struct task_sets *sets, const struct image *image,
                    struct sr_variable *rows)
{
    const struct sr_variable *first = image_variables(image);
    for (uint32_t i = 0; i < sets->out.count; i++) {
        const struct item *item = &sets->out.items[i];
        rows[item->variable - first].address = sets->shown + item->at;
    }
}

static int connect_copies(struct task_sets *sets, const struct image *image,
                          const struct sr_variable *rows)
{
    const struct image_copy_list copies = image_copies(image);
    int error = 0;
    for (uint32_t i = 0; i < copies.count && error == 0; i++) {
        const struct sr_variable *to = copies.items[i].to;
        const struct sr_variable *shown = &rows[copies.items[i].from - image_variables(image)];
        if (to->task == sets->number)
            error = add(&sets->in, (struct item){.variable = to, .source = shown->address});
    }
    return error;
}

int task_sets_connect(struct task_sets *sets, const struct image *image,
                      const struct sr_variable *rows, sr_prefault prefault)
{
    const struct image_located_list inputs = image_inputs(image);
    int error = create_list(&sets->in, inputs.count + image_copies(image).count);
    for (uint32_t i = 0; i < inputs.count && error == 0; i++) {
        const struct sr_variable *to = inputs.items[i].variable;
        if (to->task == sets->number)
            error =
                add(&sets->in, (struct item){.variable = to, .location = inputs.items[i].location});
    }
    if (error == 0)
        error = connect_copies(sets, image, rows);
    return error != 0 ? error : create_exchange(&sets->to, &sets->in, prefault);
}

void task_sets_destroy(struct task_sets *sets)
{
    if (sets == NULL)
        return;
    exchange_destroy(sets->to);
    exchange_destroy(sets->from);
    free(sets->in.items);
    free(sets->out.items);
    free(sets->shown);
    free(sets);
}

SR_RT static void gather(const struct list *list, uint8_t *set)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct item *item = &list->items[i];
        iec_copy(set + item->at, item->variable->address, item->size);
    }
}

void task_sets_begin(struct task_sets *sets)
{
    (void)exchange_take(sets->from);
    (void)exchange_take(sets->to);
    sets->received = false;
    gather(&sets->out, sets->shown);
}

void task_sets_take(struct task_sets *sets)
{
    if (exchange_take(sets->from))
        memcpy(sets->shown, exchange_front(sets->from), sets->out.bytes);
}

void task_sets_give(struct task_sets *sets, const uint8_t *inputs)
{
    uint8_t *set = exchange_back(sets->to);
    if (sets->in.count == 0)
        return;
    for (uint32_t i = 0; i < sets->in.count; i++) {
        const struct item *item = &sets->in.items[i];
        if (item->source != NULL)
            iec_copy(set + item->at, item->source, item->size);
        else
            location_load(&item->location, inputs, set + item->at);
    }
    exchange_publish(sets->to);
}

void task_sets_receive(struct task_sets *sets)
{
    if (exchange_take(sets->to))
        sets->received = true;
    if (!sets->received)
        return;
    const uint8_t *set = exchange_front(sets->to);
    for (uint32_t i = 0; i < sets->in.count; i++) {
        const struct item *item = &sets->in.items[i];
        if (!force_is_set(item->variable))
            iec_copy(item->variable->address, set + item->at, item->size);
    }
}

void task_sets_publish(struct task_sets *sets)
{
    gather(&sets->out, exchange_back(sets->from));
    exchange_publish(sets->from);
}
