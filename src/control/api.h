/*
 * control/api.h - a call of the REST API: from the exchange to a job of the store, and back.
 *
 *   pick → body collected → job in the store's thread: who, may they, run → answer on the loop's thread
 *
 * Does:   what all calls share: keys, strict bodies, pages, ETag and If-Match, Idempotency-Key, errors.
 * Not:    what a route does: its `run`, in the files api_*.c; which routes there are: routes.h.
 * Thread: `run` and what is marked so below is called in a helper thread of the store and touches nothing but its call;
 *         the rest belongs to the loop.
 */
#pragma once

#include "control/schema.h"
#include "identity/permit.h"
#include "proxy/route.h"
#include "store/table.h"

struct control;
struct api_call;

/* In the store's thread, inside the call's transaction; may be called again from the start. Not ERR_OK: all is taken back. */
typedef enum err api_run_fn(struct api_call *c, struct store_txn *t, const struct identity_permit *permit);

/* On the loop's thread, when the call's job is done well: takes over the exchange instead of an answer (event streams). */
typedef void api_stream_fn(struct api_call *c);
/* On the loop's thread, before the job: what needs the process and not the store. False: it has refused the exchange. */
typedef bool api_prepare_fn(struct api_call *c);

enum api_flags {
        API_READS = 1 << 0,  /* changes nothing */
        API_PUBLIC = 1 << 1, /* asks for no key */
        API_LIST = 1 << 2,   /* the answer is a page of `answer` */
        API_SECRET = 1 << 3, /* the answer holds a secret that is shown once */
        API_HIDDEN = 1 << 4, /* for nodes: not in the OpenAPI page */
        API_ENDS =
                1 << 5, /* `stream` runs though the caller left: it ends what was begun, by api_answer_now */
        API_AT_GATEWAYS = 1 << 6, /* also for who comes by a gateway (callers.h) */
};

struct api_parameter {
        const char *name; /* NULL ends */
        const char *doc;
};

struct api_route {
        enum http_method method;
        const char *base; /* NULL: "/api/v1" */
        const char *path; /* below it: "/nodes/{id}" */
        unsigned scopes;  /* of enum identity_scope, one of them; 0: any key, or API_PUBLIC */
        unsigned flags;
        uint16_t status; /* of a good answer */
        api_run_fn *run;
        api_prepare_fn *prepare;       /* may be NULL */
        api_stream_fn *stream;         /* may be NULL */
        const struct handler *handler; /* of its own, instead of all that; may be NULL */
        const struct schema *request;  /* NULL: no body */
        unsigned request_flags;        /* SCHEMA_IN, SCHEMA_EDIT */
        const struct schema *answer;   /* NULL: none */
        const struct api_parameter *query;
        const char *tag, *doc;
};

enum { API_PARAMS_MAX = 3, API_BODY_MAX = 256 * 1024, API_ANSWER_MAX = 16 << 20, API_PAGE_DEFAULT = 100 };

struct api_call {
        struct store_job job;
        struct exchange *x; /* NULL: the caller left */
        struct control *control;
        const struct api_route *route;

        /* what was asked; in `arena` */
        struct arena arena;
        struct str params[API_PARAMS_MAX], query, body, presented, if_match, idempotency_key, source;
        void *prepared; /* of the route's */

        /* while it runs; `work` is emptied before each try */
        struct arena work;
        struct identity_caller caller;

        /* the answer */
        uint16_t status;
        struct buf answer;
        char etag[32];
        struct str location; /* in `work` */
        bool has_failed, is_replayed;
        char error_type[32];
        char message[512];
        bool is_running; /* a job is under way */
};

extern const struct handler api_handler, api_websocket_handler; /* handler_conf is a struct api_route */

/* Once for the process: where the handler finds it. */
void api_start(struct control *control);

/* Puts the routes of the API into a table with room for them. */
void api_routes_add(struct route_table *t, const struct api_route *routes, size_t count, struct arena *a);
/* One of them, which stays the table's: to be put elsewhere too. */
struct route *api_route_add(struct route_table *t, const struct api_route *route, struct arena *a);

/* ---- for `run`, in the store's thread ---- */

/* Says what is wrong; return what it returns. `type` NULL: the status' own word. */
enum err api_fail(struct api_call *c, uint16_t status, const char *type, const char *format, ...)
        PRINTF_LIKE(4, 5);

/* What the store said about a row, as an answer; `what` names it: "the node". Returns an error (not for ERR_OK). */
enum err api_store_failed(struct api_call *c, enum err e, const char *what);

/* The row a path's id names. */
MUST_USE enum err api_param_id(struct api_call *c, unsigned number, const char *prefix, int64_t *row);
/* A query parameter, decoded, in `work`; empty when it is not there. */
struct str api_query(struct api_call *c, const char *name);

/* The body by the route's schema. */
MUST_USE enum err api_body(struct api_call *c, void *out, uint64_t *given);

/* The revision If-Match asks for; 0: any. ERR_*: it is no ETag of ours (412 was said). */
MUST_USE enum err api_expected(struct api_call *c, int64_t *revision);

/* The answer: one object. `revision` 0: without ETag. */
enum err api_answer(struct api_call *c, const struct schema *s, const void *in, int64_t revision);
/* The same and a Location, "/api/v1/PATH/ID". */
enum err api_created(struct api_call *c, const struct schema *s, const void *in, int64_t revision,
                     const char *path, struct str id);
enum err api_nothing(struct api_call *c); /* 204 */

/* A page: from the query's `after` and `limit`. */
MUST_USE enum err api_page(struct api_call *c, int64_t org, struct store_page *page);
struct api_pager {
        struct json_writer w;
        struct api_call *c;
};
void api_page_begin(struct api_pager *p, struct api_call *c);
void api_page_add(struct api_pager *p, const struct schema *s, const void *in);
enum err api_page_end(struct api_pager *p, const struct store_page *page, int64_t last);

/* ---- on the loop's thread ---- */

void api_answer_now(struct api_call *c); /* what `run` left, to the exchange; frees the call */
void api_let_go(struct api_call *c);     /* for a stream: frees the call, the exchange goes on without it */
