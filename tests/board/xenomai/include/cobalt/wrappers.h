/* SPDX-License-Identifier: MIT */
#pragma once

#include <pthread.h>

#define __RT(call) __cobalt_##call /* the core's service of this name, not the C library's */

int __cobalt_pthread_kill(pthread_t thread, int signal);
