/*
 * http/rules.h - what a gateway does to fields before it forwards: reserved family first, hop-by-hop second, ours last.
 *
 * Reserved (never believed from outside, spelled in any case and with '_' for '-'): X-Sekisho-*, Sekisho-*, Tailscale-User-*,
 * Tailscale-Headers-Info, Tailscale-App-Capabilities, Tailscale-Funnel-Request, and of an untrusted peer also
 * Forwarded, X-Forwarded-*, X-Real-IP, True-Client-IP, CF-Connecting-IP, X-Client-IP, X-Cluster-Client-IP,
 * Fastly-Client-IP, X-Original-URL, X-Original-Host, X-Rewrite-URL. A name with '_' that would be one of head.h's known
 * names, or of these families, with '-' is never believed, whoever sent it.
 * Source: reliability findings 2 and T3; RFC 9110 7.6.1.
 */
#pragma once

#include "base/ip.h"
#include "http/head.h"

/* True for a name of the family that is always removed. */
bool http_is_reserved(struct str name);
/* True for a name that only a trusted proxy may send. */
bool http_is_forwarding(struct str name);

/* True for a known name with '_' for '-' ("Content_Length"): a second spelling of a field the rules decide on. */
bool http_is_alias(struct str name);

/* Removes the reserved family and '_' spellings, and where the peer is not a trusted proxy the forwarding family too. */
void http_remove_reserved(struct http_head *h, bool peer_is_trusted);

/* The same family in an answer: an upstream speaks for itself, never for us. */
void http_remove_reserved_answer(struct http_head *h);

/*
 * Removes Connection and what it names (fields the rules added stay), Keep-Alive, Proxy-*, TE (but "trailers"),
 * Transfer-Encoding, Upgrade, HTTP2-Settings, Trailer. With `keep_upgrade` Connection and Upgrade stay, reduced to
 * "Connection: upgrade". A Connection field removes no end-to-end field of head.h's known names, none of the families
 * above, no Content-*, Sec-* or Set-Cookie, and nothing that was added. ERR_TOO_LARGE: over 64 names, or no room to add.
 */
MUST_USE
enum err http_remove_hop_by_hop(struct http_head *h, bool keep_upgrade);

/* A trailer that decides where a message goes, where it ends or who sent it: RFC 9110 6.5.1. Refused. */
bool http_trailer_is_forbidden(const struct http_field *f);
/* One that is harmless, but too late to mean anything: left out. */
bool http_trailer_is_idle(const struct http_field *f);

struct http_client {
        struct ip ip;   /* the client the rules speak of */
        struct ip peer; /* who is connected to us */
        bool is_tls;
        struct str proto; /* "https" or "http", as the client saw it */
        struct str host;  /* as the client wrote it */
};

/*
 * The client's address: the peer, or, where the peer is trusted, the rightmost X-Forwarded-For (or, without that field,
 * Forwarded for=) address that is not trusted. An entry that is no address ends the walk: the last good one is the client.
 * So do 32 hops. proto and host come from a trusted peer's X-Forwarded-Proto and -Host where there is one of each, from the
 * believed Forwarded element, else from the connection and Host. `trusted` may be empty. *out borrows from the head.
 */
void http_client_find(const struct http_head *h, struct ip peer, bool is_tls, const struct ip_prefix *trusted,
                      size_t trusted_count, struct http_client *out);

/*
 * Sets X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host and Forwarded, built in the arena; a trusted peer's chains are
 * extended. Call it after http_remove_reserved. ERR_NO_MEMORY, ERR_TOO_LARGE (no room for four fields).
 */
MUST_USE
enum err http_add_forwarded(struct http_head *h, const struct http_client *client, bool peer_is_trusted,
                            struct arena *a);
