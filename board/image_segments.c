/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "image_parts.h"

#include <link.h>
#include <string.h>
#include <unistd.h>

struct search {
    struct image *image;
    bool tls;
};

static void add_segment(struct image *image, uintptr_t start, uintptr_t end, uint32_t access)
{
    if (start < end && image->segment_count < IMAGE_MAX_SEGMENTS)
        image->segments[image->segment_count++] =
            (struct image_segment){.start = (char *)start, .size = end - start, .access = access};
}

/* A part of a writable segment, or all of it, is read-only after relocation (RELRO). */
static int find_segments(struct dl_phdr_info *info, size_t size, void *argument)
{
    struct search *search = argument;
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t relro = 0;
    uintptr_t relro_end = 0;
    (void)size;
    if (info->dlpi_addr != search->image->base)
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type == PT_TLS)
            search->tls = true;
        if (header->p_type == PT_GNU_RELRO) { /* both ends rounded down, as the loader does */
            relro = (info->dlpi_addr + header->p_vaddr) & ~(page - 1);
            relro_end = (info->dlpi_addr + header->p_vaddr + header->p_memsz) & ~(page - 1);
        }
    }
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        const uintptr_t start = info->dlpi_addr + header->p_vaddr;
        const uintptr_t end = start + header->p_memsz;
        if (header->p_type != PT_LOAD)
            continue;
        if ((header->p_flags & PF_W) != 0 && relro < end && relro_end > start) {
            add_segment(search->image, start, relro, header->p_flags);
            add_segment(search->image, relro > start ? relro : start,
                        relro_end < end ? relro_end : end, PF_R);
            add_segment(search->image, relro_end, end, header->p_flags);
        } else {
            add_segment(search->image, start, end, header->p_flags);
        }
    }
    return 1;
}

bool image_find_segments(struct image *image)
{
    struct search search = {.image = image};
    dl_iterate_phdr(find_segments, &search);
    return search.tls;
}

size_t image_room(const struct image *image, const void *address, uint32_t access)
{
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct image_segment *segment = &image->segments[i];
        const size_t offset = (size_t)((const char *)address - segment->start);
        if ((const char *)address >= segment->start && offset < segment->size &&
            (segment->access & access) == access)
            return segment->size - offset;
    }
    return 0;
}

bool image_is_text(const struct image *image, const char *text)
{
    const size_t room = image_room(image, text, PF_R);
    return room > 0 && strnlen(text, room) < room;
}

bool image_is_code(const struct image *image, uintptr_t function)
{
    return image_room(image, (const void *)function, PF_X) > 0;
}

bool image_is_array(const struct image *image, const void *array, uint32_t count, size_t each)
{
    return (uintptr_t)array % _Alignof(void *) == 0 &&
           image_room(image, array, PF_R) / each >= count;
}
