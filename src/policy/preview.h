/*
 * policy/preview.h - the rules that concern one user, or one address and port, as the management API previews them.
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"
#include "policy/tables.h"
#include "json/writer.h"

enum policy_preview_type {
        PREVIEW_USER,   /* rules that begin at the user or at one of the user's machines */
        PREVIEW_IPPORT, /* rules that end at "ip:port" */
};

/*
 * {"matches": [{"users": [...], "ports": [...], "lineNumber": N}], "type": "user", "previewFor": ...}. ERR_MALFORMED: no
 * such "ip:port"; ERR_NOT_FOUND: no such user. Nothing is written on an error.
 */
MUST_USE enum err policy_preview(const struct policy_tables *t, enum policy_preview_type type,
                                 struct str preview_for, struct json_writer *out);
