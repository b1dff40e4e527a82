/* SPDX-License-Identifier: MIT */
/* faults.c - the POSIX backend's fault containment, and what Cobalt adds to it.
 *
 * The handlers are shared by inclusion, not copied: siglongjmp out of a handler works on Cobalt
 * too (the fault has already moved the thread to Linux, where handlers run). Two things differ.
 * An endless loop in primary mode starves Linux, and no signal comes through. So the core is asked
 * first to move the thread to Linux, which our watchdog, itself in primary mode, can do on the same
 * CPU. Behind it stands the core's own watchdog (CONFIG_XENO_OPT_WATCHDOG, required by
 * platform_init): it ends what loops above ours, by moving it to Linux with SIGDEBUG. And libcobalt
 * owns SIGDEBUG, so all its other reasons go on to libcobalt.
 */
#define platform_faults_arm posix_faults_arm
#define platform_interrupt posix_interrupt
#include "../posix/faults.c"
#undef platform_faults_arm
#undef platform_interrupt

#include "xenomai.h"

#if XENOMAI_COBALT

#include <cobalt/uapi/signal.h>
#include <cobalt/wrappers.h>

static struct sigaction libcobalt; /* written by platform_faults_arm before any task runs */

static void on_debug(int signal, siginfo_t *info, void *context)
{
    const unsigned code = (unsigned)info->si_value.sival_int; /* a mark of Cobalt's, a reason */
    struct platform_thread *self = this_thread();
    if ((code & 0xffff00ffU) == (sigdebug_marker | SIGDEBUG_WATCHDOG) && self != NULL &&
        atomic_load_explicit(&self->protecting, memory_order_relaxed)) {
        const uintptr_t pc = program_counter(context);
        keep_stack(self, context);
        leave(self, signal, pc, pc);
    }
    if ((libcobalt.sa_flags & SA_SIGINFO) != 0)
        libcobalt.sa_sigaction(signal, info, context);
}

int platform_faults_arm(void)
{
    const int error = own(SIGDEBUG, on_debug, &libcobalt);
    return error != 0 ? error : posix_faults_arm();
}

/* The signal would move the thread to Linux too, but sending it moves the caller there before. */
int platform_interrupt(struct platform_thread *thread)
{
    const int error = __RT(pthread_kill(thread->id, SIGKICK));
    return error != 0 ? -error : posix_interrupt(thread);
}

#else /* Mercury: tasks are plain threads, signals reach them */

int platform_faults_arm(void)
{
    return posix_faults_arm();
}

int platform_interrupt(struct platform_thread *thread)
{
    return posix_interrupt(thread);
}

#endif
