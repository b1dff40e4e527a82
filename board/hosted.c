/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "hosted.h"

#include "platform.h"

#include <dlfcn.h>
#include <stdatomic.h>

#define NS_PER_SECOND 1000000000
#define LENT __attribute__((visibility("default")))

/* Changed while no program code runs. */
static struct {
    const struct beremiz *entries;
    uint32_t next_tick; /* of the cycle, that its own count stands for */
    bool restores;
} program;

static atomic_bool asked; /* for the time: by whoever calls our PLC_GetTime */

void hosted_lend(void)
{
    Dl_info here;
    /* Never closed: the object's calls lead here. */
    if (dladdr(&program, &here) != 0)
        (void)dlopen(here.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL);
}

bool hosted_is_lent(const struct beremiz *entries)
{
    char text[] = "loaded";
    atomic_store_explicit(&asked, false, memory_order_relaxed);
    (void)entries->log(SR_LOG_DEBUG, text, sizeof text - 1); /* it stamps its messages */
    return atomic_load_explicit(&asked, memory_order_relaxed);
}

void hosted_bind(const struct beremiz *entries, bool restores)
{
    program.entries = entries;
    program.next_tick = 0;
    program.restores = restores;
}

static void split(int64_t ns, long *time)
{
    time[0] = (long)(ns / NS_PER_SECOND);
    time[1] = (long)(ns % NS_PER_SECOND);
}

int32_t hosted_init(const struct sr_host *host)
{
    char *words[] = {NULL};
    (void)host;
    split(platform_now_ns(), program.entries->current_time);
    return program.entries->init(0, words);
}

/* Its run counts a tick, modulo its longest interval; skipped ones are added before. */
void hosted_run(const struct sr_cycle *cycle)
{
    const struct beremiz *entries = program.entries;
    *entries->tick += cycle->tick - program.next_tick;
    program.next_tick = cycle->tick + 1;
    split(cycle->time_ns, entries->current_time);
    entries->run();
}

void hosted_fini(void)
{
    program.entries->cleanup();
}

/* ---- lent to the object -------------------------------------------------------------------- */

LENT void InitRetain(void)
{
}

LENT void CleanupRetain(void)
{
}

/* 0 has the object log that its retain variables start with their defaults. */
LENT int CheckRetainBuffer(void)
{
    const struct beremiz *entries = program.entries;
    return program.restores || entries->retain_size == NULL || entries->retain_size() == 0;
}

LENT void ValidateRetainBuffer(void)
{
}

LENT void InValidateRetainBuffer(void)
{
}

LENT void Retain(unsigned int offset, unsigned int count, void *value)
{
    (void)offset;
    (void)count;
    (void)value;
}

LENT void Remind(unsigned int offset, unsigned int count, void *value)
{
    (void)offset;
    (void)count;
    (void)value;
}

LENT void PLC_GetTime(long *time)
{
    atomic_store_explicit(&asked, true, memory_order_relaxed);
    split(platform_now_ns(), time);
}

LENT void PLC_SetTimer(unsigned long long next_ns, unsigned long long period_ns)
{
    (void)next_ns;
    (void)period_ns;
}

LENT void InitiateDebugTransfer(void)
{
}
