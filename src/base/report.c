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

static void report_add(struct report *r, enum report_severity severity, uint32_t line, uint32_t column,
                       const char *format, va_list args)
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

                if (entry->file.len)
                        buf_addf(out, "%.*s:", STR_FMT(entry->file));
                if (entry->line)
                        buf_addf(out, "%u:%u:", entry->line, entry->column);
                if (out->len && out->ptr[out->len - 1] == ':')
                        buf_add_char(out, ' ');
                buf_addf(out, "%s: ", entry->severity == REPORT_ERROR ? "error" : "warning");
                escape_text(out, entry->text);
                buf_add_char(out, '\n');
        }
}

/* Levenshtein distance, ASCII case folded; words longer than WORD_MAX are never near. */
static size_t edit_distance(struct str a, struct str b)
{
        size_t row[WORD_MAX + 1];

        if (a.len > WORD_MAX || b.len > WORD_MAX)
                return SIZE_MAX;
        for (size_t j = 0; j <= b.len; j++)
                row[j] = j;
        for (size_t i = 1; i <= a.len; i++) {
                size_t diagonal = row[0];

                row[0] = i;
                for (size_t j = 1; j <= b.len; j++) {
                        size_t change = diagonal + (ascii_lower(a.ptr[i - 1]) != ascii_lower(b.ptr[j - 1]));

                        diagonal = row[j];
                        row[j] = MIN(change, MIN(row[j], row[j - 1]) + 1);
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
