/* SPDX-License-Identifier: MIT */
/* shim_schedule.c - priority, memory and idle states: what was asked for and what was got. */
#define _GNU_SOURCE
#include "shim_parts.h"

#include <link.h>
#include <stdio.h>
#include <string.h>

static void nothing(void *argument)
{
    (void)argument;
}

struct platform_schedule board_schedule(void)
{
    return (struct platform_schedule){.name = "plc-scan",
                                      .priority = board->options.priority,
                                      .cpu = board->options.cpu,
                                      .stack_bytes = 0};
}

static int try_priority(int priority, struct platform_actual *actual)
{
    struct platform_schedule wanted = board_schedule();
    struct platform_thread *thread = NULL;
    wanted.priority = priority;
    const int error = platform_thread_start(&thread, &wanted, nothing, NULL, actual);
    return error != 0 ? error : platform_thread_join(thread, -1);
}

int board_try_schedule(void)
{
    const int priority = board->options.priority;
    const int error = try_priority(priority, &board->actual);
    if (error != 0 || priority == 0)
        return error;
    return try_priority(priority + 1, &board->watchdog_actual);
}

/* The module's own code and data: what the cycle runs through besides the image. */
static int prefault_module(struct dl_phdr_info *info, size_t size, void *argument)
{
    const uintptr_t here = (uintptr_t)&board;
    bool own = false;
    (void)size;
    (void)argument;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < info->dlpi_phnum; i++) {
            const ElfW(Phdr) *header = &info->dlpi_phdr[i];
            const uintptr_t start = info->dlpi_addr + header->p_vaddr;
            if (header->p_type != PT_LOAD)
                continue;
            if (pass == 0 && here >= start && here - start < header->p_memsz)
                own = true;
            if (pass == 1 && own)
                (void)platform_prefault((void *)start, header->p_memsz);
        }
    }
    return own ? 1 : 0;
}

void board_settle_memory(void)
{
    if (board->memory_settled)
        return;
    board->memory_error = platform_lock_memory(&board->memory_all);
    board->memory_settled = true;
    dl_iterate_phdr(prefault_module, NULL);
}

void board_hold_latency(void)
{
    board->latency_error = 0;
    if (board->options.cpu_latency_us < 0 || board->options.priority == 0)
        return;
    const int error = platform_hold_cpu_latency((uint32_t)board->options.cpu_latency_us);
    board->latency_error = error == -ENOENT ? 0 : error; /* no such device: nothing to restrict */
}

bool board_scheduling(char *text, uint32_t size)
{
    const struct platform_actual *actual = &board->actual;
    const int wanted = board->options.priority;
    char cpu[32] = "";
    const char *memory = "";
    const char *latency = "";
    const char *watchdog = "";
    if (board->own != NULL) {
        snprintf(text, size,
                 "NOT watched: the program runs its own cycle, without watchdog, statistics and "
                 "containment of crashes (profile key beremiz.cycle)");
        return false;
    }
    if (actual->cpu >= 0)
        snprintf(cpu, sizeof cpu, " on CPU %d", actual->cpu);
    else if (board->options.cpu >= 0)
        snprintf(cpu, sizeof cpu, ", CPU %d refused", (int)board->options.cpu);
    if (board->memory_settled)
        memory = board->memory_all ? "; all memory locked"
                                   : "; only the runtime's own memory locked (CAP_IPC_LOCK or an "
                                     "unlimited memlock limit locks all)";
    if (board->latency_error != 0)
        latency = "; CPU idle states not restricted (/dev/cpu_dma_latency needs root)";
    if (actual->real_time && !board->watchdog_actual.real_time)
        watchdog = "; its watchdog could not get the next higher priority (raise the real-time "
                   "priority limit by one)";
    if (actual->real_time)
        snprintf(text, size, "real time: %s priority %d%s%s%s%s",
                 strcmp(platform_name(), "posix") == 0 ? "SCHED_FIFO" : platform_name(),
                 actual->priority, cpu, watchdog, memory, latency);
    else if (wanted == 0)
        snprintf(text, size, "NOT real time: priority 0 was asked for; set a priority of 1 to %d%s",
                 BOARD_MAX_PRIORITY, cpu);
    else
        snprintf(text, size,
                 "NOT real time: priority %d was refused; run the service with CAP_SYS_NICE or a "
                 "real-time priority limit of at least %d (ulimit -r, systemd: LimitRTPRIO=)%s%s%s",
                 wanted, wanted + 1, cpu, memory, latency);
    return actual->real_time;
}
