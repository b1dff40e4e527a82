/* SPDX-License-Identifier: MIT */
/* log.c - see log.h. A running number orders the messages of the four rings. */
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ring.h"

#define NS_PER_SECOND 1000000000
/* Room for a few of the longest messages: less would make no sense. */
#define LEAST_RING 2048u

struct message {
    int64_t now_ns;
    uint32_t sequence;
    uint32_t tick;
    uint32_t length;
    char text[]; /* not terminated */
};

struct log {
    struct ring *rings[LOG_LEVELS];
    uint32_t sequence; /* RT */
};

int log_create(struct log **log, uint32_t ring_bytes, sr_prefault prefault)
{
    *log = NULL;
    if (ring_bytes < LEAST_RING)
        return -EINVAL;
    struct log *made = calloc(1, sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    for (uint32_t level = 0; level < LOG_LEVELS; level++) {
        int error = ring_create(&made->rings[level], ring_bytes, prefault);
        if (error != 0) {
            log_destroy(made);
            return error;
        }
    }
    if (prefault != NULL)
        (void)prefault(made, sizeof *made);
    *log = made;
    return 0;
}

void log_destroy(struct log *log)
{
    if (log == NULL)
        return;
    for (uint32_t level = 0; level < LOG_LEVELS; level++)
        ring_destroy(log->rings[level]);
    free(log);
}

void log_put(struct log *log, uint32_t level, uint32_t tick, int64_t now_ns, const char *text)
{
    uint32_t length = 0;
    while (text != NULL && length < LOG_TEXT_MAX && text[length] != '\0')
        length++;
    if (level >= LOG_LEVELS)
        level = SR_LOG_DEBUG;
    struct message *message = ring_reserve(log->rings[level], (uint32_t)sizeof *message + length);
    if (message == NULL)
        return;
    message->now_ns = now_ns;
    message->sequence = log->sequence++;
    message->tick = tick;
    message->length = length;
    if (length != 0)
        memcpy(message->text, text, length);
    ring_commit(log->rings[level], (uint32_t)sizeof *message + length);
}

/* One look at all rings: the level whose oldest message is older than `found`'s, if there is one
 * (`found` LOG_LEVELS: none found yet). */
static uint32_t look(struct log *log, uint32_t found, uint32_t *sequence)
{
    uint32_t n;
    for (uint32_t level = 0; level < LOG_LEVELS; level++) {
        const struct message *message = ring_peek(log->rings[level], &n);
        if (message == NULL)
            continue;
        if (found == LOG_LEVELS || (int32_t)(message->sequence - *sequence) < 0) {
            found = level;
            *sequence = message->sequence;
        }
    }
    return found;
}

/* The level whose oldest message is the oldest of all, or LOG_LEVELS. */
static uint32_t oldest(struct log *log)
{
    uint32_t sequence = 0;
    uint32_t found = look(log, LOG_LEVELS, &sequence);
    /* A ring that looked empty may have got a message before another ring got the one found.
     * Having seen that one, a second look sees all that came before it. */
    return found == LOG_LEVELS ? found : look(log, found, &sequence);
}

bool log_take(struct log *log, int64_t realtime_offset_ns, struct log_record *record)
{
    uint32_t n;
    uint32_t level = oldest(log);
    if (level == LOG_LEVELS)
        return false;
    const struct message *message = ring_peek(log->rings[level], &n);
    int64_t wall_ns = message->now_ns + realtime_offset_ns;
    if (wall_ns < 0)
        wall_ns = 0; /* a clock before 1970 has no form on the wire */
    record->level = level;
    record->tick = message->tick;
    record->sec = (uint32_t)(wall_ns / NS_PER_SECOND);
    record->nsec = (uint32_t)(wall_ns % NS_PER_SECOND);
    record->length = message->length;
    memcpy(record->text, message->text, message->length);
    record->text[message->length] = '\0';
    ring_release(log->rings[level]);
    return true;
}

bool log_peek(struct log *log, int64_t *now_ns)
{
    uint32_t n;
    const uint32_t level = oldest(log);
    if (level == LOG_LEVELS)
        return false;
    const struct message *message = ring_peek(log->rings[level], &n);
    *now_ns = message->now_ns;
    return true;
}

uint32_t log_dropped(const struct log *log, uint32_t level)
{
    return level < LOG_LEVELS ? ring_dropped(log->rings[level]) : 0;
}
