/*
 * base/report.h - what an operator did wrong: file, line, column, and what would be right.
 *
 * Collected while a text is read, printed by the command or refused with by the API. Not for peers' input.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"

enum report_severity { REPORT_ERROR, REPORT_WARNING };

struct report_entry {
        enum report_severity severity;
        struct str file;       /* empty when not about a file */
        uint32_t line, column; /* from 1; 0 when unknown */
        struct str text;       /* one sentence: what is wrong, and what would be right */
};

struct report {
        struct str file; /* given to entries as they are added; borrowed */
        size_t errors_count, warnings_count;
        size_t entries_count; /* at most REPORT_ENTRIES_MAX are kept; the counts go on */
        struct report_entry *entries;
        struct arena arena; /* holds the texts */
};

enum { REPORT_ENTRIES_MAX = 100 };

void report_init(struct report *r, struct str file);
void report_fini(struct report *r);

void report_error(struct report *r, uint32_t line, uint32_t column, const char *format, ...)
        PRINTF_LIKE(4, 5);
void report_warning(struct report *r, uint32_t line, uint32_t column, const char *format, ...)
        PRINTF_LIKE(4, 5);

/* "file:line:column: error: text", a line each. */
void report_format(const struct report *r, struct buf *out);

/*
 * The candidate nearest to `word` by edit distance (two swapped letters are one edit), the first of equals; empty when
 * none is near enough to be meant: a third of the word's letters, but at least one. For "did you mean".
 */
struct str report_nearest(struct str word, const struct str *candidates, size_t candidates_count);
