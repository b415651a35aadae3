#include "control/join.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "certs/facts.h"
#include "control/routes_priv.h"
#include "control/text.h"
#include "crypto/p256.h"
#include "crypto/random.h"
#include "crypto/secret.h"
#include "crypto/sha256.h"
#include "proxy/reply.h"
#include "store/addresses.h"
#include "store/nodes.h"
#include "store/settings.h"
#include "store/tokens.h"
#include "wire/join.h"

#define CERTIFICATE_LIFE_MS (INT64_C(30) * 86400 * 1000)
#define CLOCK_SLACK_MS      (INT64_C(3600) * 1000)
#define ADDRESS_REST_MS     (INT64_C(7) * 86400 * 1000)

enum {
        JOINS_MAX = 4096,
        CHALLENGE_MS = 60 * 1000,
        NAME_BYTES_MAX = 63,
        AVOID_MAX = 64,
        NAMES_TRIED_MAX = 1000
};

/* One that was told its challenge. */
struct join {
        char id[WIRE_ID_SIZE];
        char source[IP_TEXT_MAX];
        uint8_t challenge[WIRE_CHALLENGE_BYTES];
        mono_ms due;
        struct str body; /* of the first request; owned */
};

struct joins {
        struct join *items; /* a ring: the oldest goes first */
        size_t first, count;
};

enum err joins_new(struct joins **out)
{
        struct joins *j = calloc(1, sizeof(*j));

        if (!j || !(j->items = calloc(JOINS_MAX, sizeof(*j->items)))) {
                free(j);
                return ERR_NO_MEMORY;
        }
        *out = j;
        return ERR_OK;
}

static void first_drop(struct joins *j)
{
        struct join *i = &j->items[j->first];

        crypto_wipe((char *)(uintptr_t)i->body.ptr, i->body.len);
        free((char *)(uintptr_t)i->body.ptr);
        *i = (struct join){ 0 };
        j->first = (j->first + 1) % JOINS_MAX;
        j->count--;
}

void joins_free(struct joins *j)
{
        if (!j)
                return;
        while (j->count)
                first_drop(j);
        free(j->items);
        free(j);
}

static struct join *join_find(struct joins *j, struct str id, mono_ms now)
{
        while (j->count && j->items[j->first].due <= now)
                first_drop(j);
        for (size_t i = 0; i < j->count; i++) {
                struct join *at = &j->items[(j->first + i) % JOINS_MAX];

                if (str_eq(str_of(at->id), id))
                        return at;
        }
        return NULL;
}

/* ---- the first request ---- */

static bool is_internal(struct api_call *c)
{
        if (str_eq_nocase(c->x->origin->server_name, WIRE_HOST_CONTROL))
                return true;
        exchange_refuse(c->x, 421, "internal_name",
                        "Nodes come here under the name control.sekisho.internal.");
        return false;
}

bool join_begin_prepare(struct api_call *c)
{
        return is_internal(c);
}

/* A token as somebody without one would like to know it: only whether it is good. */
static enum err token_check(struct api_call *c, struct store_txn *t, const struct wire_join_request *r)
{
        struct store_token row;
        uint8_t hash[32];
        enum err e;

        wire_token_hash(r->token, hash);
        e = store_token_by_hash(t, (struct str){ (const char *)hash, sizeof(hash) }, &c->work, &row);
        if (e != ERR_OK && e != ERR_NOT_FOUND)
                return e;
        if (e == ERR_OK && !row.is_revoked && row.uses_left > 0 && row.expires > store_now(t) &&
            row.kind == (r->kind == WIRE_GATEWAY ? STORE_TOKEN_GATEWAY : STORE_TOKEN_AGENT))
                return ERR_OK;
        return api_fail(c, 401, NULL,
                        "This join token is unknown, used up, expired, or for another kind of node.");
}

static enum err request_read(struct api_call *c, struct str body, struct wire_join_request *r)
{
        const char *why = NULL;
        enum err e = wire_join_request_read(&c->work, body, r, &why);

        if (e != ERR_OK)
                return e == ERR_NO_MEMORY ? e : api_fail(c, 400, NULL, "The body: %s", why);
        if (r->kind == WIRE_CONTROL)
                return api_fail(c, 400, NULL, "\"kind\" must be gateway or agent.");
        if (!crypto_p256_spki_is_valid((struct str){ (const char *)r->identity, r->identity_len }))
                return api_fail(c, 400, NULL, "\"identity\" is no P-256 key.");
        if (crypto_is_zero(r->seal, sizeof(r->seal)) || crypto_is_zero(r->tunnel, sizeof(r->tunnel)))
                return api_fail(c, 400, NULL, "\"seal\" and \"tunnel\" must be X25519 keys.");
        return ERR_OK;
}

enum err join_begin(struct api_call *c, struct store_txn *t, const struct identity_permit *permit)
{
        struct wire_join_request r;
        enum err e = request_read(c, c->body, &r);

        if (e != ERR_OK || (e = token_check(c, t, &r)) != ERR_OK)
                return e;
        c->status = 200;
        return ERR_OK;
}

void join_challenge(struct api_call *c)
{
        struct joins *j = c->control->joins;
        struct wire_join_challenge answer;
        uint8_t random[WIRE_ID_RANDOM_BYTES];
        struct join *item;
        char *body = malloc(c->body.len + 1);

        if (!body) {
                api_fail(c, 503, NULL, "Control has no memory for this.");
                api_answer_now(c);
                return;
        }
        if (j->count == JOINS_MAX)
                first_drop(j);
        item = &j->items[(j->first + j->count++) % JOINS_MAX];
        memcpy(body, c->body.ptr, c->body.len);
        item->body = (struct str){ body, c->body.len };
        item->due = loop_now(c->control->loop) + CHALLENGE_MS;
        crypto_random(random, sizeof(random));
        crypto_random(item->challenge, sizeof(item->challenge));
        wire_id_format(STR("jn"), random, item->id);
        snprintf(item->source, sizeof(item->source), "%.*s", STR_FMT(c->source));
        answer.join = str_of(item->id);
        memcpy(answer.challenge, item->challenge, sizeof(answer.challenge));
        buf_clear(&c->answer);
        wire_join_challenge_write(&answer, &c->answer);
        api_answer_now(c);
}

/* ---- the second ---- */

struct facts {
        struct str body; /* of the first request; empty: its challenge is not known (any more) */
        uint8_t challenge[WIRE_CHALLENGE_BYTES];
};

bool join_finish_prepare(struct api_call *c)
{
        struct join *item = join_find(c->control->joins, c->params[0], loop_now(c->control->loop));
        struct facts *f = ARENA_NEW(&c->arena, struct facts);

        if (!is_internal(c))
                return false;
        c->prepared = f;
        if (f && item && str_eq(str_of(item->source), c->source)) {
                f->body = arena_copy(&c->arena, item->body);
                memcpy(f->challenge, item->challenge, sizeof(f->challenge));
        }
        if (f)
                return true;
        exchange_refuse(c->x, 503, "memory", "Control has no memory for this request.");
        return false;
}

/* Our own networks: an address in them would cut the host off from it. */
static size_t avoid_find(struct ip_prefix out[AVOID_MAX])
{
        struct ifaddrs *all, *at;
        size_t n = 0;

        if (getifaddrs(&all) != 0)
                return 0;
        for (at = all; at && n < AVOID_MAX; at = at->ifa_next) {
                const struct sockaddr_in *in4 = (const void *)at->ifa_addr,
                                         *mask4 = (const void *)at->ifa_netmask;
                const struct sockaddr_in6 *in6 = (const void *)at->ifa_addr,
                                          *mask6 = (const void *)at->ifa_netmask;
                bool is4 = at->ifa_addr && at->ifa_addr->sa_family == AF_INET;
                const uint8_t *mask;
                unsigned bits = 0;

                if (!at->ifa_addr || !at->ifa_netmask || (!is4 && at->ifa_addr->sa_family != AF_INET6))
                        continue;
                mask = is4 ? (const uint8_t *)&mask4->sin_addr : (const uint8_t *)&mask6->sin6_addr;
                while (bits < (is4 ? 32u : 128u) && mask[bits / 8] & 0x80 >> bits % 8)
                        bits++;
                if (bits == 0)
                        continue;
                out[n].ip = ip_masked(is4 ? ip_from_bytes(4, (const uint8_t *)&in4->sin_addr)
                                          : ip_from_bytes(6, (const uint8_t *)&in6->sin6_addr),
                                      (uint8_t)bits);
                out[n++].bits = (uint8_t)bits;
        }
        freeifaddrs(all);
        return n;
}

static enum err addresses_take(struct api_call *c, struct store_change *change, struct store_node *node)
{
        struct ip_prefix avoid[AVOID_MAX];
        struct store_pool pools[2] = { { .prefix = c->control->secrets.pool4 },
                                       { .prefix = c->control->secrets.pool6 } };
        struct ip *out[2] = { &node->address4, &node->address6 };
        size_t count = avoid_find(avoid);

        for (int i = 0; i < 2; i++) {
                enum err e;

                pools[i].avoid = avoid;
                pools[i].avoid_count = count;
                pools[i].rest_ms = ADDRESS_REST_MS;
                if ((e = store_address_take(change, node->org, node->id, &pools[i], out[i])) != ERR_OK)
                        return e == ERR_TOO_LARGE || e == ERR_CONFIG
                                       ? api_fail(c, 503, NULL,
                                                  "There is no free address in control.addresses.")
                                       : e;
        }
        return ERR_OK;
}

/* What was asked for in the letters of names: "GPU Box" is "gpu-box". */
static struct str name_tidy(struct arena *a, struct str wanted, enum wire_kind kind)
{
        char text[NAME_BYTES_MAX];
        size_t n = 0;

        for (size_t i = 0; i < wanted.len && n < sizeof(text) - 5; i++) {
                char ch = ascii_lower(wanted.ptr[i]);
                bool is_plain = (ch >= 'a' && ch <= 'z') || ascii_is_digit(ch);

                if (wanted.ptr[i] == '.')
                        break; /* of a full host name the first label */
                if (is_plain || (n && text[n - 1] != '-'))
                        text[n++] = is_plain ? ch : '-';
        }
        while (n && text[n - 1] == '-')
                n--;
        return n ? arena_copy(a, (struct str){ text, n }) : wire_kind_text(kind);
}

/* The name itself, else with "-2", "-3", … A name its token says is taken as it is. */
static enum err name_choose(struct api_call *c, struct store_txn *t, const struct store_token *token,
                            const struct wire_join_request *r, struct str *out)
{
        struct str base = token->node_name.len ? token->node_name : name_tidy(&c->work, r->name, r->kind);
        struct store_node other;

        *out = base;
        for (int i = 2; i < NAMES_TRIED_MAX; i++) {
                enum err e = store_node_by_name(t, token->org, *out, &c->work, &other);

                if (e != ERR_OK)
                        return e == ERR_NOT_FOUND ? ERR_OK : e;
                if (token->node_name.len)
                        break;
                *out = arena_format(&c->work, "%.*s-%d", STR_FMT(base), i);
        }
        return api_fail(c, 409, NULL, "There is a node \"%.*s\" already.", STR_FMT(base));
}

/* Issued anew whenever it is asked for: it says no more than the row does. */
enum err node_certificate(struct control *control, const struct store_node *node, unix_ms now,
                          struct arena *a, struct str *pem, struct store_node *certified)
{
        struct wire_name who = { .kind = node->kind == STORE_GATEWAY ? WIRE_GATEWAY : WIRE_AGENT,
                                 .org = str_of(control->secrets.org) };
        char id[WIRE_ID_SIZE], uri[WIRE_URI_SIZE];
        const struct str links[] = { WIRE_HOST_LINK,
                                     STR("*.link.sekisho.internal") }; /* agents look for these */
        struct certs_facts facts;
        struct buf text;
        enum err e;

        who.id = id_format(control->secrets.id_key, node_prefix(node), node->id, id);
        struct certs_request r = { .spki = node->tls_key,
                                   .common_name = who.id,
                                   .uri = wire_name_format(&who, uri),
                                   .names = links,
                                   .names_count = who.kind == WIRE_GATEWAY
                                                          ? 1
                                                          : 0, /* agents look for the link's name */
                                   .from = now - CLOCK_SLACK_MS,
                                   .to = now + CERTIFICATE_LIFE_MS,
                                   .for_servers = true,
                                   .for_clients = true };

        if (node->expires && node->expires < r.to)
                r.to = node->expires;
        buf_init(&text, 64 * 1024);
        if ((e = certs_issue(control->secrets.authority, &r, &text)) == ERR_OK &&
            (e = certs_facts_read(buf_str(&text), a, &facts)) == ERR_OK) {
                *pem = arena_copy(a, buf_str(&text));
                certified->certificate_serial =
                        arena_copy(a, (struct str){ (const char *)facts.sha256, sizeof(facts.sha256) });
                certified->certificate_expires = facts.to;
        }
        buf_fini(&text);
        return e == ERR_OK && a->full ? ERR_NO_MEMORY : e;
}

static enum err node_make(struct api_call *c, struct store_txn *t, const struct wire_join_request *r,
                          const struct store_token *token, struct store_change *change,
                          struct store_node *node)
{
        enum err e;

        *node = (struct store_node){
                .org = token->org,
                .kind = r->kind == WIRE_GATEWAY ? STORE_GATEWAY : STORE_AGENT,
                .state = token->needs_approval ? STORE_NODE_PENDING : STORE_NODE_ACTIVE,
                .tls_key = arena_copy(&c->work, (struct str){ (const char *)r->identity, r->identity_len }),
                .wg_key = arena_copy(&c->work, (struct str){ (const char *)r->tunnel, sizeof(r->tunnel) }),
                .seal_key = arena_copy(&c->work, (struct str){ (const char *)r->seal, sizeof(r->seal) }),
                .token = token->id,
                .created = store_now(t),
                .expires = token->node_lifetime ? store_now(t) + token->node_lifetime : 0,
                .settings = STR("{}"),
                .facts = STR("{}")
        };
        if ((e = name_choose(c, t, token, r, &node->name)) != ERR_OK)
                return e;
        if ((e = store_node_add(change, node)) != ERR_OK)
                return e == ERR_EXISTS ? api_fail(c, 409, NULL,
                                                  "One of these keys is a node's already. Make new ones.")
                                       : e;
        if ((e = addresses_take(c, change, node)) != ERR_OK)
                return e;
        return store_node_update(change, node);
}

/* "join:jn-…" keeps what came of it: the row, and the hash of the signature that may ask. */
static struct str memory_name(struct api_call *c)
{
        struct str parts[] = { STR("join:"), c->params[0] };

        return arena_join(&c->work, parts, 2);
}

static struct str signature_hash(struct api_call *c, const struct wire_join_proof *proof)
{
        uint8_t hash[CRYPTO_SHA256_BYTES];

        crypto_sha256((struct str){ (const char *)proof->signature, proof->signature_len }, hash);
        return text_hex(&c->work, (struct str){ (const char *)hash, sizeof(hash) });
}

static enum err join_do(struct api_call *c, struct store_txn *t, const struct facts *f,
                        const struct wire_join_proof *proof, struct store_node *node)
{
        uint8_t bytes[WIRE_PROOF_BYTES], hash[32];
        const struct store_actor actor = { STR("join"), c->source };
        struct wire_join_request r;
        struct store_token token;
        struct store_change *change;
        enum err e;

        if (f->body.len == 0)
                return api_fail(c, 404, NULL,
                                "This join is over, or came from another address. Begin again.");
        if ((e = request_read(c, f->body, &r)) != ERR_OK)
                return e;
        wire_proof_bytes(f->challenge, f->body, bytes);
        if (!crypto_p256_verify((struct str){ (const char *)r.identity, r.identity_len },
                                (struct str){ (const char *)bytes, sizeof(bytes) },
                                (struct str){ (const char *)proof->signature, proof->signature_len }))
                return api_fail(c, 401, NULL, "The signature is not of the key that was named.");
        wire_token_hash(r.token, hash);
        change = store_change_begin(t, STORE_ORG_DEFAULT, &actor, "node.join");
        e = store_token_take(change, r.kind == WIRE_GATEWAY ? STORE_TOKEN_GATEWAY : STORE_TOKEN_AGENT,
                             (struct str){ (const char *)hash, sizeof(hash) }, &c->work, &token);
        if (e == ERR_DENIED)
                return api_fail(c, 401, NULL,
                                "This join token is unknown, used up, expired, or for another kind of node.");
        if (e != ERR_OK || (e = node_make(c, t, &r, &token, change, node)) != ERR_OK)
                return e;
        struct str memory =
                arena_format(&c->work, "%lld:%.*s", (long long)node->id, STR_FMT(signature_hash(c, proof)));
        if ((e = store_setting_put(change, STORE_ORG_DEFAULT, memory_name(c), memory, STR(""))) != ERR_OK)
                return e;
        return store_change_finish(change);
}

/* Asked again: the same signature, and the node that came of it. */
static enum err join_again(struct api_call *c, struct store_txn *t, const struct wire_join_proof *proof,
                           struct str memory, struct store_node *node)
{
        size_t colon = str_find_char(memory, ':');
        uint64_t row = 0;
        enum err e;

        if (colon == STR_NONE || units_parse_u64(str_sub(memory, 0, colon), INT64_MAX, &row) != ERR_OK ||
            !str_eq_consttime(str_from(memory, colon + 1), signature_hash(c, proof)))
                return api_fail(c, 401, NULL, "The signature is not the one this join was made with.");
        e = store_node_get(t, 0, (int64_t)row, &c->work, node);
        return e == ERR_OK ? e : api_store_failed(c, e, "node");
}

static enum err answer(struct api_call *c, struct store_txn *t, const struct store_node *node)
{
        struct wire_join_result result = { .name = node->name,
                                           .org = str_of(c->control->secrets.org),
                                           .id = id_text(c, node_prefix(node), node->id),
                                           .is_pending = node->state == STORE_NODE_PENDING };
        struct store_node certified;
        enum err e;

        if (node->state == STORE_NODE_DISABLED || node->state == STORE_NODE_REMOVED)
                return api_fail(c, 403, NULL, "This node was refused or removed.");
        memcpy(result.document_key, c->control->secrets.document_public, sizeof(result.document_key));
        if (!result.is_pending) {
                if ((e = node_certificate(c->control, node, store_now(t), &c->work, &result.certificate,
                                          &certified)) != ERR_OK ||
                    (e = store_node_certified(t, node->id, certified.certificate_serial,
                                              certified.certificate_expires)) != ERR_OK)
                        return e;
                result.authority = certs_authority_pem(c->control->secrets.authority);
        }
        buf_clear(&c->answer);
        wire_join_result_write(&result, &c->answer);
        c->status = 201;
        return c->answer.full ? ERR_NO_MEMORY : ERR_OK;
}

enum err join_finish(struct api_call *c, struct store_txn *t, const struct identity_permit *permit)
{
        struct wire_join_proof proof;
        struct store_setting memory;
        struct store_node node = { 0 };
        const char *why = NULL;
        enum err e = wire_join_proof_read(&c->work, c->body, &proof, &why);

        if (e != ERR_OK)
                return e == ERR_NO_MEMORY ? e : api_fail(c, 400, NULL, "The body: %s", why);
        if (c->params[0].len >= WIRE_ID_SIZE)
                return api_fail(c, 404, NULL, "There is no such join.");
        e = store_setting_by_name(t, STORE_ORG_DEFAULT, memory_name(c), &c->work, &memory);
        if (e == ERR_OK)
                e = join_again(c, t, &proof, memory.value, &node);
        else if (e == ERR_NOT_FOUND)
                e = join_do(c, t, c->prepared, &proof, &node);
        return e == ERR_OK ? answer(c, t, &node) : e;
}
