/* SPDX-License-Identifier: MIT */
/* gpio.h - lines of one GPIO chip as a part of the process image (part.h), through version 2 of
 * the kernel's character device (linux/gpio.h).
 *
 * A thread of its own, since all of it are system calls: every `poll_ns` it counts the edges the
 * kernel has noted, reads the inputs, puts the outputs out and publishes. Lines of the same
 * settings are one request, so they are read, and switched, at once.
 *
 * A chip that cannot be opened, or fails later, is tried again every second; its quality bits are 0
 * meanwhile. Lines are requested with the outputs' safe values, so there is no
 * moment with others. A line that the kernel has let go of keeps what its chip does then: mostly
 * the last value.
 */
#ifndef SR_IO_GPIO_H
#define SR_IO_GPIO_H

#include "part.h"

#define IO_GPIO_LINES_MAX 512u

enum io_gpio_use {
    IO_GPIO_OUTPUT = 1, /* else an input */
    IO_GPIO_ACTIVE_LOW = 2,
    IO_GPIO_PULL_UP = 4,
    IO_GPIO_PULL_DOWN = 8,
    IO_GPIO_NO_BIAS = 16,
    IO_GPIO_OPEN_DRAIN = 32,
    IO_GPIO_OPEN_SOURCE = 64,
    IO_GPIO_RISING = 128,
    IO_GPIO_FALLING = 256,
};

struct io_gpio_line {
    uint32_t line;        /* of the chip */
    uint32_t use;         /* of enum io_gpio_use */
    uint32_t debounce_us; /* 0: none */
    uint16_t value_byte;  /* where its value stands in %I or %Q, */
    uint8_t value_mask;   /* 0: nowhere */
    uint8_t count_bytes;  /* 0, 2, 4 or 8: of its edge count, */
    uint16_t count_byte;  /* which stands here in %I and wraps */
    uint16_t reserved;
};

struct io_gpio_options {
    const char *chip;
    const struct io_gpio_line *lines;
    uint32_t line_count;
    int32_t priority; /* of the thread, SCHED_FIFO; 0: not real time */
    int64_t poll_ns;
    const uint8_t *quality; /* an area: bits of %I that are 1 while all is well */
    const uint8_t *lost;    /* an area: bits of %I that become 0 when it is not */
    const uint8_t *safe;    /* an area: the outputs' safe values */
};

struct io_gpio_report {
    int32_t error;    /* 0: all is well; or -errno, and a sentence in `text` */
    int32_t priority; /* 0, or -errno: the thread's priority was refused */
    int64_t since_ns; /* of CLOCK_MONOTONIC */
    char text[160];
};

/* The system calls; tests have others. Results as the system's, errors as -errno. */
struct gpio_calls {
    int (*open)(const char *path);
    SR_RT_POINTER int (*ioctl)(int fd, unsigned long request, void *argument);
    bool (*readable)(int fd); /* at once */
    int (*read)(int fd, void *to, size_t size);
    void (*close)(int fd);
};
extern const struct gpio_calls gpio_system;

struct gpio;

/* Worker. Tries to open the chip: a missing one is no error (see the report). One held by a
 * process that is about to end is waited for, a second at most. 0, -EINVAL (more lines than
 * IO_GPIO_LINES_MAX) or -ENOMEM. Everything is copied; `part` must outlive it. */
int gpio_create(struct gpio **gpio, const struct io_gpio_options *options,
                const struct gpio_calls *calls, struct io_part *part);
/* Worker: start its thread. -errno. */
int gpio_start(struct gpio *gpio);
/* Worker: ends the thread; outputs are safe, lines let go. NULL is allowed. */
void gpio_close(void *gpio);

/* RT at the end of a cycle, watchdog, or a forked child: outputs to their safe values, by one
 * system call for each request. The one thing of a driver that an RT thread may wait for, after
 * its last cycle. */
SR_RT void gpio_safe(void *gpio);

/* The thread's: one round at this time. */
void gpio_round(struct gpio *gpio, int64_t now_ns);

/* Any but RT: a process forked after gpio_create can make all outputs safe. Not any more once the
 * chip was opened later, because it was missing or lost: that process does not have those lines. */
bool gpio_guarded(struct gpio *gpio);
/* Any but RT. */
void gpio_report(struct gpio *gpio, struct io_gpio_report *report);

#endif
