/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "guard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A driver that does not come back from `safe` is given up after this. */
#define LEAVE_NS INT64_C(1000000000)
#define POLL_NS INT64_C(500000)

struct guard {
    pid_t pid; /* 0: there is none */
    int write_fd;
    size_t foreign_count; /* descriptors that are not the driver's */
    int foreign[];
};

struct guard *guard_prepare(void)
{
    size_t room = 64;
    struct guard *new = malloc(sizeof *new + room * sizeof new->foreign[0]);
    DIR *open_now = new != NULL ? opendir("/proc/self/fd") : NULL;
    const struct dirent *entry;
    if (new == NULL)
        return NULL;
    *new = (struct guard){.write_fd = -1};
    while (open_now != NULL && (entry = readdir(open_now)) != NULL) {
        char *end;
        const long fd = strtol(entry->d_name, &end, 10);
        if (end == entry->d_name || fd == dirfd(open_now))
            continue;
        if (new->foreign_count == room) {
            struct guard *larger = realloc(new, sizeof *new + 2 * room * sizeof new->foreign[0]);
            if (larger == NULL)
                break; /* it keeps some more of them: no harm but a late end of a connection */
            new = larger;
            room *= 2;
        }
        new->foreign[new->foreign_count++] = (int)fd;
    }
    if (open_now != NULL)
        closedir(open_now);
    return new;
}

/* The child: system calls only, since another thread may have held any lock at the fork. */
static _Noreturn void stand(const struct guard *guard, int pipe_fd, int parent_fd,
                            const struct io_driver *driver, void *state, int priority)
{
    const struct sched_param parameter = {.sched_priority = priority};
    struct pollfd ends[] = {{.fd = pipe_fd, .events = POLLIN}, {.fd = parent_fd, .events = POLLIN}};
    for (size_t i = 0; i < guard->foreign_count; i++)
        close(guard->foreign[i]);
    close(guard->write_fd);
    prctl(PR_SET_NAME, "plc-guard");
    setsid();
    if (priority > 0)
        syscall(SYS_sched_setscheduler, 0, SCHED_FIFO | SCHED_RESET_ON_FORK, &parameter);
    while (poll(ends, sizeof ends / sizeof ends[0], -1) < 0)
        ; /* EINTR: it was stopped and goes on */
    driver->safe(state);
    _exit(0);
}

static int parent_descriptor(void)
{
#ifdef SYS_pidfd_open
    return (int)syscall(SYS_pidfd_open, getpid(), 0);
#else
    return -1; /* the pipe alone, as on a kernel before 5.3 */
#endif
}

int guard_start(struct guard *guard, const struct io_driver *driver, void *state, int priority)
{
    sigset_t all;
    sigset_t before;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    guard->write_fd = ends[1];
    const int parent_fd = parent_descriptor();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the child has no moment without */
    const pid_t pid = fork();
    if (pid == 0)
        stand(guard, ends[0], parent_fd, driver, state, priority);
    const int error = pid < 0 ? -errno : 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(ends[0]);
    if (parent_fd >= 0)
        close(parent_fd);
    guard->pid = error == 0 ? pid : 0;
    return error;
}

static bool has_left(struct guard *guard)
{
    if (guard->pid == 0)
        return true;
    const pid_t left = waitpid(guard->pid, NULL, WNOHANG);
    if (left == guard->pid || (left < 0 && errno == ECHILD)) /* ECHILD: somebody else asked */
        guard->pid = 0;
    return guard->pid == 0;
}

bool guard_stands(struct guard *guard)
{
    return !has_left(guard);
}

void guard_stop(struct guard *guard)
{
    const struct timespec step = {.tv_nsec = POLL_NS};
    int64_t left_ns = LEAVE_NS;
    if (guard == NULL)
        return;
    if (guard->write_fd >= 0)
        close(guard->write_fd);
    while (!has_left(guard)) {
        if (left_ns == 0)
            kill(guard->pid, SIGKILL);
        left_ns -= POLL_NS;
        nanosleep(&step, NULL);
    }
    free(guard);
}
