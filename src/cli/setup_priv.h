/*
 * cli/setup_priv.h - what the setup command found, what is to change, what is said.
 */
#pragma once

#include "cli/edit.h"
#include "cli/probe.h"
#include "cli/tailnet.h"
#include "cli/token_text.h"
#include "conf/conf.h"

struct setup_options {
        struct str config, listen, admin, tailscale_socket, probe, sample;
        bool print, force, no_tailscale, json, serve, funnel, yes;
};

enum { SETUP_NOTES_MAX = 24, SETUP_KEYS = 2 };

/* A maker whose key may be in the environment. */
struct setup_maker {
        struct str name, title, variable, kind, model;
};
extern const struct setup_maker setup_makers[SETUP_KEYS];

struct setup {
        const struct setup_options *options;
        struct arena arena;
        struct client *client;
        struct edit edit;

        /* found */
        struct mesh_tailnet_status tailnet;
        enum err tailnet_result; /* ERR_OK: tailnet is filled in */
        struct server servers[SERVER_PLACES_MAX];
        size_t servers_count;
        bool has_key[SETUP_KEYS];

        /* done */
        char token_text[TOKEN_TEXT_MAX];   /* wiped at the end */
        struct str token;                  /* empty: none was made */
        struct str notes[SETUP_NOTES_MAX]; /* what was changed, and what the reader should know */
        size_t notes_count;
        struct conf *conf;      /* as it now is */
        struct str local_model; /* of a provider on this machine that the file names; may be empty */
};

void setup_note(struct setup *s, const char *format, ...) PRINTF_LIKE(2, 3);

/* Every change of the file, in memory. Errors of edit.h; ERR_MALFORMED: --listen is no address (it was said). */
MUST_USE enum err setup_plan(struct setup *s);

/* What was done, and the calls to paste. */
void setup_say(const struct setup *s, const char *deed);
void setup_say_json(const struct setup *s);
