/* SPDX-License-Identifier: MIT */
#pragma once

typedef unsigned long long RTIME; /* ns at the default clock resolution */

RTIME rt_timer_read(void);
