/* SPDX-License-Identifier: MIT */
/* A read beyond the end on purpose: shows that the address sanitizer is at work. */
#include "harness.h"

int main(int argc, char **argv)
{
    (void)argv;
    char *volatile bytes = calloc(1, 8); /* volatile: only the run time can know its size */
    CHECK(bytes != NULL);
    int value = bytes[7 + argc];
    free(bytes);
    return value;
}
