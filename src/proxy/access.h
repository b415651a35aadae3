/*
 * proxy/access.h - whose token it is, and whether an address is on a list. Built with the snapshot, then read only.
 */
#pragma once

#include "base/clock.h"
#include "base/ip.h"
#include "base/map.h"
#include "base/units.h"
#include "http/head.h"

enum token_scope { SCOPE_LLM = 1 << 0, SCOPE_PROXY = 1 << 1, SCOPE_ADMIN = 1 << 2, SCOPE_DISPATCH = 1 << 3 };

enum { TOKEN_HASH_BYTES = 32, TOKEN_TEXT_MAX = 512 };

struct ip_list {
        const struct ip_prefix *prefixes;
        size_t count;
};

struct token {
        struct str name;
        uint8_t sha256[TOKEN_HASH_BYTES];
        unsigned scopes;
        unix_ms expires;            /* 0: never */
        struct ip_list allowed_ips; /* empty: any */
        const struct str *models;   /* patterns; empty: any */
        size_t models_count;
        struct units_rate rate; /* count 0: none */
        uint64_t key;           /* for gate and tally */
};

struct token_set {
        struct token *tokens;
        size_t count;
        struct map by_hash; /* the 32 bytes of the hash → token */
};

bool ip_list_has(const struct ip_list *list, struct ip ip);

/* What the request presents: "Authorization: Bearer …" (any case) or "x-api-key". Empty when neither; *is_malformed when both
 * are there and differ, or one is there twice. */
struct str access_presented(const struct http_head *h, bool *is_malformed);

/* The token with that text, expired or not; NULL. Hashes first, compares in constant time. */
const struct token *token_find(const struct token_set *set, struct str text);

bool token_may_use_model(const struct token *t, struct str model); /* NULL token: any */
