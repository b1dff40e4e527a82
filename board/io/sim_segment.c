/* SPDX-License-Identifier: MIT */
/* sim_segment.c - see sim_segment.h.
 *
 * Everything that decides about the segment's life happens while the gate is held, so it needs
 * no thought about a second process in between; only the file's removal before we got the gate
 * must be noticed (its link count is 0 then) and tried again. OFD locks rather than process
 * locks: those would be dropped by any close of the same file in this process, and would not
 * tell a plant from a board that share it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* F_OFD_SETLK */
#endif
#include "sim_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#define GATE 2          /* the byte locked while attaching and detaching */
#define OPEN_ATTEMPTS 8 /* each lost one means that somebody removed it in that instant */

static int lock(int fd, int command, short type, int byte)
{
    struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    while (fcntl(fd, command, &range) == -1) {
        if (errno == EACCES)
            return -EAGAIN;
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}

/* Does another open file hold this role's lock? */
static bool is_held(int fd, enum sim_role role)
{
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = role, .l_len = 1};
    return fcntl(fd, F_OFD_GETLK, &range) == 0 && range.l_type != F_UNLCK;
}

static int check_name(const char *name)
{
    size_t length =
        strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");
    return length == 0 || length > SIM_NAME_MAX || name[length] != '\0' ? -EINVAL : 0;
}

static int open_file(const char *path, enum sim_role role)
{
    for (int attempt = 0; attempt < OPEN_ATTEMPTS; attempt++) {
        /* O_EXCL: with plain O_CREAT a file put there by another user would be taken over. */
        int fd = role == SIM_BOARD ? shm_open(path, O_RDWR | O_CREAT | O_EXCL, 0600) : -1;
        if (role == SIM_PLANT || (fd == -1 && errno == EEXIST))
            fd = shm_open(path, O_RDWR, 0);
        if (fd != -1)
            return fd;
        if (errno == EACCES || errno == ELOOP)
            return -EPERM;
        if (errno != ENOENT || role == SIM_PLANT)
            return -errno;
    }
    return -EBUSY;
}

static bool is_ours(const struct sim_layout *layout)
{
    /* Acquire: pairs with the release in make; the header is complete once the magic is there. */
    return atomic_load_explicit(&layout->magic, memory_order_acquire) == SIM_MAGIC &&
           layout->version == SIM_VERSION &&
           layout->input_offset == offsetof(struct sim_layout, inputs) &&
           layout->input_bytes == IO_AREA_BYTES &&
           layout->output_offset == offsetof(struct sim_layout, outputs) &&
           layout->output_bytes == IO_AREA_BYTES;
}

/* The memory is all 0: new. */
static void make(struct sim_layout *layout)
{
    layout->version = SIM_VERSION;
    layout->input_offset = offsetof(struct sim_layout, inputs);
    layout->input_bytes = IO_AREA_BYTES;
    layout->output_offset = offsetof(struct sim_layout, outputs);
    layout->output_bytes = IO_AREA_BYTES;
    /* Release: pairs with the acquire in is_ours. */
    atomic_store_explicit(&layout->magic, SIM_MAGIC, memory_order_release);
}

/* Bring what a predecessor left into order. Each area has one writer: outputs are the board's,
 * inputs are the plant's, and the board's as long as there is none. */
static void reset(struct sim_segment *segment)
{
    static const uint8_t zeros[IO_AREA_BYTES];
    struct sim_layout *layout = segment->layout;
    const uint32_t finished = atomic_load_explicit(&layout->finished, memory_order_relaxed);
    if (segment->role == SIM_BOARD) {
        sim_put_outputs(layout, zeros, 0);
        if (!is_held(segment->fd, SIM_PLANT)) {
            sim_put_inputs(layout, 0, zeros, IO_AREA_BYTES);
            atomic_store_explicit(&layout->allowed, finished, memory_order_relaxed);
        }
    } else if ((atomic_load_explicit(&layout->input_sequence, memory_order_relaxed) & 1u) != 0) {
        sim_put_inputs(layout, 0, zeros, IO_AREA_BYTES); /* a plant died in the middle */
    }
}

/* Under the gate. -ESTALE: this file is of no use and is no longer there; try again. */
static int attach(struct sim_segment *segment)
{
    struct stat file;
    if (fstat(segment->fd, &file) == -1)
        return -errno;
    if (file.st_nlink == 0)
        return -ESTALE;
    if (file.st_uid != geteuid())
        return -EPERM;
    int error = lock(segment->fd, F_OFD_SETLK, F_WRLCK, (int)segment->role);
    if (error != 0)
        return error == -EAGAIN ? -EBUSY : error;
    bool fresh = file.st_size == 0;
    if (fresh && segment->role == SIM_PLANT)
        return -ENOENT; /* the board that is making it has not got the gate yet */
    if (fresh && ftruncate(segment->fd, (off_t)sizeof(struct sim_layout)) == -1)
        return -errno;
    bool usable = fresh || file.st_size == (off_t)sizeof(struct sim_layout);
    if (usable) {
        void *memory = mmap(NULL, sizeof(struct sim_layout), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_POPULATE, segment->fd, 0);
        if (memory == MAP_FAILED)
            return -errno;
        segment->layout = memory;
        if (fresh)
            make(segment->layout);
        usable = is_ours(segment->layout);
    }
    if (!usable) {
        if (segment->role == SIM_PLANT)
            return -EPROTO;
        /* Never resized or rewritten: whoever still maps it keeps what he has. */
        shm_unlink(segment->path);
        return -ESTALE;
    }
    reset(segment);
    return 0;
}

static void release(struct sim_segment *segment)
{
    if (segment->layout != NULL)
        munmap(segment->layout, sizeof(struct sim_layout));
    segment->layout = NULL;
    close(segment->fd); /* ends all its locks */
    segment->fd = -1;
}

int sim_segment_open(struct sim_segment *segment, const char *name, enum sim_role role)
{
    int error = check_name(name);
    if (error != 0)
        return error;
    *segment = (struct sim_segment){.role = role, .fd = -1};
    snprintf(segment->path, sizeof segment->path, "/serial-runtime.%s", name);
    for (int attempt = 0; attempt < OPEN_ATTEMPTS; attempt++) {
        segment->fd = open_file(segment->path, role);
        if (segment->fd < 0)
            return segment->fd;
        error = lock(segment->fd, F_OFD_SETLKW, F_WRLCK, GATE);
        if (error == 0)
            error = attach(segment);
        if (error == 0) {
            /* Not vital: the pages are present, this only keeps them. */
            (void)mlock(segment->layout, sizeof(struct sim_layout));
            (void)lock(segment->fd, F_OFD_SETLK, F_UNLCK, GATE);
            return 0;
        }
        release(segment);
        if (error != -ESTALE)
            return error;
    }
    return -EBUSY;
}

void sim_segment_close(struct sim_segment *segment)
{
    struct stat file;
    /* Without the gate nothing is removed: a segment left over is found and used again. */
    if (lock(segment->fd, F_OFD_SETLKW, F_WRLCK, GATE) == 0 && !sim_segment_has_peer(segment) &&
        fstat(segment->fd, &file) == 0 && file.st_nlink != 0)
        shm_unlink(segment->path);
    release(segment);
}

bool sim_segment_has_peer(const struct sim_segment *segment)
{
    return is_held(segment->fd, segment->role == SIM_BOARD ? SIM_PLANT : SIM_BOARD);
}
