/* SPDX-License-Identifier: MIT */
/* The Python blocks of plc_python.h, cycle by cycle, with a runtime that answers when told. */
#include "harness.h"
#include "plc_python.h"

const sr_host *sr_runtime;

static uint32_t posts, post_result;
static char posted[SR_PYTHON_TEXT_MAX + 1];

static uint32_t on_post(struct sr_python_call *call, const char *code, uint32_t length)
{
    if (post_result != SR_PYTHON_POSTED)
        return post_result;
    posts++;
    memcpy(posted, code, length);
    posted[length] = '\0';
    call->state = SR_PYTHON_BUSY;
    return SR_PYTHON_POSTED;
}

static const sr_host host = {.size = sizeof host, .python_post = on_post};
static const sr_host host_of_before = {.size = offsetof(sr_host, python_post)};

static sr_python_eval fresh(void)
{
    posts = 0;
    post_result = SR_PYTHON_POSTED;
    sr_runtime = &host;
    return (sr_python_eval){0};
}

static void answer(sr_python_eval *block, const char *text)
{
    strcpy(block->call.text, text);
    block->call.state = SR_PYTHON_ANSWERED;
}

/* One cycle; ACK after it. */
static int eval(sr_python_eval *block, int trig, const char *code)
{
    SR_SET(block->trig, trig);
    SR_SET_STRING(block->code, code);
    SR_PYTHON_EVAL(*block);
    return block->ack.value;
}

static int poll(sr_python_eval *block, int trig, const char *code)
{
    SR_SET(block->trig, trig);
    SR_SET_STRING(block->code, code);
    SR_PYTHON_POLL(*block);
    return block->ack.value;
}

static void an_edge_is_evaluated_once(void)
{
    sr_python_eval block = fresh();
    CHECK_EQ(eval(&block, 0, "a"), 0);
    CHECK_EQ(posts, 0);
    CHECK_EQ(eval(&block, 1, "b"), 0);
    CHECK_EQ(posts, 1);
    CHECK(strcmp(posted, "b") == 0);
    CHECK_EQ(eval(&block, 1, "c"), 0);
    answer(&block, "result");
    for (int cycle = 0; cycle < 3; cycle++) { /* as long as TRIG is set */
        CHECK_EQ(eval(&block, 1, "c"), 1);
        CHECK_EQ(block.result.value.length, 6);
    }
    CHECK_EQ(eval(&block, 0, "c"), 0);
    CHECK_EQ(block.result.value.length, 6);
    CHECK_EQ(posts, 1);
    CHECK_EQ(eval(&block, 1, "d"), 0);
    CHECK_EQ(posts, 2);
}

static void ack_is_a_pulse_when_trig_is_gone(void)
{
    sr_python_eval block = fresh();
    (void)eval(&block, 1, "a");
    CHECK_EQ(eval(&block, 0, "a"), 0);
    CHECK_EQ(eval(&block, 1, "b"), 0); /* an edge meanwhile is lost */
    CHECK_EQ(eval(&block, 0, "b"), 0);
    answer(&block, "r");
    CHECK_EQ(eval(&block, 0, "b"), 1);
    CHECK_EQ(eval(&block, 0, "b"), 0);
    CHECK_EQ(posts, 1);
}

static void a_poll_goes_on_while_trig_is_set(void)
{
    sr_python_eval block = fresh();
    CHECK_EQ(poll(&block, 1, "a"), 0);
    CHECK_EQ(posts, 1);
    CHECK_EQ(poll(&block, 1, "b"), 0); /* taken for the next evaluation */
    CHECK_EQ(poll(&block, 1, "c"), 0);
    CHECK_EQ(posts, 1);
    answer(&block, "1");
    CHECK_EQ(poll(&block, 1, "d"), 1);
    CHECK_EQ(posts, 2);
    CHECK(strcmp(posted, "b") == 0);
    CHECK_EQ(poll(&block, 1, "d"), 0); /* ACK is a pulse */
    CHECK_EQ(poll(&block, 0, "d"), 0);
    answer(&block, "2");
    CHECK_EQ(poll(&block, 0, "d"), 1);
    CHECK_EQ(posts, 3); /* the one that was taken over while TRIG was set */
    answer(&block, "3");
    CHECK_EQ(poll(&block, 0, "d"), 1);
    CHECK_EQ(poll(&block, 0, "d"), 0);
    CHECK_EQ(posts, 3);
}

static void a_full_queue_is_tried_again(void)
{
    sr_python_eval block = fresh();
    post_result = SR_PYTHON_FULL;
    CHECK_EQ(eval(&block, 1, "a"), 0);
    CHECK_EQ(eval(&block, 0, "b"), 0);
    post_result = SR_PYTHON_POSTED;
    CHECK_EQ(eval(&block, 0, "c"), 0);
    CHECK_EQ(posts, 1);
    CHECK(strcmp(posted, "a") == 0);
}

static void where_there_is_no_python_the_result_says_so(void)
{
    const sr_host *hosts[] = {&host, &host_of_before};
    for (uint32_t i = 0; i < 2; i++) {
        sr_python_eval block = fresh();
        post_result = SR_PYTHON_OFF;
        sr_runtime = hosts[i];
        CHECK_EQ(eval(&block, 1, "a"), 1);
        CHECK_BYTES(block.result.value.text, "#EXCEPTION : ", 13);
        CHECK_EQ(eval(&block, 0, "a"), 0);
    }
}

static void forced_outputs_stay(void)
{
    sr_python_eval block = fresh();
    block.ack.flags = SR_FORCED;
    block.result.flags = SR_FORCED;
    (void)eval(&block, 1, "a");
    answer(&block, "result");
    CHECK_EQ(eval(&block, 1, "a"), 0);
    CHECK_EQ(block.result.value.length, 0);
}

int main(void)
{
    RUN(an_edge_is_evaluated_once);
    RUN(ack_is_a_pulse_when_trig_is_gone);
    RUN(a_poll_goes_on_while_trig_is_set);
    RUN(a_full_queue_is_tried_again);
    RUN(where_there_is_no_python_the_result_says_so);
    RUN(forced_outputs_stay);
    return 0;
}
