/* SPDX-License-Identifier: MIT */
/* cycle_parts.h - what the RT side (cycle.c) and the worker's side (cycle_control.c) of the cycle
 * share. Nobody else includes it.
 */
#ifndef SR_CYCLE_PARTS_H
#define SR_CYCLE_PARTS_H

#include "cycle.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "host.h"
#include "program.h"
#include "watchdog.h"

/* One RT thread of the program: the scan, or a task with a thread of its own. */
struct runner {
    /* Fixed while it runs. */
    struct cycle *cycle;
    struct program_task *task; /* NULL: the scan */
    struct platform_thread *thread;
    struct host_seat *seat;
    uint32_t lane;     /* of its forces */
    uint32_t every;    /* base ticks between two cycles */
    int64_t period_ns; /* the same in time; an online change may change it and what follows */
    int64_t time_ns;   /* the watchdog's; its limit is the sensitivity times that */
    char name[16];
    struct watch watch;
    uint32_t mode_switches; /* until it was ended; of the worker, as is the next one */
    int counted;            /* 0, or what platform_mode_switches said then */
    /* Of the thread. */
    uint32_t tick;
    bool begun;
    int64_t ahead_ns;   /* the program's time is the clock's and so much more: 0 but in lockstep */
    int64_t program_ns; /* lockstep: the program's time of the last cycle */
    int64_t next_ns;    /* the release after the present cycle */
    int64_t woke_ns;    /* of the last cycle, as is the next one */
    int64_t done_ns;
    uint32_t long_cycles; /* in a row: beyond `time_ns` */
    uint32_t late_cycles; /* in a row: beyond the period */
    atomic_bool stays;    /* as the last of its acts it was parked, or it was given up */
    int verdict;          /* FAULT_...: why it ended although nobody said so */
    _Atomic(const struct program_task *) current; /* NULL between tasks */
};

#define CYCLE_RUNNERS (1u + PROGRAM_MAX_THREADS)

struct cycle {
    struct cycle_parts parts;
    sr_prefault prefault;
    struct cycle_rules rules;
    struct watchdog watchdog;
    struct runner runners[CYCLE_RUNNERS]; /* the first is the scan */
    uint32_t runner_count;
    struct host_seat seats[PROGRAM_MAX_THREADS]; /* of the tasks; the scan has host_first */
    int64_t release_ns;                          /* the first, unless starting takes longer */
    /* Of the scan while it runs. */
    struct program *program;
    struct cycle_change *change; /* under way; NULL: none */
    bool estranged;              /* the worker's lists mean a program that was taken back */
    int64_t recording_ns;        /* what the statistics of the cycle before took */
    uint8_t inputs[IO_AREA_BYTES];
    uint8_t outputs[IO_AREA_BYTES];
    /* Between the threads. */
    struct handover changes;
    int64_t origin_ns;          /* of tick 0: the scan writes it once, then says: */
    atomic_bool origin_known;   /* release; acquire by the tasks */
    _Atomic uint32_t last_tick; /* written inside the scan's beat */
    atomic_bool stop;
    atomic_bool claimed;    /* whoever sets it reports the fault */
    struct fault fault;     /* by whoever claimed it, before it leaves */
    _Atomic uint32_t alive; /* runners that did not leave; who leaves last writes `state` */
    _Atomic int state;      /* enum cycle_state */
};

/* RT: what a scan needs further down; while it comes, the scan goes on. */
SR_RT static inline void cycle_expect(const struct cycle *cycle, int64_t wakeup_ns)
{
    const struct cycle_parts *parts = &cycle->parts;
    rt_expect(cycle->program, 3); /* up to the first task */
    rt_expect(parts->io, 1);
    rt_expect(parts->force, 1);
    rt_expect(parts->trace, 1);
    rt_expect(parts->snapshot, 1);
    rt_expect(parts->retain, 1);
    rt_expect(&cycle->last_tick, 1);
    stats_expect(parts->stats, wakeup_ns);
    stats_expect(cycle->program->tasks[0].stats, wakeup_ns);
}

/* RT: the body of each thread; the argument is its runner. */
SR_RT void cycle_main(void *runner);
/* RT, on the watchdog's thread: see give_up in watchdog.h. */
SR_RT void cycle_give_up(void *owner, struct watch *watch, int fault);
/* RT: what the watchdog's rules say of one that runs every `period_ns`. */
SR_RT void cycle_pace(struct runner *runner, int64_t period_ns);

/* RT, the scan: at the end of a cycle, while the beat is odd. */
SR_RT void cycle_step_change(struct runner *scan);
/* RT, the scan: in a wait that was interrupted. */
SR_RT void cycle_look_at_change(struct runner *scan);
/* RT: the program has crashed, or, `cause` being NULL, run_cycles ended by itself; go on with the
 * one before it. False: there is none, or no reason to. */
SR_RT bool cycle_take_back(struct runner *runner, const struct platform_fault *cause);
/* Any: the distance between two moments at which a cycle may begin for the first time. */
SR_RT int64_t cycle_grid_ns(int64_t base_ns);

#endif
