/*
 * proxy/compress_rules.h - may this answer be sent in a coding, and in which. Values in, a verdict out.
 *
 * Source: RFC 9110 8.4, 8.8.3, 12.5.3; RFC 9111 5.2.2.6 (no-transform). BREACH: docs/decisions/0040-compression.md.
 */
#pragma once

#include "http/encoding.h"

enum { COMPRESS_TYPE_MAX = 96 };

struct compress_conf {
        const enum http_coding *codings; /* in the order of preference */
        size_t codings_count;
        const struct str *types; /* patterns of str_match, lower case: "text/" and "*" */
        size_t types_count;
        uint64_t bytes_min;
        bool with_cookies; /* the operator: nothing in these answers is worth guessing */
};

enum compress_verdict {
        COMPRESS_NO,    /* not this answer, whoever asks */
        COMPRESS_OTHER, /* not for this client: another may get it coded, so it varies */
        COMPRESS_YES,
};

/* `received` are the request's fields as the client sent them: what rules removed of them counts too. */
enum compress_verdict compress_judge(const struct compress_conf *conf, const struct http_head *request,
                                     const struct http_head *answer, enum http_coding *coding_out);

/* Vary names Accept-Encoding; Content-Encoding, weak ETag, no length and no ranges. In `a`. ERR_TOO_LARGE: no room, and the
 * head is as it was but for Vary. */
MUST_USE enum err compress_head(struct http_head *answer, enum http_coding coding, struct arena *a);
MUST_USE enum err compress_vary(struct http_head *answer);

/* A 304 speaks of what the client has: the tag that was made weak on its way is weak again. */
MUST_USE enum err compress_not_modified(const struct http_head *request, struct http_head *answer,
                                        struct arena *a);
