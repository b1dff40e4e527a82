/* SPDX-License-Identifier: MIT */
/* sim_word.c - see sim_word.h. */
#define _GNU_SOURCE
#include "sim_word.h"

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

int sim_word_wait(_Atomic uint32_t *word, uint32_t seen, int64_t timeout_ns)
{
    const struct {
        long seconds, nanoseconds; /* what this call takes, whatever time_t is */
    } timeout = {.nanoseconds = (long)timeout_ns};
    const long result =
        syscall(SYS_futex, word, FUTEX_WAIT, seen, timeout_ns < 0 ? NULL : &timeout, NULL, 0);
    return result == -1 && errno == EINTR ? -EINTR : 0;
}

void sim_word_wake(_Atomic uint32_t *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}
