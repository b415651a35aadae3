/*
 * control/openapi.h - the API described by its own table, as OpenAPI 3.1: for people's tools, and for docs/reference/openapi.json.
 */
#pragma once

#include "base/buf.h"
#include "proxy/route.h"

void openapi_write(struct buf *out, unsigned indent);

extern const struct handler openapi_handler;
