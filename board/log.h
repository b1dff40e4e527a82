/* SPDX-License-Identifier: MIT */
/* log.h - log messages from the cycle to the worker: four rings, one a level.
 *
 * A flood of debug messages thus never displaces a critical one. Messages are stamped with the
 * monotonic clock (reading it is no system call) and converted to wall time when they are taken.
 */
#ifndef SR_LOG_H
#define SR_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "plc_abi.h"
#include "rt.h"

struct log;

#define LOG_LEVELS 4u
#define LOG_TEXT_MAX 255u

struct log_record {
    uint32_t level; /* enum sr_log_level */
    uint32_t tick;
    uint32_t sec; /* wall time since 1970-01-01 UTC */
    uint32_t nsec;
    uint32_t length;             /* of text */
    char text[LOG_TEXT_MAX + 1]; /* NUL-terminated; any bytes, as the program gave them */
};

/* Worker: `ring_bytes` for each level, a power of two, 2048 to 2^30. 0, -EINVAL, -ENOMEM. */
int log_create(struct log **log, uint32_t ring_bytes, sr_prefault prefault);
/* Worker, when neither side is in use any more. NULL is allowed. */
void log_destroy(struct log *log);

/* RT: queue `text` (NULL: ""), cut at LOG_TEXT_MAX bytes; a level beyond debug counts as debug.
 * A full ring drops the message and counts it. `now_ns` is CLOCK_MONOTONIC. */
SR_RT void log_put(struct log *log, uint32_t level, uint32_t tick, int64_t now_ns,
                   const char *text);

/* Worker: the oldest message of all levels; false when there is none. `realtime_offset_ns` is
 * CLOCK_REALTIME minus CLOCK_MONOTONIC now: the wall time a message gets. */
bool log_take(struct log *log, int64_t realtime_offset_ns, struct log_record *record);

/* Worker: when the message that log_take would give was queued, by CLOCK_MONOTONIC; false: none. */
bool log_peek(struct log *log, int64_t *now_ns);

/* Any: messages dropped at this level so far; wraps; 0 for no level. */
uint32_t log_dropped(const struct log *log, uint32_t level);

#endif
