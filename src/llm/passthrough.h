/*
 * llm/passthrough.h - model APIs passed on as they are: only the model's name and the credential change.
 */
#pragma once

#include "llm/catalogue.h"
#include "proxy/route.h"

/* handler_conf of a pass-through route. */
struct passthrough {
        const struct catalogue *catalogue;
        enum conf_dialect dialect;
        struct str
                path; /* behind the provider's base path: "/chat/completions"; of Ollama behind its "/api" */
};

extern const struct handler passthrough_openai, passthrough_anthropic, passthrough_ollama;
