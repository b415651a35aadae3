/*
 * conf/schema.h - the table of keys as other programs and people read it.
 *
 * docs/reference/sekisho.schema.json and docs/reference/config.md are what these write; a test compares them.
 */
#pragma once

#include "base/buf.h"

/* JSON Schema, draft 2020-12. */
void conf_schema_json(struct buf *out);

/* The reference manual's page, Markdown. */
void conf_schema_markdown(struct buf *out);
