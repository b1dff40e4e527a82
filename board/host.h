/* SPDX-License-Identifier: MIT */
/* host.h - the functions an image gets (sr_host), and on whose behalf it calls them.
 *
 * An image calls log and fault without saying who it is, so this module keeps the answer in
 * static variables: one image runs in a process, on one thread at a time (the RT thread, or the
 * one that runs init and fini). Starting and joining that thread orders every access.
 */
#ifndef SR_HOST_H
#define SR_HOST_H

#include "eval.h"
#include "log.h"
#include "platform.h"
#include "plc_abi.h"

/* What every image's init is given. */
extern const struct sr_host host_functions;

/* Worker, while no program code runs: where messages and evaluations go from now on; `eval` is NULL
 * while Python is off. */
void host_bind(struct log *log, struct eval *eval);
/* RT side: `thread` runs program code from now on, under platform_protect. */
SR_RT void host_enter(struct platform_thread *thread);
/* RT side: the tick that messages are stamped with. */
SR_RT void host_tick(uint32_t tick);
/* RT side, after platform_protect returned -EFAULT: the text the program gave to fault(), ""
 * when it ended otherwise. Valid until the next host_enter. */
SR_RT const char *host_fault_text(void);
/* RT side: where in the program that call was. */
SR_RT uintptr_t host_fault_pc(void);

#endif
