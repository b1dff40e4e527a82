/* SPDX-License-Identifier: MIT */
/* iec.h - sizes of the IEC types, and their two forms.
 *
 * Native: as a program image holds the value (plc_abi.h). Wire: as every peer sees it, packed,
 * little-endian, without alignment:
 *
 *   BOOL                 1 byte, 0 or 1
 *   integers, bit types,
 *   REAL, LREAL          as native
 *   TIME DATE TOD DT     16 bytes: i64 seconds, i64 nanoseconds 0..999999999 (floor division, so
 *                        -1 ns is -1 s and 999999999 ns)
 *   STRING               1 length byte, then that many characters
 *
 * All functions take plain memory and keep no state; any thread.
 */
#ifndef SR_IEC_H
#define SR_IEC_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "plc_abi.h"
#include "rt.h"

/* The longest value in either form: a STRING[254]. */
#define IEC_MAX_BYTES 255u

/* The shim's own tables may say in a row's type how a program made by matiec holds the value. */
#define IEC_TYPE 0x1fu    /* mask: enum sr_type */
#define IEC_OUTPUT 0x20u  /* with IEC_POINTER: a force reaches what the pointer leads to, too */
#define IEC_POINTER 0x40u /* at the address lies a pointer to the value; NULL: the value is 0 */
#define IEC_MATIEC 0x80u  /* times are two longs, s and ns; the force flag is IEC_MATIEC_FORCED */
#define IEC_MATIEC_FORCED 2u
#define IEC_MATIEC_RETAIN 4u /* a flag too, known after init */

/* A value of enum sr_type. */
SR_RT bool iec_is_type(uint8_t type);
/* "DINT", ...; "?" for no type. */
const char *iec_name(uint8_t type);
/* Bytes of the native form, pointers left out; a STRING's is 1 + capacity; 0 for no type. */
SR_RT uint32_t iec_size(uint8_t type, uint8_t capacity);
/* Most bytes the wire form can take; exact for all but STRING; 0 for no type. */
SR_RT uint32_t iec_wire_max(uint8_t type, uint8_t capacity);

/* Write the wire form of `value` to `wire` (room for iec_wire_max bytes) and return its length.
 * A BOOL other than 0 becomes 1; a STRING longer than its capacity is cut. */
SR_RT uint32_t iec_to_wire(uint8_t type, uint8_t capacity, const void *value, uint8_t *wire);

/* Write the native form of `wire` to `native` (room for iec_size bytes), which is never a pointer
 * to it. Also accepted: a TIME
 * of 8 bytes (i32 seconds, i32 nanoseconds), a STRING followed by anything (the IDE sends 127).
 * -EINVAL: wrong size or type; -E2BIG: a text longer than `capacity`; -ERANGE: nanoseconds not
 * in -999999999..999999999, or a time beyond 64 bits of nanoseconds. */
int iec_from_wire(uint8_t type, uint8_t capacity, const uint8_t *wire, uint32_t size, void *native);

/* Copy a native value of `size` bytes. A constant size makes memcpy a load and a store. */
SR_RT static inline void iec_copy(void *to, const void *from, uint32_t size)
{
    switch (size) {
    case 1:
        memcpy(to, from, 1);
        break;
    case 2:
        memcpy(to, from, 2);
        break;
    case 4:
        memcpy(to, from, 4);
        break;
    case 8:
        memcpy(to, from, 8);
        break;
    default:
        memcpy(to, from, size);
        break;
    }
}

#endif
