/* SPDX-License-Identifier: MIT */
/* A PLC object with the entry points of those that the Beremiz IDE builds: what of its own runtime
 * a host must not call ends the process, or is counted. */
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifndef PERIOD_NS
#define PERIOD_NS 1000000
#endif
#ifndef TICKS
#define TICKS 0 /* after which __tick begins anew; 0: never */
#endif

typedef struct {
    long s, ns;
} timespan;
typedef struct {
    uint8_t length;
    uint8_t body[126];
} string;

enum { FORCED = 2, RETAIN = 4 };
enum {
    REAL,
    LREAL,
    SINT,
    INT,
    DINT,
    LINT,
    USINT,
    UINT,
    UDINT,
    ULINT,
    TIME,
    BYTE,
    WORD,
    DWORD,
    LWORD,
    BOOL,
    STRING,
    DATE,
    TOD,
    DT,
    TYPES
};
#define POINTER(type) (TYPES + (type))
#define OUTPUT(type) (2 * TYPES + (type))

/* clang-format off */
#define V(type) struct { type value; uint8_t flags; }
#define P(type) struct { type *value; uint8_t flags; }
/* clang-format on */
#define SET(v, new) ((v).flags & FORCED ? (void)0 : (void)((v).value = (new)))
#define SET_P(v, new) ((v).flags & FORCED ? (void)0 : (void)(*(v).value = (new)))

/* ---- the program --------------------------------------------------------------------------- */

struct timer {
    V(timespan) et;
    V(uint8_t) q;
};

struct program {
    V(uint32_t) count;
    V(uint8_t) bit;
    V(int8_t) a_sint;
    V(int16_t) an_int;
    V(int64_t) a_lint;
    V(float) a_real;
    V(double) an_lreal;
    V(timespan) now;
    V(timespan) a_date;
    V(string) text;
    struct timer timer;
    P(int16_t) external;
    P(uint16_t) input;
    P(uint8_t) lamp;
    P(int32_t) bus_output;
    P(uint16_t) memory;
    V(uint16_t) input_seen;
    V(int16_t) external_seen;
    V(int16_t) other_seen;
    V(uint8_t) order;
    V(uint32_t) tick;
    V(int32_t) kept;
    V(timespan) clock;
} RES0__INST0;
V(int16_t) CONFIG__GLOBAL;

/* The places of located variables; one lies in memory that an extension allocates. */
static uint16_t input_place, memory_place;
static uint8_t lamp_place;
uint16_t *__IW2 = &input_place;
uint8_t *__QX0_1 = &lamp_place;
uint16_t *__MW3 = &memory_place;
#ifdef UNSERVED
extern int32_t *__QD1_2;
#else
int32_t *__QD1_2;
#endif
uint16_t *__IW1_0 = &memory_place; /* a channel of an extension, no place in the process image */

unsigned long long common_ticktime__ = PERIOD_NS;
unsigned int greatest_tick_count__ = TICKS;
unsigned int __tick;
timespan __CURRENT_TIME;
char *PLC_ID;

int LogMessage(uint8_t level, char *text, uint32_t size);
void PLC_GetTime(timespan *time);
void PLC_SetTimer(unsigned long long next_ns, unsigned long long period_ns);
void InitRetain(void), CleanupRetain(void), InValidateRetainBuffer(void);
void ValidateRetainBuffer(void), Retain(unsigned, unsigned, void *), InitiateDebugTransfer(void);
void Remind(unsigned, unsigned, void *);
int CheckRetainBuffer(void);

static int retain_calls; /* that came to the object's own functions */

static volatile int *volatile nowhere;

__attribute__((noinline)) static void obey(uint8_t order)
{
    switch (order) {
    case 1:
        *nowhere = 1;
        break;
    case 2:
        for (;;)
            __asm__ volatile("");
    case 3:
        LogMessage(0, (char *)"last words", 10);
        abort();
    case 4:
        LogMessage(3, (char *)"detail", 7); /* with its terminator */
        break;
    case 5:
        PLC_SetTimer(1, 1);
        break;
    case 6:
        nanosleep(&(struct timespec){0, 5000000}, NULL);
        break;
    default:
        break;
    }
}

void MAIN_body__(struct program *p)
{
    const uint32_t n = p->count.value + 1;
    SET(p->count, n);
    SET(p->bit, n % 2 ? 1 : 0);
    SET(p->a_sint, (int8_t)-n);
    SET(p->an_int, (int16_t)(n * 100));
    SET(p->a_lint, -(int64_t)n << 33);
    SET(p->a_real, (float)n / 2);
    SET(p->an_lreal, (double)n / 4);
    SET(p->now, __CURRENT_TIME);
    SET(p->a_date, ((timespan){-1, -500000000})); /* not as the wire has it */
    string text = {4, "text"};
    SET(p->text, text);
    SET(p->timer.et, ((timespan){0, (long)n}));
    SET(p->timer.q, n > 3);
    SET(CONFIG__GLOBAL, 7);
    SET(p->input_seen, *p->input.value);
    SET(p->external_seen, *p->external.value);
    SET(p->other_seen, CONFIG__GLOBAL.value);
    SET_P(p->lamp, n % 2 ? 1 : 0);
    SET_P(p->bus_output, (int32_t)n);
    SET_P(p->memory, (uint16_t)(n + 1));
    SET(p->tick, __tick);
    timespan now;
    PLC_GetTime(&now);
    SET(p->clock, now);
    const uint8_t order = p->order.value;
    SET(p->order, 0);
#ifdef ORDER
    if (n == 20)
        obey(ORDER);
#endif
    obey(order);
}

void config_init__(void)
{
    struct program *p = &RES0__INST0;
    p->count.value = 0;
    p->text.value = (string){0, ""};
    CONFIG__GLOBAL.value = 5;
    p->external.value = &CONFIG__GLOBAL.value;
    p->input.value = __IW2;
    p->lamp.value = __QX0_1;
    p->bus_output.value = __QD1_2;
    p->memory.value = __MW3;
    p->kept.value = 11;
    p->kept.flags |= RETAIN;
}

static const struct row {
    void *address;
    unsigned int type;
} rows[] = {
    {&RES0__INST0.count, UDINT},
    {&RES0__INST0.bit, BOOL},
    {&RES0__INST0.a_sint, SINT},
    {&RES0__INST0.an_int, INT},
    {&RES0__INST0.a_lint, LINT},
    {&RES0__INST0.a_real, REAL},
    {&RES0__INST0.an_lreal, LREAL},
    {&RES0__INST0.now, TIME},
    {&RES0__INST0.a_date, DATE},
    {&RES0__INST0.text, STRING},
    {&RES0__INST0.timer.et, TIME},
    {&RES0__INST0.timer.q, BOOL},
    {&RES0__INST0.external, POINTER(INT)},
    {&RES0__INST0.input, POINTER(WORD)},
    {&RES0__INST0.lamp, OUTPUT(BOOL)},
    {&RES0__INST0.bus_output, OUTPUT(DINT)},
    {&RES0__INST0.memory, OUTPUT(UINT)},
    {&RES0__INST0.input_seen, WORD},
    {&RES0__INST0.external_seen, INT},
    {&RES0__INST0.other_seen, INT},
    {&RES0__INST0.order, USINT},
    {&RES0__INST0.tick, UDINT},
    {&RES0__INST0.kept, DINT},
    {&RES0__INST0.clock, TIME},
    {&CONFIG__GLOBAL, INT},
#ifdef BAD_TYPE
    {&RES0__INST0.count, 3 * TYPES},
#endif
#ifdef BAD_ADDRESS
    {(void *)rows, DINT},
#endif
};
#define ROWS (sizeof rows / sizeof rows[0])

void __for_each_variable_do(void (*visit)(const struct row *row))
{
    for (size_t i = 0; i < ROWS; i++)
        visit(&rows[i]);
}

/* ---- its runtime: debugger ----------------------------------------------------------------- */

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
    Retain(0, 4, &RES0__INST0.kept.value);
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
    if (index >= ROWS)
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

/* ---- its runtime: log, retain, time -------------------------------------------------------- */

static struct message {
    char text[300];
    uint32_t size, tick;
    timespan time;
} messages[4][16];
static uint32_t counts[4];

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

/* ---- its runtime: the cycle ---------------------------------------------------------------- */

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
        Remind(0, 4, &RES0__INST0.kept.value);
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
    MAIN_body__(&RES0__INST0);
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

#ifdef XENOMAI
extern int rt_pipe_create(void) __attribute__((weak));
int use_a_pipe(void);
int use_a_pipe(void)
{
    return rt_pipe_create != NULL ? rt_pipe_create() : 0;
}
#endif
#ifdef THREAD_LOCAL
__thread int counter;
#endif
