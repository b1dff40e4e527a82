/* SPDX-License-Identifier: MIT */
/* faults.c - a crash of program code on a shim thread ends the program, not the process.
 *
 * The handler runs on the thread's alternate stack (so that a stack overflow can be handled)
 * and leaves it by siglongjmp to platform_protect. On every other thread it passes the signal
 * on to whoever had it before: Python's faulthandler, or the default action.
 */
#define _GNU_SOURCE
#include "posix.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static const int fault_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
#define FAULT_SIGNALS (sizeof fault_signals / sizeof fault_signals[0])
/* The scan, its watchdog, init, eight tasks, I/O, and those that were parked. */
#define THREADS 32

/* Who had the signals before; written by platform_faults_arm while no protected thread runs. */
static struct sigaction previous[FAULT_SIGNALS];
/* A previous owner may pass the signal back to us (faulthandler restores its own predecessor
 * and raises again): the second visit takes the default action. */
static volatile sig_atomic_t chained[FAULT_SIGNALS];
/* The shim's threads. `owner` is claimed by exchange; only its thread looks at `thread`, so a
 * handler never touches a structure that another thread may be freeing. */
static struct {
    _Atomic pthread_t owner; /* 0: free; no thread of glibc or musl has this id */
    struct platform_thread *thread;
} slots[THREADS];

int posix_faults_enter(struct platform_thread *self)
{
    for (int i = 0; i < THREADS; i++) {
        pthread_t expected = 0;
        if (atomic_compare_exchange_strong(&slots[i].owner, &expected, pthread_self())) {
            slots[i].thread = self;
            return 0;
        }
    }
    return -EAGAIN;
}

void posix_faults_leave(void)
{
    for (int i = 0; i < THREADS; i++) {
        pthread_t expected = pthread_self();
        atomic_compare_exchange_strong(&slots[i].owner, &expected, 0);
    }
}

void posix_faults_mask(sigset_t *blocked)
{
    sigfillset(blocked);
    for (size_t i = 0; i < FAULT_SIGNALS; i++)
        sigdelset(blocked, fault_signals[i]);
    sigdelset(blocked, POSIX_ORDER_SIGNAL);
}

static struct platform_thread *this_thread(void)
{
    const pthread_t me = pthread_self();
    for (int i = 0; i < THREADS; i++) {
        if (atomic_load(&slots[i].owner) == me)
            return slots[i].thread;
    }
    return NULL;
}

SR_RT void platform_keep(struct platform_thread *self, void *mine)
{
    self->kept = mine;
}

SR_RT void *platform_kept(void)
{
    const struct platform_thread *self = this_thread();
    return self != NULL ? self->kept : NULL;
}

static uintptr_t program_counter(const void *context)
{
    const ucontext_t *machine = context;
#if defined(__x86_64__)
    return (uintptr_t)machine->uc_mcontext.gregs[REG_RIP];
#elif defined(__i386__)
    return (uintptr_t)machine->uc_mcontext.gregs[REG_EIP];
#elif defined(__aarch64__)
    return (uintptr_t)machine->uc_mcontext.pc;
#elif defined(__arm__)
    return (uintptr_t)machine->uc_mcontext.arm_pc;
#elif defined(__riscv)
    return (uintptr_t)machine->uc_mcontext.__gregs[REG_PC];
#else
    (void)machine;
    return 0;
#endif
}

static uintptr_t stack_pointer(const void *context, uintptr_t *link)
{
    const ucontext_t *machine = context;
    *link = 0; /* the register that holds the innermost return address, where there is one */
#if defined(__x86_64__)
    return (uintptr_t)machine->uc_mcontext.gregs[REG_RSP];
#elif defined(__i386__)
    return (uintptr_t)machine->uc_mcontext.gregs[REG_ESP];
#elif defined(__aarch64__)
    *link = (uintptr_t)machine->uc_mcontext.regs[30];
    return (uintptr_t)machine->uc_mcontext.sp;
#elif defined(__arm__)
    *link = (uintptr_t)machine->uc_mcontext.arm_lr;
    return (uintptr_t)machine->uc_mcontext.arm_sp;
#elif defined(__riscv)
    *link = (uintptr_t)machine->uc_mcontext.__gregs[REG_RA];
    return (uintptr_t)machine->uc_mcontext.__gregs[REG_SP];
#else
    (void)machine;
    return UINTPTR_MAX;
#endif
}

/* A stack pointer that is itself wrong lies outside the stack: then nothing is copied. */
__attribute__((no_sanitize_address, no_sanitize_thread)) /* whatever lies there */
static void
keep_stack(struct platform_thread *self, const void *context)
{
    uintptr_t *words = self->fault.words;
    uintptr_t at = stack_pointer(context, &words[0]) & ~(sizeof(uintptr_t) - 1);
    if (at < (uintptr_t)self->stack)
        return;
    for (size_t n = 1; n < PLATFORM_FAULT_WORDS && at < self->frame; n++, at += sizeof(uintptr_t))
        words[n] = *(const uintptr_t *)at;
}

static _Noreturn void leave(struct platform_thread *self, int signal, uintptr_t address,
                            uintptr_t pc)
{
    const uintptr_t stack = (uintptr_t)self->stack;
    const uintptr_t guard = (uintptr_t)(self->alternate + POSIX_ALTERNATE_BYTES);
    self->fault.signal = signal;
    self->fault.address = address;
    self->fault.pc = pc;
    self->fault.stack_overflow = signal == SIGSEGV && address >= guard && address < stack;
    atomic_store_explicit(&self->protecting, false, memory_order_relaxed);
    siglongjmp(self->jump, 1);
}

/* By the default action: a fault of the processor happens again when we return, at the same
 * instruction; a sent signal is sent again, delivered when the handler returns. */
static void die(int signal, const siginfo_t *info)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, NULL);
    if (info->si_code <= 0)
        raise(signal);
}

static void call_owner(const struct sigaction *owner, int signal, siginfo_t *info, void *context)
{
    if ((owner->sa_flags & SA_NODEFER) != 0) { /* it may raise the signal again and wait for it */
        sigset_t only;
        sigemptyset(&only);
        sigaddset(&only, signal);
        pthread_sigmask(SIG_UNBLOCK, &only, NULL);
    }
    if ((owner->sa_flags & SA_SIGINFO) != 0)
        owner->sa_sigaction(signal, info, context);
    else
        owner->sa_handler(signal);
}

static void pass_on(int signal, siginfo_t *info, void *context)
{
    size_t i = 0;
    while (i < FAULT_SIGNALS - 1 && fault_signals[i] != signal)
        i++;
    const struct sigaction *owner = &previous[i];
    if (chained[i] != 0 || owner->sa_handler == SIG_DFL ||
        (owner->sa_handler == SIG_IGN && info->si_code > 0)) {
        die(signal, info);
    } else if (owner->sa_handler != SIG_IGN) {
        chained[i] = 1;
        call_owner(owner, signal, info, context);
        chained[i] = 0;
    }
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    struct platform_thread *self = this_thread();
    if (self == NULL || !atomic_load_explicit(&self->protecting, memory_order_relaxed)) {
        pass_on(signal, info, context);
        return;
    }
    const uintptr_t pc = program_counter(context);
    keep_stack(self, context);
    leave(self, signal, info->si_code > 0 ? (uintptr_t)info->si_addr : pc, pc);
}

static void on_order(int signal, siginfo_t *info, void *context)
{
    (void)info;
    struct platform_thread *self = this_thread();
    if (self == NULL || !atomic_load_explicit(&self->interrupted, memory_order_relaxed) ||
        !atomic_load_explicit(&self->protecting, memory_order_relaxed))
        return; /* a kick: that the wait was interrupted is all */
    const uintptr_t pc = program_counter(context);
    keep_stack(self, context);
    leave(self, signal, pc, pc);
}

/* SA_NODEFER is not set and the mask is full: a handler runs alone; siglongjmp restores the mask.
 */
static int own(int signal, void (*handler)(int, siginfo_t *, void *), struct sigaction *before)
{
    struct sigaction now;
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    if (sigaction(signal, NULL, &now) != 0)
        return -errno;
    if ((now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == handler)
        return 0;
    sigfillset(&action.sa_mask);
    if (before != NULL)
        *before = now;
    return sigaction(signal, &action, NULL) == 0 ? 0 : -errno;
}

int platform_faults_arm(void)
{
    int error = own(POSIX_ORDER_SIGNAL, on_order, NULL);
    for (size_t i = 0; i < FAULT_SIGNALS && error == 0; i++)
        error = own(fault_signals[i], on_fault, &previous[i]);
    return error;
}

SR_RT int platform_protect(struct platform_thread *self, void (*body)(void *argument),
                           void *argument, struct platform_fault *fault)
{
    if (sigsetjmp(self->jump, 1) != 0) {
        *fault = self->fault;
        return -EFAULT;
    }
    memset(&self->fault, 0, sizeof self->fault);
    self->frame = (uintptr_t)__builtin_frame_address(0);
    /* An order that ended the body before this one does not concern this one. */
    atomic_store_explicit(&self->interrupted, false, memory_order_relaxed);
    atomic_store_explicit(&self->protecting, true, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst); /* the handler sees a valid `jump` */
    body(argument);
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&self->protecting, false, memory_order_relaxed);
    return 0;
}

SR_RT void platform_abandon(struct platform_thread *self)
{
    leave(self, 0, 0, 0);
}

int platform_interrupt(struct platform_thread *thread)
{
    atomic_store_explicit(&thread->interrupted, true, memory_order_relaxed);
    return -pthread_kill(thread->id, POSIX_ORDER_SIGNAL);
}

SR_RT void platform_park(struct platform_thread *self)
{
    const struct sched_param none = {0};
    sigset_t all;
    (void)self;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &none);
    for (;;)
        sigsuspend(&all);
}
