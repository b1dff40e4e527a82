/* SPDX-License-Identifier: MIT */
#pragma once

void xenomai_init(int *count, char *const **arguments);
