/* SPDX-License-Identifier: MIT */
/* gpio_lines.h - the requests for lines of a chip, and what goes through them: private to the
 * gpio*.c files. The I/O thread, unless a function says otherwise. */
#ifndef SR_IO_GPIO_LINES_H
#define SR_IO_GPIO_LINES_H

#include <linux/gpio.h>
#include <stdatomic.h>

#include "gpio.h"

struct gpio_line {
    struct io_gpio_line is;
    uint64_t count;      /* edges since the start of the process */
    uint32_t last_seqno; /* of its events, in this request */
};

/* Lines of the same use and debounce time, at most GPIO_V2_LINES_MAX. */
struct gpio_request {
    _Atomic int fd; /* -1: closed. Atomic for gpio_safe */
    uint32_t use;
    uint32_t debounce_us;
    uint32_t count;
    struct gpio_line *lines[GPIO_V2_LINES_MAX];
    uint64_t safe; /* outputs: a bit for each line */
    uint64_t last; /* put out last */
};

struct gpio_lines {
    const struct gpio_calls *calls;
    char *chip;
    uint32_t line_count, request_count;
    struct gpio_line *lines;
    struct gpio_request *requests;
};

/* Worker: sort lines into requests; `safe` is an area. */
int gpio_lines_create(struct gpio_lines *lines, const struct io_gpio_options *options,
                      const struct gpio_calls *calls);
void gpio_lines_destroy(struct gpio_lines *lines);

/* All requests, or none: -errno and a sentence. */
int gpio_lines_open(struct gpio_lines *lines, char *why, size_t why_size);
void gpio_lines_close(struct gpio_lines *lines);

bool gpio_lines_have_outputs(const struct gpio_lines *lines);

/* Edges and inputs into the area. -errno. */
int gpio_lines_read(struct gpio_lines *lines, uint8_t *inputs);
/* Outputs out of the area, if they are others than the last ones or `again`. -errno. */
int gpio_lines_write(struct gpio_lines *lines, const uint8_t *outputs, bool again);
/* As gpio_safe. */
SR_RT void gpio_lines_safe(struct gpio_lines *lines);

#endif
