/*
 * cli/remote.h - control's API as commands ask it: where it is, whose key, one call after the other.
 *
 * The server is $SEKISHO_SERVER or what `sekisho login` wrote, `https://host:8000#FINGERPRINT`: with the fingerprint (32 or
 * more hexadecimal digits of SHA-256 of the authority's certificate) control's own authority is the one that counts, without
 * it the system's. The key is $SEKISHO_TOKEN, or beside the server.
 */
#pragma once

#include "base/arena.h"
#include "cli/client.h"
#include "cli/command.h"
#include "json/value.h"
#include "json/writer.h"

enum { REMOTE_URL_BYTES = 400, REMOTE_KEY_BYTES = 200, REMOTE_MS = 15000 };

struct remote {
        struct client *client;
        struct tls_context *tls;
        char server[REMOTE_URL_BYTES], key[REMOTE_KEY_BYTES], host[300], authority[320];
        uint16_t port;
        struct arena arena; /* answers stand here until the end */
        /* of the last answer */
        uint16_t status;
        const struct json_value *root; /* NULL: none */
        struct str body;
};

/* Is anything said about where control is? */
bool remote_is_known(void);

/* Reads both, connects. What is wrong is printed. `server` and `key` over what is known; may be empty. */
MUST_USE enum exit_code remote_open(struct remote *r, struct str server, struct str key);
void remote_close(struct remote *r); /* also after a failed open */

/*
 * One call: a path below /api/v1, a JSON body or empty. EXIT_OK: r->root is the answer (NULL for 204). Else the problem was
 * printed, and the code says of which kind.
 */
MUST_USE enum exit_code remote_ask(struct remote *r, const char *method, const char *path, struct str body);

/* The same for what is no call of /api/v1: `request` without host, key and Content-Type, which are added; any status is an answer, and
 * nothing is printed of it. */
MUST_USE enum exit_code remote_send(struct remote *r, struct client_request *request, int64_t timeout_ms,
                                    struct client_answer *out);

/* What a status of control's says, as a code. */
enum exit_code remote_code_of(uint16_t status);

/* The one object of a list whose `id`, `name` or `host` is that. EXIT_NOT_FOUND, and EXIT_CONFLICT where several have the name, are
 * printed. */
MUST_USE enum exit_code remote_find(struct remote *r, const char *path, const char *what, struct str name,
                                    const struct json_value **out);

/* Keeps server and key for later commands, 0600. */
MUST_USE enum exit_code remote_remember(const char *server, const char *key);
