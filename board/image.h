/* SPDX-License-Identifier: MIT */
/* image.h - one loaded PLC program: a shared object with the table of plc_abi.h, or one as the
 * Beremiz IDE builds it (beremiz.h), for which a table is made.
 *
 * A table that says anything impossible is refused with a sentence: every pointer in it must lie
 * in a segment of the image of the right kind, so a damaged table is found here and not by a
 * crash later. All functions run on the worker; what image_table and the lists return is read
 * by the RT thread too and does not change until image_close.
 */
#ifndef SR_IMAGE_H
#define SR_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "beremiz.h"
#include "location.h"
#include "plc_abi.h"
#include "rt.h"

struct image;

#define IMAGE_MAX_TASKS 32u
#define IMAGE_MIN_BASE_NS 20000u /* no machine we know runs a shorter cycle */
/* 366 days: a deadline stays within a 32-bit time_t, ten of them within 64 bits of nanoseconds. */
#define IMAGE_MAX_INTERVAL_NS UINT64_C(31622400000000000)

/* A located input or output. */
struct image_located {
    const struct sr_variable *variable; /* of a Beremiz object: no row of image_variables */
    struct location location;
};

struct image_located_list {
    const struct image_located *items;
    uint32_t count;
};

/* Two rows of image_variables, of the same type and of different tasks. */
struct image_copy {
    const struct sr_variable *from;
    const struct sr_variable *to;
};

struct image_copy_list {
    const struct image_copy *items;
    uint32_t count;
};

/* What is done with an object of the Beremiz IDE; a native image does not care. */
struct image_use {
    bool own_cycle;  /* it runs its own cycle; else the shim runs it */
    bool process_io; /* connect its located variables to the process image */
};

/* Load the file. -ENOEXEC: it is no image for this board; -ESTALE: only a new process can load
 * it, since this one keeps a variable of an earlier image for it; -errno of the system; `why` gets
 * a sentence in every case. The path must be fresh: an image that is still mapped under it keeps
 * the state of its variables, and is refused. */
int image_open(struct image **image, const char *path, struct image_use use, sr_prefault prefault,
               char *why, size_t why_size);
/* Unmap it; none of its code or variables may be in use. NULL is allowed. */
void image_close(struct image *image);

/* As the image exports it; its `variables` and `tasks` may have longer rows: use image_variables
 * and image_task. */
const struct sr_plc_table *image_table(const struct image *image);
/* `index` < table->task_count. */
const struct sr_task *image_task(const struct image *image, uint32_t index);
/* table->variable_count rows. */
const struct sr_variable *image_variables(const struct image *image);
struct image_located_list image_inputs(const struct image *image);
struct image_located_list image_outputs(const struct image *image);
struct image_copy_list image_copies(const struct image *image);
/* The greatest common divisor of the tasks' intervals: the base tick. */
uint64_t image_base_ns(const struct image *image);

/* Give every writable byte of the image the value it had after loading: a start is a cold
 * start, whatever the program did before. While none of its code runs. An object that runs its
 * own cycle does that itself. */
void image_reset(struct image *image);
/* After a stop: pointer variables that lead out of the image are NULL now, for what they led to
 * may be gone. */
void image_rest(struct image *image);

/* After init: an object of the Beremiz IDE says only now which of its variables are retain
 * variables; their rows get SR_RETAIN. A native image is left as it is. */
void image_mark_retained(struct image *image);

/* The entry points of an object of the Beremiz IDE; NULL for a native image. */
const struct beremiz *image_beremiz(const struct image *image);
/* It runs its own cycle: start it through image_beremiz (own_cycle.h). */
bool image_runs_itself(const struct image *image);
/* The 32 hexadecimal digits of the file's MD5, which such an object wants to know. They are
 * copied. */
void image_identify(struct image *image, const char *id);
/* Lock and prefault what the cycle will touch. */
void image_prefault(const struct image *image, sr_prefault prefault);

/* The function of the image that `pc` lies in, for a message: "TANK_RUN", or "" when `pc` is not
 * in the image or its symbols were stripped. */
void image_symbol(const struct image *image, uintptr_t pc, char *name, size_t name_size);

/* The variables of the program's C that the table does not list, or not whole: their names, and how
 * many of their bytes have no row (gaps that can be padding are left out). 0, -ENODATA when the
 * file has no symbols to tell, or -ENOMEM. */
int image_statics(const struct image *image,
                  void (*visit)(void *context, const char *name, size_t bytes), void *context);

#endif
