/*
 * cli/login_priv.h - the link that control prints at its first start, for login.c and its test.
 */
#pragma once

#include "cli/remote.h"

/*
 * "https://host:8000/setup#skown-….FINGERPRINT": the server with its fingerprint as remote_open takes it, and the one-time
 * token (it points into `link`). False: not such a link, or longer than a server's place.
 */
MUST_USE bool login_link_split(struct str link, char server[REMOTE_URL_BYTES], struct str *token);
