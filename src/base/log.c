#include "base/log.h"

#include <inttypes.h>

#include "base/buf.h"
#include "base/escape.h"
#include "base/units.h"

/* What closes a line always finds room: fields may use all but the reserve. */
enum { LOG_LINE_BYTES_MAX = 64 * 1024, LOG_RESERVE_BYTES = 64 };

static struct {
        log_sink *sink;
        void *context;
        log_clock *clock;
        enum log_level least;
        enum log_format format;
} logger;

static const char *const level_names[LOG_LEVELS] = { "debug", "info", "warning", "error" };

void log_setup(log_sink *sink, void *context, log_clock *clock, enum log_level least, enum log_format format)
{
        logger.sink = sink;
        logger.context = context;
        logger.clock = clock;
        logger.least = least;
        logger.format = format;
}

bool log_enabled(enum log_level level)
{
        return logger.sink && level >= logger.least;
}

enum err log_level_parse(struct str text, enum log_level *out)
{
        for (int i = 0; i < LOG_LEVELS; i++)
                if (str_eq(text, str_of(level_names[i]))) {
                        *out = (enum log_level)i;
                        return ERR_OK;
                }
        return ERR_MALFORMED;
}

const char *log_level_name(enum log_level level)
{
        return level_names[level];
}

static void field_json(struct buf *out, const struct log_field *field)
{
        buf_addf(out, ",\"%s\":", field->name);
        switch (field->kind) {
        case LOG_FIELD_STR:
                buf_add_char(out, '"');
                escape_json(out, field->text);
                buf_add_char(out, '"');
                break;
        case LOG_FIELD_INT: buf_addf(out, "%" PRId64, field->number); break;
        case LOG_FIELD_BOOL: buf_add(out, field->number ? STR("true") : STR("false")); break;
        }
}

/* In quotes where it could otherwise be read as more than one field. */
static void text_plain(struct buf *out, struct str text)
{
        bool is_bare = text.len > 0;

        for (size_t i = 0; i < text.len; i++)
                if (text.ptr[i] == ' ' || text.ptr[i] == '"' || text.ptr[i] == '=')
                        is_bare = false;
        if (is_bare) {
                escape_text(out, text);
                return;
        }
        buf_add_char(out, '"');
        escape_json(out, text);
        buf_add_char(out, '"');
}

static void field_plain(struct buf *out, const struct log_field *field)
{
        buf_addf(out, "  %s=", field->name);
        switch (field->kind) {
        case LOG_FIELD_STR: text_plain(out, field->text); break;
        case LOG_FIELD_INT: buf_addf(out, "%" PRId64, field->number); break;
        case LOG_FIELD_BOOL: buf_add(out, field->number ? STR("true") : STR("false")); break;
        }
}

static void line_begin(struct buf *line, enum log_level level, const char *event)
{
        char time[UNITS_TIME_TEXT_MAX] = "";

        if (logger.clock)
                units_format_time(logger.clock(), time);
        if (logger.format == LOG_PLAIN)
                buf_addf(line, "%s%s%-7s  %s", time, logger.clock ? "  " : "", level_names[level], event);
        else if (logger.clock)
                buf_addf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%s\"", time, level_names[level],
                         event);
        else
                buf_addf(line, "{\"level\":\"%s\",\"event\":\"%s\"", level_names[level], event);
}

void log_event(enum log_level level, const char *event, const struct log_field *fields, size_t fields_count)
{
        struct buf line;
        bool is_cut = false;

        if (!log_enabled(level))
                return;
        buf_init(&line, LOG_LINE_BYTES_MAX);
        line_begin(&line, level, event);
        if (line.full) { /* no memory at all */
                buf_fini(&line);
                return;
        }
        for (size_t i = 0; i < fields_count; i++) {
                size_t before = line.len;

                if (logger.format == LOG_JSON)
                        field_json(&line, &fields[i]);
                else
                        field_plain(&line, &fields[i]);
                if (!line.full && line.len <= LOG_LINE_BYTES_MAX - LOG_RESERVE_BYTES)
                        continue;
                /* A stranger must not be able to hide an event by making a field of it too long. */
                line.len = before;
                line.full = false;
                is_cut = true;
        }
        if (is_cut)
                buf_add(&line, logger.format == LOG_JSON ? STR(",\"cut\":true") : STR("  cut=true"));
        buf_add(&line, logger.format == LOG_JSON ? STR("}\n") : STR("\n"));
        if (!line.full)
                logger.sink(logger.context, buf_str(&line));
        buf_fini(&line);
}

bool log_limit_pass(struct log_limit *limit, mono_ms now, unsigned *dropped_out)
{
        if (now - limit->since >= limit->period_ms) {
                limit->since = now;
                limit->used = 0;
        }
        if (limit->used >= limit->burst) {
                limit->dropped++;
                return false;
        }
        limit->used++;
        *dropped_out = limit->dropped;
        limit->dropped = 0;
        return true;
}
