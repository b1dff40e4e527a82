/* SPDX-License-Identifier: MIT */
#include "host.h"

static struct log *messages;
static struct eval *evaluations;
static bool told_off; /* that Python is off; once a run is enough */
static struct platform_thread *running;
static uint32_t current_tick;
static char fault_text[LOG_TEXT_MAX + 1];
static uintptr_t fault_pc;

SR_RT static void on_log(uint32_t level, const char *text)
{
    log_put(messages, level, current_tick, platform_now_ns(), text);
}

SR_RT static void on_fault(const char *text)
{
    size_t n = 0;
    fault_pc = (uintptr_t)__builtin_return_address(0) - 1; /* in the call, not behind it */
    while (text != NULL && n < LOG_TEXT_MAX && text[n] != '\0') {
        fault_text[n] = text[n];
        n++;
    }
    fault_text[n] = '\0';
    platform_abandon(running);
}

SR_RT static uint32_t on_python_post(struct sr_python_call *call, const char *code, uint32_t length)
{
    if (evaluations != NULL)
        return eval_post(evaluations, call, code, length);
    if (!told_off)
        on_log(SR_LOG_WARNING, "the program has Python code evaluated, and Python is off here: "
                               "profile key python.enabled");
    told_off = true;
    return SR_PYTHON_OFF;
}

const struct sr_host host_functions = {.size = sizeof(struct sr_host),
                                       .log = on_log,
                                       .fault = on_fault,
                                       .python_post = on_python_post};

void host_bind(struct log *log, struct eval *eval)
{
    messages = log;
    evaluations = eval;
}

SR_RT void host_enter(struct platform_thread *thread)
{
    running = thread;
    told_off = false;
    fault_text[0] = '\0';
}

SR_RT void host_tick(uint32_t tick)
{
    current_tick = tick;
}

SR_RT const char *host_fault_text(void)
{
    return fault_text;
}

SR_RT uintptr_t host_fault_pc(void)
{
    return fault_pc;
}
