/* SPDX-License-Identifier: MIT */
#include "eval.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "ring.h"

#define RING_BYTES (1u << 14) /* sixty of the longest texts */

struct message {
    uint64_t call;
    uint32_t run;
    uint32_t length;
    char text[];
};

struct eval {
    struct ring *requests; /* RT to Python thread */
    struct ring *answers;  /* and back */
    _Atomic uint32_t run;  /* changed by the worker while no RT thread runs */
};

int eval_create(struct eval **eval, sr_prefault prefault)
{
    struct eval *made = calloc(1, sizeof *made);
    *eval = made;
    if (made == NULL)
        return -ENOMEM;
    int error = ring_create(&made->requests, RING_BYTES, prefault);
    if (error == 0)
        error = ring_create(&made->answers, RING_BYTES, prefault);
    if (error != 0) {
        eval_destroy(made);
        *eval = NULL;
        return error;
    }
    if (prefault != NULL)
        (void)prefault(made, sizeof *made);
    return 0;
}

void eval_destroy(struct eval *eval)
{
    if (eval == NULL)
        return;
    ring_destroy(eval->requests);
    ring_destroy(eval->answers);
    free(eval);
}

/* Relaxed, here and below: the rings order the messages that carry a run. */
static uint32_t present_run(const struct eval *eval)
{
    return atomic_load_explicit(&eval->run, memory_order_relaxed);
}

void eval_forget(struct eval *eval)
{
    atomic_store_explicit(&eval->run, present_run(eval) + 1u, memory_order_relaxed);
}

/* The producer of `ring`: false when it is full. */
SR_RT static bool put(struct ring *ring, uint64_t call, uint32_t run, const char *text,
                      uint32_t length)
{
    if (length > SR_PYTHON_TEXT_MAX)
        length = SR_PYTHON_TEXT_MAX;
    struct message *message = ring_reserve(ring, (uint32_t)sizeof *message + length);
    if (message == NULL)
        return false;
    message->call = call;
    message->run = run;
    message->length = length;
    if (length != 0)
        memcpy(message->text, text, length);
    ring_commit(ring, (uint32_t)sizeof *message + length);
    return true;
}

uint32_t eval_post(struct eval *eval, struct sr_python_call *call, const char *code,
                   uint32_t length)
{
    if (!put(eval->requests, (uintptr_t)call, present_run(eval), code, length))
        return SR_PYTHON_FULL;
    call->state = SR_PYTHON_BUSY;
    return SR_PYTHON_POSTED;
}

void eval_deliver(struct eval *eval)
{
    const struct message *message;
    uint32_t size;
    while ((message = ring_peek(eval->answers, &size)) != NULL) {
        struct sr_python_call *call = (struct sr_python_call *)(uintptr_t)message->call;
        if (message->run == present_run(eval) && call->state == SR_PYTHON_BUSY) {
            memcpy(call->text, message->text, message->length);
            call->text[message->length] = '\0';
            call->length = message->length;
            call->state = SR_PYTHON_ANSWERED;
        }
        ring_release(eval->answers);
    }
}

bool eval_take(struct eval *eval, struct eval_request *request)
{
    const struct message *message;
    uint32_t size;
    while ((message = ring_peek(eval->requests, &size)) != NULL) {
        const bool present = message->run == present_run(eval);
        if (present) {
            request->call = message->call;
            request->run = message->run;
            request->length = message->length;
            memcpy(request->code, message->text, message->length);
        }
        ring_release(eval->requests);
        if (present)
            return true;
    }
    return false;
}

int eval_answer(struct eval *eval, uint64_t call, uint32_t run, const char *text, uint32_t length)
{
    return put(eval->answers, call, run, text, length) ? 0 : -EAGAIN;
}
