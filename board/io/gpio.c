/* SPDX-License-Identifier: MIT */
/* gpio.c - the I/O thread of a GPIO chip, see gpio.h. */
#define _GNU_SOURCE
#include "gpio.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "gpio_lines.h"
#include "runs.h"

#define RETRY_NS INT64_C(1000000000)
#define HELD_ATTEMPTS 50 /* of a chip that somebody has, */
#define HELD_WAIT_NS 20000000L
#define STACK_BYTES ((size_t)1 << 16)

struct gpio {
    struct gpio_lines lines;
    struct io_part *part;
    struct io_runs *lost;
    struct io_runs *quality;
    int64_t poll_ns;
    int priority;
    pthread_t thread;
    bool started;
    int end_fd; /* readable: the thread shall end */
    atomic_bool
        opened_late; /* with outputs, by the thread; relaxed: it says nothing of other data */
    /* Of the thread, or of the worker while there is none. */
    bool open; /* the lines are requested, */
    bool well; /* and the last round did not fail */
    int64_t retry_ns;
    uint8_t inputs[IO_AREA_BYTES];
    uint8_t outputs[IO_AREA_BYTES];
    pthread_mutex_t lock; /* the report, between the thread and who asks */
    struct io_gpio_report report;
};

static int64_t clock_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void tell(struct gpio *gpio, int error, const char *text, int64_t now_ns)
{
    pthread_mutex_lock(&gpio->lock);
    if ((gpio->report.error == 0) != (error == 0))
        gpio->report.since_ns = now_ns;
    gpio->report.error = error;
    snprintf(gpio->report.text, sizeof gpio->report.text, "%s", text);
    pthread_mutex_unlock(&gpio->lock);
}

static int try_to_open(struct gpio *gpio, int64_t now_ns)
{
    char why[sizeof gpio->report.text];
    const int error = gpio_lines_open(&gpio->lines, why, sizeof why);
    gpio->open = error == 0;
    gpio->retry_ns = now_ns + RETRY_NS;
    if (error != 0)
        tell(gpio, error, why, now_ns);
    return error;
}

int gpio_create(struct gpio **gpio, const struct io_gpio_options *options,
                const struct gpio_calls *calls, struct io_part *part)
{
    struct gpio *made = calloc(1, sizeof *made);
    *gpio = NULL;
    if (made == NULL)
        return -ENOMEM;
    made->part = part;
    made->poll_ns = options->poll_ns;
    made->priority = options->priority;
    made->report.since_ns = clock_ns();
    pthread_mutex_init(&made->lock, NULL);
    made->end_fd = eventfd(0, EFD_CLOEXEC);
    int error = made->end_fd == -1 ? -errno : gpio_lines_create(&made->lines, options, calls);
    if (error == 0)
        error = io_runs_create(&made->lost, options->lost, NULL);
    if (error == 0)
        error = io_runs_create(&made->quality, options->quality, NULL);
    if (error != 0) {
        gpio_close(made);
        return error;
    }
    for (int i = 0; try_to_open(made, clock_ns()) == -EBUSY && i < HELD_ATTEMPTS; i++)
        (void)nanosleep(&(struct timespec){.tv_nsec = HELD_WAIT_NS}, NULL);
    if (made->open) {
        made->well = true;
        tell(made, 0, "", clock_ns());
    }
    *gpio = made;
    return 0;
}

/* By the thread: who was forked before has no part in these lines. */
static bool open_late(struct gpio *gpio, int64_t now_ns)
{
    if (try_to_open(gpio, now_ns) != 0)
        return false;
    if (gpio_lines_have_outputs(&gpio->lines))
        atomic_store_explicit(&gpio->opened_late, true, memory_order_relaxed);
    return true;
}

static int drive(struct gpio *gpio)
{
    const enum io_news news = io_part_take(gpio->part, gpio->outputs);
    int error = gpio_lines_write(&gpio->lines, gpio->outputs, false);
    /* gpio_safe may have run between the two. */
    if (error == 0 && news != IO_SAFE && io_part_is_safe(gpio->part)) {
        (void)io_part_take(gpio->part, gpio->outputs);
        error = gpio_lines_write(&gpio->lines, gpio->outputs, true);
    }
    return error;
}

static int serve(struct gpio *gpio)
{
    const int error = gpio_lines_read(&gpio->lines, gpio->inputs);
    return error != 0 ? error : drive(gpio);
}

/* A chip that has gone is closed. Otherwise the lines stay requested: a guard process may hold
 * them too, so they could not be requested anew. */
static void fail(struct gpio *gpio, int error, int64_t now_ns)
{
    char text[sizeof gpio->report.text];
    snprintf(text, sizeof text, "%s failed: %s", gpio->lines.chip, strerror(-error));
    if (error == -ENODEV) {
        gpio_lines_close(&gpio->lines);
        gpio->open = false;
    }
    gpio->retry_ns = now_ns + RETRY_NS;
    tell(gpio, error, text, now_ns);
}

void gpio_round(struct gpio *gpio, int64_t now_ns)
{
    const bool was_well = gpio->well;
    if (was_well || now_ns >= gpio->retry_ns) {
        gpio->well = gpio->open || open_late(gpio, now_ns);
        const int error = gpio->well ? serve(gpio) : 0;
        if (error != 0) {
            gpio->well = false;
            fail(gpio, error, now_ns);
        } else if (gpio->well && !was_well) {
            tell(gpio, 0, "", now_ns);
        }
    }
    if (gpio->well)
        io_runs_fill(gpio->quality, gpio->inputs, 0xFF);
    else
        io_runs_fill(gpio->lost, gpio->inputs, 0);
    io_part_publish(gpio->part, gpio->inputs);
}

static void take_priority(struct gpio *gpio)
{
    const struct sched_param wanted = {.sched_priority = gpio->priority};
    if (gpio->priority == 0)
        return;
    const int error = pthread_setschedparam(pthread_self(), SCHED_FIFO, &wanted);
    pthread_mutex_lock(&gpio->lock);
    gpio->report.priority = -error;
    pthread_mutex_unlock(&gpio->lock);
}

/* Until the next round is due; false: the end. A late round moves the grid: nothing is made up. */
static bool wait_until(struct gpio *gpio, int64_t *due_ns)
{
    struct pollfd end = {.fd = gpio->end_fd, .events = POLLIN};
    const int64_t now_ns = clock_ns();
    *due_ns = *due_ns + gpio->poll_ns > now_ns ? *due_ns + gpio->poll_ns : now_ns;
    const int64_t left_ns = *due_ns - now_ns;
    const struct timespec left = {.tv_sec = (time_t)(left_ns / 1000000000),
                                  .tv_nsec = (long)(left_ns % 1000000000)};
    return ppoll(&end, 1, &left, NULL) != 1;
}

static void *thread_main(void *argument)
{
    struct gpio *gpio = argument;
    int64_t due_ns = clock_ns();
    take_priority(gpio);
    do
        gpio_round(gpio, clock_ns());
    while (wait_until(gpio, &due_ns));
    return NULL;
}

int gpio_start(struct gpio *gpio)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are Python's main thread's */
    const int error = pthread_create(&gpio->thread, &attributes, thread_main, gpio);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    gpio->started = error == 0;
    if (gpio->started)
        (void)pthread_setname_np(gpio->thread, "gpio");
    return -error;
}

void gpio_close(void *state)
{
    struct gpio *gpio = state;
    if (gpio == NULL)
        return;
    if (gpio->started) {
        const uint64_t one = 1;
        while (write(gpio->end_fd, &one, sizeof one) == -1 && errno == EINTR)
            ;
        pthread_join(gpio->thread, NULL);
    }
    gpio_lines_safe(&gpio->lines);
    gpio_lines_destroy(&gpio->lines);
    io_runs_destroy(gpio->lost);
    io_runs_destroy(gpio->quality);
    if (gpio->end_fd >= 0)
        close(gpio->end_fd);
    pthread_mutex_destroy(&gpio->lock);
    free(gpio);
}

void gpio_safe(void *state)
{
    struct gpio *gpio = state;
    gpio_lines_safe(&gpio->lines);
}

bool gpio_guarded(struct gpio *gpio)
{
    return !atomic_load_explicit(&gpio->opened_late, memory_order_relaxed);
}

void gpio_report(struct gpio *gpio, struct io_gpio_report *report)
{
    pthread_mutex_lock(&gpio->lock);
    *report = gpio->report;
    pthread_mutex_unlock(&gpio->lock);
}
