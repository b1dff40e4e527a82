/* SPDX-License-Identifier: MIT */
/* memory.c - no page fault on the RT thread, without locking all of Python into memory.
 *
 * MCL_ONFAULT locks a page when it is first touched: what Python never touches again costs
 * nothing. What the RT thread touches is touched here first, so it never waits for a page.
 */
#define _GNU_SOURCE
#include "posix.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool may_lock_everything(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0, 0, 0}};
    struct rlimit limit;
    if (syscall(SYS_capget, &header, data) == 0 &&
        (data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective & CAP_TO_MASK(CAP_IPC_LOCK)) != 0)
        return true;
    return getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY;
}

/* With a limit, MCL_FUTURE would make every later mapping fail once the limit is reached: Python
 * could not start threads any more. Then only what platform_prefault is given gets locked. */
int platform_lock_memory(bool *all)
{
    *all = false;
    if (!may_lock_everything())
        return 0;
    if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0)
        return -errno;
    *all = true;
    return 0;
}

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

int platform_prefault(void *region, size_t size)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    char *first = (char *)((uintptr_t)region & ~(page - 1));
    const size_t length = (size_t)((char *)region + size - first);
    if (mlock(first, length) == 0) /* populates too, private writable pages by a write */
        return 0;
    const int error = -errno;
    if (madvise(first, length, MADV_POPULATE_WRITE) == 0 ||
        madvise(first, length, MADV_POPULATE_READ) == 0)
        return error;
    for (size_t i = 0; i < length; i += page)
        (void)*(volatile const char *)(first + i);
    return error;
}

static int latency_fd = -1;

int platform_hold_cpu_latency(uint32_t max_us)
{
    const int32_t value = max_us > INT32_MAX ? INT32_MAX : (int32_t)max_us;
    platform_release_cpu_latency();
    const int fd = open("/dev/cpu_dma_latency", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (write(fd, &value, sizeof value) != (ssize_t)sizeof value) {
        const int error = -errno;
        close(fd);
        return error;
    }
    latency_fd = fd;
    return 0;
}

void platform_release_cpu_latency(void)
{
    if (latency_fd >= 0)
        close(latency_fd);
    latency_fd = -1;
}
