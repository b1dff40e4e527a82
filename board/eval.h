/* SPDX-License-Identifier: MIT */
/* eval.h - evaluations that a program asks of Python: requests out of the cycle, results into it.
 *
 * Two rings. The cycle posts a request and forgets it; the Python thread takes it, has it
 * evaluated for as long as that lasts, and answers; the cycle delivers the answer at its start.
 * A request carries the address of its call in the image, which only the RT side follows, and
 * the number of the run it belongs to: an answer to an earlier run is thrown away.
 */
#ifndef SR_EVAL_H
#define SR_EVAL_H

#include <stdbool.h>
#include <stdint.h>

#include "plc_python.h"
#include "rt.h"

struct eval;

struct eval_request {
    uint64_t call; /* an address in the image: a name for the block, never to be followed */
    uint32_t run;
    uint32_t length;
    char code[SR_PYTHON_TEXT_MAX];
};

/* Worker. 0 or -ENOMEM. */
int eval_create(struct eval **eval, sr_prefault prefault);
/* Worker, when neither side uses it any more. NULL is allowed. */
void eval_destroy(struct eval *eval);
/* RT: all requests and answers so far concern nobody any more. */
SR_RT void eval_forget(struct eval *eval);

/* RT: enum sr_python_post. */
SR_RT uint32_t eval_post(struct eval *eval, struct sr_python_call *call, const char *code,
                         uint32_t length);
/* RT: at the start of a cycle. */
SR_RT void eval_deliver(struct eval *eval);

/* Python thread: the oldest request of the present run; false when there is none. */
bool eval_take(struct eval *eval, struct eval_request *request);
/* Python thread: `length` bytes at most SR_PYTHON_TEXT_MAX; longer ones are cut. -EAGAIN: the
 * cycle has not taken the answers before this one yet. */
int eval_answer(struct eval *eval, uint64_t call, uint32_t run, const char *text, uint32_t length);

#endif
