/* SPDX-License-Identifier: MIT */
/* sim_word.h - waiting for another process to change a word of shared memory: private to sim.c
 * (board) and sim_plant.c (plant), for lockstep, where nobody's time is real. */
#ifndef SR_SIM_WORD_H
#define SR_SIM_WORD_H

#include <stdatomic.h>
#include <stdint.h>

#include "rt.h"

/* Any: sleep until somebody wakes those who wait for `*word`, unless it is not `seen` any more.
 * timeout_ns: below 1 s; negative: for ever. 0: look again; -EINTR: a signal came. */
SR_RT int sim_word_wait(_Atomic uint32_t *word, uint32_t seen, int64_t timeout_ns);
/* Any: after a change of it. */
SR_RT void sim_word_wake(_Atomic uint32_t *word);

#endif
