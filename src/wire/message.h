/*
 * wire/message.h - the messages of the push channel, read and written. Source: docs/protocol/nodes.md 4.
 *
 * Does:   one JSON object each; members nobody knows are passed over, and so are types nobody knows (WIRE_UNKNOWN).
 * Not:    the inside of documents and changes (wire/document.h, wire/change.h), when to say what (wire/session.h).
 * Thread: any; plain functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "wire/document.h"
#include "wire/join.h"

enum {
        WIRE_MESSAGE_MAX = WIRE_DOCUMENT_MAX + 1024 * 1024, /* a document with what stands around it */
        WIRE_SMALL_MAX = 256 * 1024,                        /* every message but document and change */
        WIRE_REPORT_ENTRIES_MAX = 1000,                     /* of each list of a report */
};

/* clang-format off */
#define WIRE_TYPE_LIST(X)                                                                  \
        X(UNKNOWN, "")             X(HELLO, "hello")       X(WELCOME, "welcome")           \
        X(DOCUMENT, "document")    X(CHANGE, "change")     X(APPLIED, "applied")           \
        X(REFUSED, "refused")      X(RESYNC, "resync")     X(REPORT, "report")             \
        X(RENEW, "renew")          X(CERTIFICATE, "certificate")                           \
        X(SHARE, "share")          X(UNSHARE, "unshare")   X(SHARED, "shared")             \
        X(UNSHARED, "unshared")    X(ERROR, "error")       X(GONE, "gone")
/* clang-format on */
enum wire_type {
#define X(name, text) WIRE_##name,
        WIRE_TYPE_LIST(X)
#undef X
                WIRE_TYPES
};

/* What a node has: number and hashes of a document. */
struct wire_have {
        bool is_any; /* false: nothing yet */
        uint64_t epoch, version;
        int64_t issued; /* 0: not said */
        uint8_t hash[WIRE_HASH_BYTES], items[WIRE_HASH_BYTES];
};
struct wire_have wire_have_of(const struct wire_document *d); /* NULL: nothing */

struct wire_hello {
        struct str program; /* "sekisho/0.3.0" */
        uint32_t format;    /* the newest it understands */
        struct wire_have have;
};

struct wire_welcome {
        struct str program;
        uint64_t epoch;
        uint32_t heartbeat; /* seconds; 0: as it was */
};

struct wire_refused {
        uint64_t epoch, version;
        struct str reason;
};

/* How a target, a link or a listener stands: "up", "down", and in words. */
struct wire_health {
        struct str target; /* an id */
        bool is_up;
        struct str detail;
};
struct wire_link_report {
        struct str peer; /* the other node's id */
        uint32_t up, wanted;
        struct str detail; /* of the last that failed; may be empty */
};
struct wire_models {
        struct str target, url; /* one of them may be empty: found, but nobody's target yet */
        const struct str *names;
        size_t names_count;
};
/* What asks to be published on the machine itself, by labels of a container. */
struct wire_offer {
        struct str name, url; /* "wiki", "http://172.17.0.2:8080" */
        const struct str *hosts;
        size_t hosts_count;
        struct str path, access; /* may be empty */
};
struct wire_report {
        const struct wire_link_report *links;
        size_t links_count;
        const struct wire_health *health;
        size_t health_count;
        const struct wire_models *models;
        size_t models_count;
        const struct str *addresses; /* of the machine, as text */
        size_t addresses_count;
        struct str program, system; /* versions: ours, the kernel's */
        const struct wire_offer *offers;
        size_t offers_count;
        const struct str *problems; /* what the node could not do, a sentence each */
        size_t problems_count;
        struct str isolation; /* how its process is closed in */
        uint64_t overlay;     /* a gateway's UDP port of the overlay; 0: it has none */
};

/* `ref` is the node's own number for the question; the answer repeats it. */
struct wire_share {
        uint64_t ref;
        struct str kind, url,
                host; /* "http", "http://localhost:3000", the public name wanted (may be empty) */
};
struct wire_shared {
        uint64_t ref;
        struct str id, host, url; /* the service, its public name, the address to call */
};

struct wire_message {
        enum wire_type type;
        union {
                struct wire_hello hello;
                struct wire_welcome welcome;
                struct wire_have applied;
                struct wire_refused refused;
                struct wire_report report;
                struct {
                        struct str certificate, authority; /* PEM */
                } certificate;
                struct wire_share share;
                struct wire_shared shared;
                struct {
                        uint64_t ref;
                        struct str id;
                } unshare; /* and unshared */
                struct {
                        uint64_t ref;
                        struct str text;
                } error;
                struct {
                        struct str reason;
                } gone;
        };
};

/* Only the type, without reading the rest: WIRE_UNKNOWN also for what is no object. */
enum wire_type wire_message_type(struct str text);

/*
 * Texts lie in `arena` or in `text`; both outlive *out. Of DOCUMENT and CHANGE only the type is set: read them with
 * wire_document_read, wire_change_read. ERR_MALFORMED, ERR_TOO_LARGE: *out is not set, *why is a sentence.
 */
MUST_USE enum err wire_message_read(struct arena *arena, struct str text, struct wire_message *out,
                                    const char **why);

/* Appends one message; not for DOCUMENT, CHANGE and UNKNOWN (assert). */
void wire_message_write(const struct wire_message *m, struct buf *out);
