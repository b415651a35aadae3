#include "base/log.h"

#include <inttypes.h>

#include "base/buf.h"
#include "base/escape.h"
#include "base/units.h"

enum { LOG_LINE_BYTES_MAX = 64 * 1024 };

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

static void field_plain(struct buf *out, const struct log_field *field)
{
        buf_addf(out, "  %s=", field->name);
        switch (field->kind) {
        case LOG_FIELD_STR: escape_text(out, field->text); break;
        case LOG_FIELD_INT: buf_addf(out, "%" PRId64, field->number); break;
        case LOG_FIELD_BOOL: buf_add(out, field->number ? STR("true") : STR("false")); break;
        }
}

void log_event(enum log_level level, const char *event, const struct log_field *fields, size_t fields_count)
{
        char time[UNITS_TIME_TEXT_MAX] = "";
        struct buf line;

        if (!log_enabled(level))
                return;
        if (logger.clock)
                units_format_time(logger.clock(), time);
        buf_init(&line, LOG_LINE_BYTES_MAX);
        if (logger.format == LOG_JSON)
                buf_addf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%s\"", time,
                         level_names[level], event);
        else
                buf_addf(&line, "%s  %-7s  %s", time, level_names[level], event);
        for (size_t i = 0; i < fields_count; i++) {
                if (logger.format == LOG_JSON)
                        field_json(&line, &fields[i]);
                else
                        field_plain(&line, &fields[i]);
        }
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
