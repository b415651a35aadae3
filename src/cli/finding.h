/*
 * cli/finding.h - what an examination found: well or not, in which part, and what to do about it.
 */
#pragma once

#include "base/arena.h"
#include "base/compiler.h"
#include "json/writer.h"

enum finding_level { FINDING_GOOD, FINDING_WARNING, FINDING_ERROR };

struct finding {
        enum finding_level level;
        const char *part;        /* "clock", "link"; a literal */
        struct str text, remedy; /* one sentence each; remedy may be empty */
};

enum { FINDINGS_MAX = 500 };

/* Zeroed but for the arena, which keeps the texts. More than FINDINGS_MAX are only counted. */
struct findings {
        struct arena *arena;
        struct finding items[FINDINGS_MAX];
        size_t count, warnings_count, errors_count;
};

/* `remedy` may be NULL. */
void finding_add(struct findings *f, enum finding_level level, const char *part, const char *remedy,
                 const char *format, ...) PRINTF_LIKE(5, 6);

/* One line, and one more with the remedy. */
void finding_say(const struct finding *f);
/* The array of those at least so bad. */
void findings_write(struct json_writer *w, const struct findings *f, enum finding_level least);
