/*
 * cli/discover.h - control found among the online machines of the tailnet.
 *
 * A machine is asked when it has the tag, or one of the usual names, letter by letter. What it says of itself at
 * /.well-known/sekisho is a claim; it is control once TLS has shown that it holds a certificate of the authority with the fingerprint that
 * was given, remembered, or confirmed by a person.
 */
#pragma once

#include "base/buf.h"
#include "cli/command.h"

/*
 * For a role that is started with a join token and no URL ("skauth-….0123…"): or with a port only ("…@:9000"): the token with
 * the URL of the control whose authority the token names, into `out`. False: there is none, and that was said. Any other text: nothing is
 * done. $SEKISHO_TAILSCALE_SOCKET says where tailscaled listens, if elsewhere.
 */
MUST_USE bool discover_join(struct str join, struct buf *out);
