/*
 * http/h2_code.h - the error codes of HTTP/2. Source: RFC 9113 7.
 */
#pragma once

#include <stdint.h>

enum h2_code {
        H2_NO_ERROR = 0,
        H2_PROTOCOL_ERROR = 1,
        H2_INTERNAL_ERROR = 2,
        H2_REFUSED_STREAM = 7,
        H2_CANCEL = 8,
        H2_ENHANCE_YOUR_CALM = 11
};

/* A static word for log and metric: "CANCEL"; what the RFC does not name is "other". */
const char *h2_code_name(uint32_t code);
