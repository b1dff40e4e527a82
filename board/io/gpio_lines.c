/* SPDX-License-Identifier: MIT */
/* gpio_lines.c - see gpio_lines.h. */
#define _GNU_SOURCE
#include "gpio_lines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS 16
#define EVENT_BUFFER (GPIO_V2_LINES_MAX * 16)

/* ---- requests ------------------------------------------------------------------------------ */

static struct gpio_request *request_for(struct gpio_lines *lines, const struct io_gpio_line *line)
{
    for (uint32_t i = 0; i < lines->request_count; i++) {
        struct gpio_request *request = &lines->requests[i];
        if (request->use == line->use && request->debounce_us == line->debounce_us &&
            request->count < GPIO_V2_LINES_MAX)
            return request;
    }
    struct gpio_request *request = &lines->requests[lines->request_count++];
    atomic_init(&request->fd, -1);
    request->use = line->use;
    request->debounce_us = line->debounce_us;
    return request;
}

/* A bit for each line of the request, from an area. */
static uint64_t gather(const struct gpio_request *request, const uint8_t *area)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; i < request->count; i++) {
        const struct io_gpio_line *line = &request->lines[i]->is;
        if ((area[line->value_byte] & line->value_mask) != 0)
            bits |= UINT64_C(1) << i;
    }
    return bits;
}

int gpio_lines_create(struct gpio_lines *lines, const struct io_gpio_options *options,
                      const struct gpio_calls *calls)
{
    const uint32_t count = options->line_count;
    if (count > IO_GPIO_LINES_MAX)
        return -EINVAL;
    *lines = (struct gpio_lines){
        .calls = calls,
        .chip = strdup(options->chip),
        .line_count = count,
        .lines = calloc((size_t)count + 1, sizeof *lines->lines),
        .requests = calloc((size_t)count + 1, sizeof *lines->requests),
    };
    if (lines->chip == NULL || lines->lines == NULL || lines->requests == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        struct gpio_line *line = &lines->lines[i];
        line->is = options->lines[i];
        struct gpio_request *request = request_for(lines, &line->is);
        request->lines[request->count++] = line;
        request->safe = gather(request, options->safe);
    }
    return 0;
}

void gpio_lines_destroy(struct gpio_lines *lines)
{
    gpio_lines_close(lines);
    free(lines->chip);
    free(lines->lines);
    free(lines->requests);
}

static uint64_t flags_of(uint32_t use)
{
    static const struct {
        uint32_t use;
        uint64_t flag;
    } known[] = {
        {IO_GPIO_ACTIVE_LOW, GPIO_V2_LINE_FLAG_ACTIVE_LOW},
        {IO_GPIO_PULL_UP, GPIO_V2_LINE_FLAG_BIAS_PULL_UP},
        {IO_GPIO_PULL_DOWN, GPIO_V2_LINE_FLAG_BIAS_PULL_DOWN},
        {IO_GPIO_NO_BIAS, GPIO_V2_LINE_FLAG_BIAS_DISABLED},
        {IO_GPIO_OPEN_DRAIN, GPIO_V2_LINE_FLAG_OPEN_DRAIN},
        {IO_GPIO_OPEN_SOURCE, GPIO_V2_LINE_FLAG_OPEN_SOURCE},
        {IO_GPIO_RISING, GPIO_V2_LINE_FLAG_EDGE_RISING},
        {IO_GPIO_FALLING, GPIO_V2_LINE_FLAG_EDGE_FALLING},
    };
    uint64_t flags =
        (use & IO_GPIO_OUTPUT) != 0 ? GPIO_V2_LINE_FLAG_OUTPUT : GPIO_V2_LINE_FLAG_INPUT;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if ((use & known[i].use) != 0)
            flags |= known[i].flag;
    }
    return flags;
}

SR_RT static uint64_t all_of(const struct gpio_request *request)
{
    return request->count == 64 ? UINT64_MAX : (UINT64_C(1) << request->count) - 1;
}

static bool counts(const struct gpio_request *request)
{
    return (request->use & (IO_GPIO_RISING | IO_GPIO_FALLING)) != 0;
}

static void add_attribute(struct gpio_v2_line_config *config, uint64_t mask,
                          struct gpio_v2_line_attribute attribute)
{
    config->attrs[config->num_attrs++] =
        (struct gpio_v2_line_config_attribute){.attr = attribute, .mask = mask};
}

static int open_request(struct gpio_lines *lines, int chip, struct gpio_request *request)
{
    struct gpio_v2_line_request wanted;
    memset(&wanted, 0, sizeof wanted); /* the kernel refuses padding that is not 0 */
    for (uint32_t i = 0; i < request->count; i++) {
        wanted.offsets[i] = request->lines[i]->is.line;
        request->lines[i]->last_seqno = 0;
    }
    snprintf(wanted.consumer, sizeof wanted.consumer, "serial-runtime");
    wanted.num_lines = request->count;
    wanted.config.flags = flags_of(request->use);
    if ((request->use & IO_GPIO_OUTPUT) != 0)
        add_attribute(&wanted.config, all_of(request),
                      (struct gpio_v2_line_attribute){.id = GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES,
                                                      .values = request->safe});
    if (request->debounce_us != 0)
        add_attribute(&wanted.config, all_of(request),
                      (struct gpio_v2_line_attribute){.id = GPIO_V2_LINE_ATTR_ID_DEBOUNCE,
                                                      .debounce_period_us = request->debounce_us});
    if (counts(request))
        wanted.event_buffer_size = EVENT_BUFFER;
    const int error = lines->calls->ioctl(chip, GPIO_V2_GET_LINE_IOCTL, &wanted);
    if (error < 0)
        return error;
    request->last = request->safe;
    /* Release: what a thread that makes it safe must see of it. */
    atomic_store_explicit(&request->fd, wanted.fd, memory_order_release);
    return 0;
}

/* Which line it is, and who has it: a request only says that one of its lines is not to be had. */
static void explain(struct gpio_lines *lines, int chip, const struct gpio_request *request,
                    int error, char *why, size_t why_size)
{
    for (uint32_t i = 0; i < request->count; i++) {
        struct gpio_v2_line_info info = {.offset = request->lines[i]->is.line};
        const int found = lines->calls->ioctl(chip, GPIO_V2_GET_LINEINFO_IOCTL, &info);
        if (found == -EINVAL) {
            snprintf(why, why_size, "%s has no line %u", lines->chip, request->lines[i]->is.line);
            return;
        }
        if (found >= 0 && (info.flags & GPIO_V2_LINE_FLAG_USED) != 0) {
            info.consumer[sizeof info.consumer - 1] = '\0';
            snprintf(why, why_size, "line %u of %s is in use by \"%s\"", request->lines[i]->is.line,
                     lines->chip, info.consumer);
            return;
        }
    }
    snprintf(why, why_size, "%s refuses lines %u%s: %s", lines->chip, request->lines[0]->is.line,
             request->count > 1 ? " and others" : "", strerror(-error));
}

int gpio_lines_open(struct gpio_lines *lines, char *why, size_t why_size)
{
    const int chip = lines->calls->open(lines->chip);
    if (chip < 0) {
        snprintf(why, why_size, "%s cannot be opened: %s", lines->chip, strerror(-chip));
        return chip;
    }
    int error = 0;
    for (uint32_t i = 0; i < lines->request_count && error == 0; i++) {
        error = open_request(lines, chip, &lines->requests[i]);
        if (error != 0)
            explain(lines, chip, &lines->requests[i], error, why, why_size);
    }
    lines->calls->close(chip); /* the requests stay */
    if (error != 0)
        gpio_lines_close(lines);
    return error;
}

void gpio_lines_close(struct gpio_lines *lines)
{
    for (uint32_t i = 0; i < lines->request_count; i++) {
        const int fd = atomic_exchange(&lines->requests[i].fd, -1);
        if (fd >= 0)
            lines->calls->close(fd);
    }
}

bool gpio_lines_have_outputs(const struct gpio_lines *lines)
{
    for (uint32_t i = 0; i < lines->request_count; i++) {
        if ((lines->requests[i].use & IO_GPIO_OUTPUT) != 0)
            return true;
    }
    return false;
}

/* ---- values -------------------------------------------------------------------------------- */

static struct gpio_line *line_of(struct gpio_request *request, uint32_t offset)
{
    for (uint32_t i = 0; i < request->count; i++) {
        if (request->lines[i]->is.line == offset)
            return request->lines[i];
    }
    return NULL;
}

/* The kernel numbers the edges of a line, so that those which its buffer did not hold count. */
static int take_edges(struct gpio_lines *lines, struct gpio_request *request, int fd)
{
    struct gpio_v2_line_event events[EVENTS];
    uint32_t most = EVENT_BUFFER; /* who makes edges faster than they are read does not hold us */
    while (most > 0 && lines->calls->readable(fd)) {
        const int size = lines->calls->read(fd, events, sizeof events);
        if (size < 0)
            return size;
        const uint32_t found = (uint32_t)size / (uint32_t)sizeof events[0];
        if (found == 0)
            return -EIO;
        for (uint32_t i = 0; i < found; i++) {
            struct gpio_line *line = line_of(request, events[i].offset);
            if (line == NULL)
                continue;
            line->count += events[i].line_seqno - line->last_seqno;
            line->last_seqno = events[i].line_seqno;
        }
        most = most > found ? most - found : 0;
    }
    return 0;
}

static void put(struct gpio_line *line, bool value, uint8_t *inputs)
{
    const struct io_gpio_line *is = &line->is;
    uint8_t *at = &inputs[is->value_byte];
    *at = (uint8_t)(value ? *at | is->value_mask : *at & ~is->value_mask);
    for (uint32_t i = 0; i < is->count_bytes; i++)
        inputs[is->count_byte + i] = (uint8_t)(line->count >> 8 * i);
}

int gpio_lines_read(struct gpio_lines *lines, uint8_t *inputs)
{
    for (uint32_t i = 0; i < lines->request_count; i++) {
        struct gpio_request *request = &lines->requests[i];
        const int fd = atomic_load_explicit(&request->fd, memory_order_relaxed);
        struct gpio_v2_line_values values = {.mask = all_of(request)};
        if ((request->use & IO_GPIO_OUTPUT) != 0)
            continue;
        int error = counts(request) ? take_edges(lines, request, fd) : 0;
        if (error == 0)
            error = lines->calls->ioctl(fd, GPIO_V2_LINE_GET_VALUES_IOCTL, &values);
        if (error < 0)
            return error;
        for (uint32_t k = 0; k < request->count; k++)
            put(request->lines[k], (values.bits >> k & 1) != 0, inputs);
    }
    return 0;
}

int gpio_lines_write(struct gpio_lines *lines, const uint8_t *outputs, bool again)
{
    for (uint32_t i = 0; i < lines->request_count; i++) {
        struct gpio_request *request = &lines->requests[i];
        struct gpio_v2_line_values values = {.bits = gather(request, outputs),
                                             .mask = all_of(request)};
        if ((request->use & IO_GPIO_OUTPUT) == 0 || (values.bits == request->last && !again))
            continue;
        const int fd = atomic_load_explicit(&request->fd, memory_order_relaxed);
        const int error = lines->calls->ioctl(fd, GPIO_V2_LINE_SET_VALUES_IOCTL, &values);
        if (error < 0)
            return error;
        request->last = values.bits;
    }
    return 0;
}

void gpio_lines_safe(struct gpio_lines *lines)
{
    for (uint32_t i = 0; i < lines->request_count; i++) {
        struct gpio_request *request = &lines->requests[i];
        /* Acquire: pairs with the release in open_request. */
        const int fd = atomic_load_explicit(&request->fd, memory_order_acquire);
        struct gpio_v2_line_values values = {.bits = request->safe, .mask = all_of(request)};
        if (fd >= 0 && (request->use & IO_GPIO_OUTPUT) != 0)
            (void)lines->calls->ioctl(fd, GPIO_V2_LINE_SET_VALUES_IOCTL, &values);
    }
}
