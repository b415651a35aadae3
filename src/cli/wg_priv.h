/*
 * cli/wg_priv.h - what the files of `sekisho wg` share.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/report.h"
#include "cli/command.h"
#include "mesh/quick.h"

struct wg_options {
        bool foreground, json, counters;
        struct str relay, relay_ca;                       /* up, run */
        struct str listen, certificate, key, peers, stun; /* relay */
};

enum exit_code wg_run_run(const struct command_call *call);
enum exit_code wg_up_run(const struct command_call *call);
enum exit_code wg_down_run(const struct command_call *call);
enum exit_code wg_show_run(const struct command_call *call);
enum exit_code wg_set_run(const struct command_call *call);
enum exit_code wg_sync_run(const struct command_call *call);
enum exit_code wg_relay_run(const struct command_call *call);
enum exit_code wg_rootless_run(const struct command_call *call);
enum exit_code wg_address_run(const struct command_call *call);

struct wg_daemon_conf {
        struct str name;
        bool foreground;
        struct str relay, relay_ca; /* a URL and a file of authorities, or empty */
};

/* Starts the process that carries the interface and waits until it serves (or ends); says what went wrong. */
enum exit_code wg_daemon_start(const struct wg_daemon_conf *conf);

/* A wg-quick file, read whole. */
struct wg_file {
        struct buf path, text;
        struct str name; /* of the interface, from the file's name */
        struct arena arena;
        struct report report;
        struct mesh_quick quick;
};

/* `argument` is a path or a name under /etc/wireguard. Says what is wrong. EXIT_OK: wg_file_fini when done. */
enum exit_code wg_file_load(struct wg_file *f, struct str argument);
void wg_file_fini(struct wg_file *f); /* wipes */

/* Puts an address into each endpoint that is a name. False, and said: one is not to be found. */
bool wg_file_resolve(struct wg_file *f);

/* Sends a request and says what is wrong with its answer. */
enum exit_code wg_ask(struct str name, struct str request, struct buf *answer);

/* Runs each with %i replaced by the name, by /bin/sh, one after the other. False, and said: one failed. */
bool wg_hooks_run(const struct mesh_quick_list *hooks, struct str name);

/* Name servers and search domains for the interface, through resolvconf(8). */
bool wg_dns_set(const struct mesh_quick *q, struct str name);
void wg_dns_unset(struct str name);
