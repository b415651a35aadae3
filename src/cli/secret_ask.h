/*
 * cli/secret_ask.h - a secret from a person: typed at a terminal without showing, or one line of standard input.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/*
 * Prints `prompt` on the terminal where there is one. *out (initialised here; wipe it) gets the line without its end.
 * ERR_NOT_FOUND: nothing came, or a pipe is closed; ERR_TOO_LARGE; ERR_MALFORMED: characters no token has.
 */
MUST_USE enum err secret_ask(const char *prompt, struct buf *out);
