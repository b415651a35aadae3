#include "base/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"

enum { REPORT_BYTES_MAX = 256 * 1024, WORD_MAX = 64 };

void report_init(struct report *r, struct str file)
{
        *r = (struct report){ .file = file };
        arena_init(&r->arena, NULL, 0, REPORT_BYTES_MAX);
}

void report_fini(struct report *r)
{
        arena_fini(&r->arena);
        *r = (struct report){ 0 };
}

static void PRINTF_LIKE(5, 0) report_add(struct report *r, enum report_severity severity, uint32_t line,
                                         uint32_t column, const char *format, va_list args)
{
        char text[1024];

        if (severity == REPORT_ERROR)
                r->errors_count++;
        else
                r->warnings_count++;
        if (!r->entries)
                r->entries = ARENA_ARRAY(&r->arena, struct report_entry, REPORT_ENTRIES_MAX);
        if (!r->entries || r->entries_count == REPORT_ENTRIES_MAX)
                return;
        vsnprintf(text, sizeof(text), format, args);
        struct str kept = arena_copy(&r->arena, str_of(text));
        if (!kept.ptr)
                return;
        r->entries[r->entries_count++] = (struct report_entry){ severity, r->file, line, column, kept };
}

void report_error(struct report *r, uint32_t line, uint32_t column, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        report_add(r, REPORT_ERROR, line, column, format, args);
        va_end(args);
}

void report_warning(struct report *r, uint32_t line, uint32_t column, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        report_add(r, REPORT_WARNING, line, column, format, args);
        va_end(args);
}

void report_format(const struct report *r, struct buf *out)
{
        for (size_t i = 0; i < r->entries_count; i++) {
                const struct report_entry *entry = &r->entries[i];

                escape_text(out, entry->file);
                if (entry->line)
                        buf_addf(out, ":%u:%u", entry->line, entry->column);
                if (entry->file.len || entry->line)
                        buf_add(out, STR(": "));
                buf_addf(out, "%s: ", entry->severity == REPORT_ERROR ? "error" : "warning");
                escape_text(out, entry->text);
                buf_add_char(out, '\n');
        }
}

/*
 * Letters to add, drop, change or swap with their neighbour (optimal string alignment), ASCII case folded; words longer
 * than WORD_MAX are never near.
 */
static size_t edit_distance(struct str a, struct str b)
{
        size_t rows[3][WORD_MAX + 1];
        size_t *above = rows[0], *row = rows[1], *spare = rows[2]; /* spare: the row before `above` */

        if (a.len > WORD_MAX || b.len > WORD_MAX)
                return SIZE_MAX;
        for (size_t j = 0; j <= b.len; j++)
                row[j] = j;
        for (size_t i = 1; i <= a.len; i++) {
                size_t *oldest = spare;

                spare = above;
                above = row;
                row = oldest;
                row[0] = i;
                for (size_t j = 1; j <= b.len; j++) {
                        char x = ascii_lower(a.ptr[i - 1]), y = ascii_lower(b.ptr[j - 1]);

                        row[j] = MIN(above[j - 1] + (x != y), MIN(above[j], row[j - 1]) + 1);
                        if (i > 1 && j > 1 && x == ascii_lower(b.ptr[j - 2]) &&
                            ascii_lower(a.ptr[i - 2]) == y)
                                row[j] = MIN(row[j], spare[j - 2] + 1);
                }
        }
        return row[b.len];
}

struct str report_nearest(struct str word, const struct str *candidates, size_t candidates_count)
{
        struct str best = STR_NULL;
        size_t best_distance = MAX(word.len / 3, (size_t)1) + 1;

        for (size_t i = 0; i < candidates_count; i++) {
                size_t distance = edit_distance(word, candidates[i]);

                if (distance < best_distance) {
                        best_distance = distance;
                        best = candidates[i];
                }
        }
        return best;
}
