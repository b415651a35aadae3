/*
 * http/h2_list.h - an HTTP/2 field list to send, made of a head or of trailers.
 *
 * Does:   names in lower case, pseudo-fields first, what belongs to one connection left out; WebSocket inside is a GET that
 *         asks for the upgrade and its 101: outside an extended CONNECT and its 200 (RFC 8441).
 * Not:    HPACK (nghttp2); what was received (h2_fields.h).
 */
#pragma once

#include "base/arena.h"
#include "http/head.h"

/* A list to send. */
struct h2_pair {
        struct str name, value;
        bool is_unindexed; /* not for a compression table: a secret, or a value that comes only once */
};
struct h2_list {
        struct h2_pair *pairs;
        size_t count;
};

enum { H2_LIST_SPARE = 6 }; /* of a request's list: for pairs of the caller's own */

/*
 * Names in lower case, fields of one connection left out; made in the arena, values borrowed from the head. A request's
 * authority is its Host, `target` the canonical one. One that asks to upgrade to WebSocket becomes an extended CONNECT, a
 * 101 becomes 200. A request's list has room for H2_LIST_SPARE pairs more. ERR_NO_MEMORY; ERR_MALFORMED: something in the head
 * may not stand in a list.
 */
MUST_USE
enum err h2_list_request(const struct http_head *h, struct str scheme, struct str target, struct arena *a,
                         struct h2_list *out);
MUST_USE
enum err h2_list_answer(const struct http_head *h, struct arena *a, struct h2_list *out);
MUST_USE
enum err h2_list_trailers(const struct http_field *fields, size_t fields_count, struct arena *a,
                          struct h2_list *out);
