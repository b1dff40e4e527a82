/* SPDX-License-Identifier: MIT */
/* gpio_system.c - the system calls of gpio.h, as they are. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "gpio.h"

static int system_open(const char *path)
{
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    return fd == -1 ? -errno : fd;
}

SR_RT static int system_ioctl(int fd, unsigned long request, void *argument)
{
    const int result = ioctl(fd, request, argument);
    return result == -1 ? -errno : result;
}

static bool system_readable(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    return poll(&one, 1, 0) == 1; /* also of an error, which read tells */
}

static int system_read(int fd, void *to, size_t size)
{
    const ssize_t result = read(fd, to, size);
    return result == -1 ? -errno : (int)result;
}

static void system_close(int fd)
{
    (void)close(fd);
}

const struct gpio_calls gpio_system = {
    .open = system_open,
    .ioctl = system_ioctl,
    .readable = system_readable,
    .read = system_read,
    .close = system_close,
};
