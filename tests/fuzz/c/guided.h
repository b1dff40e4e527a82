/* SPDX-License-Identifier: MIT */
/* guided.h - a fuzzer guided by coverage, for gcc: `-fsanitize-coverage=trace-pc` in the modules
 * under test (not in guided.c) reports the edges. An input that reaches a new one is kept and
 * changed further. The same seed gives the same inputs. */
#ifndef SR_GUIDED_H
#define SR_GUIDED_H

#include <stddef.h>
#include <stdint.h>

#define GUIDED_MOST 16384u /* bytes of an input */

typedef void (*guided_target)(const uint8_t *data, size_t size);

/* Room for another input; its bytes are to be written before guided_run. */
uint8_t *guided_add(size_t size);

/* Run the target with `count` inputs. When one ends the program, its bytes are in the file
 * "input" of the working directory. Prints how many inputs were kept. */
void guided_run(guided_target target, uint32_t count, uint32_t seed);

#endif
