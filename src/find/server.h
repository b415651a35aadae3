/*
 * find/server.h - servers of models: where they usually listen, and what an answer says about them.
 *
 * Does:   the table of those that are known; which path to ask; an answer read. Ollama is asked in its own form, since what else listens at
 *         its port has none; the others for OpenAI's list, in which they name themselves.
 * Not:    the asking (find/servers.h; cli/probe.h).
 * Thread: any; plain functions. Source: the servers' published APIs (GET /api/tags; GET /v1/models).
 */
#pragma once

#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"

enum { SERVER_PLACES_MAX = 16, SERVER_MODELS_MAX = 64, SERVER_NAME_BYTES_MAX = 256 };

struct server {
        struct str name;     /* "ollama", "llamacpp", "vllm", "sglang", "lmstudio", "server" */
        struct str title;    /* "Ollama", "llama.cpp", …, "an OpenAI-compatible server" */
        struct str base_url; /* "http://127.0.0.1:11434/v1" */
        uint16_t port;
        bool wants_key; /* it is there, and answers only with a key: its models are not known */
        struct str models[SERVER_MODELS_MAX];
        size_t models_count;
};

struct server_place {
        size_t kind; /* of the table */
        uint16_t port;
};

/* "ollama=11434,vllm=8000": names of the table with their ports; a name alone has its usual port; "none". ERR_MALFORMED. */
struct server_list {
        struct server_place places[SERVER_PLACES_MAX];
        size_t count;
};
MUST_USE enum err server_list_parse(struct str text, struct server_list *out);
void server_list_usual(struct server_list *out);

struct str server_path(const struct server_place *place); /* what to GET there */

/*
 * Reads an answer. True: a server of models stands there, and *out says which; texts are in `a` or static. `server`: the field
 * of that name, may be empty. Bounded: SERVER_MODELS_MAX names, each SERVER_NAME_BYTES_MAX.
 */
struct server_answer {
        uint16_t status;
        struct str body, server;
};
MUST_USE bool server_read(const struct server_place *place, const struct server_answer *answer,
                          struct arena *a, struct server *out);

/* The same of any port, asked for OpenAI's list. */
extern const struct server_place server_any;
