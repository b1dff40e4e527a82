/* SPDX-License-Identifier: MIT */
/* What the program of a PLC object and its runtime know of each other. */
#ifndef TEST_BEREMIZ_H
#define TEST_BEREMIZ_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    long s, ns;
} timespan;
typedef struct {
    uint8_t length;
    uint8_t body[126];
} string;

enum { FORCED = 2, RETAIN = 4 };
/* clang-format off */
enum { REAL, LREAL, SINT, INT, DINT, LINT, USINT, UINT, UDINT, ULINT, TIME, BYTE, WORD, DWORD, LWORD,
       BOOL, STRING, DATE, TOD, DT, TYPES };
/* clang-format on */
#define POINTER(type) (TYPES + (type))
#define OUTPUT(type) (2 * TYPES + (type))

struct row {
    void *address;
    unsigned int type;
};

/* The program. */
extern unsigned int __tick;
extern timespan __CURRENT_TIME;
extern char *PLC_ID;
extern int32_t *__QD1_2;
extern const struct row rows[];
extern const unsigned int row_count;
int32_t *kept_value(void);
void config_init__(void);
void config_run__(void);

/* Its runtime. */
int LogMessage(uint8_t level, char *text, uint32_t size);
void PLC_GetTime(timespan *time);
void PLC_SetTimer(unsigned long long next_ns, unsigned long long period_ns);
void InitRetain(void), CleanupRetain(void), InValidateRetainBuffer(void);
void ValidateRetainBuffer(void), Retain(unsigned, unsigned, void *), InitiateDebugTransfer(void);
void Remind(unsigned, unsigned, void *);
int CheckRetainBuffer(void);

#endif
