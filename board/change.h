/* SPDX-License-Identifier: MIT */
/* change.h - the values of a running program, copied into its next version.
 *
 * The worker compiles a list of pairs of variables. The RT thread then, at the ends of cycles,
 *
 *   rehearses  copies a few pairs a cycle into the new image, which nobody runs yet, and measures
 *              them, and how much of a period the cycle leaves idle;
 *   switches   when the worker has ordered it: copies all pairs at one go, at the end of the first
 *              cycle that leaves time enough, and runs the new image from the next one on;
 *   watches    the new one for some cycles: a fault among them takes the old image and its values
 *              back. The worker ends this probation, with `change_confirm`.
 *
 * The copy knows no tasks, outputs or forces: cycle.c has those.
 */
#ifndef SR_CHANGE_H
#define SR_CHANGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "plc_abi.h"
#include "rt.h"

/* Indices in the old table and in the new one. */
struct change_pair {
    uint32_t from;
    uint32_t to;
};

/* Written by the side that is named. */
enum change_phase {
    CHANGE_REHEARSING,  /* at first */
    CHANGE_READY,       /* RT: measured */
    CHANGE_ORDERED,     /* worker */
    CHANGE_WITHDRAWN,   /* worker: it came to nothing; RT lets go of it */
    CHANGE_SWITCHING,   /* RT: this very moment */
    CHANGE_PROBATION,   /* RT: the new program runs, the old one is kept */
    CHANGE_CONFIRMED,   /* worker: there is no way back; RT lets go of it */
    CHANGE_ROLLED_BACK, /* RT: the old program runs again */
    CHANGE_RELEASED,    /* worker: it knows, and has put its lists right; RT lets go of it */
};

/* The copy may take a half of what a cycle leaves of its period. */
#define CHANGE_IDLE_SHARE 2

struct change {
    _Atomic int phase; /* enum change_phase */
    /* RT writes, any reads, relaxed but ordered by the phase; nanoseconds. */
    _Atomic uint32_t copy_ns;     /* of all pairs */
    _Atomic uint32_t busy_ns;     /* the shortest cycle seen, from its release to its end */
    _Atomic uint32_t cycles_left; /* of the probation */
    /* Of the RT side. */
    uint32_t at; /* the next pair to rehearse */
    uint32_t passes;
    uint32_t observe; /* cycles to look at yet */
    uint64_t pass_ns; /* of this pass so far */
    /* Fixed. */
    uint32_t probation;
    uint32_t copy_count;
    struct change_copy *copies;
};

/* Worker: compile. The rehearsal goes on for `observe` cycles at least; `probation` is counted in
 * cycles. -ENOENT: no such index; -EINVAL: one cannot become the other without loss, or a row
 * without address; -EEXIST: a variable of the new table twice; -ENOMEM. `*bad` (may be NULL) is
 * the position of the pair at fault. */
int change_create(struct change **change, const struct sr_variable *from, uint32_t from_count,
                  const struct sr_variable *to, uint32_t to_count, const struct change_pair *pairs,
                  uint32_t count, uint32_t observe, uint32_t probation, sr_prefault prefault,
                  uint32_t *bad);
/* Worker, when the RT side has let go of it. NULL is allowed. */
void change_destroy(struct change *change);

/* Any. Acquire: the figures that belong to the phase are seen. */
enum change_phase change_phase(const struct change *change);

/* RT: at the end of a cycle that was released at `release_ns`; the next one is due at `next_ns`.
 * Copies for a small part of what is left until then. */
SR_RT void change_rehearse(struct change *change, int64_t release_ns, int64_t next_ns);
/* RT: it was ordered, and there is time for it before `next_ns`. */
SR_RT bool change_is_due(const struct change *change, int64_t next_ns);
/* RT: copy all pairs. False: it was withdrawn meanwhile. */
SR_RT bool change_switch(struct change *change);
/* RT: all else was switched too; the probation begins. */
SR_RT void change_switched(struct change *change);
/* RT: the new program has run a cycle. */
SR_RT void change_survived(struct change *change);
/* RT: the new program ended by a fault, or was stopped. False: it was confirmed before. */
SR_RT bool change_roll_back(struct change *change);

/* Worker: whether the copy fits what the shortest cycle leaves of `period_ns`. In CHANGE_READY. */
bool change_fits(const struct change *change, int64_t period_ns);
/* Worker: false when the phase is another one meanwhile. */
bool change_order(struct change *change);    /* ready -> ordered */
bool change_confirm(struct change *change);  /* probation -> confirmed */
bool change_withdraw(struct change *change); /* rehearsing, ready, ordered -> withdrawn */
bool change_release(struct change *change);  /* rolled back -> released */

#endif
