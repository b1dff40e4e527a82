/* SPDX-License-Identifier: MIT */
/* The runtime within a PLC object as the Beremiz IDE builds it, with the same entry points: what a
 * host must not call ends the process, or is counted. */
#define _GNU_SOURCE
#include "beremiz.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifndef PERIOD_NS
#define PERIOD_NS 1000000
#endif
extern unsigned int greatest_tick_count__;

/* ---- debugger ------------------------------------------------------------------------------ */

static const size_t sizes[] = {4,
                               8,
                               1,
                               2,
                               4,
                               8,
                               1,
                               2,
                               4,
                               8,
                               sizeof(timespan),
                               1,
                               2,
                               4,
                               8,
                               1,
                               sizeof(string),
                               sizeof(timespan),
                               sizeof(timespan),
                               sizeof(timespan)};

struct held {
    const struct row *row;
    void *behind;
    uint8_t value[128] __attribute__((aligned(8)));
};

static pthread_mutex_t debugger = PTHREAD_MUTEX_INITIALIZER;
static sem_t filled;
static int debugging, full, shutting_down, started;
static unsigned int traced[1024], traced_count, held_count, sample_tick, sample_size;
static struct held held[256];
static uint8_t samples[4096];

static uint8_t *flags_of(const struct row *row)
{
    return (uint8_t *)row->address + (row->type < TYPES ? sizes[row->type] : sizeof(void *));
}

static void fill(void)
{
    sample_size = 0;
    for (unsigned int i = 0; i < held_count; i++) {
        if (held[i].row->type >= 2 * TYPES)
            memcpy(held[i].behind, held[i].value, sizes[held[i].row->type % TYPES]);
    }
    for (unsigned int i = 0; i < traced_count; i++) {
        const struct row *row = &rows[traced[i]];
        const uint8_t *value = row->type < TYPES ? row->address : *(uint8_t **)row->address;
        size_t size = sizes[row->type % TYPES];
        if (row->type % TYPES == STRING)
            size = (size_t)value[0] + 1;
        if (sample_size + size >= sizeof samples)
            break;
        memcpy(samples + sample_size, value, size);
        sample_size += (unsigned int)size;
    }
    sample_tick = __tick;
    full = 1;
    InitiateDebugTransfer();
    sem_post(&filled);
}

void __publish_debug(void)
{
    InValidateRetainBuffer();
    if (pthread_mutex_trylock(&debugger) == 0) {
        if (debugging && !full)
            fill();
        pthread_mutex_unlock(&debugger);
    }
    Retain(0, 4, kept_value());
    ValidateRetainBuffer();
}

void ResetDebugVariables(void)
{
    for (unsigned int i = 0; i < held_count; i++) {
        *flags_of(held[i].row) &= (uint8_t)~FORCED;
        if (held[i].row->type >= TYPES)
            *(void **)held[i].row->address = held[i].behind;
    }
    traced_count = held_count = 0;
}

int RegisterDebugVariable(unsigned int index, void *force, size_t size)
{
    if (index >= row_count)
        abort(); /* the real one says that all is well */
    if (traced_count == 1024)
        return 1;
    traced[traced_count++] = index;
    if (force == NULL)
        return 0;
    if (held_count == 256)
        return 2;
    if (size != sizes[rows[index].type % TYPES])
        return 3;
    struct held *new = &held[held_count++];
    new->row = &rows[index];
    memcpy(new->value, force, size);
    if (new->row->type >= TYPES) {
        new->behind = *(void **)new->row->address;
        *(void **)new->row->address = new->value;
    } else {
        memcpy(new->row->address, force, size);
    }
    *flags_of(new->row) |= FORCED;
    return 0;
}

void FreeDebugData(void)
{
    full = 0;
}

int GetDebugData(unsigned int *tick, unsigned int *size, void **values)
{
    if (!started && !shutting_down)
        abort();
    if (shutting_down)
        return 1;
    sem_wait(&filled);
    if (shutting_down)
        return 1;
    *tick = sample_tick;
    *size = sample_size;
    *values = samples;
    return 0;
}

int suspendDebug(int disable)
{
    pthread_mutex_lock(&debugger);
    debugging = !disable;
    if (disable)
        pthread_mutex_unlock(&debugger);
    return 0;
}

void resumeDebug(void)
{
    pthread_mutex_unlock(&debugger);
}

/* ---- log, retain, time --------------------------------------------------------------------- */

static struct message {
    char text[300];
    uint32_t size, tick;
    timespan time;
} messages[4][16];
static uint32_t counts[4];
static int retain_calls; /* that came to the object's own functions */

int LogMessage(uint8_t level, char *text, uint32_t size)
{
    struct message *message = &messages[level][counts[level] % 16];
    message->size = size;
    message->tick = __tick;
    memcpy(message->text, text, size < 300 ? size : 300);
    PLC_GetTime(&message->time);
    counts[level]++;
    return 1;
}

void ResetLogCount(void)
{
    memset(counts, 0, sizeof counts);
}

uint32_t GetLogCount(uint8_t level)
{
    return counts[level];
}

uint32_t GetLogMessage(uint8_t level, uint32_t number, char *to, uint32_t size, uint32_t *tick,
                       uint32_t *s, uint32_t *ns)
{
    if (number >= counts[level] || counts[level] - number > 16)
        return 0;
    const struct message *message = &messages[level][number % 16];
    memcpy(to, message->text, message->size < size ? message->size : size);
    *tick = message->tick;
    *s = (uint32_t)message->time.s;
    *ns = (uint32_t)message->time.ns;
    return message->size;
}

unsigned int GetRetainSize(void)
{
    return 4;
}

void InitRetain(void)
{
    retain_calls++;
}

void CleanupRetain(void)
{
    retain_calls++;
}

int CheckRetainBuffer(void)
{
    retain_calls++;
    return 1;
}

void ValidateRetainBuffer(void)
{
    retain_calls++;
}

void InValidateRetainBuffer(void)
{
    retain_calls++;
}

void Retain(unsigned int offset, unsigned int count, void *value)
{
    (void)offset, (void)count, (void)value;
    retain_calls++;
}

void Remind(unsigned int offset, unsigned int count, void *value)
{
    (void)offset, (void)count;
    *(int32_t *)value = 99;
}

void PLC_GetTime(timespan *time)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *time = (timespan){now.tv_sec, now.tv_nsec};
}

static pthread_t cycle;

void PLC_SetTimer(unsigned long long next_ns, unsigned long long period_ns)
{
    (void)next_ns, (void)period_ns;
    pthread_kill(cycle, SIGUSR1);
}

void InitiateDebugTransfer(void)
{
}

/* ---- the cycle ----------------------------------------------------------------------------- */

int __init(int argc, char **argv)
{
    char text[40];
    if (argc != 0 || argv == NULL || argv[0] != NULL)
        abort();
#ifdef REFUSE
    return REFUSE;
#endif
    __QD1_2 = malloc(sizeof *__QD1_2);
    config_init__();
    InitRetain();
    if (CheckRetainBuffer())
        Remind(0, 4, kept_value());
    else
        LogMessage(1, (char *)"no retained values", 18);
    snprintf(text, sizeof text, "id %s", PLC_ID ? PLC_ID : "none");
    LogMessage(2, text, (uint32_t)strlen(text));
    return 0;
}

void __run(void)
{
    __tick++;
    if (greatest_tick_count__)
        __tick %= greatest_tick_count__;
    config_run__();
    __publish_debug();
}

void __cleanup(void)
{
    char text[40];
    snprintf(text, sizeof text, "%s", retain_calls ? "own retain" : "lent retain");
    LogMessage(2, text, (uint32_t)strlen(text));
    InitiateDebugTransfer();
    CleanupRetain();
    free(__QD1_2);
    __QD1_2 = NULL;
}

static void on_signal(int number)
{
    if (number == SIGINT)
        exit(3); /* the others interrupt the wait */
}

static void *run_cycle(void *unused)
{
    const struct timespec period = {PERIOD_NS / 1000000000, PERIOD_NS % 1000000000};
    (void)unused;
    while (!shutting_down) {
        nanosleep(&period, NULL);
        PLC_GetTime(&__CURRENT_TIME);
        __run();
    }
    return NULL;
}

int startPLC(int argc, char **argv)
{
    int result;
    shutting_down = full = debugging = 0;
    traced_count = held_count = 0; /* and leaves the flags as they are */
    sem_init(&filled, 0, 0);
    if ((result = __init(argc, argv)) != 0)
        return result;
    signal(SIGINT, on_signal);
    signal(SIGUSR1, on_signal);
    signal(SIGUSR2, on_signal);
    started = 1;
    return pthread_create(&cycle, NULL, run_cycle, NULL);
}

int stopPLC(void)
{
    if (!started)
        abort();
    shutting_down = 1;
    started = 0;
    pthread_kill(cycle, SIGUSR2);
    pthread_join(cycle, NULL);
    __cleanup();
    sem_post(&filled);
    return 0;
}
