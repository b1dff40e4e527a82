/* SPDX-License-Identifier: MIT */
/* image_file.h - what the dynamic loader does not tell about an image file. Worker only. */
#ifndef SR_IMAGE_FILE_H
#define SR_IMAGE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Is the file for this processor and ABI? The loader only says "no such file" about many that
 * are not. 0, -ENOEXEC or -errno with a sentence in `why`. */
int image_file_check(const char *path, char *why, size_t why_size);

/* The function whose code holds `offset` (from the load address), from the symbol table that
 * only the file has; "" when there is none. */
void image_file_symbol(const char *path, uintptr_t offset, char *name, size_t name_size);

/* Call `visit` for every variable in that symbol table but constants and those of the compiler's
 * start-up code: where it is (from the load address), and its bytes. False: the file has no such
 * table. */
bool image_file_objects(const char *path,
                        void (*visit)(void *context, const char *name, uintptr_t offset,
                                      size_t size),
                        void *context);

/* Unique: the loader keeps one of this name for the whole process (STB_GNU_UNIQUE: g++'s inline
 * and template statics), that of the first object which had it, and never unmaps that one. */
enum image_symbol_kind { IMAGE_EXPORTED, IMAGE_UNIQUE, IMAGE_IMPORTED };

/* Call `visit` for every dynamic symbol, until it returns true. Names are cut at 1000 bytes. */
void image_file_symbols(const char *path,
                        bool (*visit)(void *context, const char *name, enum image_symbol_kind kind),
                        void *context);

#endif
