/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "fault.h"

#include "host.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* After an interrupt the thread has this long to leave the program. */
#define GRACE_NS INT64_C(1000000000)
#define POLL_NS INT64_C(1000000)

static const char *signal_words(int signal)
{
    switch (signal) {
    case SIGSEGV:
        return "segmentation fault";
    case SIGBUS:
        return "bus error";
    case SIGILL:
        return "illegal instruction";
    case SIGFPE:
        return "arithmetic fault (integer division by zero or overflow)";
    case SIGABRT:
        return "abort was called";
    default:
        return NULL; /* the watchdog */
    }
}

static void describe_cause(const struct fault *fault, char *text, size_t size)
{
    const struct platform_fault *cause = &fault->cause;
    const char *words = signal_words(cause->signal);
    if (cause->signal == FAULT_PROGRAM)
        snprintf(text, size, "program fault: %s", fault->text);
    else if (cause->signal == FAULT_CLOCK)
        snprintf(text, size, "the wait for the next cycle failed");
    else if (cause->signal == FAULT_OMITTED)
        snprintf(text, size,
                 "was due, and did not begin a cycle for more than %" PRId64
                 " ms: other threads keep the processor",
                 fault->limit_ns / 1000000);
    else if (cause->signal == FAULT_LONG)
        snprintf(text, size,
                 "running longer than the watchdog's %" PRId64 " ms in %" PRIu32 " cycles in a row",
                 fault->limit_ns / 1000000, fault->times);
    else if (cause->signal == FAULT_OVERRUN)
        snprintf(text, size,
                 "not done before the next release in %" PRIu32
                 " cycles in a row (profile key rt.overrun)",
                 fault->times);
    else if (words == NULL)
        snprintf(text, size, "running longer than the watchdog's %" PRId64 " ms",
                 fault->limit_ns / 1000000);
    else if (cause->stack_overflow)
        snprintf(text, size, "stack overflow");
    else if (cause->signal == SIGSEGV || cause->signal == SIGBUS)
        snprintf(text, size, "%s at address 0x%" PRIxPTR, words, cause->address);
    else
        snprintf(text, size, "%s", words);
}

/* The function of the image that most likely called the library that crashed: the innermost word
 * on the stack that points behind a call in one. A stale one can mislead, so the message says
 * "called by". */
static void find_caller(const struct fault *fault, const struct image *image, char *name,
                        size_t size)
{
    name[0] = '\0';
    for (size_t i = 0; i < PLATFORM_FAULT_WORDS && name[0] == '\0'; i++)
        image_symbol(image, fault->cause.words[i] - 1, name, size);
}

/* The function of the image; else what the loader knows of a library's; else the bare address. */
static void describe_place(const struct fault *fault, const struct image *image, char *text,
                           size_t size)
{
    const uintptr_t pc = fault->cause.pc;
    Dl_info info;
    char name[128];
    char caller[128];
    text[0] = '\0';
    if (fault->cause.signal < 0)
        return;
    image_symbol(image, pc, name, sizeof name);
    if (name[0] != '\0') {
        snprintf(text, size, " in %s", name);
        return;
    }
    /* Its own fault call, as the last act of a function: the caller left no trace. */
    if (fault->cause.signal == FAULT_PROGRAM)
        return;
    find_caller(fault, image, caller, sizeof caller);
    const char *by = caller[0] != '\0' ? ", called by " : "";
    if (fault->cause.signal == SIGABRT && caller[0] != '\0') {
        snprintf(text, size, " by %s", caller);
    } else if (dladdr((const void *)pc, &info) != 0 && info.dli_fname != NULL) {
        const char *slash = strrchr(info.dli_fname, '/');
        snprintf(text, size, " in %s of %s%s%s", info.dli_sname != NULL ? info.dli_sname : "code",
                 slash != NULL ? slash + 1 : info.dli_fname, by, caller);
    } else {
        snprintf(text, size, ", program counter 0x%" PRIxPTR "%s%s", pc, by, caller);
    }
}

void fault_describe(const struct fault *fault, const struct image *image, char *text, size_t size)
{
    char cause[LOG_TEXT_MAX + 32];
    char place[400];
    describe_cause(fault, cause, sizeof cause);
    describe_place(fault, image, place, sizeof place);
    if (strcmp(fault->where, "init") == 0 || strcmp(fault->where, "fini") == 0)
        snprintf(text, size, "%s%s (%s)", cause, place, fault->where);
    else
        snprintf(text, size, "%s%s (task %s, tick %" PRIu32 ")", cause, place, fault->where,
                 fault->tick);
}

/* Static: a parked thread keeps pointing here, and after it nothing is contained any more. */
static struct {
    struct platform_thread *thread;
    struct host_seat *seat;
    void (*body)(void *argument);
    void *argument;
    struct platform_fault cause;
    atomic_bool faulted; /* release when the thread is about to park; acquire in fault_contain */
} call;

static void run_call(void *unused)
{
    (void)unused;
    host_enter(call.seat, call.thread);
    if (platform_protect(call.thread, call.body, call.argument, &call.cause) == 0)
        return;
    atomic_store_explicit(&call.faulted, true, memory_order_release);
    platform_park(call.thread);
}

int fault_contain(void (*body)(void *argument), void *argument, struct host_seat *seat,
                  const char *where, int64_t limit_ns, struct fault *fault)
{
    const struct platform_schedule schedule = {
        .name = "plc-init", .priority = 0, .cpu = -1, .stack_bytes = (size_t)1 << 20};
    int64_t left_ns = limit_ns; /* by the polls: a stopped process does not run out of time */
    bool interrupted = false;
    bool faulted;
    call.seat = seat;
    call.body = body;
    call.argument = argument;
    memset(&call.cause, 0, sizeof call.cause);
    atomic_store_explicit(&call.faulted, false, memory_order_relaxed);
    int error = platform_thread_start(&call.thread, &schedule, run_call, NULL, NULL);
    if (error != 0)
        return error;
    for (;;) {
        error = platform_thread_join(call.thread, POLL_NS);
        if (error != -ETIMEDOUT)
            return error;
        left_ns -= POLL_NS;
        faulted = atomic_load_explicit(&call.faulted, memory_order_acquire);
        if (faulted || (left_ns <= 0 && interrupted))
            break; /* in the latter case it does not even take signals: leave it alone */
        if (left_ns > 0)
            continue;
        (void)platform_interrupt(call.thread);
        interrupted = true;
        left_ns = GRACE_NS;
    }
    *fault = (struct fault){.cause = {.signal = FAULT_UNRESPONSIVE},
                            .where = where,
                            .limit_ns = limit_ns,
                            .text = seat->fault_text};
    if (faulted)
        fault->cause = call.cause;
    if (faulted && call.cause.signal == FAULT_PROGRAM)
        fault->cause.pc = seat->fault_pc;
    return -EFAULT;
}
