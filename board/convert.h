/* SPDX-License-Identifier: MIT */
/* convert.h - which values of one IEC type another type can hold whole, and how they get there.
 *
 * The widenings of IEC 61131-3 (3rd edition, figure 11) that lose nothing, and a STRING to one of
 * the same length or longer. DINT to REAL is none: a REAL has 24 bits for it. All functions take
 * plain memory and keep no state; any thread. Values lie as plc_abi.h says, not as matiec does.
 */
#ifndef SR_CONVERT_H
#define SR_CONVERT_H

#include <stdint.h>

#include "rt.h"

enum convert {
    CONVERT_NOT,  /* a value could be lost */
    CONVERT_SAME, /* the same type, and capacity */
    CONVERT_WIDER,
};

struct convert_type {
    uint8_t type; /* enum sr_type */
    uint8_t capacity;
};

enum convert convert_kind(struct convert_type from, struct convert_type to);

/* Of types that convert_kind allows. */
SR_RT void convert_copy(struct convert_type from, struct convert_type to, const void *source,
                        void *target);

#endif
