/*
 * dispatch/result.h - what became of a dispatched request, in JSON: the predecessor's members, and what it lost.
 *
 * {"request_id", "success", "status_code", "headers", "headers_list", "body", "body_encoding", "is_json", "error",
 *  "metadata": {"agent_id", "agent", "source_ip", "timestamp", "duration_ms", "attempts", "url"}}
 *
 * `headers` has one text a name (several of one name joined by ", "); `headers_list` has all, in their order. The body is exact: JSON
 * as it stands where the answer says that it is JSON and it is, else a string where it is UTF-8, else base64.
 * Thread: any; plain functions.
 */
#pragma once

#include "base/buf.h"
#include "base/clock.h"
#include "http/head.h"

struct dispatch_result {
        struct str request_id;
        bool is_success; /* an answer came, whatever its status */
        uint16_t status;
        const struct http_field *fields; /* of the answer; removed ones are left out */
        size_t fields_count;
        struct str body;
        struct str error; /* empty: none */
        struct str agent_id, agent, source_ip, url;
        unix_ms begun;
        int64_t duration_ms;
        unsigned attempts;
};

/* `out.full`: it did not fit. */
void dispatch_result_write(const struct dispatch_result *r, struct buf *out);
