/* SPDX-License-Identifier: MIT */
#include "host.h"

struct host_seat host_first;

SR_RT static struct host_seat *seat_of_caller(void)
{
    struct host_seat *mine = platform_kept();
    return mine != NULL ? mine : &host_first;
}

SR_RT static void on_log(uint32_t level, const char *text)
{
    struct host_seat *seat = seat_of_caller();
    log_put(seat->log, level, seat->tick, platform_now_ns(), text);
}

SR_RT static void on_fault(const char *text)
{
    struct host_seat *seat = seat_of_caller();
    size_t n = 0;
    seat->fault_pc = (uintptr_t)__builtin_return_address(0) - 1; /* in the call, not behind it */
    while (text != NULL && n < LOG_TEXT_MAX && text[n] != '\0') {
        seat->fault_text[n] = text[n];
        n++;
    }
    seat->fault_text[n] = '\0';
    platform_abandon(seat->thread);
}

SR_RT static uint32_t on_python_post(struct sr_python_call *call, const char *code, uint32_t length)
{
    struct host_seat *seat = seat_of_caller();
    if (seat->eval != NULL)
        return eval_post(seat->eval, call, code, length);
    if (!seat->told_off)
        on_log(SR_LOG_WARNING, seat->why_not);
    seat->told_off = true;
    return SR_PYTHON_OFF;
}

const struct sr_host host_functions = {.size = sizeof(struct sr_host),
                                       .log = on_log,
                                       .fault = on_fault,
                                       .python_post = on_python_post};

void host_bind(struct log *log, struct eval *eval)
{
    host_first.log = log;
    host_first.eval = eval;
    host_first.why_not = "the program has Python code evaluated, and Python is off here: "
                         "profile key python.enabled";
}

SR_RT void host_enter(struct host_seat *seat, struct platform_thread *thread)
{
    seat->thread = thread;
    seat->told_off = false;
    seat->fault_text[0] = '\0';
    platform_keep(thread, seat);
}
