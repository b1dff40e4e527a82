/* SPDX-License-Identifier: MIT */
#pragma once

#include <alchemy/timer.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <xeno_config.h>

#define T_JOINABLE 0x10000

typedef struct {
    uintptr_t handle;
    pthread_t thread;
} RT_TASK;

typedef struct {
    int prio;
    struct {
        unsigned status;
#ifdef CONFIG_XENO_COBALT
        uint64_t msw; /* switches from the core to Linux; Mercury has no such member */
#endif
    } stat;
} RT_TASK_INFO;

int rt_task_create(RT_TASK *task, const char *name, int stack_bytes, int priority, int mode);
int rt_task_shadow(RT_TASK *task, const char *name, int priority, int mode);
int rt_task_set_affinity(RT_TASK *task, const cpu_set_t *cpus);
int rt_task_set_priority(RT_TASK *task, int priority);
int rt_task_start(RT_TASK *task, void (*entry)(void *argument), void *argument);
int rt_task_join(RT_TASK *task);
int rt_task_delete(RT_TASK *task);
int rt_task_set_periodic(RT_TASK *task, RTIME first, RTIME period);
int rt_task_wait_period(unsigned long *overruns);
int rt_task_inquire(RT_TASK *task, RT_TASK_INFO *info);
