/* SPDX-License-Identifier: MIT */
/* hosted.h - an object of the Beremiz IDE whose cycle the shim runs.
 *
 * The object then looks like a native image with one task, and its faults, overruns, forces and
 * traces are handled like any image's. A part of its own runtime does not suit the cycle of a
 * host: retain variables on a file, the wall clock, a timer and a debugger that belong to a
 * thread which was not started. Those functions are lent to it: exported from this module under
 * the names the object has them under, before the object in the loader's search order.
 */
#ifndef SR_HOSTED_H
#define SR_HOSTED_H

#include <stdbool.h>

#include "beremiz.h"
#include "plc_abi.h"
#include "rt.h"

/* Worker, before the object is loaded: put our functions first, for good. */
void hosted_lend(void);
/* Worker, after: does this object call them? One linked with -Bsymbolic calls its own. */
bool hosted_is_lent(const struct beremiz *entries);

/* Worker, before every start: which object hosted_init, hosted_run and hosted_fini mean, and
 * whether its retain variables get values (shim_retain.c) after its init. */
void hosted_bind(const struct beremiz *entries, bool restores);

/* For the table and the task made for the object. */
int32_t hosted_init(const struct sr_host *host);
SR_RT void hosted_run(const struct sr_cycle *cycle);
void hosted_fini(void);

/* Lent to the object, which calls them on any thread. The runtime keeps its retain variables, so
 * none of those reads or writes anything. */
void InitRetain(void);
void CleanupRetain(void);
int CheckRetainBuffer(void);
SR_RT void ValidateRetainBuffer(void);
SR_RT void InValidateRetainBuffer(void);
SR_RT void Retain(unsigned int offset, unsigned int count, void *value);
void Remind(unsigned int offset, unsigned int count, void *value);
/* The monotonic clock, like the time of the cycle. */
SR_RT void PLC_GetTime(long *time);
SR_RT void PLC_SetTimer(unsigned long long next_ns, unsigned long long period_ns);
SR_RT void InitiateDebugTransfer(void);

#endif
