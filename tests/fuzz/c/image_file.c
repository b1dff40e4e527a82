/* SPDX-License-Identifier: MIT */
/* A program file, as the shim looks at it beside the dynamic loader. Arguments: how many inputs,
 * the seed, a good file. */
#define _GNU_SOURCE
#include "image_file.h"

#include "guided.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../board/c/harness.h"

static int file = -1;
static char path[64];

static bool note(void *context, const char *name, enum image_symbol_kind kind)
{
    (void)kind;
    *(size_t *)context += strlen(name);
    return false;
}

static void look(const uint8_t *data, size_t size)
{
    char why[256] = "";
    char name[128] = "x";
    size_t length = 0;
    CHECK_EQ(ftruncate(file, 0), 0);
    CHECK_EQ(pwrite(file, data, size, 0), size);
    const int error = image_file_check(path, why, sizeof why);
    CHECK(error == 0 || (error == -ENOEXEC && why[0] != '\0'));
    image_file_symbols(path, note, &length);
    for (uintptr_t offset = 0x1000; offset < 0x1040; offset += 8) {
        image_file_symbol(path, offset, name, sizeof name);
        CHECK(strnlen(name, sizeof name) < sizeof name);
    }
}

int main(int argc, char **argv)
{
    CHECK_EQ(argc, 4);
    const int good = open(argv[3], O_RDONLY | O_CLOEXEC);
    const off_t size = lseek(good, 0, SEEK_END);
    CHECK(size > 0 && size <= GUIDED_MOST);
    CHECK_EQ(pread(good, guided_add((size_t)size), (size_t)size, 0), size);
    close(good);
    file = memfd_create("image", MFD_CLOEXEC);
    CHECK(file >= 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    guided_run(look, (uint32_t)strtoul(argv[1], NULL, 10), (uint32_t)strtoul(argv[2], NULL, 10));
    close(file);
    return 0;
}
