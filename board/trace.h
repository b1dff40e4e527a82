/* SPDX-License-Identifier: MIT */
/* trace.h - one record a tick of the selected variables, from the cycle to the trace thread.
 *
 * A record, as trace_read delivers it, is what every peer gets, unchanged:
 *
 *     u32 tick, u32 length, `length` bytes of values in wire form (iec.h) in list order
 *
 * The generation of a list is chosen by the worker and must not be used twice in a row; records
 * carry it inside the ring, so the consumer never sees samples of an older list.
 */
#ifndef SR_TRACE_H
#define SR_TRACE_H

#include <stdint.h>

#include "plc_abi.h"
#include "rt.h"

struct trace;

/* Bytes before the values of a record: tick and length. */
#define TRACE_RECORD_HEADER 8u

/* Worker: `ring_bytes` is a power of two, 64 to 2^30. 0, -EINVAL, -ENOMEM. */
int trace_create(struct trace **trace, uint32_t ring_bytes, sr_prefault prefault);
/* Worker, when no RT and no trace thread uses it any more. NULL is allowed. */
void trace_destroy(struct trace *trace);

/* Worker: trace these variables from the next capture on, as `generation`; count 0 traces
 * nothing. Does not wait, whether a task runs or not; a list that no capture used yet is simply
 * replaced. Frees the lists the cycle is done with. -ENOENT: no such index; -EINVAL: bad row;
 * -EMSGSIZE: a record would not fit the ring; -ENOMEM: the old list stays in force then. */
int trace_select(struct trace *trace, const struct sr_variable *table, uint32_t table_count,
                 const uint32_t *indices, uint32_t count, uint32_t generation);
/* Worker, only while no RT thread runs: drop every list, so that the image may be unloaded. */
void trace_forget(struct trace *trace);

/* RT: at the end of a cycle. Takes a new list over, then queues one record; a full ring drops
 * the record and counts the tick. */
SR_RT void trace_capture(struct trace *trace, uint32_t tick);

/* The one thread that produces when no cycle captures: queue a record of `length` bytes. */
void trace_put(struct trace *trace, uint32_t generation, uint32_t tick, const void *values,
               uint32_t length);

/* Trace: copy whole records of `generation` to `to`, oldest first, as many as fit `size`;
 * records of older generations are thrown away, younger ones stay. Returns the bytes copied, 0
 * when there is nothing; -EMSGSIZE when not even the next record fits `size`. `records` (may be
 * NULL) gets their number. Does not wait. */
int32_t trace_read(struct trace *trace, uint32_t generation, uint8_t *to, uint32_t size,
                   uint32_t *records);

/* Any: ticks lost to a full ring since the present list was taken over. */
uint32_t trace_dropped(const struct trace *trace);

#endif
