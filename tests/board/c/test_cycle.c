/* SPDX-License-Identifier: MIT */
/* The life of a cycle and its watchdog, in an order that a real platform rarely shows. The task
 * is a thread; the watchdog is not started, its body runs where a case calls it. */
#include "cycle.h"

#include <errno.h>
#include <semaphore.h>

#include "harness.h"
#include "watchdog.h"

#define MS INT64_C(1000000)
#define BASE_NS (20 * MS)

struct platform_thread {
    void (*body)(void *argument);
    void *argument;
    pthread_t id;
    sem_t release; /* one post, one wait of the thread ends */
    int64_t first_ns;
    bool joined;
};

static struct platform_thread task, watcher;
static struct cycle *cycle;
static pthread_mutex_t clock_lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t clock_ns;
static bool hangs; /* the program, until its watchdog gave up */
static bool is_safe;
static int driven; /* outputs written while they had to be safe */

int64_t platform_now_ns(void)
{
    pthread_mutex_lock(&clock_lock);
    const int64_t now_ns = clock_ns += 10 * MS; /* everything takes its time */
    pthread_mutex_unlock(&clock_lock);
    return now_ns;
}

static void *thread_main(void *argument)
{
    struct platform_thread *thread = argument;
    thread->body(thread->argument);
    return NULL;
}

int platform_thread_start(struct platform_thread **thread, const struct platform_schedule *schedule,
                          void (*body)(void *argument), void *argument,
                          struct platform_actual *actual)
{
    struct platform_actual ignored;
    actual = actual != NULL ? actual : &ignored;
    const bool is_task = strcmp(schedule->name, "plc-scan") == 0;
    *thread = is_task ? &task : &watcher;
    **thread = (struct platform_thread){.body = body, .argument = argument};
    sem_init(&(*thread)->release, 0, 0);
    CHECK(!is_task || watcher.body != NULL); /* no first cycle unwatched */
    if (is_task)
        task.id = spawn(thread_main, &task);
    else
        watcher.first_ns = ((const struct watchdog *)argument)->first_ns;
    *actual = (struct platform_actual){.cpu = -1};
    return 0;
}

int platform_thread_join(struct platform_thread *thread, int64_t timeout_ns)
{
    (void)timeout_ns;
    if (thread == &task) {
        CHECK(watcher.joined); /* else it might yet touch the task, which is freed now */
        join(task.id);
    }
    thread->joined = true;
    return 0;
}

int platform_kick(struct platform_thread *thread)
{
    sem_post(&thread->release);
    return 0;
}

int platform_mode_switches(struct platform_thread *thread, uint32_t *count)
{
    CHECK(thread == &task);
    *count = 7;
    return 0;
}

int platform_interrupt(struct platform_thread *thread)
{
    CHECK(thread == &task);
    return -ENOTSUP;
}

void platform_poll_sleep(int64_t ns)
{
    const struct timespec time = {.tv_nsec = (long)ns};
    nanosleep(&time, NULL);
}

int platform_protect(struct platform_thread *self, void (*body)(void *argument), void *argument,
                     struct platform_fault *fault)
{
    (void)self;
    (void)fault;
    body(argument);
    return 0;
}

void platform_abandon(struct platform_thread *self)
{
    (void)self;
    abort();
}

void platform_keep(struct platform_thread *self, void *mine)
{
    (void)self;
    (void)mine;
}

void *platform_kept(void)
{
    return NULL;
}

void platform_park(struct platform_thread *self)
{
    (void)self;
    pthread_exit(NULL);
}

int platform_periodic(struct platform_thread *self, int64_t first_ns, int64_t period_ns)
{
    (void)period_ns;
    self->first_ns = first_ns;
    return 0;
}

int platform_wait_period(struct platform_thread *self, int64_t *deadline_ns, uint32_t *skipped)
{
    if (self == &task)
        while (sem_wait(&self->release) != 0)
            ;
    *deadline_ns = 0;
    *skipped = 0;
    return 0;
}

/* ---- the image and the I/O ------------------------------------------------------------------ */

static void run(const sr_cycle *now)
{
    CHECK_EQ(now->size, sizeof *now);
    if (hangs)
        watcher.body(watcher.argument); /* returns when it has given up */
}

static const struct sr_task only_task = {.name = "MAIN", .interval_ns = BASE_NS, .run = run};
static const struct sr_plc_table table = {.tasks = &only_task, .task_count = 1};

const struct sr_plc_table *image_table(const struct image *image)
{
    (void)image;
    return &table;
}

const struct sr_task *image_task(const struct image *image, uint32_t index)
{
    (void)image;
    return &table.tasks[index];
}

struct image_located_list image_inputs(const struct image *image)
{
    (void)image;
    return (struct image_located_list){0};
}

struct image_located_list image_outputs(const struct image *image)
{
    (void)image;
    return (struct image_located_list){0};
}

struct image_copy_list image_copies(const struct image *image)
{
    (void)image;
    return (struct image_copy_list){0};
}

const struct sr_variable *image_variables(const struct image *image)
{
    (void)image;
    return NULL;
}

const struct beremiz *image_beremiz(const struct image *image)
{
    (void)image;
    return NULL;
}

uint64_t image_base_ns(const struct image *image)
{
    (void)image;
    return BASE_NS;
}

static bool io_read(void *state, uint8_t *inputs, int64_t now_ns)
{
    (void)state;
    (void)now_ns;
    (void)inputs;
    return true;
}

static void io_write(void *state, const uint8_t *outputs, uint32_t tick)
{
    (void)state;
    (void)outputs;
    (void)tick;
    driven += is_safe;
}

static void io_safe(void *state)
{
    (void)state;
    is_safe = true;
}

static const struct io_driver io = {.read = io_read, .write = io_write, .safe = io_safe};
static struct cycle_parts parts = {.io = &io};

static void start(void)
{
    const struct platform_schedule schedule = {.priority = 50, .cpu = -1};
    is_safe = hangs = false;
    memset(&watcher, 0, sizeof watcher);
    driven = 0;
    const struct cycle_rules rules = {.sensitivity = 1, .task_cpu = -1};
    struct program *program;
    CHECK_EQ(program_create(&program, NULL, true, NULL), 0);
    CHECK_EQ(cycle_create(&cycle, &parts, NULL), 0);
    cycle_load(cycle, program);
    CHECK_EQ(cycle_start(cycle, &schedule, &rules, NULL), 0);
    CHECK_EQ(cycle_state(cycle), CYCLE_RUNNING);
}

/* ---- the cases ------------------------------------------------------------------------------ */

static void the_task_is_freed_after_its_watchdog(void)
{
    start();
    CHECK_EQ(cycle_stop(cycle), 0); /* platform_thread_join checks it */
    uint32_t switches = 0;
    CHECK_EQ(cycle_mode_switches(cycle, 0, &switches), 0);
    CHECK_EQ(switches, 7); /* read before the thread was gone */
    CHECK(task.joined);
    CHECK_EQ(cycle_state(cycle), CYCLE_IDLE);
    cycle_destroy(cycle);
}

static void the_watchdog_looks_half_a_tick_off_the_releases(void)
{
    start();
    CHECK_EQ(cycle_stop(cycle), 0);
    CHECK_EQ((watcher.first_ns - task.first_ns) % BASE_NS, BASE_NS / 2);
    cycle_destroy(cycle);
}

static void a_cycle_that_was_given_up_drives_nothing_any_more(void)
{
    start();
    hangs = true;
    sem_post(&task.release);
    join(task.id);
    CHECK_EQ(cycle_state(cycle), CYCLE_FAULTED);
    CHECK_EQ(cycle_fault(cycle)->cause.signal, FAULT_UNRESPONSIVE);
    CHECK(is_safe);
    CHECK_EQ(driven, 0);
    CHECK_EQ(cycle_stop(cycle), -EFAULT);
    cycle_destroy(cycle);
}

int main(void)
{
    CHECK_EQ(force_create(&parts.force, NULL), 0);
    CHECK_EQ(trace_create(&parts.trace, 4096, NULL), 0);
    CHECK_EQ(snapshot_create(&parts.snapshot, SNAPSHOT_MAX_BYTES, NULL), 0);
    CHECK_EQ(snapshot_create(&parts.retain, SNAPSHOT_MAX_BYTES, NULL), 0);
    CHECK_EQ(stats_create(&parts.stats, NULL), 0);
    RUN(the_task_is_freed_after_its_watchdog);
    RUN(the_watchdog_looks_half_a_tick_off_the_releases);
    RUN(a_cycle_that_was_given_up_drives_nothing_any_more);
    force_destroy(parts.force);
    trace_destroy(parts.trace);
    snapshot_destroy(parts.snapshot);
    snapshot_destroy(parts.retain);
    stats_destroy(parts.stats);
    return 0;
}
