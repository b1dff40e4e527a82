/* SPDX-License-Identifier: MIT */
/* Exactly what Python may call; the manual is shim.h, stats.h, log.h, force.h, eval.h, shared.h
 * io/sim.h and io/gpio.h. Read by cffi, which has the compiler compare every line with those
 * headers. */

enum board_state { BOARD_EMPTY, BOARD_STOPPED, BOARD_RUNNING, BOARD_FAULTED };

enum io_news { IO_OLD, IO_NEW, IO_SAFE };
enum io_gpio_use {
    IO_GPIO_OUTPUT = 1,
    IO_GPIO_ACTIVE_LOW = 2,
    IO_GPIO_PULL_UP = 4,
    IO_GPIO_PULL_DOWN = 8,
    IO_GPIO_NO_BIAS = 16,
    IO_GPIO_OPEN_DRAIN = 32,
    IO_GPIO_OPEN_SOURCE = 64,
    IO_GPIO_RISING = 128,
    IO_GPIO_FALLING = 256
};
struct io_gpio_line {
    uint32_t line;
    uint32_t use;
    uint32_t debounce_us;
    uint16_t value_byte;
    uint8_t value_mask;
    uint8_t count_bytes;
    uint16_t count_byte;
    uint16_t reserved;
};
struct io_gpio_options {
    const char *chip;
    const struct io_gpio_line *lines;
    uint32_t line_count;
    int32_t priority;
    int64_t poll_ns;
    const uint8_t *quality;
    const uint8_t *lost;
    const uint8_t *safe;
};
struct io_gpio_report {
    int32_t error;
    int32_t priority;
    int64_t since_ns;
    char text[160];
};
struct board_io_part {
    const uint8_t *inputs;
    const uint8_t *outputs;
    const uint8_t *lost;
    const uint8_t *safe;
    int64_t stale_ns;
    const struct io_gpio_options *gpio;
};
struct board_options {
    int32_t priority;
    int32_t cpu;
    int64_t watchdog_ns;
    uint32_t sensitivity;
    uint32_t overruns;
    int32_t task_cpu;
    bool threads;
    uint32_t trace_ring_bytes;
    int32_t cpu_latency_us;
    const char *io;
    const struct board_io_part *io_parts;
    uint32_t io_part_count;
    bool python;
    bool own_cycle;
};
struct board_image {
    const char *name;
    const char *build_id;
    uint32_t task_count;
    uint32_t variable_count;
    uint64_t base_ns;
    bool beremiz;
};
struct board_task {
    const char *name;
    uint64_t interval_ns;
    int32_t priority;
    bool thread;
};
struct board_variable {
    const char *path;
    const char *location;
    uint8_t type;
    uint8_t direction;
    uint8_t options;
    uint8_t capacity;
};
struct force_order {
    uint32_t index;
    uint32_t size;
    const uint8_t *wire;
};
struct log_record {
    uint32_t level;
    uint32_t tick;
    uint32_t sec;
    uint32_t nsec;
    uint32_t length;
    char text[256];
};
struct eval_request {
    uint64_t call;
    uint32_t run;
    uint32_t length;
    char code[254];
};
struct stats_distribution {
    uint32_t bin_ns;
    uint32_t count;
    uint32_t last_ns;
    uint32_t min_ns;
    uint32_t avg_ns;
    uint32_t p50_ns;
    uint32_t p99_ns;
    uint32_t p999_ns;
    uint32_t p9999_ns;
    uint32_t max_ns;
    uint32_t overflow;
    uint32_t used_bins;
    uint32_t bins[1000];
};
struct stats_figures {
    uint32_t ticks;
    uint32_t overruns;
    uint32_t skipped;
    uint32_t load_ppm;
    uint64_t interval_ns;
    struct stats_distribution wakeup;
    struct stats_distribution execution;
    struct stats_distribution jitter;
    struct stats_distribution shim;
};
struct recorder_cycle {
    uint32_t tick;
    uint32_t wakeup_ns;
    uint32_t execution_ns;
    uint32_t jitter_ns;
    uint32_t task;
};
struct recorder_record {
    uint32_t owner;
    uint32_t cause;
    uint32_t value_ns;
    uint32_t before_ns;
    uint32_t position;
    uint32_t count;
    struct recorder_cycle cycles[128];
};

int board_open(const struct board_options *options, char *why, uint32_t why_size);
int board_close(void);
bool board_guarded(void);
void board_dismiss_guard(void);
int32_t board_state(void);
bool board_tainted(void);
const char *board_backend(void);
bool board_scheduling(char *text, uint32_t size);
int board_check(const char *path, bool own_cycle, char *why, uint32_t why_size);
int board_load(const char *path, const char *id, struct board_image *image, char *why,
               uint32_t why_size);
int board_task(uint32_t index, struct board_task *task);
int board_variable(uint32_t index, struct board_variable *variable);
int board_unload(char *why, uint32_t why_size);
int board_start(const struct force_order *retained, uint32_t count, char *why, uint32_t why_size);
int board_stop(char *why, uint32_t why_size);
int board_fault(char *text, uint32_t size, int32_t *signal, uint32_t *tick);
enum change_phase {
    CHANGE_REHEARSING,
    CHANGE_READY,
    CHANGE_ORDERED,
    CHANGE_WITHDRAWN,
    CHANGE_SWITCHING,
    CHANGE_PROBATION,
    CHANGE_CONFIRMED,
    CHANGE_ROLLED_BACK,
    CHANGE_RELEASED
};
#define BOARD_NO_CHANGE -2
#define BOARD_CHANGE_OPEN -1
struct board_change {
    int32_t phase;
    uint32_t copy_ns;
    uint32_t busy_ns;
    uint32_t cycles_left;
    int64_t period_ns;
};
struct change_pair {
    uint32_t from;
    uint32_t to;
};
int board_open_change(const char *path, struct board_image *image, char *why, uint32_t why_size);
int board_change_task(uint32_t index, struct board_task *task);
int board_change_variable(uint32_t index, struct board_variable *variable);
int32_t board_statics(char *text, uint32_t size);
int32_t board_conversion(uint8_t from, uint8_t from_capacity, uint8_t to, uint8_t to_capacity);
int board_rehearse_change(const struct change_pair *pairs, uint32_t count, uint32_t probation,
                          char *why, uint32_t why_size);
void board_change_state(struct board_change *state);
int board_make_change(const struct force_order *orders, uint32_t count, char *why,
                      uint32_t why_size);
int board_keep_change(char *why, uint32_t why_size);
int board_drop_change(char *why, uint32_t why_size);

int64_t board_set_trace(const uint32_t *indices, uint32_t count, char *why, uint32_t why_size);
int32_t board_read_trace(uint32_t generation, uint8_t *to, uint32_t size, int64_t timeout_ns);
uint32_t board_trace_dropped(void);
int board_set_forces(const struct force_order *orders, uint32_t count, char *why,
                     uint32_t why_size);
int32_t board_read(const uint32_t *indices, uint32_t count, uint8_t *to, uint32_t size,
                   uint32_t *tick, char *why, uint32_t why_size);
uint32_t board_retained(uint32_t *indices, uint32_t room);
int board_ask_retained(char *why, uint32_t why_size);
int32_t board_take_retained(const uint8_t **values, uint32_t *tick);
bool board_take_eval(struct eval_request *request);
int board_answer_eval(uint64_t call, uint32_t run, const char *text, uint32_t length);
int64_t board_share(const uint32_t *indices, uint32_t count, char *why, uint32_t why_size);
int32_t board_read_shared(uint32_t generation, uint8_t *to, uint32_t size);
int board_write_shared(uint32_t generation, uint32_t position, const uint8_t *wire, uint32_t size);
int board_io_publish(uint32_t part, const uint8_t *inputs);
int board_io_take(uint32_t part, uint8_t *outputs);
int board_io_look(uint32_t part, uint8_t *inputs, uint8_t *outputs);
int board_io_gpio(uint32_t part, struct io_gpio_report *report);
bool board_take_log(struct log_record *record);
uint32_t board_log_dropped(void);
int board_statistics(uint32_t task, struct stats_figures *figures);
int board_mode_switches(uint32_t task, uint32_t *count);
int board_reset_statistics(uint32_t wakeup_ns, uint32_t execution_ns);
bool board_take_record(struct recorder_record *record);

struct latency_options {
    int32_t priority;
    int32_t cpu;
    int64_t period_ns;
    int32_t cpu_latency_us;
};
struct latency_actual {
    bool real_time;
    int32_t cpu;
    bool memory_locked;
    bool idle_states_held;
};
struct latency;
int latency_start(struct latency **latency, const struct latency_options *options,
                  struct latency_actual *actual, char *why, uint32_t why_size);
void latency_reset(struct latency *latency);
int latency_read(const struct latency *latency, struct stats_figures *figures);
void latency_stop(struct latency *latency);

struct sim_plant;
int sim_attach(struct sim_plant **plant, const char *name);
void sim_detach(struct sim_plant *plant);
int sim_write_inputs(struct sim_plant *plant, uint32_t offset, const uint8_t *data, uint32_t size);
int sim_read_inputs(const struct sim_plant *plant, uint32_t offset, uint8_t *data, uint32_t size);
int sim_read_outputs(struct sim_plant *plant, uint32_t offset, uint8_t *data, uint32_t size,
                     uint32_t *tick);
int sim_step(struct sim_plant *plant, uint32_t cycles, int64_t timeout_ns);
bool sim_board_open(const struct sim_plant *plant);
