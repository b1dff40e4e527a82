/* SPDX-License-Identifier: MIT */
/* fault.h - how program code ended against its will, and running init and fini contained.
 *
 * After a fault the thread is parked for good: it may hold locks of libc. So the process is
 * tainted: no program code runs in it any more and the image stays mapped.
 */
#ifndef SR_FAULT_H
#define SR_FAULT_H

#include <stddef.h>
#include <stdint.h>

#include "host.h"
#include "image.h"
#include "platform.h"

#define FAULT_TEXT_BYTES 512u

/* Values of cause.signal that are no signals. */
#define FAULT_PROGRAM 0       /* the program called fault() */
#define FAULT_UNRESPONSIVE -1 /* ran too long and could not be interrupted */
#define FAULT_CLOCK -2        /* the wait for the next release failed */
#define FAULT_OMITTED -3      /* was not released any more */
#define FAULT_LONG -4         /* exceeded the watchdog's time several times in a row */
#define FAULT_OVERRUN -5      /* exceeded its period several times in a row */

struct fault {
    struct platform_fault cause;
    const char *where; /* task name, "init" or "fini"; of the image or static */
    uint32_t tick;
    int64_t limit_ns; /* what the watchdog allowed */
    uint32_t times;   /* in a row, that it was exceeded */
    const char *text; /* what the program said, "" if nothing */
};

/* Worker: the fault in one sentence, with the function it happened in. */
void fault_describe(const struct fault *fault, const struct image *image, char *text, size_t size);

/* Worker: run body(argument) on a thread of its own, not real time, and wait for its end. 0, or
 * -EFAULT with *fault filled when it crashed, called fault() or took longer than `limit_ns`;
 * other -errno when it could not be started. `where` names it in the message; `seat` is one that no
 * other thread has meanwhile, and it is lost by a fault. */
int fault_contain(void (*body)(void *argument), void *argument, struct host_seat *seat,
                  const char *where, int64_t limit_ns, struct fault *fault);

#endif
