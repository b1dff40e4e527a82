/* SPDX-License-Identifier: MIT */
/* The signals that the Cobalt core sends, and how it marks their value. */
#pragma once

#include <signal.h>

#define SIGKICK (SIGRTMAX + 4) /* for pthread_kill of the core: leave primary mode */
#define SIGSHADOW SIGWINCH
#define SIGDEBUG SIGXCPU
#define SIGDEBUG_WATCHDOG 6
#define sigdebug_marker 0xfccf0000
