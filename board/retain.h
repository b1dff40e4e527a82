/* SPDX-License-Identifier: MIT */
/* retain.h - the variables whose values outlive a stop (SR_RETAIN): which they are, and giving
 * their values back. Their values are read by a snapshot of their own (snapshot.h).
 */
#ifndef SR_RETAIN_H
#define SR_RETAIN_H

#include <stdint.h>

#include "force.h"
#include "plc_abi.h"

/* The most their values may take together, in wire form: one cycle copies them all. */
#define RETAIN_MAX_BYTES 262144u

/* Worker: write the indices of these rows to `indices`, as far as there is `room`; returns how
 * many there are. */
uint32_t retain_list(const struct sr_variable *table, uint32_t table_count, uint32_t *indices,
                     uint32_t room);

/* While no RT thread runs: write the values of those orders whose row is one of these; one that
 * is forced keeps the forced value, one whose pointer leads nowhere has none. Returns how many
 * values did not fit their row; those are left out. */
uint32_t retain_restore(const struct sr_variable *table, uint32_t table_count,
                        const struct force_order *orders, uint32_t count);

#endif
