#include "control/shares.h"

#include "control/routes_priv.h"
#include "control/text.h"
#include "crypto/random.h"
#include "store/domains.h"
#include "store/services.h"

enum { WORD_LEN = 10, LIFE_MS = 24 * 3600 * 1000, OF_NODE_MAX = 64 };

/* The name that random ones are made below: the setting's, else the first domain with a wildcard. */
static enum err base_find(struct store_txn *t, int64_t org, struct arena *a, struct str *out)
{
        struct object_settings settings;
        struct store_page page = { .org = org, .limit = STORE_PAGE_MAX };
        struct store_domain *rows;
        enum err e = settings_read(t, org, a, &settings);

        *out = settings.share_domain;
        if (e != ERR_OK || out->len)
                return e;
        if ((e = store_domain_list(t, &page, a, &rows)) != ERR_OK)
                return e;
        for (size_t i = 0; i < page.count && !out->len; i++)
                if (rows[i].is_wildcard && rows[i].state == STORE_DOMAIN_VERIFIED)
                        *out = rows[i].name;
        return ERR_OK;
}

static struct str word_make(struct arena *a)
{
        static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
        char word[WORD_LEN];

        for (size_t i = 0; i < sizeof(word); i++)
                word[i] = letters[crypto_random_below(sizeof(letters) - 1)];
        return arena_copy(a, (struct str){ word, sizeof(word) });
}

static enum err service_make(struct store_change *c, const struct share_request *r, struct str word,
                             struct str host, struct arena *a, int64_t *service)
{
        struct store_txn *t = store_change_txn(c);
        const struct schema_texts hosts = { &host, 1 };
        struct str parts[] = { STR("share-"), word };
        struct store_service row = { .org = r->agent->org,
                                     .name = arena_join(a, parts, 2),
                                     .kind = STORE_SERVICE_HTTP,
                                     .hosts = text_of_texts(a, &hosts),
                                     .paths = STR("[\"/\"]"),
                                     .listen = STR("[]"),
                                     .access = STR("{\"kind\":\"public\",\"allowedIps\":[]}"),
                                     .settings = STR("{}"),
                                     .is_enabled = true,
                                     .owner = r->owner,
                                     .created = store_now(t),
                                     .expires = store_now(t) + LIFE_MS };
        enum err e = store_service_add(c, &row);

        if (e != ERR_OK)
                return e;
        struct store_target target = { .org = row.org,
                                       .service = row.id,
                                       .node = r->agent->id,
                                       .url = r->url,
                                       .weight = 1,
                                       .is_enabled = true,
                                       .health = STR("{}"),
                                       .settings = STR("{}"),
                                       .created = row.created };
        *service = row.id;
        return store_target_add(c, &target);
}

static bool is_below(struct str host, struct str domain)
{
        return host.len > domain.len + 1 && host.ptr[host.len - domain.len - 1] == '.' &&
               str_eq(str_from(host, host.len - domain.len), domain);
}

/* Whether the owner has set a domain with a wildcard that the name lies below. */
static enum err is_granted(struct store_txn *t, int64_t org, struct str host, struct arena *a, bool *out)
{
        struct store_page page = { .org = org };
        struct store_domain *rows;

        *out = false;
        do {
                enum err e = store_domain_list(t, &page, a, &rows);

                if (e != ERR_OK)
                        return e;
                for (size_t i = 0; i < page.count; i++) {
                        page.after = rows[i].id;
                        *out |= rows[i].is_wildcard && rows[i].state == STORE_DOMAIN_VERIFIED &&
                                is_below(host, rows[i].name);
                }
        } while (page.has_more && !*out);
        return ERR_OK;
}

/* Whether a service has the name: for a person its very name and all of its paths, for an agent anything that it lies below. */
static enum err is_served(struct store_txn *t, const struct share_request *r, struct str host,
                          struct arena *a, bool *out)
{
        struct store_page page = { .org = r->agent->org };
        struct store_service *rows;

        *out = false;
        do {
                enum err e = store_service_list(t, &page, a, &rows);

                if (e != ERR_OK)
                        return e;
                for (size_t i = 0; i < page.count; i++) {
                        struct schema_texts hosts = texts_of_text(a, rows[i].hosts),
                                            paths = texts_of_text(a, rows[i].paths);
                        bool is_whole = rows[i].kind == STORE_SERVICE_PASSTHROUGH || !paths.count ||
                                        str_eq(paths.items[0], STR("/"));

                        page.after = rows[i].id;
                        for (size_t j = 0; j < hosts.count; j++)
                                *out |= r->is_of_node ? text_host_fits(hosts.items[j], host)
                                                      : is_whole && str_eq(hosts.items[j], host);
                }
        } while (page.has_more && !*out);
        return ERR_OK;
}

/* An agent has so many shares by its own word and no more. */
static enum err count_check(struct store_txn *t, const struct share_request *r, struct arena *a,
                            const char **why)
{
        struct store_page page = { .org = r->agent->org };
        struct store_share *rows;
        size_t count = 0;

        do {
                enum err e = store_share_list(t, &page, a, &rows);

                if (e != ERR_OK)
                        return e;
                for (size_t i = 0; i < page.count; i++) {
                        page.after = rows[i].id;
                        count += rows[i].node == r->agent->id;
                }
        } while (page.has_more && count < OF_NODE_MAX);
        if (count < OF_NODE_MAX)
                return ERR_OK;
        *why = "This agent has 64 shares already: end one of them first.";
        return ERR_DENIED;
}

/* A name that somebody asks for; a random one is nobody's. */
static enum err name_check(struct store_txn *t, const struct share_request *r, struct arena *a,
                           const char **why)
{
        bool found = true;
        enum err e = ERR_OK;

        *why = NULL; /* who looked at the target may have said something of one that is fine */
        if (r->is_of_node && (e = is_granted(t, r->agent->org, r->host, a, &found)) == ERR_OK && !found)
                *why = "An agent shares under names below a domain with a wildcard only (sekisho domain add "
                       "example.com --wildcard).";
        else if (e == ERR_OK && (e = is_served(t, r, r->host, a, &found)) == ERR_OK && found)
                *why = "A service is published at this name already.";
        return e == ERR_OK && *why ? ERR_DENIED : e;
}

enum err share_make(struct store_change *c, const struct share_request *r, struct arena *a,
                    struct store_share *out, const char **why)
{
        struct store_txn *t = store_change_txn(c);
        struct str word = word_make(a), host = r->host, base;
        struct store_share taken;
        int64_t service;
        enum err e;

        *why = NULL;
        if (!text_is_target(r->url, why) || str_has_prefix(r->url, STR("tcp:")) ||
            str_has_prefix(r->url, STR("udp:"))) {
                *why = "What is shared must be http://, https://, h2c:// or unix:/, with a host and a port.";
                return ERR_DENIED;
        }
        if (host.len == 0) {
                if ((e = base_find(t, r->agent->org, a, &base)) != ERR_OK)
                        return e;
                if (base.len == 0) {
                        *why = "There is no domain to take a name from: add one (sekisho domain add example.com --wildcard), or "
                               "name a host.";
                        return ERR_DENIED;
                }
                struct str parts[] = { word, STR("."), base };
                host = arena_join(a, parts, 3);
        }
        if (!text_is_host(host)) {
                *why = "This is no name that can be published.";
                return ERR_DENIED;
        }
        if (r->host.len && (e = name_check(t, r, a, why)) != ERR_OK)
                return e;
        if (r->is_of_node && (e = count_check(t, r, a, why)) != ERR_OK)
                return e;
        if ((e = store_share_by_host(t, host, a, &taken)) == ERR_OK) {
                *why = "This name is shared already.";
                return ERR_DENIED;
        }
        if (e != ERR_NOT_FOUND)
                return e;
        if ((e = service_make(c, r, word, host, a, &service)) != ERR_OK)
                return e;
        *out = (struct store_share){ .org = r->agent->org,
                                     .service = service,
                                     .node = r->agent->id,
                                     .host = host,
                                     .url = r->url,
                                     .owner = r->owner,
                                     .created = store_now(t),
                                     .expires = store_now(t) + LIFE_MS,
                                     .last_seen = store_now(t) };
        return store_share_add(c, out);
}

enum err share_end(struct store_change *c, const struct store_share *share)
{
        /* With the service its share goes, too. */
        if (share->service)
                return store_service_retire(c, share->org, share->service, 0);
        return store_share_remove(c, share->org, share->id, 0);
}
