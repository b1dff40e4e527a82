/* SPDX-License-Identifier: MIT */
/* The GPIO driver against a kernel that is made up here. What it is told is compared with the
 * kernel's interface as numbers and offsets written down from its documentation, not by the
 * header that the driver itself uses. */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "io/gpio.h"
#include "io/set.h"

enum { GET_LINE = 0xC250B407, GET_VALUES = 0xC010B40E, SET_VALUES = 0xC010B40F };
#define GET_INFO 0xC100B405ul
enum { CHIP_FD = 40, FIRST_FD = 50, REQUESTS = 8 };

struct kernel {
    int open_error, request_error, values_error;
    bool line_used;
    int chips_open, request_count;
    uint8_t requests[REQUESTS][592];
    bool closed[REQUESTS];
    _Atomic uint64_t levels[REQUESTS]; /* inputs: read from here; outputs: written here */
    _Atomic int sets;
    uint32_t event_count;
    uint8_t events[2048][48];
    uint32_t events_read;
};

/* Shared with a child, as the real one is. */
static struct kernel *shared_kernel;
#define kernel (*shared_kernel)

static uint32_t u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint64_t u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static int fake_open(const char *path)
{
    CHECK_EQ(strcmp(path, "/dev/gpiochip7"), 0);
    if (kernel.open_error != 0)
        return kernel.open_error;
    kernel.chips_open++;
    return CHIP_FD;
}

static void fake_close(int fd)
{
    if (fd == CHIP_FD)
        kernel.chips_open--;
    else
        kernel.closed[fd - FIRST_FD] = true;
}

static int request_lines(uint8_t *request)
{
    if (kernel.request_error != 0)
        return kernel.request_error;
    CHECK(kernel.request_count < REQUESTS);
    const int fd = FIRST_FD + kernel.request_count;
    memcpy(kernel.requests[kernel.request_count++], request, 592);
    memcpy(request + 588, &fd, sizeof fd);
    return 0;
}

static int fake_ioctl(int fd, unsigned long request, void *argument)
{
    uint8_t *bytes = argument;
    if (fd == CHIP_FD && request == GET_LINE)
        return request_lines(bytes);
    if (fd == CHIP_FD && request == GET_INFO) {
        const uint64_t flags = kernel.line_used;
        CHECK_EQ(u32(bytes + 64), 17);
        memcpy(bytes + 32, "heartbeat", 10);
        memcpy(bytes + 72, &flags, sizeof flags);
        return 0;
    }
    const int index = fd - FIRST_FD;
    CHECK(index >= 0 && index < kernel.request_count && !kernel.closed[index]);
    if (kernel.values_error != 0)
        return kernel.values_error;
    const uint64_t mask = u64(bytes + 8);
    uint64_t levels = atomic_load(&kernel.levels[index]);
    if (request == GET_VALUES) {
        levels &= mask;
        memcpy(bytes, &levels, sizeof levels);
    } else {
        CHECK_EQ((uint32_t)request, (uint32_t)SET_VALUES);
        atomic_store(&kernel.levels[index], (levels & ~mask) | (u64(bytes) & mask));
        atomic_fetch_add(&kernel.sets, 1);
    }
    return 0;
}

static bool fake_readable(int fd)
{
    (void)fd;
    return kernel.events_read < kernel.event_count;
}

static int fake_read(int fd, void *to, size_t size)
{
    uint32_t count = 0;
    (void)fd;
    for (; count < size / 48 && kernel.events_read < kernel.event_count; count++)
        memcpy((uint8_t *)to + count * 48, kernel.events[kernel.events_read++], 48);
    return (int)(count * 48);
}

static const struct gpio_calls fake = {fake_open, fake_ioctl, fake_readable, fake_read, fake_close};

static void edge(uint32_t line, uint32_t line_seqno)
{
    uint8_t *event = kernel.events[kernel.event_count++];
    memcpy(event + 12, &line, sizeof line);
    memcpy(event + 20, &line_seqno, sizeof line_seqno);
}

/* ---- a board: two inputs, one of them counted, and two outputs, the second safe when on ------ */

static uint8_t inputs_mask[IO_AREA_BYTES], outputs_mask[IO_AREA_BYTES], quality[IO_AREA_BYTES],
    lost[IO_AREA_BYTES], safe[IO_AREA_BYTES];
static const struct io_gpio_line lines[] = {
    {.line = 17,
     .use = IO_GPIO_PULL_UP | IO_GPIO_ACTIVE_LOW | IO_GPIO_RISING,
     .debounce_us = 5000,
     .value_byte = 0,
     .value_mask = 0x01,
     .count_bytes = 2,
     .count_byte = 8},
    {.line = 18, .use = 0, .value_byte = 0, .value_mask = 0x02},
    {.line = 22, .use = IO_GPIO_OUTPUT, .value_byte = 1, .value_mask = 0x01},
    {.line = 23, .use = IO_GPIO_OUTPUT, .value_byte = 1, .value_mask = 0x80},
};
static const struct io_gpio_options options = {.chip = "/dev/gpiochip7",
                                               .lines = lines,
                                               .line_count = 4,
                                               .poll_ns = 1000000,
                                               .quality = quality,
                                               .lost = lost,
                                               .safe = safe};
static struct io_part *part;
static struct gpio *gpio;
static uint8_t image[IO_AREA_BYTES];

static void set_up(void)
{
    const struct io_part_masks masks = {inputs_mask, outputs_mask, lost, safe, INT64_MAX};
    memset(&kernel, 0, sizeof kernel);
    memset(image, 0, sizeof image);
    inputs_mask[0] = 3;
    inputs_mask[8] = inputs_mask[9] = 0xFF;
    inputs_mask[20] = quality[20] = 0x10;
    lost[20] = 0x10;
    lost[0] = 0x02; /* line 18 is 0 on loss, line 17 keeps its value */
    outputs_mask[1] = 0x81;
    safe[1] = 0x80;
    CHECK_EQ(io_part_create(&part, &masks, NULL), 0);
}

static void make(void)
{
    CHECK_EQ(gpio_create(&gpio, &options, &fake, part), 0);
}

static void tear_down(void)
{
    gpio_close(gpio);
    io_part_destroy(part);
    CHECK_EQ(kernel.chips_open, 0);
    for (int i = 0; i < kernel.request_count; i++)
        CHECK(kernel.closed[i]);
}

static const uint8_t *round_at(int64_t now_ns)
{
    gpio_round(gpio, now_ns);
    io_part_load(part, image, now_ns);
    return image;
}

static struct io_gpio_report report(void)
{
    struct io_gpio_report found;
    gpio_report(gpio, &found);
    return found;
}

static void requests_are_the_kernels_structures(void)
{
    set_up();
    make();
    CHECK_EQ(kernel.request_count, 3);
    uint8_t expected[592] = {17};
    const struct {
        uint16_t at;
        uint64_t value;
    } counted[] = {{288, 1 << 2 | 1 << 1 | 1 << 4 | 1 << 8}, /* input, active low, rising, up */
                   {296, 1},                                 /* one attribute: */
                   {320, 3},                                 /* the debounce time */
                   {328, 5000},
                   {336, 1}, /* of line number 0 of the request */
                   {560, 1 | UINT64_C(1024) << 32}};
    memcpy(expected + 256, "serial-runtime", 14);
    for (size_t i = 0; i < sizeof counted / sizeof counted[0]; i++)
        memcpy(expected + counted[i].at, &counted[i].value, 8);
    CHECK_BYTES(kernel.requests[0], expected, sizeof expected);

    uint8_t plain[592] = {18};
    memcpy(plain + 256, "serial-runtime", 14);
    plain[288] = 1 << 2;
    plain[560] = 1;
    CHECK_BYTES(kernel.requests[1], plain, sizeof plain);

    uint8_t outputs[592] = {22, 0, 0, 0, 23};
    memcpy(outputs + 256, "serial-runtime", 14);
    outputs[288] = 1 << 3;
    outputs[296] = 1;
    outputs[320] = 2; /* output values: line 23 begins with its safe value */
    outputs[328] = 2;
    outputs[336] = 3;
    outputs[560] = 2;
    CHECK_BYTES(kernel.requests[2], outputs, sizeof outputs);
    tear_down();
}

static void inputs_edges_and_quality_arrive(void)
{
    set_up();
    make();
    kernel.levels[0] = 1;
    edge(17, 1);
    edge(17, 2);
    CHECK_EQ(round_at(1)[0], 0x01);
    CHECK_EQ(image[8], 2);
    CHECK_EQ(image[20], 0x10);
    kernel.levels[0] = 0;
    kernel.levels[1] = 1;
    edge(99, 1);   /* no line of ours */
    edge(17, 302); /* 299 did not fit the kernel's buffer */
    CHECK_EQ(round_at(2)[0], 0x02);
    CHECK_EQ(image[8], 302 & 0xFF);
    CHECK_EQ(image[9], 302 >> 8);
    for (uint32_t i = 303; i < 303 + 1500; i++)
        edge(17, i);
    CHECK_EQ(u32(round_at(3) + 8) & 0xFFFF, 302 + 1024); /* the rest waits for the next round */
    CHECK_EQ(u32(round_at(4) + 8) & 0xFFFF, 302 + 1500);
    tear_down();
}

static void outputs_go_out_when_they_change(void)
{
    const uint8_t on[IO_AREA_BYTES] = {0, 0x01}, off[IO_AREA_BYTES] = {0};
    set_up();
    make();
    (void)round_at(1);
    CHECK_EQ(kernel.sets, 0); /* the request has brought the safe values */
    io_part_begin(part);
    (void)round_at(2);
    CHECK_EQ(kernel.sets, 0);
    io_part_store(part, on);
    (void)round_at(3);
    CHECK_EQ(kernel.sets, 1);
    CHECK_EQ(kernel.levels[2], 1);
    (void)round_at(4);
    CHECK_EQ(kernel.sets, 1);
    io_part_store(part, off);
    (void)round_at(5);
    CHECK_EQ(kernel.levels[2], 0);
    io_part_store(part, on);
    (void)round_at(6);
    io_part_safe(part);
    gpio_safe(gpio); /* at once, whatever the thread does */
    CHECK_EQ(kernel.levels[2], 2);
    (void)round_at(7);
    CHECK_EQ(kernel.levels[2], 2);
    tear_down();
    CHECK_EQ(kernel.levels[2], 2);
}

#define SECOND INT64_C(1000000000)

static void a_failing_chip_is_tried_again(void)
{
    set_up();
    make();
    kernel.levels[0] = kernel.levels[1] = 1;
    edge(17, 5);
    CHECK_EQ(round_at(1)[0], 3);
    kernel.values_error = -EIO;
    CHECK_EQ(round_at(2)[0], 1); /* one is held, one is 0 */
    CHECK_EQ(image[20], 0);
    CHECK_EQ(image[8], 5);
    CHECK_EQ(report().error, -EIO);
    CHECK(strstr(report().text, "/dev/gpiochip7 failed: ") != NULL);
    CHECK_EQ(report().since_ns, 2);
    kernel.values_error = 0;
    CHECK_EQ(round_at(SECOND)[20], 0); /* not yet */
    CHECK_EQ(round_at(SECOND + 2)[20], 0x10);
    CHECK_EQ(image[0], 3);
    CHECK_EQ(kernel.request_count, 3); /* the old ones */
    CHECK_EQ(report().error, 0);
    CHECK_EQ(report().text[0], '\0');
    CHECK_EQ(report().since_ns, SECOND + 2);
    tear_down();
}

static void a_chip_that_went_is_opened_anew(void)
{
    set_up();
    make();
    edge(17, 5);
    (void)round_at(1);
    kernel.values_error = -ENODEV;
    CHECK_EQ(round_at(2)[20], 0);
    CHECK(kernel.closed[0] && kernel.closed[1] && kernel.closed[2]);
    kernel.values_error = 0;
    kernel.open_error = -ENOENT;
    CHECK_EQ(round_at(SECOND + 2)[20], 0);
    CHECK_EQ(report().error, -ENOENT);
    CHECK_EQ(report().since_ns, 2); /* bad for that long, whatever the reason is now */
    CHECK(gpio_guarded(gpio));
    kernel.open_error = 0;
    kernel.levels[3] = 1;
    edge(17, 1); /* of the new request, which counts from 1 */
    CHECK_EQ(round_at(2 * SECOND + 2)[20], 0x10);
    CHECK_EQ(image[0], 1);
    CHECK_EQ(image[8], 6);
    CHECK(!gpio_guarded(gpio)); /* the outputs are another request than the guard has */
    tear_down();
}

static void a_missing_chip_is_no_error(void)
{
    set_up();
    kernel.open_error = -ENOENT;
    make();
    CHECK_EQ(report().error, -ENOENT);
    CHECK(strstr(report().text, "/dev/gpiochip7 cannot be opened: No such file") != NULL);
    CHECK_EQ(round_at(1)[20], 0);
    gpio_safe(gpio);
    CHECK(gpio_guarded(gpio)); /* nothing is driven yet */
    kernel.open_error = 0;
    (void)round_at(INT64_MAX / 2); /* gpio_create looked at the clock */
    CHECK(!gpio_guarded(gpio));
    tear_down();
}

static void who_has_a_line_is_named(void)
{
    set_up();
    kernel.request_error = -EINVAL;
    make();
    CHECK(strstr(report().text, "/dev/gpiochip7 refuses lines 17: ") != NULL);
    gpio_close(gpio);
    kernel.line_used = true;
    make();
    CHECK_EQ(strcmp(report().text, "line 17 of /dev/gpiochip7 is in use by \"heartbeat\""), 0);
    tear_down();
}

/* What the guard does: in a process with the memory of that moment, when the runtime is dead. */
static void a_forked_child_makes_safe(void)
{
    const uint8_t on[IO_AREA_BYTES] = {0, 0x01};
    struct io_set *set;
    set_up();
    make();
    CHECK_EQ(io_set_create(&set, &io_none, NULL, 1), 0);
    io_set_add(set, part, gpio_safe, gpio_close, gpio);
    const pid_t child = fork();
    if (child == 0) {
        while (atomic_load(&kernel.levels[2]) != 1)
            sched_yield();
        io_set.safe(set);
        _exit(0);
    }
    io_set.begin(set);
    io_set.write(set, on, 1);
    (void)round_at(1);
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_EQ(kernel.levels[2], 2);
    io_set.close(set);
}

static void too_many_lines_are_refused(void)
{
    struct io_gpio_options many = options;
    many.line_count = IO_GPIO_LINES_MAX + 1;
    set_up();
    CHECK_EQ(gpio_create(&gpio, &many, &fake, part), -EINVAL);
    CHECK(gpio == NULL);
    tear_down();
}

/* 70 inputs alike: 64 in one request, 6 in another. */
static void a_request_takes_64_lines(void)
{
    struct io_gpio_line many[70];
    struct io_gpio_options wide = options;
    for (uint32_t i = 0; i < 70; i++)
        many[i] = (struct io_gpio_line){
            .line = i, .value_byte = (uint16_t)(i / 8), .value_mask = (uint8_t)(1u << i % 8)};
    wide.lines = many;
    wide.line_count = 70;
    set_up();
    CHECK_EQ(gpio_create(&gpio, &wide, &fake, part), 0);
    CHECK_EQ(kernel.request_count, 2);
    CHECK_EQ(u32(kernel.requests[0] + 560), 64);
    CHECK_EQ(u32(kernel.requests[1] + 560), 6);
    kernel.levels[0] = UINT64_C(1) << 63;
    kernel.levels[1] = 1 << 5;
    gpio_round(gpio, 1);
    uint8_t seen[IO_AREA_BYTES], outputs[IO_AREA_BYTES];
    io_part_look(part, seen, outputs);
    CHECK_EQ(seen[7], 0x80);
    CHECK_EQ(seen[8], 0x20);
    tear_down();
}

/* Its own thread, while a cycle works with the part and everything is made safe beside it. */
static void the_thread_ends_with_safe_outputs(void)
{
    uint8_t outputs[IO_AREA_BYTES] = {0};
    struct io_gpio_options fast = options;
    fast.poll_ns = 10000;
    set_up();
    kernel.levels[0] = 1;
    CHECK_EQ(gpio_create(&gpio, &fast, &fake, part), 0);
    CHECK_EQ(gpio_start(gpio), 0);
    io_part_begin(part);
    for (uint32_t i = 0; atomic_load(&kernel.sets) < 100; i++) {
        outputs[1] = (uint8_t)(i & 1);
        io_part_store(part, outputs);
        io_part_load(part, image, 0);
        sched_yield();
    }
    while (image[0] != 1)
        io_part_load(part, image, 0);
    io_part_safe(part);
    gpio_safe(gpio);
    (void)report();
    tear_down();
    CHECK_EQ(kernel.levels[2], 2);
}

static void the_system_says_no_such_chip(void)
{
    struct io_gpio_options missing = options;
    missing.chip = "/dev/null/none";
    set_up();
    CHECK_EQ(gpio_create(&gpio, &missing, &gpio_system, part), 0);
    CHECK_EQ(report().error, -ENOTDIR);
    gpio_close(gpio);
    missing.chip = "/dev/null"; /* a device that is no chip */
    CHECK_EQ(gpio_create(&gpio, &missing, &gpio_system, part), 0);
    CHECK_EQ(report().error, -ENOTTY);
    CHECK(strstr(report().text, "/dev/null refuses lines 17") != NULL);
    tear_down();
}

int main(void)
{
    shared_kernel = mmap(NULL, sizeof *shared_kernel, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared_kernel != MAP_FAILED);
    RUN(requests_are_the_kernels_structures);
    RUN(inputs_edges_and_quality_arrive);
    RUN(outputs_go_out_when_they_change);
    RUN(a_failing_chip_is_tried_again);
    RUN(a_chip_that_went_is_opened_anew);
    RUN(a_missing_chip_is_no_error);
    RUN(who_has_a_line_is_named);
    RUN(a_forked_child_makes_safe);
    RUN(too_many_lines_are_refused);
    RUN(a_request_takes_64_lines);
    RUN(the_thread_ends_with_safe_outputs);
    RUN(the_system_says_no_such_chip);
    return 0;
}
