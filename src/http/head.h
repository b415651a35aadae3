/*
 * http/head.h - the head of one request or answer: start line and fields, as slices of the bytes they came in.
 *
 * Shape: received fields keep their raw line, so that an untouched run of lines is forwarded as one range of the
 * receive buffer. Removing a field marks it; adding appends one without a raw line. h1_write.h turns the result into a
 * vector. Owns nothing: the bytes are the receive buffer's or an arena's, the field array is the caller's.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum http_method {
        HTTP_GET,
        HTTP_HEAD,
        HTTP_POST,
        HTTP_PUT,
        HTTP_DELETE,
        HTTP_OPTIONS,
        HTTP_PATCH,
        HTTP_TRACE,
        HTTP_CONNECT,
        HTTP_OTHER, /* any other token; see method_text */
};

/* Field names the rules know; HTTP_FIELD_OTHER is 0. One table gives id and canonical spelling. */
#define HTTP_FIELD_LIST(X)                                \
        X(ACCEPT, "Accept")                               \
        X(ACCEPT_ENCODING, "Accept-Encoding")             \
        X(ALT_SVC, "Alt-Svc")                             \
        X(AUTHORIZATION, "Authorization")                 \
        X(CACHE_CONTROL, "Cache-Control")                 \
        X(CONNECTION, "Connection")                       \
        X(CONTENT_ENCODING, "Content-Encoding")           \
        X(CONTENT_LENGTH, "Content-Length")               \
        X(CONTENT_TYPE, "Content-Type")                   \
        X(COOKIE, "Cookie")                               \
        X(DATE, "Date")                                   \
        X(EXPECT, "Expect")                               \
        X(FORWARDED, "Forwarded")                         \
        X(HOST, "Host")                                   \
        X(HTTP2_SETTINGS, "HTTP2-Settings")               \
        X(KEEP_ALIVE, "Keep-Alive")                       \
        X(LOCATION, "Location")                           \
        X(ORIGIN, "Origin")                               \
        X(PROXY_AUTHENTICATE, "Proxy-Authenticate")       \
        X(PROXY_AUTHORIZATION, "Proxy-Authorization")     \
        X(PROXY_CONNECTION, "Proxy-Connection")           \
        X(REQUEST_ID, "Request-Id")                       \
        X(RETRY_AFTER, "Retry-After")                     \
        X(SEC_WEBSOCKET_ACCEPT, "Sec-WebSocket-Accept")   \
        X(SEC_WEBSOCKET_KEY, "Sec-WebSocket-Key")         \
        X(SEC_WEBSOCKET_VERSION, "Sec-WebSocket-Version") \
        X(SERVER, "Server")                               \
        X(TE, "TE")                                       \
        X(TRAILER, "Trailer")                             \
        X(TRANSFER_ENCODING, "Transfer-Encoding")         \
        X(UPGRADE, "Upgrade")                             \
        X(USER_AGENT, "User-Agent")                       \
        X(VIA, "Via")                                     \
        X(X_API_KEY, "X-Api-Key")                         \
        X(X_FORWARDED_FOR, "X-Forwarded-For")             \
        X(X_FORWARDED_HOST, "X-Forwarded-Host")           \
        X(X_FORWARDED_PROTO, "X-Forwarded-Proto")         \
        X(X_REAL_IP, "X-Real-IP")                         \
        X(X_REQUEST_ID, "X-Request-Id")

enum http_field_id {
        HTTP_FIELD_OTHER,
#define X(name, text) HTTP_FIELD_##name,
        HTTP_FIELD_LIST(X)
#undef X
                HTTP_FIELD_COUNT
};

struct http_field {
        struct str name, value; /* value without the blanks around it */
        struct str line;        /* "Name: value\r\n" as received; empty for an added field */
        uint16_t id;            /* enum http_field_id */
        bool is_removed;
};

/* How the body's end is found. RFC 9112 6.3. */
enum http_framing { HTTP_BODY_NONE, HTTP_BODY_LENGTH, HTTP_BODY_CHUNKED, HTTP_BODY_UNTIL_CLOSE };

enum { HTTP_FIELDS_MAX = 255 }; /* what first[] can count */

struct http_head {
        /* request; status is 0 */
        enum http_method method;
        struct str method_text, target; /* as received */
        /* answer */
        uint16_t status;
        struct str reason;
        /* both */
        uint8_t version_minor; /* 0 or 1 */
        enum http_framing framing;
        uint64_t content_length; /* HTTP_BODY_LENGTH only */
        bool keeps_alive;        /* by version and Connection */
        bool expects_continue;   /* request of HTTP/1.1 with a body to come: Expect: 100-continue */
        bool asks_upgrade; /* HTTP/1.1, Connection: upgrade, and Upgrade names one protocol, not HTTP (h2c) */
        bool is_raw; /* a byte stream is asked for (CONNECT); inside it is an upgrade to "tcp", accepted by 101 */
        bool is_datagram; /* with is_raw: the bytes are capsules with UDP datagrams in them (CONNECT of connect-udp, capsule.h) */
        size_t bytes; /* of the head in the input, its empty line included */
        /* Where each known field is first, for O(1) look-up: first index + 1, or 0. */
        uint8_t first[HTTP_FIELD_COUNT];
        struct http_field *fields;
        uint16_t fields_count, fields_max; /* received ones first, then added; HTTP_FIELDS_MAX at most */
};

/* The first field of the id or name that is not removed, or NULL. */
struct http_field *http_find(const struct http_head *h, enum http_field_id id);
struct http_field *http_find_name(const struct http_head *h, struct str name); /* case folded */
struct http_field *http_find_next(const struct http_head *h, const struct http_field *after); /* same name */

/* Its value, or an empty slice. */
struct str http_value(const struct http_head *h, enum http_field_id id);

/* Marks all of the id or name as removed. */
void http_remove(struct http_head *h, enum http_field_id id);
void http_remove_name(struct http_head *h, struct str name);

/*
 * Appends, value without the blanks around it. Keeps name and value until the head ends. ERR_MALFORMED for a name or value
 * that is not valid (nothing a stranger wrote can start a line of its own), ERR_TOO_LARGE when the array is full.
 */
MUST_USE
enum err http_add(struct http_head *h, struct str name, struct str value);
/* Removes all of that name, then adds; removes nothing when name or value are not valid. */
MUST_USE
enum err http_replace(struct http_head *h, struct str name, struct str value);
/* The same for a known name, in its canonical spelling. */
MUST_USE
enum err http_set(struct http_head *h, enum http_field_id id, struct str value);

enum http_field_id http_field_id_of(struct str name); /* case folded */
struct str http_field_name(enum http_field_id id);
enum http_method http_method_of(struct str token);
struct str http_method_name(enum http_method m);

/* True when the comma list `value` has `token` (case folded, parameters after ';' not counted; quotes are not read). */
bool http_list_has(struct str value, struct str token);

/* A name of token characters, a value of visible ASCII, blanks and obs-text only. RFC 9110 5.1, 5.5. */
bool http_name_is_valid(struct str name);
bool http_value_is_valid(struct str value);

/* Of Content-Length: digits only, below 2^63; no leading zero, which some read as octal. */
bool http_length_parse(struct str digits, uint64_t *out);
