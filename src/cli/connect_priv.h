/*
 * cli/connect_priv.h - what the connect command knows, and the walk through its steps.
 */
#pragma once

#include "base/arena.h"
#include "cli/client.h"
#include "cli/command.h"
#include "http/target.h"

struct connect_options {
        struct str token, model, message, ca, config;
        bool json, insecure;
};

enum { CONNECT_STEPS_MAX = 2 * CLIENT_ADDRESSES_MAX };

struct step {
        const char *name;
        struct str said;
        int64_t us;
        bool is_good;
};

struct connect {
        const struct connect_options *options;
        struct arena arena;
        struct client *client;
        struct tls_context *tls;

        /* where */
        bool is_tls;
        struct http_authority at;
        struct str host_field, url;
        struct ip addresses[CLIENT_ADDRESSES_MAX];
        size_t addresses_count;
        struct dial_target target; /* the one that answered */
        bool was_used;             /* an exchange was made on the connection there is */

        /* what is used */
        struct str token, model;
        bool token_is_known; /* SEKISHO_TOKEN: the reader has it */
        struct buf asked;    /* a typed token */

        /* what came of it */
        struct step steps[CONNECT_STEPS_MAX];
        size_t steps_count;
        struct str answer, advice;
};

/* Walks all steps, each said by connect_step_say; the first that fails gives the code and c->advice. */
enum exit_code connect_walk(struct connect *c);

/* Notes a step, and prints it unless all is to be said as JSON. */
void connect_step_say(struct connect *c, const char *name, bool is_good, int64_t begun_us, struct str said);
