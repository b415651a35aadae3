/*
 * control/hub_priv.h - what the hub's files and channel.c (one node's WebSocket) share.
 */
#pragma once

#include "control/control_priv.h"
#include "control/desired.h"
#include "control/hub.h"
#include "control/numbers.h"
#include "http/websocket_message.h"
#include "wire/session.h"

enum { CHANNEL_REPORT_MAX = 64 * 1024, CHANNEL_FROM_BYTES = 64 };

struct channel {
        struct side side; /* the exchange's up side */
        struct hub *hub;
        int64_t node;
        int64_t org;
        enum wire_kind kind;
        char id[WIRE_ID_SIZE], from[CHANNEL_FROM_BYTES];
        unix_ms since;

        struct wire_control_end *end;
        struct wire_document *document; /* what it should be; NULL: not known yet */
        uint64_t arrived;               /* the hub's jobs_count at its hello; UINT64_MAX: none yet */
        bool is_confirmed;              /* something was read since its hello: it may be told */
        int64_t placed;                 /* the version that others can see it should have; -1: none */

        /* the WebSocket */
        struct websocket_reader reader;
        struct buf out; /* frames on their way */
        size_t out_given;
        struct task open_task, free_task;
        struct timer timer;
        bool is_asked, is_open, is_closing, is_over;

        /* what it said and the store has not heard */
        bool has_applied, has_report, was_seen;
        char *report; /* JSON */
        size_t report_len;
        bool addresses_changed;

        /* what it may still say, in thousandths of a message */
        uint64_t allowance;
        mono_ms allowance_at;

        struct list node_in_hub;
};

struct hub {
        struct control *control;
        struct list channels;
        uint64_t channels_count;
        struct wire_pacer pacer;

        struct desired *desired;
        uint64_t jobs_count;       /* readings and questions begun */
        bool is_reading, is_stale; /* a job is under way; something was committed meanwhile */
        bool is_asking;            /* so is a question whether the last reading is still good */
        struct timer moment;       /* the next change that time alone makes; and retries */
        bool is_ensuring;

        struct numbers numbers;

        struct timer notes; /* what nodes said is written down together */
        bool is_stopped;
};

/* channel.c */
void channel_set(struct channel *ch, struct wire_document *d); /* shares d */
void channel_say(struct channel *ch, const struct wire_message *m);
void channel_close(struct channel *ch, enum websocket_code code, const char *why);
void channel_pump(struct channel *ch);

/* hub.c */
void hub_add(struct hub *h, struct channel *ch); /* a node is connected: whoever was it before is sent away */
void hub_remove(struct hub *h, struct channel *ch);
struct channel *hub_channel_find(struct hub *h, int64_t node); /* NULL: it is not there */
void hub_refresh(struct hub *h); /* reads the store, then makes all documents anew */

/* hub_arrivals.c */
void hub_hello(struct hub *h, struct channel *ch); /* it said what it has */
void hub_left(struct hub *h, int64_t node);

/* hub_documents.c, from the present reading; nothing happens before the first one. `number`: of the job that read, or that found the
 * last reading to be good; `only_new`: only those whom it lets be told for the first time. */
void hub_documents_refresh(struct hub *h, uint64_t number, bool only_new);
void hub_documents_reissue(struct hub *h); /* what is in force, with its lease begun anew */

/* hub_notes.c */
void hub_note(struct hub *h);        /* a channel has something for the store */
void hub_notes_due(struct timer *t); /* of h->notes */

/* hub_requests.c */
void hub_allowance_begin(struct channel *ch);
bool hub_allows(struct channel *ch, struct str text); /* one message more; false: it says too much */
void hub_renew(struct hub *h, struct channel *ch);    /* it asked for a certificate */
void hub_share(struct hub *h, struct channel *ch, const struct wire_share *share);
void hub_unshare(struct hub *h, struct channel *ch, uint64_t ref, struct str id);
