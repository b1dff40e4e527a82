/* SPDX-License-Identifier: MIT */
/* xenomai.h - what the files of the Xenomai backend share. Nobody else includes it. */
#ifndef SR_XENOMAI_H
#define SR_XENOMAI_H

#include "../posix/posix.h"

#include <alchemy/task.h>
#include <alchemy/timer.h>
#include <xeno_config.h>

#if defined(CONFIG_XENO_COBALT)
#define XENOMAI_COBALT 1
#elif defined(CONFIG_XENO_MERCURY)
#define XENOMAI_COBALT 0
#else
#error "xeno_config.h names neither the Cobalt nor the Mercury core"
#endif

#ifdef CONFIG_XENO_COPPERPLATE_CLOCK_RESTRICTED
#error "these libraries run periods on CLOCK_REALTIME (docs/xenomai.md, Clock)"
#endif

/* A task is first of all a thread as the shared fault handlers know it; what they do not use and
 * Xenomai has its own form of (memory, ready) stays zero. */
struct xenomai_thread {
    struct platform_thread common; /* first: a platform_thread pointer is one to this */
    RT_TASK task;
    atomic_bool ready;              /* release by the task: `common.actual` is filled */
    _Atomic uint32_t switches;      /* Cobalt: mode switches before the task became periodic */
    _Atomic uint32_t last_switches; /* the same when it ended, before `ended` is set */
};

/* init.c. Any non-RT: this kernel counts mode switches. */
bool xenomai_counts_switches(void);

static inline struct xenomai_thread *xenomai_of(struct platform_thread *thread)
{
    return (struct xenomai_thread *)thread;
}

#endif
