/* SPDX-License-Identifier: MIT */
#include "convert.h"

#include <stdbool.h>
#include <string.h>

#include "iec.h"

enum class { OTHER, SIGNED, UNSIGNED, BITS, FLOATING };

static enum class class_of(uint8_t type) {
    if (type >= SR_TYPE_SINT && type <= SR_TYPE_LINT) return SIGNED;
    if (type >= SR_TYPE_USINT && type <= SR_TYPE_ULINT) return UNSIGNED;
    if (type == SR_TYPE_BOOL || (type >= SR_TYPE_BYTE && type <= SR_TYPE_LWORD)) return BITS;
    if (type == SR_TYPE_REAL || type == SR_TYPE_LREAL) return FLOATING;
    return OTHER; /* times, STRING */
}

/* Bits that a whole number of the type takes, its sign included. */
static uint32_t bits_of(uint8_t type)
{
    return type == SR_TYPE_BOOL ? 1 : 8 * iec_size(type, 0);
}

/* Whole numbers of so many bits are exact in it. */
static uint32_t mantissa_of(uint8_t type)
{
    return type == SR_TYPE_REAL ? 24 : 53;
}

static bool is_wider(uint8_t from, uint8_t to)
{
    const enum class source = class_of(from);
    const enum class target = class_of(to);
    if (source == OTHER || target == OTHER)
        return false;
    if (source == target)
        return bits_of(from) < bits_of(to);
    if (source == UNSIGNED && target == SIGNED)
        return bits_of(from) < bits_of(to);
    if (target == FLOATING && (source == SIGNED || source == UNSIGNED))
        return bits_of(from) <= mantissa_of(to);
    return false;
}

enum convert convert_kind(struct convert_type from, struct convert_type to)
{
    if (!iec_is_type(from.type) || !iec_is_type(to.type))
        return CONVERT_NOT;
    if (from.type == to.type && from.capacity == to.capacity)
        return CONVERT_SAME;
    if (from.type == SR_TYPE_STRING && to.type == SR_TYPE_STRING)
        return from.capacity < to.capacity ? CONVERT_WIDER : CONVERT_NOT;
    return is_wider(from.type, to.type) ? CONVERT_WIDER : CONVERT_NOT;
}

/* Whatever widens fits 33 bits with its sign: the 64-bit types widen to nothing. */
static int64_t load_whole(uint8_t type, const void *source)
{
    union {
        int8_t i8;
        int16_t i16;
        int32_t i32;
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
    } value;
    const uint32_t size = iec_size(type, 0);
    const bool has_sign = class_of(type) == SIGNED;
    if (type == SR_TYPE_BOOL)
        return *(const uint8_t *)source != 0;
    memcpy(&value, source, size < sizeof value ? size : sizeof value);
    if (size == 1)
        return has_sign ? value.i8 : value.u8;
    if (size == 2)
        return has_sign ? value.i16 : value.u16;
    return has_sign ? (int64_t)value.i32 : (int64_t)value.u32;
}

/* In two halves: a 64-bit one would be a call of the compiler's library on 32-bit ARM. */
static double real_of(int64_t whole)
{
    const int32_t high = (int32_t)(whole >> 16);
    const int32_t low = (int32_t)(whole & 0xffff);
    return (double)high * 65536.0 + (double)low;
}

static void store_real(uint8_t type, double value, void *target)
{
    const float single = (float)value;
    if (type == SR_TYPE_REAL)
        memcpy(target, &single, sizeof single);
    else
        memcpy(target, &value, sizeof value);
}

static void copy_text(uint8_t capacity, const void *source, void *target)
{
    uint8_t *length = target;
    memcpy(target, source, 1u + capacity);
    if (*length > capacity) /* written around the macros */
        *length = capacity;
}

void convert_copy(struct convert_type from, struct convert_type to, const void *source,
                  void *target)
{
    if (from.type == SR_TYPE_STRING) {
        copy_text(from.capacity, source, target);
    } else if (from.type == to.type) {
        memcpy(target, source, iec_size(from.type, 0));
    } else if (from.type == SR_TYPE_REAL) {
        float single;
        memcpy(&single, source, sizeof single);
        store_real(to.type, (double)single, target);
    } else {
        const int64_t whole = load_whole(from.type, source);
        if (class_of(to.type) == FLOATING)
            store_real(to.type, real_of(whole), target);
        else /* little-endian, as all targets are */
            memcpy(target, &whole, iec_size(to.type, 0));
    }
}
