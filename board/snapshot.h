/* SPDX-License-Identifier: MIT */
/* snapshot.h - the values of some variables at the end of one and the same cycle, once.
 *
 * The worker asks, the cycle fills the buffer that came with the request, the worker polls. One
 * request at a time; who must not be disturbed by another's has a snapshot of its own. While no
 * task runs the worker calls snapshot_capture itself (rt.h), after the request, and has the answer
 * at once.
 */
#ifndef SR_SNAPSHOT_H
#define SR_SNAPSHOT_H

#include <stdint.h>

#include "plc_abi.h"
#include "rt.h"

struct snapshot;

/* The most a reply may ask for. */
#define SNAPSHOT_MAX_BYTES 65000u

/* Worker. `max_bytes`: the most a request may ask for, as it is copied within one cycle. 0 or
 * -ENOMEM. */
int snapshot_create(struct snapshot **snapshot, uint32_t max_bytes, sr_prefault prefault);
/* Worker, when no RT thread uses it any more. NULL is allowed. */
void snapshot_destroy(struct snapshot *snapshot);

/* Worker: ask for `count` variables. A request not yet answered is given up, a result not yet
 * read is lost. -ENOENT, -EINVAL, -EMSGSIZE (beyond `max_bytes`), -ENOMEM: as
 * plan_create; no request is under way then. */
int snapshot_request(struct snapshot *snapshot, const struct sr_variable *table,
                     uint32_t table_count, const uint32_t *indices, uint32_t count);
/* RT: at the end of a cycle; answers the request, if there is one. */
SR_RT void snapshot_capture(struct snapshot *snapshot, uint32_t tick);
/* Worker: 0: `*values`, `*size` bytes in wire form in the order asked, are those of `*tick`;
 * they stay valid until the next call of this module but this one. -EAGAIN: not answered yet;
 * -ENOENT: nothing was asked. */
int snapshot_result(struct snapshot *snapshot, uint32_t *tick, const uint8_t **values,
                    uint32_t *size);
/* Worker: give up (no answer in time), or free the result. Before an image is unloaded, while
 * no RT thread runs: afterwards no address of it is held. */
void snapshot_cancel(struct snapshot *snapshot);

#endif
