/* SPDX-License-Identifier: MIT */
#pragma once

#define XNWEAK 0x20000 /* not a real-time thread of the core */
