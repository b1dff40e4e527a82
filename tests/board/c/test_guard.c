/* SPDX-License-Identifier: MIT */
/* The guard as a process: what makes it act, what it keeps, and that it always leaves. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard.h"
#include "harness.h"

#define LIMIT_MS 15000

/* Shared with all processes of the test. */
struct outputs {
    _Atomic int safe; /* how often it was called */
    _Atomic int hangs;
    _Atomic int guard_pid;
};

static struct outputs *outputs;
static pid_t last_fork;

pid_t __real_fork(void);
pid_t __wrap_fork(void);

pid_t __wrap_fork(void)
{
    return last_fork = __real_fork();
}

static void make_safe(void *state)
{
    struct outputs *of = state;
    atomic_store(&of->guard_pid, (int)getpid());
    atomic_fetch_add(&of->safe, 1);
    while (atomic_load(&of->hangs) != 0)
        pause();
}

static const struct io_driver driver = {.name = "test", .rt_safe = true, .safe = make_safe};

static void forget(void)
{
    atomic_store(&outputs->safe, 0);
    atomic_store(&outputs->hangs, 0);
    atomic_store(&outputs->guard_pid, 0);
}

static struct guard *start(void)
{
    struct guard *guard = guard_prepare();
    CHECK(guard != NULL);
    CHECK_EQ(guard_start(guard, &driver, outputs, 0), 0);
    CHECK(guard_stands(guard));
    return guard;
}

static void wait_for(_Atomic int *value, int wanted)
{
    for (int i = 0; i < LIMIT_MS && atomic_load(value) != wanted; i++)
        poll(NULL, 0, 1);
    CHECK_EQ(atomic_load(value), wanted);
}

static void no_child_is_left(void)
{
    CHECK_EQ(waitpid(-1, NULL, WNOHANG), -1);
    CHECK_EQ(errno, ECHILD);
}

static void a_stopped_guard_makes_safe_and_leaves(void)
{
    forget();
    guard_stop(start());
    CHECK_EQ(outputs->safe, 1);
    CHECK(outputs->guard_pid != getpid());
    no_child_is_left();
    guard_stop(guard_prepare()); /* that never started */
    guard_stop(NULL);
}

static void a_hanging_driver_does_not_keep_it(void)
{
    forget();
    atomic_store(&outputs->hangs, 1);
    guard_stop(start());
    CHECK_EQ(outputs->safe, 1);
    no_child_is_left();
}

static void its_end_is_noticed(void)
{
    siginfo_t info;
    forget();
    struct guard *guard = start();
    const pid_t pid = last_fork;
    CHECK_EQ(kill(pid, SIGTERM), 0); /* blocked, as are all that can be */
    CHECK_EQ(kill(pid, SIGABRT), 0);
    CHECK(guard_stands(guard));
    CHECK_EQ(kill(pid, SIGKILL), 0);
    CHECK_EQ(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    CHECK(!guard_stands(guard));
    guard_stop(guard);
    CHECK_EQ(outputs->safe, 0);
    no_child_is_left();
}

/* A runtime in a process of its own, which ends as it is told. */
static pid_t runtime(void (*end)(void))
{
    const pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        (void)start();
        end();
        _exit(9);
    }
    return pid;
}

static void by_exit(void)
{
    _exit(0);
}

static void by_kill(void)
{
    kill(getpid(), SIGKILL);
}

/* Its child has the pipe, too, and lives on. */
static void with_a_child(void)
{
    if (fork() == 0) {
        for (;;)
            if (atomic_load(&outputs->safe) != 0)
                _exit(0);
    }
    kill(getpid(), SIGKILL);
}

static void by_execution(void)
{
    execl("/bin/sleep", "sleep", "20", (char *)NULL);
}

static void acts_when_the_runtime_dies(void)
{
    static void (*const ends[])(void) = {by_exit, by_kill, with_a_child};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        forget();
        CHECK_EQ(waitpid(runtime(ends[i]), NULL, 0) > 0, 1);
        wait_for(&outputs->safe, 1);
        CHECK(outputs->guard_pid != getpid());
    }
}

static void acts_when_the_runtime_executes_something_else(void)
{
    forget();
    const pid_t pid = runtime(by_execution);
    wait_for(&outputs->safe, 1);
    CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0); /* it lives */
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* What was open before the driver is not kept; what it opened is. */
static void keeps_the_drivers_descriptors_only(void)
{
    int before[2];
    int driver_ends[2];
    char byte;
    forget();
    CHECK_EQ(pipe(before), 0);
    struct guard *guard = guard_prepare();
    CHECK_EQ(pipe(driver_ends), 0);
    CHECK_EQ(guard_start(guard, &driver, outputs, 0), 0);
    close(before[1]);
    close(driver_ends[1]);
    CHECK_EQ(read(before[0], &byte, 1), 0); /* the end, once the guard has begun */
    CHECK_EQ(fcntl(driver_ends[0], F_SETFL, O_NONBLOCK), 0);
    CHECK_EQ(read(driver_ends[0], &byte, 1), -1);
    CHECK_EQ(errno, EAGAIN);
    guard_stop(guard);
    CHECK_EQ(read(driver_ends[0], &byte, 1), 0);
    close(before[0]);
    close(driver_ends[0]);
}

int main(void)
{
    outputs =
        mmap(NULL, sizeof *outputs, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(outputs != MAP_FAILED);
    RUN(a_stopped_guard_makes_safe_and_leaves);
    RUN(a_hanging_driver_does_not_keep_it);
    RUN(its_end_is_noticed);
    RUN(acts_when_the_runtime_dies);
    RUN(acts_when_the_runtime_executes_something_else);
    RUN(keeps_the_drivers_descriptors_only);
    return 0;
}
