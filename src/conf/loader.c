#include "conf/loader_priv.h"

#include <stdarg.h>
#include <stdio.h>

struct draft_place loader_place(const struct loader *l, const struct json_value *v)
{
        if (l->is_default)
                return (struct draft_place){ 0 };
        return (struct draft_place){ v->line, v->column };
}

static void PRINTF_LIKE(5, 0)
        report_at(struct loader *l, enum report_severity severity, struct draft_place at, struct str path,
                  const char *format, va_list args)
{
        bool is_published = at.line == DRAFT_LINE_PUBLISHED;
        char text[900];

        vsnprintf(text, sizeof(text), format, args);
        if (is_published)
                at = (struct draft_place){ 0 };
        (severity == REPORT_ERROR ? report_error : report_warning)(
                l->report, at.line, at.column, "%s%.*s%s%s", is_published ? "published by control: " : "",
                STR_FMT(path), path.len ? ": " : "", text);
}

void loader_error(struct loader *l, const struct json_value *v, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        report_at(l, REPORT_ERROR, loader_place(l, v), buf_str(&l->path), format, args);
        va_end(args);
}

void loader_warning(struct loader *l, const struct json_value *v, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        report_at(l, REPORT_WARNING, loader_place(l, v), buf_str(&l->path), format, args);
        va_end(args);
}

void loader_error_at(struct loader *l, struct draft_place at, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        report_at(l, REPORT_ERROR, at, STR_NULL, format, args);
        va_end(args);
}

void loader_warning_at(struct loader *l, struct draft_place at, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        report_at(l, REPORT_WARNING, at, STR_NULL, format, args);
        va_end(args);
}

size_t loader_enter_key(struct loader *l, struct str name)
{
        size_t len = l->path.len;

        if (len)
                buf_add_char(&l->path, '.');
        buf_add(&l->path, str_sub(name, 0, 80));
        return len;
}

size_t loader_enter_index(struct loader *l, size_t index)
{
        size_t len = l->path.len;

        buf_addf(&l->path, "[%zu]", index);
        return len;
}

void loader_leave(struct loader *l, size_t len)
{
        l->path.len = len;
}

const char *loader_hint(struct loader *l, struct str word, const struct str *candidates,
                        size_t candidates_count)
{
        struct str nearest = report_nearest(word, candidates, candidates_count);

        if (!nearest.ptr)
                return "";
        struct str text = arena_format(&l->scratch, " (did you mean \"%.*s\"?)", STR_FMT(nearest));
        return text.ptr ? text.ptr : "";
}
