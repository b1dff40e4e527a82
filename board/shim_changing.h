/* SPDX-License-Identifier: MIT */
/* shim_changing.h - the online change that is open: what shim_change.c and shim_switch.c share. */
#ifndef SR_SHIM_CHANGING_H
#define SR_SHIM_CHANGING_H

#include "shim_parts.h"

#include "host.h"

/* Worker. */
struct board_changing {
    struct image *image; /* the new one; after the switch the old one; NULL: no change is open */
    struct cycle_change *cycle;
    struct force *force; /* this and `snapshot`: of that image, as the worker sees it */
    struct snapshot *snapshot;
    bool switched;
    bool abandoned; /* code of that image was: it stays mapped */
    char fault[FAULT_TEXT_BYTES];
};

extern struct board_changing changing;

/* For code of one program while the other one runs: its messages need a ring of their own. */
extern struct host_seat change_seat;

/* Close the other image; no change is open afterwards. */
void board_forget_change(void);

#endif
