/* SPDX-License-Identifier: MIT */
/* beremiz.h - what a shared object of the Beremiz IDE exports, as far as the shim calls it.
 *
 * Such an object has a cycle of its own, startPLC to stopPLC, and beside it the parts of that
 * cycle, so that a host can run it: `init`, `run`, `cleanup`. Either way is used, never both
 * (hosted.h, own_cycle.h). Names and types are those of the runtime the IDE brings along.
 */
#ifndef SR_BEREMIZ_H
#define SR_BEREMIZ_H

#include <stddef.h>
#include <stdint.h>

/* One row of the object's table of variables. */
struct beremiz_variable {
    void *address; /* of the value with its flags, or of a pointer to it with its flags */
    unsigned int type;
};

struct beremiz {
    char **plc_id;

    /* Its own cycle. */
    int (*start)(int count, char **words);
    int (*stop)(void);
    void (*reset_debug)(void);
    int (*register_debug)(unsigned int index, void *force, size_t size);
    void (*free_debug)(void);
    int (*get_debug)(unsigned int *tick, unsigned int *size, void **values); /* blocks */
    int (*suspend_debug)(int disable);
    void (*resume_debug)(void);

    /* Its log: any thread. The result is the length of the text, which may exceed `size`. */
    int (*log)(uint8_t level, char *text, uint32_t size);
    uint32_t (*log_count)(uint8_t level);
    uint32_t (*log_message)(uint8_t level, uint32_t number, char *text, uint32_t size,
                            uint32_t *tick, uint32_t *sec, uint32_t *nsec);

    /* Its variables, in the order of the IDE's trace indices; NULL: it does not tell. */
    void (*for_each_variable)(void (*visit)(const struct beremiz_variable *variable));
    uint32_t *tick; /* NULL like the rest: not exported */

    /* The parts of its cycle. */
    int (*init)(int count, char **words);
    void (*run)(void);
    void (*cleanup)(void);
    long *current_time; /* seconds, nanoseconds */
    unsigned long long *period_ns;
    unsigned int (*retain_size)(void);

    /* Of its Python blocks: hands the result of the last command over, waits for the next one;
     * NULL: stopped. A thread of its own, not real time. */
    char *(*python_iterator)(char *result, void **block);
};

#endif
