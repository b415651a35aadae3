/*
 * control/text.h - small things between rows, JSON and what people write.
 */
#pragma once

#include "base/arena.h"
#include "base/ip.h"
#include "control/schema.h"

/* "[\"a\",\"b\"]" both ways; what cannot be read gives none. */
struct str text_of_texts(struct arena *a, const struct schema_texts *texts);
struct schema_texts texts_of_text(struct arena *a, struct str json);

struct str text_hex(struct arena *a, struct str bytes);
struct str text_base64(struct arena *a, struct str bytes);
struct str text_ip(struct arena *a, struct ip ip);

/* 1 to 63 of a-z 0-9 -, not at either end: nodes, services, keys. */
bool text_is_name(struct str s);
/* A DNS name in lower case, two labels at least unless `may_be_short`; a first label may be "*". None of ours. */
bool text_is_host(struct str s);
/* "0.0.0.0:2222", "[::]:53", ":7000-7010". */
bool text_is_listen(struct str s);
/* "http://host:port" and the like, what an agent can dial: a scheme we know, a host, a port that fits; no user, no path but
 * for unix. *why says what is wrong. */
bool text_is_target(struct str s, const char **why);

/* Whether `host` is the pattern or below "*.": one label. */
bool text_host_fits(struct str pattern, struct str host);
