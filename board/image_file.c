/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "image_file.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_BYTES sizeof(ElfW(Ehdr))

static bool fits(size_t size, uint64_t offset, uint64_t count, size_t each)
{
    return offset <= size && count <= (size - offset) / each;
}

static int read_header(const char *path, ElfW(Ehdr) * header)
{
    memset(header, 0, sizeof *header);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    const ssize_t n = read(fd, header, HEADER_BYTES);
    const int error = n < 0 ? -errno : 0;
    close(fd);
    return error;
}

static const char *machine_name(unsigned machine, unsigned class)
{
    switch (machine) {
    case EM_386:
        return "32-bit x86";
    case EM_X86_64:
        return class == ELFCLASS64 ? "64-bit x86" : "x32";
    case EM_ARM:
        return "32-bit ARM";
    case EM_AARCH64:
        return "64-bit ARM";
    case EM_RISCV:
        return class == ELFCLASS64 ? "64-bit RISC-V" : "32-bit RISC-V";
    default:
        return "another processor";
    }
}

/* The loader maps a segment that the file no longer holds, and dies of it. */
static bool is_whole(const char *path, const ElfW(Ehdr) * header)
{
    struct stat status;
    bool whole = false;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (fstat(fd, &status) == 0 && header->e_phentsize == sizeof(ElfW(Phdr))) {
        const size_t size = (size_t)status.st_size;
        whole = fits(size, header->e_phoff, header->e_phnum, sizeof(ElfW(Phdr)));
        for (unsigned i = 0; i < header->e_phnum && whole; i++) {
            ElfW(Phdr) segment;
            const off_t at = (off_t)(header->e_phoff + i * sizeof segment);
            whole = pread(fd, &segment, sizeof segment, at) == (ssize_t)sizeof segment &&
                    fits(size, segment.p_offset, segment.p_filesz, 1);
        }
    }
    close(fd);
    return whole;
}

int image_file_check(const char *path, char *why, size_t why_size)
{
    ElfW(Ehdr) file;
    ElfW(Ehdr) own; /* of the interpreter: what runs here fits the board */
    int error = read_header(path, &file);
    if (error != 0) {
        snprintf(why, why_size, "cannot read the image: %s", strerror(-error));
        return error;
    }
    error = read_header("/proc/self/exe", &own);
    if (error != 0) {
        snprintf(why, why_size, "cannot read /proc/self/exe: %s", strerror(-error));
        return error;
    }
    if (memcmp(file.e_ident, ELFMAG, SELFMAG) != 0) {
        snprintf(why, why_size, "the file is not an ELF shared object");
        return -ENOEXEC;
    }
    /* e_machine lies at the same offset in both classes. */
    if (file.e_ident[EI_CLASS] != own.e_ident[EI_CLASS] ||
        file.e_ident[EI_DATA] != own.e_ident[EI_DATA] || file.e_machine != own.e_machine) {
        snprintf(why, why_size,
                 "the image is for %s, this board runs %s: build it with the board's compiler",
                 machine_name(file.e_machine, file.e_ident[EI_CLASS]),
                 machine_name(own.e_machine, own.e_ident[EI_CLASS]));
        return -ENOEXEC;
    }
    if (file.e_type != ET_DYN) {
        snprintf(why, why_size, "the ELF file is not a shared object: link it with -shared");
        return -ENOEXEC;
    }
    if (!is_whole(path, &file)) {
        snprintf(why, why_size, "the image file is cut short");
        return -ENOEXEC;
    }
#ifdef __arm__
    const unsigned hard = EF_ARM_ABI_FLOAT_HARD;
    if ((own.e_flags & hard) != 0 && (file.e_flags & EF_ARM_ABI_FLOAT_SOFT) != 0) {
        snprintf(why, why_size,
                 "the image passes floats in integer registers (softfp), this "
                 "board runs hard float: build it with -mfloat-abi=hard");
        return -ENOEXEC;
    }
#endif
    return 0;
}

/* The file may be damaged by now: every offset is checked. */
static void search(const char *file, size_t size, uintptr_t offset, char *name, size_t name_size)
{
    const ElfW(Ehdr) *header = (const void *)file;
    if (size < HEADER_BYTES || header->e_shentsize != sizeof(ElfW(Shdr)) ||
        header->e_shoff % sizeof(void *) != 0 ||
        !fits(size, header->e_shoff, header->e_shnum, sizeof(ElfW(Shdr))))
        return;
    const ElfW(Shdr) *sections = (const void *)(file + header->e_shoff);
    for (unsigned s = 0; s < header->e_shnum; s++) {
        const ElfW(Shdr) *table = &sections[s];
        const size_t count = table->sh_size / sizeof(ElfW(Sym));
        if (table->sh_type != SHT_SYMTAB || table->sh_link >= header->e_shnum ||
            table->sh_offset % sizeof(void *) != 0 ||
            !fits(size, table->sh_offset, count, sizeof(ElfW(Sym))))
            continue;
        const ElfW(Shdr) *strings = &sections[table->sh_link];
        const ElfW(Sym) *symbols = (const void *)(file + table->sh_offset);
        if (!fits(size, strings->sh_offset, strings->sh_size, 1))
            return;
        for (size_t i = 0; i < count; i++) {
            const uintptr_t thumb = header->e_machine == EM_ARM ? 1 : 0;
            const uintptr_t value = symbols[i].st_value & ~thumb;
            const uintptr_t length = symbols[i].st_size > 0 ? symbols[i].st_size : 1;
            if ((symbols[i].st_info & 0xf) != STT_FUNC || symbols[i].st_shndx == SHN_UNDEF ||
                offset < value || offset - value >= length ||
                symbols[i].st_name >= strings->sh_size)
                continue;
            const size_t room = strings->sh_size - symbols[i].st_name;
            snprintf(name, name_size, "%.*s", (int)(room > 200 ? 200 : room),
                     file + strings->sh_offset + symbols[i].st_name);
            return;
        }
    }
}

void image_file_symbol(const char *path, uintptr_t offset, char *name, size_t name_size)
{
    struct stat status;
    name[0] = '\0';
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (fstat(fd, &status) == 0 && status.st_size > 0) {
        const size_t size = (size_t)status.st_size;
        char *file = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (file != MAP_FAILED) {
            search(file, size, offset, name, name_size);
            munmap(file, size);
        }
    }
    close(fd);
}
