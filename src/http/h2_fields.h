/*
 * http/h2_fields.h - HTTP/2 field lists received, as the message model of head.h.
 *
 * Does:   judges a list as strictly as RFC 9113 8.2 and 8.3 allow, so that nothing of it can become a line, a length or a
 *         request of its own behind an HTTP/1.1 upstream; keeps it as the lines HTTP/1.1 would have.
 * Not:    HPACK, frames, streams (h2_session.h); lists to send (h2_list.h). What the rules of a gateway take away: rules.h.
 *
 * WebSocket (RFC 8441) has one form inside, that of HTTP/1.1: an extended CONNECT comes out as a GET that asks for the
 * upgrade, with a key the caller made. The way up is the mirror of it.
 * Source: RFC 9113 8; RFC 8441; reliability T6 and 3.2.
 */
#pragma once

#include "base/buf.h"
#include "http/h1_read.h"

enum h2_section_kind { H2_SECTION_REQUEST, H2_SECTION_ANSWER, H2_SECTION_TRAILERS };

/* One list being received. No memory before its first field. */
struct h2_section {
        enum h2_section_kind kind;
        bool takes_raw; /* a request may be CONNECT (RFC 9113 8.5): set after init */
        /* private */
        struct buf text;  /* "name: value\r\n", pseudo-fields too, in the order received */
        struct buf lines; /* where in it fields are: struct h2_line */
        struct h1_limits limits;
        const char *malformed; /* the first reason, or NULL */
        bool is_too_large, is_target_too_long, host_differs, has_fields;
        uint16_t lines_count, cookies_count;
        uint16_t pseudo_seen;
        uint64_t list_bytes; /* as RFC 9113 10.5.1 counts */
        struct {
                uint32_t at, len;
        } pseudo[6];
};

/* head_bytes_max is of names, values and 32 a field; several Cookie fields count as one line. */
void h2_section_init(struct h2_section *s, enum h2_section_kind kind, const struct h1_limits *limits);
void h2_section_fini(struct h2_section *s); /* heads made from it lose their bytes */

/* The next field, as decoded; copied. Any number may come: past a limit nothing more is kept, only judged. */
void h2_section_add(struct h2_section *s, struct str name, struct str value);

/*
 * The list is whole. `is_end`: no body follows. `websocket_key`: 24 characters for a tunnel that is asked for, kept as long
 * as the head; empty: tunnels are not offered. `out->fields` and fields_max are the caller's; what is kept points into
 * the section. Framing: LENGTH with Content-Length, NONE at an end, else CHUNKED, the HTTP/1.1 form of "until it ends".
 *
 * ERR_MALFORMED: reset the stream with PROTOCOL_ERROR, refusal->reason says why (RFC 9113 8.1.1). Any other error: answer
 * with refusal->status (405, 414, 417, 431, 501; 400 where Host and :authority differ).
 */
MUST_USE
enum err h2_section_request(struct h2_section *s, bool is_end, struct str websocket_key,
                            struct http_head *out, struct http_refusal *refusal);

/* It asks for a tunnel (:protocol), so a key is worth making. */
bool h2_section_asks_tunnel(const struct h2_section *s);

/*
 * An answer, interim ones too. Without Content-Length its framing is CHUNKED unless it can have no body. ERR_MALFORMED (also
 * for 101) and ERR_TOO_LARGE: the answer is worth 502.
 */
MUST_USE
enum err h2_section_answer(struct h2_section *s, bool is_end, enum http_method request_method,
                           struct http_head *out, struct http_refusal *refusal);

/* Trailers, judged as those of a chunked body are (h1_read.h). *out has room for H1_TRAILERS_MAX. */
MUST_USE
enum err h2_section_trailers(struct h2_section *s, struct http_field *out, size_t *out_count,
                             struct http_refusal *refusal);
