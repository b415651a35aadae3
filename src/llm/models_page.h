/*
 * llm/models_page.h - GET /v1/models and /v1/models/{id}: what a caller may name.
 *
 * In OpenAI's shape, or in Anthropic's when the request has an anthropic-version field. Patterns of `models` are shown by
 * the names their providers list. A token with an allow-list sees what it may use.
 */
#pragma once

#include "proxy/route.h"

/* handler_conf is the struct catalogue. */
extern const struct handler models_list_handler, models_one_handler;
/* GET /api/tags, as Ollama lists: what can be called in its form. */
extern const struct handler models_tags_handler;
