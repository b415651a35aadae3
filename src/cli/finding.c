#include "cli/finding.h"

#include <stdarg.h>
#include <stdio.h>

#include "cli/out.h"

enum { TEXT_BYTES_MAX = 1024 };

static const struct {
        const char *word, *mark;
        enum out_colour colour;
} levels[] = { [FINDING_GOOD] = { "good", "good   ", OUT_GREEN },
               [FINDING_WARNING] = { "warning", "warning", OUT_YELLOW },
               [FINDING_ERROR] = { "error", "ERROR  ", OUT_RED } };

void finding_add(struct findings *f, enum finding_level level, const char *part, const char *remedy,
                 const char *format, ...)
{
        char text[TEXT_BYTES_MAX];
        va_list args;

        f->warnings_count += level == FINDING_WARNING;
        f->errors_count += level == FINDING_ERROR;
        if (f->count == FINDINGS_MAX)
                return;
        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        f->items[f->count++] =
                (struct finding){ .level = level,
                                  .part = part,
                                  .text = arena_copy(f->arena, str_of(text)),
                                  .remedy = remedy ? arena_copy(f->arena, str_of(remedy)) : STR("") };
}

void finding_say(const struct finding *f)
{
        out_coloured(levels[f->level].colour, "%s", levels[f->level].mark);
        out_print("  %-13s  ", f->part);
        out_foreign(f->text);
        out_print("\n");
        if (!f->remedy.len)
                return;
        out_print("%24s  → ", "");
        out_foreign(f->remedy);
        out_print("\n");
}

void findings_write(struct json_writer *w, const struct findings *f, enum finding_level least)
{
        json_write_array_begin(w);
        for (size_t i = 0; i < f->count; i++) {
                if (f->items[i].level < least)
                        continue;
                json_write_object_begin(w);
                json_write_member_str(w, STR("level"), str_of(levels[f->items[i].level].word));
                json_write_member_str(w, STR("part"), str_of(f->items[i].part));
                json_write_member_str(w, STR("text"), f->items[i].text);
                json_write_member_str(w, STR("remedy"), f->items[i].remedy);
                json_write_object_end(w);
        }
        json_write_array_end(w);
}
