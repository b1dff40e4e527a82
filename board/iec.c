/* SPDX-License-Identifier: MIT */
/* iec.c - see iec.h. One table, and the two forms of times and strings. */
#include "iec.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define NS_PER_SECOND 1000000000

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "wire and native order are the same");

enum form { FORM_NONE, FORM_BOOL, FORM_PLAIN, FORM_TIME, FORM_STRING };

struct row {
    char name[7];
    uint8_t form;
    uint8_t size; /* native */
    uint8_t wire;
};

static const struct row rows[] = {
    [0] = {"?", FORM_NONE, 0, 0},
    [SR_TYPE_BOOL] = {"BOOL", FORM_BOOL, 1, 1},
    [SR_TYPE_SINT] = {"SINT", FORM_PLAIN, 1, 1},
    [SR_TYPE_INT] = {"INT", FORM_PLAIN, 2, 2},
    [SR_TYPE_DINT] = {"DINT", FORM_PLAIN, 4, 4},
    [SR_TYPE_LINT] = {"LINT", FORM_PLAIN, 8, 8},
    [SR_TYPE_USINT] = {"USINT", FORM_PLAIN, 1, 1},
    [SR_TYPE_UINT] = {"UINT", FORM_PLAIN, 2, 2},
    [SR_TYPE_UDINT] = {"UDINT", FORM_PLAIN, 4, 4},
    [SR_TYPE_ULINT] = {"ULINT", FORM_PLAIN, 8, 8},
    [SR_TYPE_BYTE] = {"BYTE", FORM_PLAIN, 1, 1},
    [SR_TYPE_WORD] = {"WORD", FORM_PLAIN, 2, 2},
    [SR_TYPE_DWORD] = {"DWORD", FORM_PLAIN, 4, 4},
    [SR_TYPE_LWORD] = {"LWORD", FORM_PLAIN, 8, 8},
    [SR_TYPE_REAL] = {"REAL", FORM_PLAIN, 4, 4},
    [SR_TYPE_LREAL] = {"LREAL", FORM_PLAIN, 8, 8},
    [SR_TYPE_TIME] = {"TIME", FORM_TIME, 8, 16},
    [SR_TYPE_DATE] = {"DATE", FORM_TIME, 8, 16},
    [SR_TYPE_TOD] = {"TOD", FORM_TIME, 8, 16},
    [SR_TYPE_DT] = {"DT", FORM_TIME, 8, 16},
    [SR_TYPE_STRING] = {"STRING", FORM_STRING, 1, 1},
};

static const struct row *row_of(uint8_t type)
{
    type &= IEC_TYPE;
    return &rows[type < sizeof rows / sizeof rows[0] ? type : 0];
}

bool iec_is_type(uint8_t type)
{
    return type <= IEC_TYPE && row_of(type)->form != FORM_NONE;
}

const char *iec_name(uint8_t type)
{
    return row_of(type)->name;
}

uint32_t iec_size(uint8_t type, uint8_t capacity)
{
    const struct row *row = row_of(type);
    if (row->form == FORM_TIME && (type & IEC_MATIEC) != 0)
        return 2u * (uint32_t)sizeof(long);
    return row->form == FORM_STRING ? 1u + capacity : row->size;
}

uint32_t iec_wire_max(uint8_t type, uint8_t capacity)
{
    const struct row *row = row_of(type);
    return row->form == FORM_STRING ? 1u + capacity : row->wire;
}

/* Floor division, so that the nanoseconds are never negative. */
static uint32_t time_to_wire(uint8_t type, const void *value, uint8_t *wire)
{
    int64_t sec = 0, nsec;
    if ((type & IEC_MATIEC) != 0) {
        long pair[2];
        memcpy(pair, value, sizeof pair);
        sec = pair[0];
        nsec = pair[1];
    } else {
        memcpy(&nsec, value, sizeof nsec);
    }
    int64_t carry = nsec / NS_PER_SECOND;
    nsec %= NS_PER_SECOND;
    if (nsec < 0) {
        nsec += NS_PER_SECOND;
        carry--;
    }
    sec = (int64_t)((uint64_t)sec + (uint64_t)carry); /* a program's garbage may wrap */
    memcpy(wire, &sec, sizeof sec);
    memcpy(wire + sizeof sec, &nsec, sizeof nsec);
    return 2u * (uint32_t)sizeof(int64_t);
}

/* The length byte belongs to the program: it may hold anything, and change while we look, where
 * the caller reads optimistically (and throws the result away). So it is read once. */
static uint32_t string_to_wire(uint8_t capacity, const void *value, uint8_t *wire)
{
    const uint8_t *from = value;
    uint8_t length = __atomic_load_n(from, __ATOMIC_RELAXED);
    if (length > capacity)
        length = capacity;
    wire[0] = length;
    memcpy(wire + 1, from + 1, length);
    return 1u + length;
}

uint32_t iec_to_wire(uint8_t type, uint8_t capacity, const void *value, uint8_t *wire)
{
    const struct row *row = row_of(type);
    if ((type & IEC_POINTER) != 0) {
        value = __atomic_load_n((void *const *)value, __ATOMIC_RELAXED);
        if (value == NULL) {
            memset(wire, 0, row->wire);
            return row->wire;
        }
    }
    switch (row->form) {
    case FORM_BOOL:
        wire[0] = *(const uint8_t *)value != 0;
        return 1;
    case FORM_PLAIN:
        memcpy(wire, value, row->size);
        return row->size;
    case FORM_TIME:
        return time_to_wire(type, value, wire);
    case FORM_STRING:
        return string_to_wire(capacity, value, wire);
    default:
        return 0;
    }
}

static int time_from_wire(uint8_t type, const uint8_t *wire, uint32_t size, void *native)
{
    int64_t sec, nsec, total;
    if (size == 16) {
        memcpy(&sec, wire, sizeof sec);
        memcpy(&nsec, wire + 8, sizeof nsec);
    } else if (size == 8) {
        int32_t pair[2];
        memcpy(pair, wire, sizeof pair);
        sec = pair[0];
        nsec = pair[1];
    } else {
        return -EINVAL;
    }
    if (nsec <= -NS_PER_SECOND || nsec >= NS_PER_SECOND)
        return -ERANGE;
    /* Of the lowest second only a part fits: borrow before the product, which would overflow. */
    if (sec < 0 && nsec > 0) {
        sec++;
        nsec -= NS_PER_SECOND;
    }
    if ((type & IEC_MATIEC) != 0) { /* of one sign, as its own arithmetic leaves them */
        const long pair[2] = {(long)sec, (long)nsec};
        if (pair[0] != sec)
            return -ERANGE;
        memcpy(native, pair, sizeof pair);
        return 0;
    }
    if (__builtin_mul_overflow(sec, (int64_t)NS_PER_SECOND, &total) ||
        __builtin_add_overflow(total, nsec, &total))
        return -ERANGE;
    memcpy(native, &total, sizeof total);
    return 0;
}

static int string_from_wire(uint8_t capacity, const uint8_t *wire, uint32_t size, void *native)
{
    if (size < 1 || size < 1u + wire[0])
        return -EINVAL;
    if (wire[0] > capacity)
        return -E2BIG;
    memset(native, 0, 1u + capacity);
    memcpy(native, wire, 1u + wire[0]);
    return 0;
}

int iec_from_wire(uint8_t type, uint8_t capacity, const uint8_t *wire, uint32_t size, void *native)
{
    const struct row *row = row_of(type);
    switch (row->form) {
    case FORM_BOOL:
        if (size != 1)
            return -EINVAL;
        *(uint8_t *)native = wire[0] != 0;
        return 0;
    case FORM_PLAIN:
        if (size != row->size)
            return -EINVAL;
        memcpy(native, wire, size);
        return 0;
    case FORM_TIME:
        return time_from_wire(type, wire, size, native);
    case FORM_STRING:
        return string_from_wire(capacity, wire, size, native);
    default:
        return -EINVAL;
    }
}
