/* SPDX-License-Identifier: MIT */
/* The part of a Beremiz object that has Python evaluated, to be linked with
 * tests/images/beremiz*.c, whose __init, __run and __cleanup are renamed: every tenth cycle it asks
 * for "step(N)". Also what the IDE generates for a variable that is shared with Python. */
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int renamed_init(int argc, char **argv);
void renamed_run(void);
void renamed_cleanup(void);

char last_result[300]; /* of the evaluation before */
int32_t shared_value = 5;
unsigned int __x_onchange_count = 2;
int32_t __x_onchange_firstval = 3, __x_onchange_lastval = 4;

static sem_t wake;
static unsigned int asked, cycles;
static int finished;

void __SafeGetPLCGlob_x(int32_t *to)
{
    *to = shared_value;
}

void __SafeSetPLCGlob_x(const int32_t *from)
{
    shared_value = *from;
}

int __init(int argc, char **argv)
{
    sem_init(&wake, 0, 0);
    finished = 0;
    return renamed_init(argc, argv);
}

void __run(void)
{
    renamed_run();
    if (++cycles % 10 == 0)
        sem_post(&wake);
}

void __cleanup(void)
{
    finished = 1;
    sem_post(&wake);
    renamed_cleanup();
}

char *PythonIterator(char *result, void **block)
{
    static char command[40];
    snprintf(last_result, sizeof last_result, "%s", result);
    if (!finished)
        sem_wait(&wake);
    if (finished)
        return NULL;
    snprintf(command, sizeof command, "step(%u)", asked++);
    *block = &asked;
    return command;
}
