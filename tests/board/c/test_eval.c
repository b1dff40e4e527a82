/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdatomic.h>

#include "eval.h"
#include "harness.h"

static struct eval *make(void)
{
    struct eval *eval;
    CHECK_EQ(eval_create(&eval, NULL), 0);
    return eval;
}

static void brings_a_request_out_and_its_answer_back(void)
{
    struct eval *eval = make();
    sr_python_call call = {0};
    struct eval_request request;
    CHECK(!eval_take(eval, &request));
    CHECK_EQ(eval_post(eval, &call, "1+1", 3), SR_PYTHON_POSTED);
    CHECK_EQ(call.state, SR_PYTHON_BUSY);
    CHECK(eval_take(eval, &request));
    CHECK(!eval_take(eval, &request));
    CHECK_EQ(request.length, 3);
    CHECK_BYTES(request.code, "1+1", 3);
    eval_deliver(eval);
    CHECK_EQ(call.state, SR_PYTHON_BUSY);
    CHECK_EQ(eval_answer(eval, request.call, request.run, "two", 3), 0);
    CHECK_EQ(call.state, SR_PYTHON_BUSY);
    eval_deliver(eval);
    CHECK_EQ(call.state, SR_PYTHON_ANSWERED);
    CHECK_EQ(call.length, 3);
    CHECK_BYTES(call.text, "two", 4);
    /* A second answer finds nobody who asked. */
    CHECK_EQ(eval_answer(eval, request.call, request.run, "three", 5), 0);
    eval_deliver(eval);
    CHECK_BYTES(call.text, "two", 4);
    eval_destroy(eval);
    eval_destroy(NULL);
}

static void cuts_what_is_too_long(void)
{
    struct eval *eval = make();
    static char text[1000];
    sr_python_call call = {0};
    struct eval_request request;
    memset(text, 'x', sizeof text);
    CHECK_EQ(eval_post(eval, &call, text, sizeof text), SR_PYTHON_POSTED);
    CHECK(eval_take(eval, &request));
    CHECK_EQ(request.length, SR_PYTHON_TEXT_MAX);
    CHECK_EQ(eval_answer(eval, request.call, request.run, text, sizeof text), 0);
    eval_deliver(eval);
    CHECK_EQ(call.length, SR_PYTHON_TEXT_MAX);
    CHECK_EQ(strlen(call.text), SR_PYTHON_TEXT_MAX);
    CHECK_EQ(eval_post(eval, &call, NULL, 0), SR_PYTHON_POSTED);
    CHECK(eval_take(eval, &request));
    CHECK_EQ(request.length, 0);
    eval_destroy(eval);
}

static void full_rings_say_so_and_lose_nothing(void)
{
    enum { MANY = 4000 };
    static sr_python_call calls[MANY];
    struct eval *eval = make();
    struct eval_request request;
    uint32_t posted = 0, answered = 0;
    while (eval_post(eval, &calls[posted], "x", 1) == SR_PYTHON_POSTED)
        posted++;
    CHECK(posted > 100 && posted < MANY);
    CHECK_EQ(calls[posted].state, SR_PYTHON_FREE);
    for (uint32_t i = 0; i < posted; i++) {
        CHECK(eval_take(eval, &request));
        CHECK_EQ(request.call, (uintptr_t)&calls[i]);
        if (eval_answer(eval, request.call, request.run, "a longer text", 13) == -EAGAIN) {
            eval_deliver(eval);
            CHECK_EQ(eval_answer(eval, request.call, request.run, "a longer text", 13), 0);
            answered++;
        }
    }
    CHECK(answered > 0);
    eval_deliver(eval);
    for (uint32_t i = 0; i < posted; i++)
        CHECK_EQ(calls[i].state, SR_PYTHON_ANSWERED);
    eval_destroy(eval);
}

static void an_earlier_run_concerns_nobody(void)
{
    struct eval *eval = make();
    sr_python_call gone = {0}, untaken = {0}, present = {0};
    struct eval_request request;
    CHECK_EQ(eval_post(eval, &gone, "old", 3), SR_PYTHON_POSTED);
    CHECK(eval_take(eval, &request));
    CHECK_EQ(eval_post(eval, &untaken, "old", 3), SR_PYTHON_POSTED);
    eval_forget(eval);
    CHECK_EQ(eval_answer(eval, request.call, request.run, "late", 4), 0);
    CHECK_EQ(eval_post(eval, &present, "new", 3), SR_PYTHON_POSTED);
    CHECK(eval_take(eval, &request));
    CHECK_EQ(request.call, (uintptr_t)&present);
    CHECK_EQ(eval_answer(eval, request.call, request.run, "in time", 7), 0);
    eval_deliver(eval);
    CHECK_EQ(gone.state, SR_PYTHON_BUSY);
    CHECK_EQ(untaken.state, SR_PYTHON_BUSY);
    CHECK_EQ(present.state, SR_PYTHON_ANSWERED);
    eval_destroy(eval);
}

/* A thread that echoes, and a "cycle" that wants every answer to be its own code. */
struct scene {
    struct eval *eval;
    atomic_bool end;
};

static void *echo(void *argument)
{
    struct scene *scene = argument;
    struct eval_request request;
    while (!atomic_load(&scene->end)) {
        if (!eval_take(scene->eval, &request))
            continue;
        while (eval_answer(scene->eval, request.call, request.run, request.code, request.length) !=
                   0 &&
               !atomic_load(&scene->end))
            ;
    }
    return NULL;
}

static void two_threads(void)
{
    enum { CALLS = 8, ANSWERS = 20000 };
    static sr_python_call calls[CALLS];
    static char codes[CALLS][SR_PYTHON_TEXT_MAX];
    static uint32_t lengths[CALLS];
    struct scene scene = {.eval = make()};
    uint32_t answers = 0, state = 1;
    pthread_t thread = spawn(echo, &scene);
    while (answers < ANSWERS) {
        eval_deliver(scene.eval);
        for (uint32_t i = 0; i < CALLS; i++) {
            if (calls[i].state == SR_PYTHON_ANSWERED) {
                CHECK_EQ(calls[i].length, lengths[i]);
                CHECK_BYTES(calls[i].text, codes[i], lengths[i]);
                calls[i].state = SR_PYTHON_FREE;
                answers++;
            }
            if (calls[i].state == SR_PYTHON_FREE) {
                lengths[i] = next_random(&state) % SR_PYTHON_TEXT_MAX;
                memset(codes[i], (int)(next_random(&state) % 256), lengths[i]);
                (void)eval_post(scene.eval, &calls[i], codes[i], lengths[i]);
            }
        }
    }
    atomic_store(&scene.end, true);
    join(thread);
    eval_destroy(scene.eval);
}

int main(void)
{
    RUN(brings_a_request_out_and_its_answer_back);
    RUN(cuts_what_is_too_long);
    RUN(full_rings_say_so_and_lose_nothing);
    RUN(an_earlier_run_concerns_nobody);
    RUN(two_threads);
    return 0;
}
