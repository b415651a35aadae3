/*
 * cli/control_priv.h - what the commands that ask control share: one way to list, one to change.
 */
#pragma once

#include "cli/out.h"
#include "cli/remote.h"

struct control_options {
        struct str server, token, name, host, to, kind, listen, path, access, allow, deny, tls, tcp, udp,
                rate, most, most_each, idle, proxy_protocol, uses, expires, agent, scopes, limit, label,
                node_name, cert, key;
        bool json, approval, wildcard, llm, models, all;
};

#define SERVER_OPTIONS                                                                            \
        { "server",    0,                                                                         \
          OPTION_TEXT, offsetof(struct control_options, server),                                  \
          "URL",       "where control is (else $SEKISHO_SERVER, or where `sekisho login` was)" }, \
                { "token",       0,                                                               \
                  OPTION_SECRET, offsetof(struct control_options, token),                         \
                  "KEY",         "the API key (else $SEKISHO_TOKEN)" },                           \
        {                                                                                         \
                "json", 0, OPTION_FLAG, offsetof(struct control_options, json), NULL,             \
                        "print the answer as it came"                                             \
        }

#define TEXT_OPTION(name, member, value, doc) OPTION_TEXT_OF(control_options, name, 0, member, value, doc)

#define ONLY_SERVER             \
        (const struct option[]) \
        {                       \
                SERVER_OPTIONS, \
                {               \
                        NULL    \
                }               \
        }

#define ASKS .options_bytes = sizeof(struct control_options)

struct column {
        const char *title, *member; /* "counts.agents" goes down; NULL ends */
};

/* All pages of a list, as a table or as one JSON array. */
enum exit_code control_list(const struct control_options *o, const char *path, const struct column *columns);

/* One object found by name or id among a list's, with that. */
enum exit_code control_show(const struct control_options *o, const char *path, const char *what,
                            struct str name);

/* A call about one object of a list: "PATCH", with a body, or "DELETE". Prints `done` (with its name) or the JSON. */
enum exit_code control_touch(const struct control_options *o, const char *path, const char *what,
                             struct str name, const char *method, struct str body, const char *done);

/* Removes the one that the first argument names. */
enum exit_code control_remove(const struct command_call *call, const char *path, const char *what);

/* A POST whose answer is printed by `say`, or as JSON. */
typedef void control_say_fn(const struct control_options *o, struct remote *r);
enum exit_code control_make(const struct control_options *o, const char *path, struct str body,
                            control_say_fn *say);

/* The argument, or EXIT_WRONG said. */
MUST_USE bool control_argument(const struct command_call *call, size_t index, const char *what,
                               struct str *out);

enum {
        CONTROL_CALL_BYTES_MAX = 256 * 1024
}; /* what control takes of one (docs/control.md, Limits): a body is `full` beyond */

/*
 * A call's body, an object: begun, its members written, ended. It may hold secrets: the caller ends it by buf_wipe.
 */
void control_body_begin(struct json_writer *w, struct buf *body);
void control_body_end(struct json_writer *w);

/* A member each; an empty text leaves it out. */
void control_write_text(struct json_writer *w, const char *name, struct str value);
void control_write_list(struct json_writer *w, const char *name, struct str commas); /* "a,b": an array */
MUST_USE bool control_write_seconds(struct json_writer *w, const char *name,
                                    struct str text); /* "12h". False: said */
