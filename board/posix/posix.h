/* SPDX-License-Identifier: MIT */
/* posix.h - what the files of the POSIX backend share. Nobody else includes it. */
#ifndef SR_POSIX_H
#define SR_POSIX_H

#include "../platform.h"

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdatomic.h>

struct platform_thread {
    /* Set by the starter before the thread exists. */
    struct platform_schedule schedule;
    void (*body)(void *argument);
    void *argument;
    char *memory; /* guard, alternate signal stack, guard, stack: one mapping */
    size_t memory_size;
    char *alternate;
    char *stack;
    sem_t ready; /* the thread has filled `id` and `actual` */
    pthread_t id;
    struct platform_actual actual;

    /* Of the thread itself. */
    void *kept;
    int64_t next_ns;
    int64_t period_ns;
    int64_t missed; /* releases, since the last one that was told: a wait may be kicked */
    sigjmp_buf jump;
    uintptr_t frame; /* of platform_protect: the program's part of the stack ends there */
    struct platform_fault fault; /* written by the handler, read after the jump */
    atomic_bool protecting;      /* `jump` is valid; only the thread and its handlers use it */

    /* Orders to the thread, read by its signal handler and its wait. */
    atomic_bool interrupted;
    atomic_bool kicked;

    atomic_bool ended; /* set by the thread as its last act */
};

/* Room for a handler's frame, with the widest vector registers there are. */
#define POSIX_ALTERNATE_BYTES ((size_t)1 << 16)

/* One signal for both orders above: high among the real-time ones, where neither Python, nor
 * Xenomai (42 to 47), nor Beremiz objects (SIGUSR1 and 2) use any. */
#define POSIX_ORDER_SIGNAL (SIGRTMAX - 3)

/* faults.c: the handlers find the thread they run on in a small table, not through thread-local
 * storage, whose first use may allocate. -EAGAIN: the table is full. */
int posix_faults_enter(struct platform_thread *self);
void posix_faults_leave(void);
/* The signals an RT thread leaves unblocked. */
void posix_faults_mask(sigset_t *blocked);

#endif
