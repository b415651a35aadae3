/*
 * proxy/exchange.h - one request between the side it came from (down) and the side that answers (up).
 *
 *   born → steps (steps.h), which may wait → both bodies flow → both done → recorded → gone
 *
 * Memory: one pooled struct, and the arena's first block from a pool beside it. Holds the snapshot it began with. Thread: its worker.
 */
#pragma once

#include "base/arena.h"
#include "base/ip.h"
#include "http/rules.h"
#include "http/target.h"
#include "io/timer.h"
#include "proxy/bodystore.h"
#include "proxy/side.h"
#include "proxy/waitline.h"

struct route;
struct snapshot;
struct target;
struct token;
struct upstream;
struct worker;
struct filter;
struct down_link;
struct exchange_note;
struct trace;
struct up_dial;
struct pacing;
struct settled;
struct caller;
struct caller_question;

enum {
        EXCHANGE_ARENA_FIRST = 4096,
        EXCHANGE_FIELDS_OURS_MAX = 28, /* that the steps add, and Host once more for each attempt */
        EXCHANGE_RULES_FEW = 4,        /* a route's, that there is room for from the first */
        EXCHANGE_FIELDS_ADDED_MAX = 48,
        EXCHANGE_ID_LEN = 22,
        EXCHANGE_FILTERS_MAX = 4,
        EXCHANGE_TRIED_MAX = 8
};

enum step_result { STEP_NEXT, STEP_WAIT, STEP_DONE };

/* What became of it, for log and metrics beside the status. */
enum exchange_outcome {
        OUTCOME_NONE,
        OUTCOME_ANSWERED,      /* whole answer delivered */
        OUTCOME_REFUSED,       /* our own answer: a rule or a limit */
        OUTCOME_CLIENT_LEFT,   /* before the answer was whole */
        OUTCOME_UPSTREAM_BROKE /* after the answer's head was sent */
};

/* Who a client is by its certificate, as fields say it. */
struct client_certificate {
        char sha256[65];           /* hexadecimal, with NUL */
        char spki_sha256[65];      /* of its public key, likewise */
        struct str subject, names; /* see tls_peer_identity */
        char text[];
};

/* Where a request comes in: what a listener knows of its connections. */
struct exchange_origin {
        struct ip peer, local;
        uint16_t peer_port, local_port;
        bool is_tls;
        bool is_relayed;                         /* peer is what a PROXY header said */
        bool is_admin;                           /* the admin listener: its own routes */
        bool is_link;                            /* a gateway asks its agent (link_in.h) */
        struct down_link *link;                  /* on which link of ours; NULL: its connection is gone */
        const struct route *raw;                 /* its connections are passed on as they are */
        struct str server_name;                  /* TLS SNI, empty when none */
        const struct client_certificate *client; /* verified; NULL: it showed none */
};

/* A state of one filter for one exchange; see filter.h. */
struct exchange_filter {
        const struct filter *filter;
        void *state;
};

struct exchange {
        /* identity */
        struct worker *w;
        struct snapshot *snap;
        char id[EXCHANGE_ID_LEN + 1];
        const struct exchange_origin *origin;

        /* the two ends */
        struct side *down, *up;
        struct side *lender;        /* the down side, also when it was reset, while it lends memory */
        struct up_dial *connecting; /* the upstream connection waited for, or NULL */
        mono_ms link_wait_until;    /* waits for an agent's link, at most until then */
        struct list connect_node;   /* among those who wait for a connection */

        /* the request; slices point into the down side's buffer or the arena */
        struct http_head request;
        struct http_target target;
        struct str forward_target; /* what goes upstream: target.text, or rewritten */
        struct http_client client;
        struct ip
                client_to; /* over a link: which of the gateway's addresses a stream of bytes came to; family 0: not said */
        uint16_t client_to_port, client_port;

        /* what the steps found */
        const struct route *route;
        const struct token *token;
        struct caller_question *question; /* who it is by its network (caller.h), once that was asked */
        const struct caller *caller;      /* and who it was; gone once it is a tunnel */
        struct str caller_name;           /* the login or first tag, for the log; empty: nobody was found */
        struct str caller_entry;          /* of the route's list: what let it in */
        mono_ms caller_at;                /* when the network last said so; 0: not the network */
        struct upstream *upstream;
        struct target *target_in_use;
        const char *way, *way_reason; /* of the link it went over and why that one, see links.h; else NULL */
        struct target *entered;       /* whose load it is part of, or NULL */
        bool is_probe;                /* it tries a target that was ejected */
        struct target **tried; /* failed targets, not to be picked again; in the arena when there are any */
        uint8_t tried_count;
        const char *refused; /* the reason word of our own answer, or NULL */
        const char *label;   /* names the route's kind in the log: a model, … ; empty */
        struct str model;    /* AI routes */
        void *extra;         /* of the route's handler, in the arena */

        /* progress */
        uint8_t step;
        bool is_waiting, is_running; /* in a step; inside exchange_run */
        bool is_connecting;          /* waits for an upstream connection (up.h) */
        bool is_upstreams;           /* `up` is an upstream's, not an answer of our own */
        bool is_internal;            /* a call of our own: no client, not logged as a request */
        bool wants_upgrade, is_websocket, is_tunnel;
        bool is_connect; /* an extended CONNECT: to its client any 2xx means that the tunnel is open (RFC 8441 5) */
        bool has_bad_token;
        bool has_own_token;     /* one of ours, where none is asked for: it goes no further */
        bool is_address_denied; /* the last attempt: worker.may_dial said no */
        int32_t tally_slot, token_slot, route_slot, address_slot; /* concurrency: what it holds */
        bool is_counted;
        bool is_stale_retry; /* the last attempt met a kept connection that was closed: the target is not to blame */
        bool continue_sent, request_done, answer_started, answer_done, is_ended;
        bool answer_is_in;  /* the up side said the answer's end, whatever a filter still holds of it */
        bool keep_body;     /* copy the request body for a replay */
        bool is_collecting; /* hold the body back: a step needs to see it */
        uint16_t status;    /* of the answer */
        uint8_t attempts;
        enum err up_error; /* why the last attempt failed */
        enum exchange_outcome outcome;

        struct exchange_note *notes; /* fields for an answer of ours: reply_will_have */

        /* request body held for a step or a replay */
        struct bodystore body;
        size_t body_sent; /* bytes of the store given to the present up side */

        struct exchange_filter filters[EXCHANGE_FILTERS_MAX];
        uint8_t filters_count;
        const struct exchange_filter *changer; /* the filter that changes the answer's body, or NULL */

        /* measures */
        int64_t start_us, up_start_us;
        int64_t first_byte_us;                /* of an upstream's answer; 0: none came */
        struct trace *trace;                  /* in the arena; NULL: tracing is off, or no route was found */
        int64_t up_end_us;                    /* of the last attempt */
        int64_t waiting_since_us, waited_us;  /* for the upstream; since 0: not now */
        uint64_t request_bytes, answer_bytes; /* payload */
        uint64_t tokens_in, tokens_out;       /* AI usage as the provider reported it */
        struct timer timer;                   /* total time, or a wait's end */
        struct timer try_timer; /* the attempt's time, or that of waiting for a target with room */
        struct waiter waiter;   /* in the upstream's line */
        bool is_called;         /* out of it, to pick now */
        struct pacing *pacing;  /* in the arena, where the route has a least rate; pace.h */
        struct task again;      /* run on in the next turn */

        struct list node;        /* in worker.exchanges */
        struct settled *settled; /* a tunnel's: what is left of the request, see settle.h; else NULL */
        void *first;             /* the arena's first block; NULL when settled */
        struct arena arena;
};

/*
 * Begins with a whole head. Copies the fields into the arena (with room for added ones); the bytes stay the down side's
 * until the exchange ends. NULL when the worker's pool is used up. `origin` lives as long as the down side.
 */
struct exchange *exchange_new(struct worker *w, struct side *down, const struct exchange_origin *origin,
                              const struct http_head *head);

/* Before many rules of a route, or its handler, add fields: room for EXCHANGE_FIELDS_ADDED_MAX. False: no memory. */
bool exchange_fields_widen(struct exchange *x);

/* Runs the steps from where it stands, until one waits or all is under way. */
void exchange_run(struct exchange *x);
/* The same in the next turn: for a step's event that arrives inside another call. */
void exchange_run_later(struct exchange *x);

/* Answers from here, in the form of the API called: status, error type and message. `refused` is the reason word for log
 * and metric. Returns STEP_DONE so that a step can end with it. Before the answer has started only. */
enum step_result exchange_refuse(struct exchange *x, uint16_t status, const char *refused,
                                 const char *message);

/* No answer is possible: both sides are reset. */
void exchange_abort(struct exchange *x);

/* Attaches the side that will answer and sends it the request: head, what is stored of the body, then the rest. */
void exchange_start_up(struct exchange *x, struct side *up);

/* Gives the present attempt up, for another target; false, and nothing is changed, once that is not possible. */
bool exchange_try_again(struct exchange *x, enum err why);

/* Lets the body come in while no up side is there; `on_body` of the route's handler sees it. Bounded by
 * limits.model_lookahead_bytes: 413 past it. */
void exchange_collect(struct exchange *x);

/* For settle.h: gives back the arena and what the client's side lent. Nothing of the request may point there any more. */
void exchange_memory_drop(struct exchange *x);

/* ---- events from the down side ---- */
/* Payload taken. A message without body is one empty last piece. */
size_t exchange_request_data(struct exchange *x, const struct side_data *d);
void exchange_down_room(struct exchange *x);
/* The client is gone, or its request broke off: nothing more goes to it. */
void exchange_down_reset(struct exchange *x, enum err reason);
/* A body that breaks the specification or a limit: answer `status` if that is still possible. */
void exchange_request_broken(struct exchange *x, const struct http_refusal *refusal);

/* ---- events from the up side ---- */
/* An answer's head; 1xx may come before. The fields are changed in place. */
void exchange_answer_head(struct exchange *x, struct http_head *head);
size_t exchange_answer_data(struct exchange *x, const struct side_data *d);
void exchange_up_room(struct exchange *x);
/* The up side is gone before a clean end. `may_retry`: nothing of an answer was seen, and the request may be sent again. */
void exchange_up_reset(struct exchange *x, enum err reason, bool may_retry);
/* Sends the gathered head to the down side when no body came with it. */
void exchange_answer_flush(struct exchange *x);

/* True while the request could be sent to another target: no answer yet, and its body is kept or was not begun. */
bool exchange_is_replayable(const struct exchange *x);
/* True when doing it twice does no harm: an idempotent method (RFC 9110 9.2.2), or the route says so of its POSTs. */
bool exchange_is_safe_to_repeat(const struct exchange *x);

/* ---- for filters ---- */
/* Within on_answer: from here on the answer's body goes through the filter with that state (filter.h, on_change). False
 * when another filter has it. */
bool exchange_change_answer(struct exchange *x, const void *state);
/* Gives changed bytes to the client: returns what was taken, as side.data does. The end is said with the last. */
size_t exchange_answer_give(struct exchange *x, const struct side_data *d);
