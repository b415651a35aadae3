#include <string.h>

#include "certs/authority.h"
#include "control/desired.h"
#include "control/routes_priv.h"
#include "control/text.h"
#include "crypto/p256.h"
#include "crypto/sealedbox.h"
#include "store/certificates.h"
#include "store/services.h"

/*
 * Certificates of control's own authority, for names nobody uploaded one for. Each gateway has its own, with a key of its
 * own that is sealed to it when it is made and kept nowhere else: so no gateway can be taken for another, and the store
 * holds no usable key.
 */

#define LIFE_MS  (INT64_C(90) * 86400 * 1000)
#define AHEAD_MS (INT64_C(30) * 86400 * 1000)
#define SLACK_MS (INT64_C(3600) * 1000)

enum { HOSTS_MAX = 10000, ARENA_BYTES = 64 << 20 };

struct ensuring {
        struct store_txn *t;
        struct store_change *c; /* begun with the first thing that is done */
        const struct secrets *secrets;
        struct arena *a;
        struct arena one; /* of the gateway that is looked at */
        int64_t org;
        unix_ms now;
        struct str *hosts; /* of all services that end TLS at gateways */
        size_t hosts_count;
};

static struct store_change *change(struct ensuring *n)
{
        static const struct store_actor system = { STR_INIT("system"), STR_INIT("") };

        if (!n->c)
                n->c = store_change_begin(n->t, n->org, &system, "certificate.ensure");
        return n->c;
}

static enum err hosts_read(struct ensuring *n)
{
        struct store_page page = { .org = n->org };
        struct store_service *rows;

        if (!(n->hosts = ARENA_ARRAY(n->a, struct str, HOSTS_MAX)))
                return ERR_NO_MEMORY;
        do {
                enum err e = store_service_list(n->t, &page, n->a, &rows);

                if (e != ERR_OK)
                        return e;
                for (size_t i = 0; i < page.count; i++) {
                        struct schema_texts hosts = texts_of_text(n->a, rows[i].hosts);
                        bool ends_tls =
                                rows[i].kind == STORE_SERVICE_HTTP || rows[i].kind == STORE_SERVICE_LLM;

                        page.after = rows[i].id;
                        if (!ends_tls || !rows[i].is_enabled ||
                            (rows[i].expires && rows[i].expires <= n->now))
                                continue;
                        for (size_t j = 0; j < hosts.count && n->hosts_count < HOSTS_MAX; j++)
                                n->hosts[n->hosts_count++] = hosts.items[j];
                }
        } while (page.has_more);
        return ERR_OK;
}

static bool covers(const struct schema_texts *names, struct str host)
{
        for (size_t i = 0; i < names->count; i++)
                if (text_host_fits(names->items[i], host))
                        return true;
        return false;
}

static enum err make(struct ensuring *n, const struct store_node *gateway, struct str host)
{
        const struct schema_texts hosts = { &host, 1 };
        uint8_t spki[CRYPTO_P256_SPKI_BYTES], fingerprint[CERTS_FINGERPRINT_BYTES];
        struct certs_request r = { .spki = { (const char *)spki, sizeof(spki) },
                                   .common_name = str_sub(host, 0, CERTS_NAME_BYTES_MAX),
                                   .names = &host,
                                   .names_count = 1,
                                   .from = n->now - SLACK_MS,
                                   .to = n->now + LIFE_MS,
                                   .for_servers = true };
        struct store_certificate row = { .org = n->org,
                                         .source = STORE_CERTIFICATE_INTERNAL,
                                         .created = n->now };
        struct store_certificate_key sealed = { .org = n->org, .node = gateway->id, .created = n->now };
        struct buf key, chain;
        enum err e;

        buf_init_secret(&key, CRYPTO_P256_PEM_MAX);
        buf_init(&chain, 64 * 1024);
        if ((e = crypto_p256_generate(&key)) == ERR_OK &&
            (e = crypto_p256_public(buf_str(&key), spki)) == ERR_OK &&
            (e = certs_issue(n->secrets->authority, &r, &chain)) == ERR_OK) {
                buf_add(&chain, certs_authority_pem(n->secrets->authority));
                crypto_sha256(buf_str(&chain), fingerprint);
                uint8_t *box = arena_alloc(&n->one, key.len + CRYPTO_SEALEDBOX_OVERHEAD, 1);

                row.name = host;
                row.hosts = text_of_texts(&n->one, &hosts);
                row.chain = arena_copy(&n->one, buf_str(&chain));
                row.fingerprint =
                        arena_copy(&n->one, (struct str){ (const char *)fingerprint, sizeof(fingerprint) });
                row.not_before = r.from;
                row.not_after = r.to;
                e = box && gateway->seal_key.len == CRYPTO_SEALEDBOX_KEY_BYTES
                            ? crypto_sealedbox_seal((const uint8_t *)gateway->seal_key.ptr, buf_str(&key),
                                                    box)
                            : ERR_MALFORMED;
                sealed.sealed = (struct str){ (const char *)box, key.len + CRYPTO_SEALEDBOX_OVERHEAD };
        }
        buf_wipe(&key);
        buf_fini(&chain);
        if (e == ERR_OK && (e = store_certificate_add(change(n), &row)) == ERR_OK) {
                sealed.certificate = row.id;
                e = store_certificate_key_add(n->c, &sealed);
        }
        return e == ERR_MALFORMED ? ERR_OK
                                  : e; /* no such name can be certified, or nobody could open the key */
}

/* A certificate that the gateway has the key of. */
struct present {
        struct store_certificate c;
        struct schema_texts names;
        struct present *next;
};

static enum err presents_read(struct ensuring *n, const struct store_node *gateway, struct present **first)
{
        struct store_page page = { .limit = STORE_PAGE_MAX };
        struct store_certificate_key *keys;
        enum err e;

        *first = NULL;
        do {
                if ((e = store_certificate_key_of_node(n->t, gateway->id, &page, &n->one, &keys)) != ERR_OK)
                        return e;
                for (size_t i = 0; i < page.count; i++) {
                        struct present *p = ARENA_NEW(&n->one, struct present);

                        page.after = keys[i].id;
                        if (!p)
                                return ERR_NO_MEMORY;
                        if ((e = store_certificate_get(n->t, n->org, keys[i].certificate, &n->one, &p->c)) !=
                            ERR_OK)
                                return e;
                        p->names = texts_of_text(&n->one, p->c.hosts);
                        p->next = *first;
                        *first = p;
                }
        } while (page.has_more);
        return ERR_OK;
}

/* Marks the hosts it is for; whether any of them was not marked before. */
static bool mark(const struct ensuring *n, const struct present *p, bool *covered)
{
        bool is_new = false;

        for (size_t i = 0; i < n->hosts_count; i++)
                if (!covered[i] && covers(&p->names, n->hosts[i]))
                        is_new = covered[i] = true;
        return is_new;
}

/* What was uploaded comes first: one of ours beside it for the same name might be the one that is presented. */
static enum err gateway_ensure(struct ensuring *n, const struct store_node *gateway)
{
        bool *covered = ARENA_ARRAY(&n->one, bool, n->hosts_count + 1);
        struct present *all;
        enum err e = covered ? presents_read(n, gateway, &all) : ERR_NO_MEMORY;

        if (e != ERR_OK)
                return e;
        for (const struct present *p = all; p; p = p->next)
                if (p->c.source != STORE_CERTIFICATE_INTERNAL && p->c.not_after > n->now)
                        (void)mark(n, p, covered);
        for (const struct present *p = all; p && e == ERR_OK; p = p->next)
                if (p->c.source == STORE_CERTIFICATE_INTERNAL &&
                    (p->c.not_after <= n->now + AHEAD_MS || !mark(n, p, covered)))
                        e = store_certificate_retire(change(n), n->org, p->c.id, 0);
        for (size_t i = 0; i < n->hosts_count && e == ERR_OK; i++) {
                bool is_covered = covered[i];

                for (size_t j = 0; j < i && !is_covered; j++)
                        is_covered = str_eq(n->hosts[j], n->hosts[i]);
                if (!is_covered)
                        e = make(n, gateway, n->hosts[i]);
        }
        return e;
}

enum err certificates_ensure(struct store_txn *t, const struct secrets *secrets, int64_t org, bool *made)
{
        struct arena arena;
        struct ensuring n = { .t = t, .secrets = secrets, .a = &arena, .org = org, .now = store_now(t) };
        struct store_page page = { .org = org };
        struct store_node *rows;
        enum err e;

        *made = false;
        arena_init(&arena, NULL, 0, ARENA_BYTES);
        arena_init(&n.one, NULL, 0, ARENA_BYTES);
        e = hosts_read(&n);
        while (e == ERR_OK) {
                if ((e = store_node_list_of(t, STORE_GATEWAY, &page, &arena, &rows)) != ERR_OK)
                        break;
                for (size_t i = 0; i < page.count && e == ERR_OK; i++) {
                        page.after = rows[i].id;
                        arena_reset(&n.one);
                        if (rows[i].state == STORE_NODE_ACTIVE)
                                e = gateway_ensure(&n, &rows[i]);
                }
                if (!page.has_more)
                        break;
        }
        if (e == ERR_OK && n.c) {
                *made = true;
                e = store_change_finish(n.c);
        }
        arena_fini(&n.one);
        arena_fini(&arena);
        return e;
}
