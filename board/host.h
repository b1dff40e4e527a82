/* SPDX-License-Identifier: MIT */
/* host.h - the functions an image gets (sr_host), and on whose behalf it calls them.
 *
 * An image calls log and fault without saying who it is, so each thread that runs program code
 * has a seat. The first one is for the scan, init and fini, which come one after the other, and
 * for whoever has none; each task with a thread of its own has another. Starting and joining the
 * threads orders every access.
 */
#ifndef SR_HOST_H
#define SR_HOST_H

#include "eval.h"
#include "log.h"
#include "platform.h"
#include "plc_abi.h"

/* What every image's init is given. */
extern const struct sr_host host_functions;

struct host_seat {
    struct log *log;
    struct eval *eval;   /* NULL: this thread has no Python evaluated */
    const char *why_not; /* what is said then */
    /* Of the thread that sits there. */
    struct platform_thread *thread;
    uint32_t tick;                     /* that messages are stamped with */
    bool told_off;                     /* that there is no Python; once a run is enough */
    char fault_text[LOG_TEXT_MAX + 1]; /* what the program gave to fault(), "" if it did not */
    uintptr_t fault_pc;                /* where in the program that call was */
};

/* The first one. */
extern struct host_seat host_first;

/* Worker, while no program code runs: where messages and evaluations of the first seat go from now
 * on; `eval` is NULL while Python is off. */
void host_bind(struct log *log, struct eval *eval);
/* RT side: `thread`, which calls this, runs program code from now on, under platform_protect. */
SR_RT void host_enter(struct host_seat *seat, struct platform_thread *thread);

#endif
