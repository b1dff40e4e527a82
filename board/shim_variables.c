/* SPDX-License-Identifier: MIT */
/* shim_variables.c - trace, forces, reading, log and statistics. */
#define _GNU_SOURCE
#include "shim_parts.h"

#include "plan.h"
#include "seqlock.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#define TRACE_POLL_NS INT64_C(10000000)
#define READ_POLL_NS INT64_C(200000)
#define READ_LIMIT_NS INT64_C(2000000000)

static uint32_t variable_count(void)
{
    return board->image == NULL ? 0 : image_table(board->image)->variable_count;
}

static const struct sr_variable *variables(void)
{
    return board->image == NULL ? NULL : image_variables(board->image);
}

const struct sr_variable *board_shown_rows(void)
{
    const struct program *program = cycle_program(board->cycle);
    if (board_changes())
        return variables(); /* no task has a thread, and the cycle's program may be another one */
    return program != NULL ? program->rows : variables();
}

const struct sr_variable *board_rows(void)
{
    return board_state() == BOARD_STOPPED ? variables() : board_shown_rows();
}

/* The sentence for what plan_create and its kin return about a list of indices. */
static int refuse_list(int error, const uint32_t *indices, uint32_t count, char *why,
                       uint32_t why_size)
{
    for (uint32_t i = 0; i < count; i++) {
        if (indices[i] >= variable_count())
            return board_refuse(-EINVAL, why, why_size,
                                "there is no variable %" PRIu32 ": the program has %" PRIu32,
                                indices[i], variable_count());
    }
    if (error == -EMSGSIZE && board->own != NULL)
        return board_refuse(-EINVAL, why, why_size,
                            "%" PRIu32 " variables are more than the program's own debugger takes: "
                            "it traces %u in %u bytes and forces %u, %u bytes of located ones",
                            count, OWN_CYCLE_TRACED, OWN_CYCLE_SAMPLE_BYTES, OWN_CYCLE_FORCED,
                            OWN_CYCLE_COPIED_BYTES);
    if (error == -EMSGSIZE)
        return board_refuse(-EINVAL, why, why_size,
                            "the values of %" PRIu32 " variables are too long for "
                            "one record: choose fewer",
                            count);
    return board_refuse(error, why, why_size, "cannot use the list of variables: %s",
                        strerror(-error));
}

int64_t board_set_trace(const uint32_t *indices, uint32_t count, char *why, uint32_t why_size)
{
    const uint32_t generation = board->generation % INT32_MAX + 1;
    const int error = board->own != NULL
                          ? own_cycle_trace(board->own, indices, count, generation)
                          : trace_select(board->parts.trace, board_shown_rows(), variable_count(),
                                         indices, count, generation);
    if (error != 0)
        return refuse_list(error, indices, count, why, why_size);
    board->generation = generation;
    return generation;
}

int32_t board_read_trace(uint32_t generation, uint8_t *to, uint32_t size, int64_t timeout_ns)
{
    const int64_t until_ns = platform_now_ns() + timeout_ns;
    for (;;) {
        const int32_t bytes = trace_read(board->parts.trace, generation, to, size, NULL);
        const int64_t left_ns = until_ns - platform_now_ns();
        if (bytes != 0 || left_ns <= 0)
            return bytes;
        platform_poll_sleep(left_ns < TRACE_POLL_NS ? left_ns : TRACE_POLL_NS);
    }
}

uint32_t board_trace_dropped(void)
{
    return trace_dropped(board->parts.trace);
}

int board_set_forces(const struct force_order *orders, uint32_t count, char *why, uint32_t why_size)
{
    uint32_t bad = count;
    const int error = board->own != NULL ? own_cycle_force(board->own, orders, count, &bad)
                                         : force_publish(board->parts.force, variables(),
                                                         variable_count(), orders, count, &bad);
    if (error == 0 && board->own != NULL)
        return 0;
    if (error == 0) {
        const int state = board_state();
        if (state == BOARD_STOPPED)
            force_settle(board->parts.force);
        return 0;
    }
    if (error == -EMSGSIZE)
        return refuse_list(error, NULL, 0, why, why_size);
    if (bad >= count)
        return board_refuse(error, why, why_size, "cannot force: %s", strerror(-error));
    const uint32_t index = orders[bad].index;
    if (index >= variable_count())
        return refuse_list(error, &index, 1, why, why_size);
    const char *path = variables()[index].path;
    switch (error) {
    case -EEXIST:
        return board_refuse(-EINVAL, why, why_size, "variable %s is forced twice", path);
    case -E2BIG:
        return board_refuse(-EINVAL, why, why_size,
                            "the text for %s is longer than its %u characters", path,
                            variables()[index].capacity);
    case -ERANGE:
        return board_refuse(-EINVAL, why, why_size, "the time for %s is out of range", path);
    default:
        return board_refuse(-EINVAL, why, why_size, "a value of %" PRIu32 " bytes does not fit %s",
                            orders[bad].size, path);
    }
}

/* The program's own cycle cannot be waited for. */
static int32_t read_as_it_runs(const struct plan *plan, uint8_t *to, uint32_t *tick)
{
    const uint32_t *count = image_beremiz(board->image)->tick;
    *tick = count != NULL ? __atomic_load_n(count, __ATOMIC_RELAXED) : 0;
    return (int32_t)plan_capture(plan, to);
}

/* Between cycles, or while none runs: copy, and check that no cycle came in between. */
static int32_t read_directly(const struct plan *plan, uint8_t *to, uint32_t *tick)
{
    const _Atomic uint32_t *beat = cycle_beat(board->cycle);
    const int64_t until_ns = platform_now_ns() + READ_LIMIT_NS;
    for (;;) {
        const bool rests = board_state() != BOARD_RUNNING; /* before the copy, and so during it */
        const uint32_t begin = seqlock_read_begin(beat);
        const uint32_t bytes = plan_capture(plan, to);
        *tick = cycle_tick(board->cycle);
        if (rests || seqlock_read_valid(beat, begin))
            return (int32_t)bytes;
        if (platform_now_ns() > until_ns)
            return -ETIMEDOUT;
        platform_poll_sleep(READ_POLL_NS);
    }
}

/* Ask the cycle for the values at its end. -ETIMEDOUT: it did not answer. */
static int32_t read_by_cycle(const uint32_t *indices, uint32_t count, uint8_t *to, uint32_t *tick)
{
    const int64_t until_ns = platform_now_ns() + READ_LIMIT_NS;
    const uint8_t *values;
    uint32_t bytes;
    int error = snapshot_request(board->parts.snapshot, board_shown_rows(), variable_count(),
                                 indices, count);
    while (error == 0) {
        error = snapshot_result(board->parts.snapshot, tick, &values, &bytes);
        if (error == 0) {
            memcpy(to, values, bytes);
            error = (int)bytes;
            break;
        }
        if (error != -EAGAIN)
            break;
        error = 0;
        if (board_state() != BOARD_RUNNING || platform_now_ns() > until_ns)
            error = -ETIMEDOUT;
        else
            platform_poll_sleep(READ_POLL_NS);
    }
    snapshot_cancel(board->parts.snapshot);
    return error;
}

int32_t board_read(const uint32_t *indices, uint32_t count, uint8_t *to, uint32_t size,
                   uint32_t *tick, char *why, uint32_t why_size)
{
    struct plan *plan;
    int32_t bytes = -ETIMEDOUT;
    *tick = 0;
    int error = plan_create(&plan, board_rows(), variable_count(), indices, count,
                            size < SNAPSHOT_MAX_BYTES ? size : SNAPSHOT_MAX_BYTES, NULL);
    if (error != 0)
        return refuse_list(error, indices, count, why, why_size);
    if (board->own != NULL)
        bytes = read_as_it_runs(plan, to, tick);
    else if (board_state() == BOARD_RUNNING && board->parts.io->await == NULL &&
             image_base_ns(board->image) <= BOARD_SHORT_BASE_NS)
        bytes = read_by_cycle(indices, count, to, tick);
    if (bytes == -ETIMEDOUT)
        bytes = read_directly(plan, to, tick);
    plan_destroy(plan);
    if (board_rolled_back()) /* its values stand still, and nobody runs it */
        return board_refuse(-EBUSY, why, why_size, "the program was taken back this very moment");
    if (bytes < 0)
        board_refuse(bytes, why, why_size, "no moment between two cycles was long enough to read");
    return bytes;
}

/* ---- log and statistics -------------------------------------------------------------------- */

static int64_t realtime_offset_ns(void)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    return (int64_t)wall.tv_sec * 1000000000 + wall.tv_nsec - platform_now_ns();
}

void board_begin_log(void)
{
    const struct beremiz *entries = image_beremiz(board->image);
    for (uint32_t level = 0; entries != NULL && level < LOG_LEVELS; level++)
        board->log_next[level] = entries->log_count((uint8_t)level);
}

/* Times of a hosted object are of the monotonic clock, see hosted.h. */
static void stamp(struct log_record *record, uint32_t sec, uint32_t nsec)
{
    int64_t wall_ns = (int64_t)sec * 1000000000 + nsec;
    if (board->own == NULL)
        wall_ns += realtime_offset_ns();
    record->sec = (uint32_t)(wall_ns / 1000000000);
    record->nsec = (uint32_t)(wall_ns % 1000000000);
}

/* The oldest message of one level of the object's own log. Of a fault, too: reading takes no lock
 * that the parked thread may hold. */
static bool take_objects_log(const struct beremiz *entries, uint8_t level,
                             struct log_record *record)
{
    const uint32_t count = entries->log_count(level);
    uint32_t *next = &board->log_next[level];
    uint32_t tick = 0, sec = 0, nsec = 0;
    while ((int32_t)(count - *next) > 0) {
        uint32_t length =
            entries->log_message(level, *next, record->text, LOG_TEXT_MAX, &tick, &sec, &nsec);
        (*next)++;
        if (length == 0) {
            board->log_lost++;
            continue;
        }
        record->level = level;
        record->tick = tick;
        record->length = length < LOG_TEXT_MAX ? length : LOG_TEXT_MAX;
        /* Some count their terminator, some end a line. */
        while (record->length > 0 && strchr("\n", record->text[record->length - 1]) != NULL)
            record->length--;
        record->text[record->length] = '\0';
        stamp(record, sec, nsec);
        return true;
    }
    return false;
}

/* The scan's, those of the tasks with threads, and the one of what an online change runs. */
#define PROGRAM_LOGS (PROGRAM_MAX_THREADS + 2)
static struct log *program_log(uint32_t n)
{
    if (n == 0)
        return board->parts.log;
    return n < PROGRAM_LOGS - 1 ? cycle_task_log(board->cycle, n - 1) : board_change_log();
}

/* The log whose next message is the oldest; NULL: there is none. */
static struct log *oldest_log(void)
{
    struct log *found = NULL;
    int64_t found_ns = 0;
    for (uint32_t n = 0; n < PROGRAM_LOGS; n++) {
        int64_t now_ns;
        struct log *log = program_log(n);
        if (log != NULL && log_peek(log, &now_ns) && (found == NULL || now_ns < found_ns)) {
            found = log;
            found_ns = now_ns;
        }
    }
    return found;
}

bool board_take_log(struct log_record *record)
{
    const struct beremiz *entries = board->image != NULL ? image_beremiz(board->image) : NULL;
    struct log *log = oldest_log();
    if (log != NULL)
        return log_take(log, realtime_offset_ns(), record);
    for (uint8_t level = 0; entries != NULL && level < LOG_LEVELS; level++) {
        if (take_objects_log(entries, level, record))
            return true;
    }
    return false;
}

uint32_t board_log_dropped(void)
{
    uint32_t sum = board->log_lost;
    for (uint32_t n = 0; n < PROGRAM_LOGS; n++) {
        const struct log *log = program_log(n);
        for (uint32_t level = 0; log != NULL && level < LOG_LEVELS; level++)
            sum += log_dropped(log, level);
    }
    return sum;
}
