/*
 * cli/out.h - what commands print. A pipe that nobody reads is no error; colours only on a terminal and without NO_COLOR.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/report.h"
#include "base/str.h"

enum out_colour { OUT_PLAIN, OUT_BOLD, OUT_GREEN, OUT_YELLOW, OUT_RED, OUT_DIM };

/* To standard output. */
void out_print(const char *format, ...) PRINTF_LIKE(1, 2);
void out_str(struct str text);
void out_coloured(enum out_colour colour, const char *format, ...) PRINTF_LIKE(2, 3);

/* Text that came from elsewhere: what could steer a terminal is made visible. */
void out_foreign(struct str text);

/* "sekisho: text" to standard error. */
void out_problem(const char *format, ...) PRINTF_LIKE(1, 2);
/* To standard error as it is. */
void out_note(const char *format, ...) PRINTF_LIKE(1, 2);
void out_report(const struct report *r);

bool out_is_terminal(FILE *f);

/* Everything out; `code`, or EXIT_FAILED where standard output could not be written for another reason than a closed pipe. */
int out_finish(int code);
