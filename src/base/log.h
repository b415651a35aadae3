/*
 * base/log.h - events with fields, one JSON object a line.
 *
 *   log_info("listener_bound", LOG_S("address", address), LOG_N("port", port));
 *   {"time":"2026-11-21T09:00:00.000Z","level":"info","event":"listener_bound","address":"[::1]","port":3000}
 *
 * Process-wide, set up once before the first event. The sink must not block for long: io gives one that drops and
 * counts when a pipe is full. What a stranger can cause is guarded by a `struct log_limit`. A field that does not fit
 * into a line of 64 KiB is left out and the line says "cut":true.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR, LOG_LEVELS };

enum log_format { LOG_JSON, LOG_PLAIN };

struct log_field {
        const char *name;
        enum { LOG_FIELD_STR, LOG_FIELD_INT, LOG_FIELD_BOOL } kind;
        struct str text;
        int64_t number;
};

/* clang-format off */
#define LOG_S(name, value) ((struct log_field){ (name), LOG_FIELD_STR,  (value), 0 })
#define LOG_C(name, value) ((struct log_field){ (name), LOG_FIELD_STR,  str_of(value), 0 })
#define LOG_N(name, value) ((struct log_field){ (name), LOG_FIELD_INT,  STR_NULL, (int64_t)(value) })
#define LOG_B(name, value) ((struct log_field){ (name), LOG_FIELD_BOOL, STR_NULL, (value) })
#define LOG_E(err)         LOG_C("error", err_text(err))
/* clang-format on */

/* Writes one line that ends in '\n'. Borrows it. */
typedef void log_sink(void *context, struct str line);
typedef unix_ms log_clock(void);

/* Until this is called events go nowhere. `clock` may be NULL: no time field. */
void log_setup(log_sink *sink, void *context, log_clock *clock, enum log_level least, enum log_format format);
bool log_enabled(enum log_level level);

/* "debug", "info", "warning", "error"; ERR_MALFORMED. */
MUST_USE enum err log_level_parse(struct str text, enum log_level *out);
const char *log_level_name(enum log_level level);

void log_event(enum log_level level, const char *event, const struct log_field *fields, size_t fields_count);

#define LOG_EVENT(level, event, ...)                                                     \
        do {                                                                             \
                if (log_enabled(level)) {                                                \
                        const struct log_field log_fields[] = { __VA_ARGS__ };           \
                        log_event((level), (event), log_fields, ARRAY_SIZE(log_fields)); \
                }                                                                        \
        } while (0)
#define log_debug(event, ...)   LOG_EVENT(LOG_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...)    LOG_EVENT(LOG_INFO, event, __VA_ARGS__)
#define log_warning(event, ...) LOG_EVENT(LOG_WARNING, event, __VA_ARGS__)
#define log_error(event, ...)   LOG_EVENT(LOG_ERROR, event, __VA_ARGS__)

/* At most `burst` events a period; the first after a silence says how many were left out. */
struct log_limit {
        unsigned burst;
        mono_ms period_ms;
        /* private */
        mono_ms since;
        unsigned used, dropped;
};

/* True when the event may be written; *dropped_out is how many were not since the last one. */
bool log_limit_pass(struct log_limit *limit, mono_ms now, unsigned *dropped_out);
