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
#define LONGEST_NAME 1000u

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

/* A symbol table of the file, and its sections. */
struct symbols {
    const ElfW(Sym) * first;
    size_t count;
    const char *names;
    size_t names_size;
    unsigned machine;
    const ElfW(Shdr) * sections;
    unsigned section_count;
    const char *section_names; /* NULL: none */
    size_t section_names_size;
};

/* The file may be damaged: every offset is checked. */
static bool find_symbols(const char *file, size_t size, unsigned type, struct symbols *found)
{
    const ElfW(Ehdr) *header = (const void *)file;
    if (size < HEADER_BYTES || header->e_shentsize != sizeof(ElfW(Shdr)) ||
        header->e_shoff % sizeof(void *) != 0 ||
        !fits(size, header->e_shoff, header->e_shnum, sizeof(ElfW(Shdr))))
        return false;
    const ElfW(Shdr) *sections = (const void *)(file + header->e_shoff);
    for (unsigned s = 0; s < header->e_shnum; s++) {
        const ElfW(Shdr) *table = &sections[s];
        const size_t count = table->sh_size / sizeof(ElfW(Sym));
        if (table->sh_type != type || table->sh_link >= header->e_shnum ||
            table->sh_offset % sizeof(void *) != 0 ||
            !fits(size, table->sh_offset, count, sizeof(ElfW(Sym))))
            continue;
        const ElfW(Shdr) *names = &sections[table->sh_link];
        if (!fits(size, names->sh_offset, names->sh_size, 1))
            return false;
        *found = (struct symbols){.first = (const void *)(file + table->sh_offset),
                                  .count = count,
                                  .names = file + names->sh_offset,
                                  .names_size = names->sh_size,
                                  .machine = header->e_machine,
                                  .sections = sections,
                                  .section_count = header->e_shnum};
        if (header->e_shstrndx < header->e_shnum) {
            const ElfW(Shdr) *of_sections = &sections[header->e_shstrndx];
            if (fits(size, of_sections->sh_offset, of_sections->sh_size, 1)) {
                found->section_names = file + of_sections->sh_offset;
                found->section_names_size = of_sections->sh_size;
            }
        }
        return true;
    }
    return false;
}

/* A constant that only the loader writes, because it holds addresses. `serial-runtime build` links
 * it beside the variables, in writable memory, to save the padding between them. */
static bool is_constant(const struct symbols *of, const ElfW(Sym) * symbol)
{
    static const char section[] = ".data.rel.ro";
    const size_t length = sizeof section - 1;
    if (symbol->st_shndx >= of->section_count || of->section_names == NULL)
        return false;
    const size_t name = of->sections[symbol->st_shndx].sh_name;
    return name < of->section_names_size && of->section_names_size - name >= length &&
           memcmp(of->section_names + name, section, length) == 0;
}

static void copy_name(const struct symbols *of, const ElfW(Sym) * symbol, char *name,
                      size_t name_size)
{
    const size_t room = of->names_size - symbol->st_name;
    snprintf(name, name_size, "%.*s", (int)(room > LONGEST_NAME ? LONGEST_NAME : room),
             of->names + symbol->st_name);
}

/* With the lowest bit of a Thumb function's address off. */
static bool covers(const struct symbols *of, const ElfW(Sym) * symbol, uintptr_t offset)
{
    const uintptr_t thumb = of->machine == EM_ARM ? 1 : 0;
    const uintptr_t value = symbol->st_value & ~thumb;
    const uintptr_t length = symbol->st_size > 0 ? symbol->st_size : 1;
    return (symbol->st_info & 0xf) == STT_FUNC && offset >= value && offset - value < length;
}

static const char *map_file(const char *path, size_t *size)
{
    struct stat status;
    void *file = MAP_FAILED;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    if (fstat(fd, &status) == 0 && status.st_size > 0) {
        *size = (size_t)status.st_size;
        file = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    close(fd);
    return file == MAP_FAILED ? NULL : file;
}

/* Call visit for the symbols of a table, until it says true. */
static void search(const char *path, unsigned type,
                   bool (*visit)(void *context, const struct symbols *of, const ElfW(Sym) * symbol),
                   void *context)
{
    struct symbols symbols;
    size_t size;
    const char *file = map_file(path, &size);
    if (file == NULL)
        return;
    if (!find_symbols(file, size, type, &symbols))
        symbols.count = 0;
    for (size_t i = 0; i < symbols.count; i++) {
        const ElfW(Sym) *symbol = &symbols.first[i];
        if (symbol->st_name < symbols.names_size && visit(context, &symbols, symbol))
            break;
    }
    munmap((void *)file, size);
}

struct place {
    uintptr_t offset;
    char *name;
    size_t name_size;
};

static bool is_there(void *context, const struct symbols *of, const ElfW(Sym) * symbol)
{
    const struct place *place = context;
    if (symbol->st_shndx == SHN_UNDEF || !covers(of, symbol, place->offset))
        return false;
    copy_name(of, symbol, place->name, place->name_size);
    return true;
}

void image_file_symbol(const char *path, uintptr_t offset, char *name, size_t name_size)
{
    struct place place = {offset, name, name_size};
    name[0] = '\0';
    search(path, SHT_SYMTAB, is_there, &place);
}

struct objects {
    void (*visit)(void *context, const char *name, uintptr_t offset, size_t size);
    void *context;
    bool any;
    bool startup; /* what follows is of this file */
};

/* Local symbols follow the name of the file that they come from. */
static bool visit_object(void *context, const struct symbols *of, const ElfW(Sym) * symbol)
{
    struct objects *objects = context;
    char name[LONGEST_NAME + 1];
    const unsigned kind = symbol->st_info & 0xf;
    objects->any = true;
    if (kind != STT_FILE && kind != STT_OBJECT)
        return false;
    copy_name(of, symbol, name, sizeof name);
    if (kind == STT_FILE)
        objects->startup = strcmp(name, "crtstuff.c") == 0;
    else if (symbol->st_shndx != SHN_UNDEF && symbol->st_size > 0 &&
             !(objects->startup && symbol->st_info >> 4 == STB_LOCAL) && !is_constant(of, symbol))
        objects->visit(objects->context, name, symbol->st_value, symbol->st_size);
    return false;
}

bool image_file_objects(const char *path,
                        void (*visit)(void *context, const char *name, uintptr_t offset,
                                      size_t size),
                        void *context)
{
    struct objects objects = {visit, context, false, false};
    search(path, SHT_SYMTAB, visit_object, &objects);
    return objects.any;
}

struct visitor {
    bool (*visit)(void *context, const char *name, enum image_symbol_kind kind);
    void *context;
};

static bool visit_dynamic(void *context, const struct symbols *of, const ElfW(Sym) * symbol)
{
    const struct visitor *visitor = context;
    char name[LONGEST_NAME + 1];
    enum image_symbol_kind kind = IMAGE_EXPORTED;
    copy_name(of, symbol, name, sizeof name);
    if (symbol->st_shndx == SHN_UNDEF)
        kind = IMAGE_IMPORTED;
    else if (symbol->st_info >> 4 == STB_GNU_UNIQUE)
        kind = IMAGE_UNIQUE;
    return name[0] != '\0' && visitor->visit(visitor->context, name, kind);
}

void image_file_symbols(const char *path,
                        bool (*visit)(void *context, const char *name, enum image_symbol_kind kind),
                        void *context)
{
    struct visitor visitor = {visit, context};
    search(path, SHT_DYNSYM, visit_dynamic, &visitor);
}
