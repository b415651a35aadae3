/*
 * wire/session.h - the two ends of the push channel as state machines: when to say what, when to try again.
 *
 * Does:   hello, welcome, documents and changes with acknowledgement, gathering of edits, pacing of whole documents, pings,
 *         silence, coming back after a while. Source: docs/protocol/nodes.md 4.
 * Not:    sockets, TLS, WebSocket frames (node/channel.h, control), files, randomness, the clock: the caller brings them.
 * Use:    after every call, and when the deadline has come, ask `_next` until it gives WIRE_WANT_NOTHING, and do what it says.
 *         Ask for no WIRE_WANT_SEND (`may_send` false) while what was sent before has not left: what waits is gathered.
 * Thread: one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "wire/change.h"
#include "wire/document.h"
#include "wire/message.h"

enum {
        WIRE_PING_MS = 15 * 1000,
        WIRE_SILENCE_MS = 40 * 1000,
        WIRE_HELLO_MS = 10 * 1000,      /* for the other end's first message */
        WIRE_GATHER_MS = 50,            /* edits before nodes are told */
        WIRE_AGAIN_LEAST_MS = 2000,     /* until the next try, doubling, */
        WIRE_AGAIN_MOST_MS = 30 * 1000, /* up to this, each time a random part of it */
        WIRE_WHOLE_PER_SECOND = 100,    /* whole documents of a control */
        WIRE_WHOLE_BURST = 20,
        WIRE_RESYNC_MS = 1000, /* at most one whole document a node in this time, doubling up to */
        WIRE_RESYNC_MOST_MS = 60 * 1000,
};

enum wire_want {
        WIRE_WANT_NOTHING,  /* until the deadline, or until something comes */
        WIRE_WANT_DIAL,     /* node: connect; then _opened or _closed */
        WIRE_WANT_SEND,     /* text: one message */
        WIRE_WANT_PING,     /* a WebSocket ping */
        WIRE_WANT_CLOSE,    /* the connection; then _closed. `why` says it for the log */
        WIRE_WANT_DOCUMENT, /* node: store it, use it, then _applied or _refused; control: a node applied it */
        WIRE_WANT_REFUSED,  /* control: a node refused a document, `text` is its reason */
        WIRE_WANT_MESSAGE,  /* something for the caller: see below */
};

struct wire_event {
        enum wire_want want;
        struct str text; /* SEND, REFUSED: borrowed until the next call */
        struct wire_document
                *document; /* DOCUMENT: borrowed; _get it to keep it. Of an older one: NULL at control */
        bool is_renewal;   /* DOCUMENT at a node: only a later lease; nothing else is new */
        const struct wire_message *message; /* MESSAGE: borrowed until the next call */
        const char *why; /* CLOSE, and MESSAGE of a fault that was passed over (message NULL) */
};

/* ---- a node's end ---- */

struct wire_node_end;

struct wire_node_conf {
        enum wire_kind kind;
        struct str node, org, program; /* copied */
        uint8_t document_key[WIRE_PUBLIC_BYTES];
        struct wire_document *have; /* what was stored, or NULL; shared (counted) */
};
/* Wants to dial at once. ERR_NO_MEMORY. */
MUST_USE enum err wire_node_end_new(const struct wire_node_conf *conf, struct wire_node_end **out);
void wire_node_end_free(struct wire_node_end *n); /* free(NULL) is fine */

void wire_node_end_opened(struct wire_node_end *n, mono_ms now);
/* The connection is over, or could not be made. `random` spreads the next try. */
void wire_node_end_closed(struct wire_node_end *n, mono_ms now, uint32_t random);
/* The connection could not be made, and there is another address to try: at once. */
void wire_node_end_redial(struct wire_node_end *n);
/* One message. Messages: WELCOME, CERTIFICATE, SHARED, UNSHARED, ERROR, GONE come out as WIRE_WANT_MESSAGE. */
void wire_node_end_receive(struct wire_node_end *n, struct str text, mono_ms now);
/* Anything was heard: a ping, a pong, a part of a message. */
void wire_node_end_heard(struct wire_node_end *n, mono_ms now);
/* What became of the document that WIRE_WANT_DOCUMENT gave. */
void wire_node_end_applied(struct wire_node_end *n, mono_ms now);
void wire_node_end_refused(struct wire_node_end *n, struct str reason, mono_ms now);
/* Something to say: REPORT, RENEW, SHARE, UNSHARE. A report replaces one that was not sent yet, and is said again after each
 * reconnect; the others wait for the channel, at most WIRE_NODE_QUEUE of them. ERR_TOO_LARGE: too many wait. */
enum { WIRE_NODE_QUEUE = 32 };
MUST_USE enum err wire_node_end_say(struct wire_node_end *n, const struct wire_message *m);

void wire_node_end_next(struct wire_node_end *n, mono_ms now, bool may_send, struct wire_event *out);
/* When _next may have something again although nothing came: MONO_NEVER. */
mono_ms wire_node_end_deadline(const struct wire_node_end *n);

bool wire_node_end_is_up(const struct wire_node_end *n);   /* welcomed */
bool wire_node_end_is_gone(const struct wire_node_end *n); /* control said so: it dials no more */
/* The last document that was applied, or NULL; borrowed. */
struct wire_document *wire_node_end_document(const struct wire_node_end *n);

/* ---- control's end of one node's channel ---- */

/* Whole documents in a second, shared by all ends of one control. */
struct wire_pacer {
        /* private */
        mono_ms at;
        uint32_t thousandths;
};
void wire_pacer_init(struct wire_pacer *p, mono_ms now);

struct wire_control_end;

/* A connection came up, of a node known by its certificate. Keeps `pacer`. ERR_NO_MEMORY. */
MUST_USE enum err wire_control_end_new(struct wire_pacer *pacer, struct str program, uint64_t epoch,
                                       mono_ms now, struct wire_control_end **out);
void wire_control_end_free(struct wire_control_end *c); /* free(NULL) is fine */

/*
 * What the node should be from now on; shared (counted). Told after WIRE_GATHER_MS, the newest only, and one at a time.
 * Nothing is sent that the node has already.
 */
void wire_control_end_set(struct wire_control_end *c, struct wire_document *d, mono_ms now);

/* As at the node. Messages: HELLO, REPORT, RENEW, SHARE, UNSHARE come out. */
void wire_control_end_receive(struct wire_control_end *c, struct str text, mono_ms now);
void wire_control_end_heard(struct wire_control_end *c, mono_ms now);
/* CERTIFICATE, SHARED, UNSHARED, ERROR, GONE. After GONE was sent it wants to close. ERR_TOO_LARGE: too many wait. */
MUST_USE enum err wire_control_end_say(struct wire_control_end *c, const struct wire_message *m);

void wire_control_end_next(struct wire_control_end *c, mono_ms now, bool may_send, struct wire_event *out);
mono_ms wire_control_end_deadline(const struct wire_control_end *c);

/* What the node said it has, by hello and by what it applied. */
const struct wire_have *wire_control_end_have(const struct wire_control_end *c);
/* How many whole documents and changes went out, for metrics. */
uint64_t wire_control_end_wholes(const struct wire_control_end *c);
uint64_t wire_control_end_changes(const struct wire_control_end *c);
