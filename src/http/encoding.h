/*
 * http/encoding.h - which content coding a client takes. Source: RFC 9110 8.4, 12.4.2, 12.5.3.
 */
#pragma once

#include "http/head.h"

enum http_coding { HTTP_IDENTITY, HTTP_GZIP, HTTP_DEFLATE, HTTP_BR, HTTP_ZSTD, HTTP_CODINGS };

struct str http_coding_name(enum http_coding coding); /* "gzip" */

enum { HTTP_QUALITY_MAX = 1000, HTTP_QUALITY_ABSENT = -1 };

/*
 * The weight of `token` in an Accept-like list, in thousandths: its own, else that of '*', else HTTP_QUALITY_ABSENT. An
 * element whose weight is not well-formed does not count. Named twice: the larger.
 */
int http_quality(struct str list, struct str token);

/*
 * The coding to answer with, of `offered` in the server's order of preference (identity is always on offer, last): the
 * client's largest weight wins, then the server's order. Without Accept-Encoding it is identity. ERR_UNSUPPORTED: the
 * client takes none, not even identity (406).
 */
MUST_USE
enum err http_coding_choose(const struct http_head *request, const enum http_coding *offered,
                            size_t offered_count, enum http_coding *out);
