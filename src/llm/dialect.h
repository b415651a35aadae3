/*
 * llm/dialect.h - the form of an API: its errors.
 */
#pragma once

#include "proxy/route.h"

/* handler.format_error of the OpenAI, the Anthropic and the Ollama routes. */
void dialect_openai_error(struct exchange *x, uint16_t status, const char *type, const char *message,
                          struct buf *out);
void dialect_anthropic_error(struct exchange *x, uint16_t status, const char *type, const char *message,
                             struct buf *out);
void dialect_ollama_error(struct exchange *x, uint16_t status, const char *type, const char *message,
                          struct buf *out);
