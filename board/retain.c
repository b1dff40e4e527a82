/* SPDX-License-Identifier: MIT */
#include "retain.h"

#include <string.h>

#include "iec.h"

uint32_t retain_list(const struct sr_variable *table, uint32_t table_count, uint32_t *indices,
                     uint32_t room)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < table_count; i++) {
        if ((table[i].options & SR_RETAIN) == 0)
            continue;
        if (found < room)
            indices[found] = i;
        found++;
    }
    return found;
}

/* force_is_set knows native rows only. */
static bool is_forced(const struct sr_variable *row)
{
    const uint8_t flag = (row->type & IEC_MATIEC) != 0 ? IEC_MATIEC_FORCED : SR_FORCED;
    return (*row->flags & flag) != 0;
}

static bool restore(const struct sr_variable *row, const struct force_order *order)
{
    _Alignas(8) uint8_t native[IEC_MAX_BYTES + 1];
    if (iec_from_wire(row->type, row->capacity, order->wire, order->size, native) != 0)
        return false;
    void *to = row->address;
    if ((row->type & IEC_POINTER) != 0)
        memcpy(&to, row->address, sizeof to);
    if (to != NULL && !is_forced(row))
        memcpy(to, native, iec_size(row->type, row->capacity));
    return true;
}

uint32_t retain_restore(const struct sr_variable *table, uint32_t table_count,
                        const struct force_order *orders, uint32_t count)
{
    uint32_t misfits = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t index = orders[i].index;
        if (index >= table_count)
            misfits++;
        else if ((table[index].options & SR_RETAIN) != 0 && !restore(&table[index], &orders[i]))
            misfits++;
    }
    return misfits;
}
