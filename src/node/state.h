/*
 * node/state.h - the folder in which a node keeps its keys, its papers and the last document.
 *
 * Files, all 0600 in a folder of 0700: `identity.key` (ECDSA P-256, PEM), `seal.key` and `tunnel.key` (X25519, base64),
 * `node.json` (who we are: id, names, certificate, authority), `join.json` (a join that waits for approval), `document.json`
 * (the last document, signed), `lock` (held as long as the process lives).
 * Blocks: fsync and rename. For start and for a process that serves nobody.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/str.h"
#include "crypto/p256.h"
#include "wire/document.h"
#include "wire/join.h"
#include "wire/name.h"

enum { NODE_PATH_MAX = 1024, NODE_URL_MAX = 512, NODE_PEM_MAX = 16 * 1024 };

/* What node.json says. */
struct node_papers {
        enum wire_kind kind;
        char id[WIRE_ID_MAX + 1], org[WIRE_ID_MAX + 1], name[WIRE_TEXT_MAX + 1];
        char control[NODE_URL_MAX]; /* "https://control.example.com:8000" */
        char certificate[NODE_PEM_MAX], authority[NODE_PEM_MAX];
        uint8_t document_key[WIRE_PUBLIC_BYTES];
        unix_ms issued;               /* when the certificate came */
        char gone[WIRE_TEXT_MAX + 1]; /* control's reason, when it wants us no more; empty: it does */
};

/* A join under way: join.json. */
struct node_pending {
        char control[NODE_URL_MAX], join[WIRE_ID_MAX + 1];
        uint8_t fingerprint[WIRE_FINGERPRINT_BYTES];
        struct wire_join_proof proof;
};

struct node_state {
        char folder[NODE_PATH_MAX];
        enum wire_kind kind;
        bool is_joined, is_pending;
        struct node_papers papers;   /* is_joined */
        struct node_pending pending; /* is_pending */
        uint8_t spki[CRYPTO_P256_SPKI_BYTES];
        uint8_t seal_public[WIRE_KEY_BYTES], tunnel_public[WIRE_KEY_BYTES];
        /* secrets */
        struct buf identity_pem;
        uint8_t seal[WIRE_KEY_BYTES], tunnel[WIRE_KEY_BYTES];
        /* private */
        bool only_looks;
        int lock_fd;
};

/* Of every role: $SEKISHO_STATE, else $XDG_STATE_HOME/sekisho for who is not root (~/.local/state/sekisho), else
 * /var/lib/sekisho. Root's does not follow the variables of whoever became root.
 * ERR_TOO_LARGE: too long a name. */
MUST_USE enum err node_state_folder(char out[NODE_PATH_MAX]);
/* The rule itself; each variable may be NULL, and one that is empty or no whole path is as good as none. */
MUST_USE enum err node_state_place(bool is_root, const char *named, const char *xdg, const char *home,
                                   char out[NODE_PATH_MAX]);

/* The node's own folder in the state folder, made if need be: what its process writes to. ERR_TOO_LARGE, ERR_IO, ERR_EXISTS. */
MUST_USE enum err node_state_own_folder(const char *folder, enum wire_kind kind, char out[NODE_PATH_MAX]);

/* Whether a node of that kind has joined, or waits for it, in this folder: without making or locking anything. */
bool node_state_exists(const char *folder, enum wire_kind kind);

/*
 * Makes what is missing: the folder, keys. The node's own things lie in FOLDER/gateway or FOLDER/agent, so that one machine may be
 * both. On an error *why is a sentence for the operator. ERR_DENIED: the folder or a file is open to others, or not ours;
 * ERR_EXISTS: another process has it; ERR_MALFORMED: a file is not what it should be; ERR_IO.
 */
MUST_USE enum err node_state_open(struct node_state *s, const char *folder, enum wire_kind kind,
                                  const char **why);
/* Only looks, beside the process that has the folder: makes and locks nothing, and nothing may be saved with it. ERR_NOT_FOUND: no
 * node is here. Other errors as above; after ERR_OK close it. */
MUST_USE enum err node_state_look(struct node_state *s, const char *folder, enum wire_kind kind,
                                  const char **why);
void node_state_close(struct node_state *s); /* wipes the secrets, lets the folder go */

/* Write what the struct says. `papers`: also removes join.json and, unless it is of this node, document.json. */
MUST_USE enum err node_state_save_papers(struct node_state *s, const struct node_papers *papers);
MUST_USE enum err node_state_save_pending(struct node_state *s, const struct node_pending *pending);
void node_state_forget_pending(struct node_state *s);

/* The stored document, checked against papers.document_key. ERR_NOT_FOUND: none. Other errors: with *why. */
MUST_USE enum err node_state_document_load(const struct node_state *s, struct wire_document **out,
                                           const char **why);
/* Durable when it returns ERR_OK. NULL: removes it. */
MUST_USE enum err node_state_document_store(const struct node_state *s, const struct wire_document *d);

/* SHA-256 of a certificate's DER, from its PEM (the first in the text). ERR_MALFORMED. */
MUST_USE enum err node_pem_fingerprint(struct str pem, uint8_t out[32]);
