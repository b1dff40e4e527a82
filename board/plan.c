/* SPDX-License-Identifier: MIT */
/* plan.c - see plan.h.
 *
 * Why runs: a switch for every variable costs a mispredicted branch now and then and keeps the
 * compiler from unrolling; a program's variables of one type tend to stand together in a trace
 * list, so most plans are a handful of runs. Values are loaded and stored one by one because
 * plc_abi.h puts a flags byte beside each: neighbours are never contiguous in memory.
 */
#include "plan.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "iec.h"

enum kind { KIND_1, KIND_2, KIND_4, KIND_8, KIND_CONVERT };

struct run {
    uint32_t count;
    uint8_t kind;
    uint8_t type; /* KIND_CONVERT: of all its variables */
    uint8_t capacity;
    uint8_t unused;
};

struct plan {
    uint32_t count;
    uint32_t max_bytes;
    uint32_t run_count;
    struct run *runs;        /* in the same allocation, behind the addresses */
    const void *addresses[]; /* count */
};

static uint8_t kind_of(uint8_t type)
{
    /* Same bytes on the wire as in memory, and no value that memory may hold but the wire not. */
    const unsigned int bare = type & IEC_TYPE;
    bool plain = bare != SR_TYPE_BOOL && bare != SR_TYPE_STRING && (type & IEC_POINTER) == 0 &&
                 iec_size(type, 0) == iec_wire_max(type, 0) && iec_size(type, 0) <= 8;
    if (!plain)
        return KIND_CONVERT;
    switch (iec_size(type, 0)) {
    case 1:
        return KIND_1;
    case 2:
        return KIND_2;
    case 4:
        return KIND_4;
    default:
        return KIND_8;
    }
}

static int check(const struct sr_variable *table, uint32_t table_count, const uint32_t *indices,
                 uint32_t count, uint32_t max_bytes, uint32_t *total)
{
    *total = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (indices[i] >= table_count)
            return -ENOENT;
        const struct sr_variable *variable = &table[indices[i]];
        if (variable->address == NULL || iec_size(variable->type, variable->capacity) == 0)
            return -EINVAL;
        *total += iec_wire_max(variable->type, variable->capacity);
        if (*total > max_bytes) /* here, so that the sum never wraps */
            return -EMSGSIZE;
    }
    return 0;
}

static void add(struct plan *plan, const struct sr_variable *variable)
{
    struct run next = {.count = 1, .kind = kind_of(variable->type)};
    if (next.kind == KIND_CONVERT) {
        next.type = variable->type;
        next.capacity = variable->capacity;
    }
    plan->addresses[plan->count++] = variable->address;
    struct run *last = plan->run_count != 0 ? &plan->runs[plan->run_count - 1] : NULL;
    if (last != NULL && last->kind == next.kind && last->type == next.type &&
        last->capacity == next.capacity)
        last->count++;
    else
        plan->runs[plan->run_count++] = next;
}

int plan_create(struct plan **plan, const struct sr_variable *table, uint32_t table_count,
                const uint32_t *indices, uint32_t count, uint32_t max_bytes, sr_prefault prefault)
{
    *plan = NULL;
    uint32_t total;
    if (max_bytes > UINT32_MAX - IEC_MAX_BYTES)
        return -EINVAL;
    int error = check(table, table_count, indices, count, max_bytes, &total);
    if (error != 0)
        return error;
    uint64_t bytes = sizeof(struct plan) + (uint64_t)count * (sizeof(void *) + sizeof(struct run));
    if (bytes > PTRDIFF_MAX)
        return -ENOMEM;
    size_t size = (size_t)bytes;
    struct plan *made = malloc(size);
    if (made == NULL)
        return -ENOMEM;
    memset(made, 0, size);
    made->max_bytes = total;
    made->runs = (struct run *)(void *)(made->addresses + count);
    for (uint32_t i = 0; i < count; i++)
        add(made, &table[indices[i]]);
    if (prefault != NULL)
        (void)prefault(made, size);
    *plan = made;
    return 0;
}

void plan_destroy(struct plan *plan)
{
    free(plan);
}

uint32_t plan_count(const struct plan *plan)
{
    return plan->count;
}

uint32_t plan_max_bytes(const struct plan *plan)
{
    return plan->max_bytes;
}

/* A copy loop for one size; the constant makes memcpy a load and a store. */
#define COPY_RUN(size)                                                                             \
    do {                                                                                           \
        for (uint32_t i = 0; i < run->count; i++)                                                  \
            memcpy(to + (size_t)i * (size), address[i], (size));                                   \
        to += (size_t)run->count * (size);                                                         \
    } while (0)

uint32_t plan_capture(const struct plan *plan, uint8_t *to)
{
    const uint8_t *start = to;
    const void *const *address = plan->addresses;
    for (uint32_t r = 0; r < plan->run_count; r++) {
        const struct run *run = &plan->runs[r];
        switch (run->kind) {
        case KIND_1:
            COPY_RUN(1);
            break;
        case KIND_2:
            COPY_RUN(2);
            break;
        case KIND_4:
            COPY_RUN(4);
            break;
        case KIND_8:
            COPY_RUN(8);
            break;
        default:
            for (uint32_t i = 0; i < run->count; i++)
                to += iec_to_wire(run->type, run->capacity, address[i], to);
            break;
        }
        address += run->count;
    }
    return (uint32_t)(to - start);
}
