/*
 * dialect.h - what the dialects have in common. All values that a clock would give are fixed, so that the same request
 * has the same answer, but for its ids.
 */
#pragma once

#include "answer.h"

#define SAMPLE_CREATED      "1767225600"
#define SAMPLE_CREATED_TEXT "2026-01-01T00:00:00Z"

void add_id(struct buf *out, const char *prefix, uint64_t id);      /* prefix and 16 hexadecimal digits */
void add_member(struct buf *out, const char *name, struct str raw); /* "name":"raw", */

/* An error answer's body. `type` NULL: what the dialect pairs with the status. */
void error_body_openai(struct buf *out, unsigned status, const char *code, struct str text);
void error_body_anthropic(struct buf *out, unsigned status, uint64_t id, struct str text);
void error_body_ollama(struct buf *out, struct str text);

/* Embeddings take no time and are made in one go. False when `body` has no usable input. */
bool embeddings_write(const struct ask *ask, struct str body, struct str model, struct buf *out);
