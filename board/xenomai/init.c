/* SPDX-License-Identifier: MIT */
/* init.c - bring Xenomai up inside a Python process without letting it end that process.
 *
 * Any failure inside xenomai_init ends in exit(1), or in an assertion. So the known causes are
 * checked first, each with a sentence that names the remedy, and then the call is tried in a
 * child process: whatever it says there before it dies becomes the sentence for the rest
 * (a library of another ABI than the core, a core that is stopped, no memory).
 */
#define _GNU_SOURCE
#include "xenomai.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xenomai/init.h>

#define TRIAL_SECONDS 10

const char *platform_name(void)
{
    return XENOMAI_COBALT ? "cobalt" : "mercury";
}

__attribute__((format(printf, 4, 5))) static int refuse(char *why, size_t why_size, int error,
                                                        const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(why, why_size, format, list);
    va_end(list);
    return error;
}

/* --no-registry: no daemon and file system for object names. --no-mlock (Mercury only; Cobalt
 * has no such option): platform_lock_memory locks less and works without the privilege. No
 * --cpu-affinity: it pins the whole process, Python included. */
static void initialise(void)
{
    static char *arguments[] = {"plc", "--no-registry", XENOMAI_COBALT ? NULL : "--no-mlock", NULL};
    int count = XENOMAI_COBALT ? 2 : 3;
    char *const *vector = arguments;
    xenomai_init(&count, &vector);
}

#if XENOMAI_COBALT
static int check_core(char *why, size_t why_size)
{
    char line[128];
    bool watched = false;
    FILE *clock;
    if (access("/proc/xenomai/version", R_OK) != 0)
        return refuse(why, why_size, -ENODEV,
                      "this kernel has no Cobalt core (/proc/xenomai/version is missing): boot a "
                      "Xenomai kernel, or install the build for the POSIX backend");
    if (access("/dev/rtdm/memdev-private", R_OK | W_OK) != 0)
        return refuse(why, why_size, -EACCES,
                      "/dev/rtdm/memdev-private cannot be opened: run as root, or set Cobalt's "
                      "allowed_group and the device's group");
    clock = fopen("/proc/xenomai/clock/coreclk", "re");
    while (clock != NULL && fgets(line, sizeof line, clock) != NULL)
        watched = watched || strstr(line, "watchdog: on") != NULL;
    if (clock != NULL)
        fclose(clock);
    if (!watched)
        return refuse(why, why_size, -ENOTSUP,
                      "Cobalt's watchdog is off: an endless loop in a program would hang the "
                      "board. Use a kernel with CONFIG_XENO_OPT_WATCHDOG");
    return 0;
}
#else
static int check_core(char *why, size_t why_size)
{
    (void)why;
    (void)why_size;
    return 0;
}
#endif

static int check_process(char *why, size_t why_size)
{
    static const char *const variables[] = {"XENO_CPU_AFFINITY", "XENO_SESSION_NAME"};
    if (gettid() != getpid())
        return refuse(why, why_size, -EPERM,
                      "Xenomai must be initialised on the main thread of the process");
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        if (getenv(variables[i]) != NULL)
            return refuse(why, why_size, -EINVAL,
                          "unset %s: it would apply to the whole process (the CPU of a task "
                          "comes from the profile)",
                          variables[i]);
    if (getpwuid(geteuid()) == NULL)
        return refuse(why, why_size, -ENOENT, "user %u has no passwd entry, which Xenomai needs",
                      (unsigned)geteuid());
    /* Kept open: a thread that ends needs it, and must not load it then. */
    if (dlopen("libgcc_s.so.1", RTLD_NOW) == NULL)
        return refuse(why, why_size, -ENOENT, "libgcc_s.so.1 is missing: install libgcc-s1");
    return 0;
}

/* What the child said on stderr, in one line. */
static void tidy(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        const char c = (*from < ' ' || *from > '~') ? ' ' : *from;
        if (c != ' ' || (to > text && to[-1] != ' '))
            *to++ = c;
    }
    while (to > text && to[-1] == ' ')
        to--;
    *to = '\0';
}

static int try_in_child(char *why, size_t why_size)
{
    char said[512] = "";
    size_t length = 0;
    ssize_t got;
    int status = 0;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return refuse(why, why_size, -EMFILE, "no pipe: %s", strerror(errno));
    fflush(NULL); /* the child ends through exit when it fails, and would write it again */
    const pid_t child = fork();
    if (child < 0) {
        const int error = -errno;
        close(ends[0]);
        close(ends[1]);
        return refuse(why, why_size, error, "fork: %s", strerror(-error));
    }
    if (child == 0) {
        alarm(TRIAL_SECONDS);
        dup2(ends[1], STDERR_FILENO);
        initialise();
        _exit(0);
    }
    close(ends[1]);
    while ((got = read(ends[0], said + length, sizeof said - 1 - length)) > 0 ||
           (got < 0 && errno == EINTR))
        length += got > 0 ? (size_t)got : 0;
    close(ends[0]);
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return 0; /* SIGCHLD is ignored: the outcome is not to be had */
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    tidy(said);
    const char *reason = strstr(said, "] "); /* after a time stamp and the thread name */
    return refuse(why, why_size, -EIO, "Xenomai does not start here: %s",
                  reason != NULL ? reason + 2 : said);
}

/* Without CONFIG_XENO_OPT_STATS there is neither this file nor a counter that moves. */
bool xenomai_counts_switches(void)
{
    return XENOMAI_COBALT && access("/proc/xenomai/sched/stat", F_OK) == 0;
}

int platform_init(char *why, size_t why_size)
{
    static bool done;
    int error;
    if (why_size > 0)
        why[0] = '\0';
    if (done)
        return 0;
    error = check_process(why, why_size);
    if (error == 0)
        error = check_core(why, why_size);
#ifndef CONFIG_XENO_PSHARED /* a child would leave its shared heap behind */
    if (error == 0)
        error = try_in_child(why, why_size);
#endif
    if (error != 0)
        return error;
    initialise();
    done = true;
    return 0;
}
