/* SPDX-License-Identifier: MIT */
/* platform.h - the seam between the one scan-cycle loop and the operating system.
 *
 * Everything above this header is written once; `posix/` (PREEMPT_RT or plain Linux) and
 * `xenomai/` (Cobalt, Mercury) implement it. Chosen at build time (SR_BACKEND).
 *
 * Every function returns 0 or -errno unless it says otherwise. "RT" names the calling thread:
 * a function marked RT is called from a real-time task thread and never blocks, allocates or
 * leaves the real-time domain; all others are called from non-RT threads only.
 *
 * No wake-up crosses from RT to non-RT: non-RT threads poll rings and atomics with
 * platform_poll_sleep, the same on all backends, so a cycle costs no system call but its wait.
 */
#ifndef SR_PLATFORM_H
#define SR_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rt.h" /* SR_RT */

struct platform_thread; /* one RT thread */

/* How a thread asks to run. */
struct platform_schedule {
    const char *name; /* at most 15 characters reach the kernel */
    int priority;     /* SCHED_FIFO or Xenomai priority, 1..99; 0: not real time */
    int cpu;          /* CPU number, -1: any */
    size_t stack_bytes;
};

/* What it got; read back from the kernel inside the thread, not assumed. */
struct platform_actual {
    bool real_time; /* SCHED_FIFO (or Cobalt) with the wanted priority */
    int priority;
    int cpu; /* -1: not pinned */
};

/* One-time, before any other call, on Python's main thread. Fails with a sentence in `why`
 * (never exits, also where the underlying library would: everything is checked before). */
int platform_init(char *why, size_t why_size);

/* "posix", "mercury", "cobalt". */
const char *platform_name(void);

/* Lock the process's memory as far as the privilege allows (architecture: RT rules for C).
 * `all` reports whether future mappings are locked too. */
int platform_lock_memory(bool *all);
/* Lock and prefault one region that the RT thread touches. */
int platform_prefault(void *region, size_t size);

/* Hold /dev/cpu_dma_latency at `max_us` until release; -ENOENT where there is none. */
int platform_hold_cpu_latency(uint32_t max_us);
void platform_release_cpu_latency(void);

/* Start a joinable thread that runs body(argument) with `schedule`; `*thread` is set before. When
 * the privilege for real time is missing the thread runs all the same; `actual` (may be NULL) says
 * so. Returns after the thread has read its own policy back. The thread has an alternate signal
 * stack, 1 ns timer slack, a prefaulted stack, and blocks all signals but those armed for faults.
 */
int platform_thread_start(struct platform_thread **thread, const struct platform_schedule *schedule,
                          void (*body)(void *argument), void *argument,
                          struct platform_actual *actual);
/* Wait for the end of the thread and free it. timeout_ns < 0: for ever; -ETIMEDOUT: it still
 * runs (or is parked) and stays valid. */
int platform_thread_join(struct platform_thread *thread, int64_t timeout_ns);

/* RT: have the calling thread, which platform_thread_start made, remember `mine`. */
SR_RT void platform_keep(struct platform_thread *self, void *mine);
/* RT and non-RT: what the calling thread remembers; NULL: nothing, or it is none of ours. */
SR_RT void *platform_kept(void);

/* RT and non-RT: the monotonic clock that deadlines are given in, nanoseconds. */
SR_RT int64_t platform_now_ns(void);

/* RT: make the calling thread periodic; the first release is at `first_ns` (absolute). */
SR_RT int platform_periodic(struct platform_thread *self, int64_t first_ns, int64_t period_ns);
/* RT: sleep until the next release; `*skipped` is the number of whole periods that passed
 * meanwhile (phase is kept). `*deadline_ns` is the release the caller woke for. -EINTR: kicked. */
SR_RT int platform_wait_period(struct platform_thread *self, int64_t *deadline_ns,
                               uint32_t *skipped);
/* Non-RT or watchdog thread: make the thread's present platform_wait_period return -EINTR (so that
 * a task with a long interval stops promptly). A kick that meets no wait may be lost: repeat it
 * until joined. */
SR_RT int platform_kick(struct platform_thread *thread);

/* Non-RT: sleep `ns` (a bounded poll step; restarts on EINTR). */
void platform_poll_sleep(int64_t ns);

/* ---- faults: a crash of program code on an RT thread is contained, see fault.h ------------- */

#define PLATFORM_FAULT_WORDS 256

struct platform_fault {
    int signal;        /* SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, or the watchdog's */
    uintptr_t address; /* of the faulting access, or of the instruction */
    uintptr_t pc;
    bool stack_overflow; /* `address` lies in the guard below the thread's stack */
    /* What lay on the stack, innermost first, as far as it is known: return addresses among it
     * tell who called into a library that crashed. The rest is 0. */
    uintptr_t words[PLATFORM_FAULT_WORDS];
};

/* Install the handlers (or re-check that they are still ours: called at every start). */
int platform_faults_arm(void);
/* RT: run body(argument); a fault inside it, or platform_interrupt from another thread,
 * abandons it. Returns 0, or -EFAULT with *fault filled. */
SR_RT int platform_protect(struct platform_thread *self, void (*body)(void *argument),
                           void *argument, struct platform_fault *fault);
/* RT: abandon the protected body from inside it (the image's own fault call). */
SR_RT void platform_abandon(struct platform_thread *self) __attribute__((noreturn));
/* Non-RT or watchdog thread: make platform_protect in `thread` return -EFAULT with the
 * watchdog's signal. */
int platform_interrupt(struct platform_thread *thread);
/* RT: never returns to program code again; the thread sleeps until the process ends. */
SR_RT void platform_park(struct platform_thread *self) __attribute__((noreturn));

/* Non-RT: Xenomai mode switches of the thread since platform_periodic; 0 and -ENOTSUP where there
 * is no such thing, or a kernel that does not count. */
int platform_mode_switches(struct platform_thread *thread, uint32_t *count);

#endif
