/* SPDX-License-Identifier: MIT */
/* memory.c - the POSIX backend's memory locking; only the lock of the whole differs on Cobalt.
 *
 * libcobalt has locked everything, present and future, inside xenomai_init. Locking again with
 * MCL_ONFAULT would leave later mappings unpopulated, and a page fault in primary mode is a mode
 * switch.
 */
#define platform_lock_memory posix_lock_memory
#include "../posix/memory.c"
#undef platform_lock_memory

#include "xenomai.h"

int platform_lock_memory(bool *all)
{
    if (XENOMAI_COBALT) {
        *all = true;
        return 0;
    }
    return posix_lock_memory(all);
}
