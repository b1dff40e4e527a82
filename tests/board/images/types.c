/* SPDX-License-Identifier: MIT */
/* One variable of every IEC type. Each cycle writes each of them, through the macros. */
#include "plc_abi.h"

static sr_bool v_bool;
static sr_sint v_sint;
static sr_int v_int;
static sr_dint v_dint;
static sr_lint v_lint;
static sr_usint v_usint;
static sr_uint v_uint;
static sr_udint v_udint;
static sr_ulint v_ulint;
static sr_byte v_byte;
static sr_word v_word;
static sr_dword v_dword;
static sr_lword v_lword;
static sr_real v_real;
static sr_lreal v_lreal;
static sr_time v_time;
static sr_date v_date;
static sr_tod v_tod;
static sr_dt v_dt;
static SR_STRING(20) v_string;
static SR_STRING(254) v_long;

static void run(const sr_cycle *cycle)
{
    (void)cycle;
    SR_SET(v_bool, 1);
    SR_SET(v_sint, -128);
    SR_SET(v_int, -32768);
    SR_SET(v_dint, INT32_MIN);
    SR_SET(v_lint, INT64_MIN);
    SR_SET(v_usint, 255);
    SR_SET(v_uint, 65535);
    SR_SET(v_udint, UINT32_MAX);
    SR_SET(v_ulint, UINT64_MAX);
    SR_SET(v_byte, 0xA5);
    SR_SET(v_word, 0xA55A);
    SR_SET(v_dword, 0xDEADBEEF);
    SR_SET(v_lword, 0x0123456789ABCDEF);
    SR_SET(v_real, 1.5f);
    SR_SET(v_lreal, -1e300);
    SR_SET(v_time, -1);
    SR_SET(v_date, INT64_C(19000) * 86400 * 1000000000);
    SR_SET(v_tod, INT64_C(86399999999999));
    SR_SET(v_dt, INT64_C(1700000000123456789));
    SR_SET_STRING(v_string, "this is longer than twenty");
    SR_SET_STRING(v_long, "short");
}

static const sr_task tasks[] = {{.name = "MAIN", .interval_ns = 1000000, .run = run}};
static const sr_variable variables[] = {
    SR_ROW("BOOL", BOOL, v_bool),
    SR_ROW("SINT", SINT, v_sint),
    SR_ROW("INT", INT, v_int),
    SR_ROW("DINT", DINT, v_dint),
    SR_ROW("LINT", LINT, v_lint),
    SR_ROW("USINT", USINT, v_usint),
    SR_ROW("UINT", UINT, v_uint),
    SR_ROW("UDINT", UDINT, v_udint),
    SR_ROW("ULINT", ULINT, v_ulint),
    SR_ROW("BYTE", BYTE, v_byte),
    SR_ROW("WORD", WORD, v_word),
    SR_ROW("DWORD", DWORD, v_dword),
    SR_ROW("LWORD", LWORD, v_lword),
    SR_ROW("REAL", REAL, v_real),
    SR_ROW("LREAL", LREAL, v_lreal),
    SR_ROW("TIME", TIME, v_time),
    SR_ROW("DATE", DATE, v_date),
    SR_ROW("TOD", TOD, v_tod),
    SR_ROW("DT", DT, v_dt),
    SR_ROW_STRING("STRING", v_string),
    SR_ROW_STRING("LONG_STRING", v_long),
};

SR_PLC_IMAGE("types", tasks, variables, 0, 0);
