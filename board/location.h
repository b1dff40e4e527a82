/* SPDX-License-Identifier: MIT */
/* location.h - IEC addresses such as %IX0.0, %QW3, %MD7, and the bytes behind them.
 *
 *   %<area><size><number>     area I Q M; size B W D L: 1, 2, 4, 8 bytes; the byte offset is the
 *                             number times the size
 *   %<area>X<byte>.<bit>      one bit, 0..7 (the X may be left out)
 *
 * Letters in either case, decimal numbers, leading zeros allowed. Hierarchical addresses (%IW1.2),
 * incomplete ones (%I*) and a bit without its byte (%IX5) are refused. Values in the process image
 * are little-endian, unaligned. serial_runtime/iec/location.py is the same for profiles; one list
 * of examples, tests/data/locations.tsv, holds for both.
 */
#ifndef SR_LOCATION_H
#define SR_LOCATION_H

#include <stdint.h>

#include "plc_abi.h"
#include "rt.h"

struct location {
    uint32_t byte; /* offset in its area */
    uint8_t area;  /* enum sr_direction: SR_INPUT, SR_OUTPUT, SR_MEMORY */
    uint8_t bit;   /* 0..7; 0 unless width is 1 */
    uint8_t width; /* bits: 1, 8, 16, 32, 64 */
    uint8_t reserved;
};

/* Worker: 0, or -EINVAL when `text` (may be NULL) is no address. */
int location_parse(const char *text, struct location *location);
/* Worker: what is wrong with a `text` that location_parse refuses, "" when nothing is. */
const char *location_refusal(const char *text);
/* Worker: does a variable of `type` and `direction` fit there? -EPROTOTYPE: another area than
 * the direction's; -EINVAL: the width is not the type's (BOOL is a bit, TIME and its kin and
 * the 64-bit types are L; STRING has none); -ERANGE: beyond `area_bytes`. */
int location_check(const struct location *location, uint8_t type, uint8_t direction,
                   uint32_t area_bytes);

/* RT: image to variable (native form). `area` is the start of the location's area. */
SR_RT void location_load(const struct location *location, const uint8_t *area, void *value);
/* RT: variable to image; the other bits of a byte are kept. A BOOL other than 0 is 1. */
SR_RT void location_store(const struct location *location, const void *value, uint8_t *area);

#endif
