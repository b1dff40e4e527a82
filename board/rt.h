/* SPDX-License-Identifier: MIT */
/* rt.h - words that every C file of the board shares.
 *
 * Sides. Every object that the scan cycle and the rest of the process share has an RT side and
 * a worker (or consumer) side, named at each function:
 *
 *   RT       the real-time task thread while one runs. While none runs (before its start, after
 *            its join, or once it is parked and that was read with acquire) the worker is the RT
 *            side too and may call those functions itself: creation and join of a thread order
 *            the hand-over, so nothing waits and no second set of functions is needed.
 *   worker   the one thread that changes what the cycle does.
 *   trace    the one thread that consumes trace records.
 *   any      any thread.
 *
 * Functions reachable from the cycle are marked SR_RT: they never allocate, lock, block, use
 * stdio or make a system call. tests/board/test_rt_symbols.py checks what they call.
 */
#ifndef SR_RT_H
#define SR_RT_H

#include <stddef.h>

/* Marks a function reachable from the scan cycle. The compiler puts such functions side by side: a
 * cycle finds its caches cold after a sleep, and so has fewer lines and pages to wait for. */
#define SR_RT __attribute__((hot))
/* Marks a function pointer in a table that the cycle calls through. */
#define SR_RT_POINTER

/* Cursors of different threads lie this far apart: one line on every core we run on. */
#define SR_CACHE_LINE 64

/* RT: the first `lines` cache lines of something are needed soon. After a sleep the caches hold
 * what others left there: lines asked for together arrive in the time of one, not one after the
 * other. */
SR_RT static inline void rt_expect(const void *object, size_t lines)
{
    for (size_t i = 0; i < lines; i++)
        __builtin_prefetch((const char *)object + i * SR_CACHE_LINE);
}

/* Worker: lock and prefault memory that the cycle will touch; platform_prefault fits. Objects
 * call it for every region they allocate, also later on. May be NULL. Its result is not looked
 * at: an unlocked region works all the same, and the hook's owner knows that it failed. */
typedef int (*sr_prefault)(void *region, size_t size);

#endif
