/*
 * proxy/reply.h - answers made here: a side whose body is in the exchange's arena or static.
 */
#pragma once

#include "base/buf.h"
#include "proxy/exchange.h"

struct reply_field {
        struct str name, value;
};

/* Answers with that head and body (borrowed until the exchange ends). The step that calls it returns STEP_DONE. Date and
 * Content-Length are added. */
void reply_start(struct exchange *x, uint16_t status, const struct reply_field *fields, size_t fields_count,
                 struct str body);

/* The same with a body that is made for this answer: takes the buf, frees it when the answer is out. */
void reply_take(struct exchange *x, uint16_t status, const struct reply_field *fields, size_t fields_count,
                struct buf *body);

/* An error in the form of the API called (route->handler->format_error), or Sekisho's:
 * {"error":{"type","message","request_id"}}; or a page, where the caller is a browser and the route no API of ours. */
void reply_error(struct exchange *x, uint16_t status, const char *message);

/* The head of a stream of events, chunked and not to be stored; x->up stands already and gives the body. */
void reply_events_begin(struct exchange *x);

/* Adds a field to whatever answer of ours comes (Retry-After, WWW-Authenticate, Allow). Before reply_error. */
void reply_will_have(struct exchange *x, const char *name, struct str value);

/* The error type word of a status: "unauthorized", "rate_limited", … */
const char *reply_error_type(uint16_t status);

/* Static answers as a route's handler: conf is a struct reply_conf. */
struct reply_conf {
        uint16_t status;
        struct str content_type, body;
};
extern const struct handler reply_handler;

/* Redirects as a route's handler: conf is a struct redirect_conf. "{path}", "{query}" and "{host}" are put in. */
struct redirect_conf {
        uint16_t status;
        struct str to;
};
extern const struct handler redirect_handler;

/* Answers every request of a listener with a redirect to https. */
enum step_result reply_redirect_to_https(struct exchange *x, uint16_t https_port);
