/*
 * http/h1_read.h - strict HTTP/1.1 messages from bytes. Source: RFC 9112; refusals: reliability 3.1.
 *
 * Pure: no state but what the caller holds, no allocation. The head is parsed in place once all of it is there;
 * `scanned` remembers how far the search for its end got, so that a head that comes in drops costs no second look.
 */
#pragma once

#include "http/head.h"

struct h1_limits {
        uint32_t head_bytes_max;   /* start line and fields, 32 KiB */
        uint32_t target_bytes_max; /* 8 KiB */
        uint16_t lines_max;        /* fields, 100 */
};

/*
 * Why a message is refused: the status to answer with (502 for whatever an upstream sent) and a word for log and metric
 * ("bare_lf", "cl_and_te"), of static storage.
 */
struct http_refusal {
        uint16_t status;
        const char *reason;
};

/*
 * A request's head at the front of `in`. `out->fields` and fields_max are set by the caller (lines_max plus what it
 * means to add, HTTP_FIELDS_MAX at most). ERR_OK; ERR_AGAIN: not all there (*scanned is updated; start it at 0; `in`
 * starts at the same byte each time); ERR_MALFORMED, ERR_TOO_LARGE, ERR_UNSUPPORTED: *refusal says what to answer, then
 * close. Only with ERR_OK does *out mean anything. Host is looked at in http_target_parse. Leading CRLFs (at most 4) are skipped and counted in bytes.
 */
MUST_USE
enum err h1_request_parse(struct str in, const struct h1_limits *limits, size_t *scanned,
                          struct http_head *out, struct http_refusal *refusal);

/*
 * An answer's head. `request_method` decides the framing (HEAD, CONNECT) with the status (1xx, 204, 304). An answer
 * with both Content-Length and Transfer-Encoding, or anything else ambiguous, is ERR_MALFORMED (502).
 */
MUST_USE
enum err h1_response_parse(struct str in, const struct h1_limits *limits, enum http_method request_method,
                           size_t *scanned, struct http_head *out, struct http_refusal *refusal);

enum {
        H1_SLICES_MAX = 16,
        H1_CHUNK_EXTENSION_BYTES_MAX = 1024,
        H1_CHUNK_EXTENSIONS_BYTES_MAX = 16384,
        H1_TRAILER_BYTES_MAX = 8192,
        H1_TRAILERS_MAX = 32
};

/* A body being read. */
struct h1_body {
        enum http_framing framing;
        uint64_t left;  /* of the length, or of the chunk */
        uint64_t bytes; /* payload so far */
        /* private */
        bool is_answer;
        uint8_t state;
        uint8_t size_digits;
        uint32_t extension_bytes, extensions_bytes;
};

/* From a parsed head, of a request (status 0) or an answer. */
void h1_body_init(struct h1_body *b, const struct http_head *head);

struct h1_body_part {
        struct str slices[H1_SLICES_MAX]; /* payload, pointing into the input */
        size_t slices_count, payload_bytes;
        size_t consumed; /* of the input; the rest must be offered again */
        bool is_last;    /* the body is whole: length reached, or last chunk and trailers read */
        /* With is_last of a chunked body: its trailers, pointing into the input. */
        struct http_field trailers[H1_TRAILERS_MAX];
        size_t trailers_count;
};

/*
 * Takes what it can from `in`. ERR_OK with consumed possibly 0 (more is needed); ERR_MALFORMED or ERR_TOO_LARGE with
 * *refusal. Call again with the rest while slices_count is H1_SLICES_MAX. HTTP_BODY_UNTIL_CLOSE never is_last: the
 * caller knows the end. HTTP_BODY_NONE is at once. Trailers are consumed all at once, so the receive buffer must be
 * able to hold H1_TRAILER_BYTES_MAX. Framing, routing and identity fields among them (Host, Content-Length,
 * Transfer-Encoding, Authorization, the reserved and forwarding families, …) are ERR_MALFORMED; others that mean
 * nothing after a body (Content-Type, Set-Cookie, …) are left out. Of *out only slices_count slices and
 * trailers_count trailers are written.
 */
MUST_USE
enum err h1_body_read(struct h1_body *b, struct str in, struct h1_body_part *out,
                      struct http_refusal *refusal);

/* The input ended: ERR_OK when that is a clean end (UNTIL_CLOSE, or the body was whole), else ERR_MALFORMED. */
MUST_USE
enum err h1_body_end(const struct h1_body *b);
