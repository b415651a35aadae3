/*
 * http.h - the sample server's own reading of HTTP/1.1 requests: lenient where that lets a test see what was sent.
 *
 * Not the gateway's parser (src/http): a test upstream that shared it would share its mistakes. Source: RFC 9112.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum { HTTP_FIELDS_MAX = 128, HTTP_HEAD_MAX = 64 * 1024 };

struct http_field {
        struct str name, value;
};

/* All slices point into the head. */
struct http_request {
        struct str head; /* with the empty line that ends it */
        struct str method, target, path, query, version;
        struct http_field fields[HTTP_FIELDS_MAX];
        size_t fields_count;
        bool is_head_method, keep_alive, expects_continue, is_chunked;
        uint64_t length; /* of the body, unless chunked */
        struct str fault, authorization, api_key, anthropic_version, retry_count;
        struct str body; /* joined from its chunks; filled in by the connection */
        struct str trailers;
};

enum http_result { HTTP_MORE, HTTP_DONE, HTTP_BAD };

/* Reads the head at the front of `in`. */
enum http_result http_head_parse(struct str in, struct http_request *out);

/* The first field of that name, or STR_NULL. */
struct str http_field_find(const struct http_request *r, struct str name);

/* The value of `name` in the query, undecoded, or STR_NULL. */
struct str http_query_find(const struct http_request *r, struct str name);

/* A number asked for in the query, or in the field "x-sample-NAME"; otherwise `otherwise`. */
uint64_t http_number_find(const struct http_request *r, const char *name, uint64_t max, uint64_t otherwise);

/* A body on its way: by length, or in chunks. */
struct http_body {
        bool is_chunked;
        uint64_t left; /* of the body, or of the present chunk with its line end */
        enum { HTTP_CHUNK_SIZE, HTTP_CHUNK_DATA, HTTP_CHUNK_TRAILERS } state;
};

void http_body_init(struct http_body *b, const struct http_request *r);

/*
 * Takes what it can off the front of *in. *data is the run of body bytes that was in it (may be empty), *trailers the
 * trailer lines at the end of a chunked body. HTTP_MORE with a *data: call again, there may be another run.
 */
enum http_result http_body_take(struct http_body *b, struct str *in, struct str *data, struct str *trailers);
