/* SPDX-License-Identifier: MIT */
/* The drivers, and both sides of the simulated plant: within this process, against a process
 * that was killed, and at the memory itself with two threads. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "io/sim_segment.h"
#include "seqlock.h"

static char name[32]; /* of this process: test runs do not meet */
static char path[64];
static char why[200];

static void *open_board(void)
{
    void *state;
    CHECK_EQ(io_sim.open(&state, name, why, sizeof why), 0);
    return state;
}

static struct sim_plant *open_plant(void)
{
    struct sim_plant *plant;
    CHECK_EQ(sim_attach(&plant, name), 0);
    return plant;
}

static bool exists(void)
{
    int fd = shm_open(path, O_RDONLY, 0);
    if (fd != -1)
        close(fd);
    return fd != -1;
}

/* A failed check ends the program with the segment still there. */
static void clean_up(void)
{
    shm_unlink(path);
}

static void finds_drivers(void)
{
    const char *argument;
    CHECK(io_find("none", &argument) == &io_none);
    CHECK_EQ(argument[0], '\0');
    CHECK(io_find("sim:tank", &argument) == &io_sim);
    CHECK_EQ(strcmp(argument, "tank"), 0);
    CHECK(io_find("sim:", &argument) == &io_sim);
    CHECK_EQ(argument[0], '\0');
    CHECK(io_find("", &argument) == NULL);
    CHECK(io_find("si", &argument) == NULL);
    CHECK(io_find("simulator:x", &argument) == NULL);
    CHECK(io_find("SIM:x", &argument) == NULL);
    CHECK(strstr(io_names(), "sim:NAME") != NULL);
}

static void none_does_nothing(void)
{
    void *state;
    uint8_t area[IO_AREA_BYTES] = {1, 2, 3}, before[IO_AREA_BYTES] = {1, 2, 3};
    CHECK(io_none.rt_safe);
    CHECK_EQ(io_none.open(&state, "x", why, sizeof why), -EINVAL);
    CHECK(strstr(why, "\"x\"") != NULL);
    CHECK_EQ(io_none.open(&state, "", why, sizeof why), 0);
    CHECK(!io_none.read(state, area, 0));
    io_none.write(state, area, 1);
    io_none.safe(state);
    CHECK_BYTES(area, before, sizeof area);
    io_none.close(state);
}

static void refuses_bad_names(void)
{
    static const char *const bad[] = {
        "",         "/",
        "..",       "a/b",
        "a b",      "a.b",
        "\xC3\xA9", "a2345678901234567890123456789012345678901234567890123456789012345",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        void *state = why;
        struct sim_plant *plant;
        CHECK_EQ(io_sim.open(&state, bad[i], why, sizeof why), -EINVAL);
        CHECK(state == NULL);
        CHECK(strstr(why, "sim:NAME") != NULL);
        CHECK_EQ(sim_attach(&plant, bad[i]), -EINVAL);
    }
    io_sim.close(NULL);
    sim_detach(NULL);
}

static void moves_data_both_ways(void)
{
    struct sim_plant *plant;
    uint8_t area[IO_AREA_BYTES] = {0}, got[IO_AREA_BYTES];
    uint32_t tick = 99;
    CHECK_EQ(sim_attach(&plant, name), -ENOENT);
    void *board = open_board();
    plant = open_plant();
    CHECK(sim_board_open(plant));
    CHECK(io_sim.read(board, area, 0));
    CHECK_EQ(area[0], 0);
    CHECK_EQ(sim_write_inputs(plant, 3, (const uint8_t *)"\x0A\x0B", 2), 0);
    CHECK_EQ(sim_write_inputs(plant, 1023, (const uint8_t *)"\x0C", 1), 0);
    CHECK(io_sim.read(board, area, 0));
    CHECK_BYTES(area, "\0\0\0\x0A\x0B\0", 6);
    CHECK_EQ(area[1023], 0x0C);
    memset(area, 0x5A, sizeof area);
    io_sim.write(board, area, 41);
    CHECK_EQ(sim_read_outputs(plant, 0, got, IO_AREA_BYTES, &tick), 0);
    CHECK_BYTES(got, area, sizeof got);
    CHECK_EQ(tick, 41);
    CHECK_EQ(sim_read_outputs(plant, 1000, got, 1, NULL), 0);
    io_sim.safe(board);
    CHECK_EQ(sim_read_outputs(plant, 0, got, IO_AREA_BYTES, &tick), 0);
    CHECK_EQ(got[0] | got[1023], 0);
    sim_detach(plant);
    CHECK(exists());
    io_sim.close(board);
    CHECK(!exists());
}

static void checks_ranges(void)
{
    void *board = open_board();
    struct sim_plant *plant = open_plant();
    uint8_t byte[8] = {0};
    static const struct {
        uint32_t offset, size;
        int error;
    } cases[] = {{0, 0, 0},
                 {1024, 0, 0},
                 {1023, 1, 0},
                 {1023, 2, -ERANGE},
                 {1025, 0, -ERANGE},
                 {UINT32_MAX, 1, -ERANGE},
                 {1, UINT32_MAX, -ERANGE}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_EQ(sim_write_inputs(plant, cases[i].offset, byte, cases[i].size), cases[i].error);
        CHECK_EQ(sim_read_outputs(plant, cases[i].offset, byte, cases[i].size, NULL),
                 cases[i].error);
    }
    sim_detach(plant);
    io_sim.close(board);
}

static void has_the_documented_layout(void)
{
    void *board = open_board();
    struct sim_plant *plant = open_plant();
    uint8_t area[IO_AREA_BYTES] = {0x11, 0x22};
    io_sim.write(board, area, 0x01020304);
    CHECK_EQ(sim_write_inputs(plant, 0, (const uint8_t *)"\x33\x44", 2), 0);
    int fd = shm_open(path, O_RDONLY, 0);
    struct stat file;
    CHECK(fd != -1 && fstat(fd, &file) == 0);
    CHECK_EQ(file.st_size, 2304);
    CHECK_EQ(file.st_mode & 0777, 0600);
    const uint32_t *words = mmap(NULL, 2304, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(words != MAP_FAILED);
    CHECK_BYTES(words, "RSIM", 4);
    static const uint32_t header[] = {1, 256, 1024, 1280, 1024};
    CHECK_BYTES(words + 1, header, sizeof header);
    CHECK(words[16] % 2 == 0 && words[16] > 0);
    CHECK(words[32] % 2 == 0 && words[32] > 0);
    CHECK_EQ(words[33], 0x01020304);
    CHECK_BYTES((const uint8_t *)words + 256, "\x33\x44", 2);
    CHECK_BYTES((const uint8_t *)words + 1280, "\x11\x22", 2);
    munmap((void *)(uintptr_t)words, 2304);
    close(fd);
    sim_detach(plant);
    io_sim.close(board);
}

static void allows_one_of_each(void)
{
    void *board = open_board(), *second;
    struct sim_plant *plant = open_plant(), *other;
    CHECK_EQ(io_sim.open(&second, name, why, sizeof why), -EBUSY);
    CHECK(strstr(why, "another runtime") != NULL);
    CHECK_EQ(sim_attach(&other, name), -EBUSY);
    sim_detach(plant);
    plant = open_plant();
    io_sim.close(board);
    CHECK(!sim_board_open(plant));
    CHECK(exists()); /* for the plant */
    sim_detach(plant);
    CHECK(!exists());
}

/* The board restarts under an attached plant. */
static void plant_outlives_the_board(void)
{
    void *board = open_board();
    struct sim_plant *plant = open_plant();
    uint8_t area[IO_AREA_BYTES] = {0}, got[2];
    uint32_t tick;
    area[0] = 7;
    io_sim.write(board, area, 5);
    io_sim.close(board);
    CHECK_EQ(sim_read_outputs(plant, 0, got, 1, &tick), 0);
    CHECK_EQ(got[0], 0); /* left safe */
    CHECK_EQ(sim_write_inputs(plant, 0, (const uint8_t *)"\x21", 1), 0);
    board = open_board();
    CHECK(sim_board_open(plant));
    CHECK(io_sim.read(board, area, 0));
    CHECK_EQ(area[0], 0x21); /* the plant's word counts */
    area[0] = 9;
    io_sim.write(board, area, 6);
    CHECK_EQ(sim_read_outputs(plant, 0, got, 1, &tick), 0);
    CHECK_EQ(got[0], 9);
    sim_detach(plant);
    io_sim.close(board);
}

/* Run `body` in a child that is killed at its end: nothing of it is closed in order. */
static void in_killed_child(void (*body)(void))
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        body();
        raise(SIGKILL);
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void crash_both(void)
{
    struct sim_segment board, plant;
    uint8_t area[IO_AREA_BYTES];
    memset(area, 0xEE, sizeof area);
    CHECK_EQ(sim_segment_open(&board, name, SIM_BOARD), 0);
    CHECK_EQ(sim_segment_open(&plant, name, SIM_PLANT), 0);
    sim_put_inputs(plant.layout, 0, area, IO_AREA_BYTES);
    sim_put_outputs(board.layout, area, 1);
    seqlock_write_begin(&board.layout->output_sequence); /* and die in the middle */
    seqlock_write_begin(&plant.layout->input_sequence);
}

static void reuses_what_a_crash_left(void)
{
    uint8_t area[IO_AREA_BYTES];
    uint32_t tick;
    in_killed_child(crash_both);
    CHECK(exists());
    struct sim_plant *plant = open_plant(); /* before the board is back */
    CHECK(!sim_board_open(plant));
    CHECK_EQ(sim_read_outputs(plant, 0, area, 1, &tick), -EAGAIN);
    void *board = open_board();
    CHECK_EQ(sim_read_outputs(plant, 0, area, 1, &tick), 0);
    CHECK_EQ(area[0], 0);
    CHECK(io_sim.read(board, area, 0));
    CHECK_EQ(area[0] | area[1023], 0);
    sim_detach(plant);
    io_sim.close(board);
    CHECK(!exists());
    in_killed_child(crash_both);
    board = open_board(); /* without any plant: old inputs are not taken for new ones */
    CHECK(io_sim.read(board, area, 0));
    CHECK_EQ(area[0] | area[1023], 0);
    io_sim.close(board);
    CHECK(!exists());
}

static void make_foreign(const void *bytes, size_t size)
{
    int fd = shm_open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(fd != -1);
    CHECK_EQ(write(fd, bytes, size), size);
    close(fd);
}

static void replaces_what_is_not_ours(void)
{
    static const uint8_t zeros[2304];
    static const size_t sizes[] = {1, 2303, 2304};
    struct sim_plant *plant;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        make_foreign(zeros, sizes[i]);
        CHECK_EQ(sim_attach(&plant, name), -EPROTO);
        void *board = open_board();
        plant = open_plant();
        sim_detach(plant);
        io_sim.close(board);
        CHECK(!exists());
    }
    make_foreign(zeros, 0); /* a board that died right after making it */
    CHECK_EQ(sim_attach(&plant, name), -ENOENT);
    void *board = open_board();
    io_sim.close(board);
    CHECK(!exists());
}

static void keeps_inputs_while_the_plant_writes(void)
{
    struct sim_segment plant;
    void *board = open_board();
    uint8_t area[IO_AREA_BYTES];
    CHECK_EQ(sim_segment_open(&plant, name, SIM_PLANT), 0);
    memset(area, 0x31, sizeof area);
    seqlock_write_begin(&plant.layout->input_sequence);
    CHECK(!io_sim.read(board, area, 0)); /* one attempt, no wait */
    CHECK_EQ(area[0], 0x31);
    seqlock_write_end(&plant.layout->input_sequence);
    CHECK(io_sim.read(board, area, 0));
    CHECK_EQ(area[0], 0);
    sim_segment_close(&plant);
    io_sim.close(board);
}

static void *step_three(void *argument)
{
    CHECK_EQ(sim_step(argument, 3, INT64_C(60000000000)), 0);
    return NULL;
}

static void runs_in_lockstep(void)
{
    void *board = open_board();
    struct sim_plant *plant;
    uint8_t area[IO_AREA_BYTES] = {0};
    uint32_t tick;
    CHECK_EQ(sim_attach(&plant, name), 0);
    CHECK_EQ(sim_step(plant, 1, 0), -ENOTSUP);
    io_sim.close(board);
    CHECK(io_sim.await == NULL);
    CHECK_EQ(io_lockstep.open(&board, name, why, sizeof why), 0);
    for (uint32_t round = 0; round < 200; round++) {
        pthread_t thread = spawn(step_three, plant);
        for (uint32_t i = 0; i < 3; i++) {
            while (io_lockstep.await(board) != 0)
                ;
            io_lockstep.write(board, area, round * 3 + i);
        }
        join(thread);
        CHECK_EQ(sim_read_outputs(plant, 0, area, 1, &tick), 0);
        CHECK_EQ(tick, round * 3 + 2);
    }
    CHECK_EQ(sim_step(plant, 2, 0), -ETIMEDOUT);
    CHECK_EQ(sim_step(plant, 0, 0), -ETIMEDOUT); /* they stay allowed, also for the next board */
    io_lockstep.close(board);
    CHECK_EQ(io_lockstep.open(&board, name, why, sizeof why), 0);
    CHECK_EQ(io_lockstep.await(board), 0);
    io_lockstep.write(board, area, 0);
    CHECK_EQ(io_lockstep.await(board), 0);
    io_lockstep.write(board, area, 1);
    CHECK_EQ(sim_step(plant, 0, 0), 0);
    sim_detach(plant);
    io_lockstep.close(board);
}

/* Plant and board at the same memory: no mixture is ever seen. */
#define STRESS_WRITES 4000u

static struct sim_layout layout;
static atomic_bool stop;

static void *plant_thread(void *argument)
{
    uint32_t tick, *seen = argument;
    uint8_t area[IO_AREA_BYTES];
    for (uint32_t i = 0; !atomic_load(&stop); i++) {
        memset(area, (int)(i & 0xFF), sizeof area);
        sim_put_inputs(&layout, 0, area, IO_AREA_BYTES);
        if (sim_get_outputs(&layout, area, &tick)) {
            for (uint32_t at = 0; at < IO_AREA_BYTES; at++)
                CHECK_EQ(area[at], tick & 0xFF);
            (*seen)++;
        }
        sched_yield();
    }
    return NULL;
}

static void never_mixes(void)
{
    uint8_t area[IO_AREA_BYTES];
    uint32_t seen = 0, plant_seen = 0;
    pthread_t plant = spawn(plant_thread, &plant_seen);
    for (uint32_t tick = 0; tick < STRESS_WRITES || seen == 0; tick++) {
        memset(area, (int)(tick & 0xFF), sizeof area);
        sim_put_outputs(&layout, area, tick);
        if (sim_get_inputs(&layout, area)) {
            for (uint32_t at = 1; at < IO_AREA_BYTES; at++)
                CHECK_EQ(area[at], area[0]);
            seen++;
        }
        if (tick % 4 == 0)
            sched_yield();
    }
    atomic_store(&stop, true);
    join(plant);
    CHECK(plant_seen > 0);
}

int main(void)
{
    snprintf(name, sizeof name, "test-%d", (int)getpid());
    snprintf(path, sizeof path, "/serial-runtime.%s", name);
    CHECK_EQ(atexit(clean_up), 0);
    RUN(finds_drivers);
    RUN(none_does_nothing);
    RUN(refuses_bad_names);
    RUN(moves_data_both_ways);
    RUN(checks_ranges);
    RUN(has_the_documented_layout);
    RUN(allows_one_of_each);
    RUN(plant_outlives_the_board);
    RUN(reuses_what_a_crash_left);
    RUN(replaces_what_is_not_ours);
    RUN(keeps_inputs_while_the_plant_writes);
    RUN(runs_in_lockstep);
    RUN(never_mixes);
    return 0;
}
