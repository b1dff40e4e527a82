/* SPDX-License-Identifier: MIT */
/* xeno_config.h - stands in for the file that configuring Xenomai generates: which core. The
 * headers below this folder declare only what board/xenomai calls, so that it can be compiled,
 * never linked, where Xenomai is not installed; SR_STAND_IN_COBALT chooses the core. */
#pragma once

#ifdef SR_STAND_IN_COBALT
#define CONFIG_XENO_COBALT 1
#else
#define CONFIG_XENO_MERCURY 1
#endif
