/*
 * cli/probe.h - inference servers of this machine, found by asking where they usually listen.
 *
 * Who answers there may be anything: only an answer in the shape of a list of models counts, and what the server is called
 * follows from what it says about itself.
 */
#pragma once

#include "base/arena.h"
#include "cli/client.h"

enum { PROBE_SERVERS_MAX = 16, PROBE_MODELS_MAX = 64 };

struct probe_server {
        struct str name;     /* "ollama", "llamacpp", "vllm", "sglang", "lmstudio", "server" */
        struct str title;    /* "Ollama", "llama.cpp", …, "an OpenAI-compatible server" */
        struct str base_url; /* "http://127.0.0.1:11434/v1" */
        uint16_t port;
        bool wants_key; /* it is there, and answers only with a key: its models are not known */
        struct str models[PROBE_MODELS_MAX];
        size_t models_count;
};

/* "ollama=11434,vllm=8000": names of the table with their ports; a name alone has its usual port; "none". ERR_MALFORMED. */
struct probe_list {
        struct {
                size_t kind;
                uint16_t port;
        } places[PROBE_SERVERS_MAX];
        size_t count;
};
MUST_USE enum err probe_list_parse(struct str text, struct probe_list *out);
void probe_list_usual(struct probe_list *out);

/* Asks each place on 127.0.0.1, at most `wait_ms` each; the texts go into the arena. Returns how many were found. */
size_t probe_find(struct client *c, const struct probe_list *list, int64_t wait_ms, struct arena *a,
                  struct probe_server out[PROBE_SERVERS_MAX]);

/* Asks 127.0.0.1:`port` alone, as an OpenAI-compatible server: its first model, or empty. */
struct str probe_first_model(struct client *c, uint16_t port, int64_t wait_ms, struct arena *a);
