/*
 * dispatch/ask.h - what a caller wants sent: the body of POST /api/execute, read.
 *
 * Does:   {url, method, headers, params, body, bodyBase64, timeout, sourceAddress, agent, tag, family, followRedirects} to a struct; an
 *         unknown member is an error; what decides where bytes go (Host, framing, hop-by-hop fields) is not the caller's.
 * Not:    whether the destination is allowed (dispatch/rules.h); whose turn it is (dispatch/sources.h).
 * Thread: any; plain functions.
 */
#pragma once

#include "base/buf.h"
#include "base/ip.h"
#include "dispatch/url.h"
#include "http/head.h"
#include "json/value.h"

enum {
        DISPATCH_FIELDS_MAX = 64,
        DISPATCH_REDIRECTS_MAX = 10,
        DISPATCH_TIMEOUT_MAX_MS = 300 * 1000,
        DISPATCH_TIMEOUT_MS = 30 * 1000
};

struct dispatch_ask {
        struct str method;       /* of the seven: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH */
        struct dispatch_url url; /* `params` are in its query */
        struct http_field *fields;
        size_t fields_count;
        struct str body;
        int64_t timeout_ms;
        /* which addresses may send it; all of them hold */
        struct ip source;       /* family 0: any */
        uint8_t family;         /* 0, 4 or 6 */
        struct str agent;       /* name or id; empty: any */
        struct str tag;         /* of the agent's; empty: any */
        unsigned redirects_max; /* 0: a redirect is an answer */
};

/*
 * `defaults` is an object of the same members that stand where `request` has none (the stored default request), or NULL. Everything
 * in *out points into the trees or the arena. ERR_MALFORMED: `problem` is a sentence that names the member and says what
 * would be right. ERR_NO_MEMORY.
 */
MUST_USE enum err dispatch_ask_read(const struct json_value *request, const struct json_value *defaults,
                                    struct arena *a, struct dispatch_ask *out, struct buf *problem);
