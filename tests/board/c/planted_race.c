/* SPDX-License-Identifier: MIT */
/* A data race on purpose: shows that the thread sanitizer is at work in the other runs. */
#include "harness.h"

static int shared;

static void *body(void *argument)
{
    (void)argument;
    for (int i = 0; i < 1000; i++)
        shared++;
    return NULL;
}

int main(void)
{
    pthread_t one = spawn(body, NULL), two = spawn(body, NULL);
    join(one);
    join(two);
    printf("%d\n", shared);
    return 0;
}
