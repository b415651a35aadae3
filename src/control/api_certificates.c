#include "base/units.h"
#include "certs/facts.h"
#include "control/routes_priv.h"
#include "control/text.h"
#include "crypto/sealedbox.h"
#include "io/tls.h"
#include "store/certificates.h"
#include "store/nodes.h"

static const struct str sources[] = { STR_INIT("uploaded"), STR_INIT("internal"), STR_INIT("acme") };

static enum err fill(struct api_call *c, struct store_txn *t, const struct store_certificate *row,
                     struct object_certificate *o)
{
        struct store_page page = { .limit = STORE_PAGE_MAX };
        struct store_certificate_key *keys;
        enum err e = store_certificate_key_of(t, row->id, &page, &c->work, &keys);

        *o = (struct object_certificate){ .id = id_text(c, ID_CERTIFICATE, row->id),
                                          .name = row->name,
                                          .source = sources[row->source],
                                          .fingerprint = text_hex(&c->work, row->fingerprint),
                                          .chain = row->chain,
                                          .hosts = texts_of_text(&c->work, row->hosts),
                                          .not_before = row->not_before,
                                          .not_after = row->not_after,
                                          .created = row->created };
        if (e != ERR_OK)
                return e;
        if (!(o->gateways.items = ARENA_ARRAY(&c->work, struct str, page.count + 1)))
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < page.count; i++)
                o->gateways.items[o->gateways.count++] = id_text(c, ID_GATEWAY, keys[i].node);
        return ERR_OK;
}

static bool is_source(struct str word)
{
        for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
                if (str_eq(word, sources[i]))
                        return true;
        return false;
}

API_RUN(certificates_list)
{
        struct str name = api_query(c, "name"), source = api_query(c, "source");
        struct store_page page;
        struct store_certificate *rows;
        struct api_pager pager;
        struct object_certificate o;
        enum err e = api_page(c, identity_permit_org(permit), &page);

        if (e == ERR_OK && source.len && !is_source(source))
                return api_fail(c, 400, NULL, "\"source\" must be uploaded, internal or acme.");
        if (e != ERR_OK || (e = store_certificate_list(t, &page, &c->work, &rows)) != ERR_OK)
                return e;
        api_page_begin(&pager, c);
        for (size_t i = 0; i < page.count; i++) {
                if ((name.len && !str_eq(name, rows[i].name)) ||
                    (source.len && !str_eq(source, sources[rows[i].source])))
                        continue;
                if ((e = fill(c, t, &rows[i], &o)) != ERR_OK)
                        return e;
                api_page_add(&pager, &object_certificate_schema, &o);
        }
        return api_page_end(&pager, &page, page.count ? rows[page.count - 1].id : 0);
}

API_RUN(certificate_get)
{
        struct store_certificate row;
        struct object_certificate o;
        int64_t id;
        enum err e = api_param_id(c, 0, ID_CERTIFICATE, &id);

        if (e != ERR_OK)
                return e;
        if ((e = store_certificate_get(t, identity_permit_org(permit), id, &c->work, &row)) != ERR_OK)
                return api_store_failed(c, e, "certificate");
        if ((e = fill(c, t, &row, &o)) != ERR_OK)
                return e;
        return api_answer(c, &object_certificate_schema, &o, row.revision);
}

static struct str error_of(const struct report *r)
{
        for (size_t i = 0; i < r->entries_count; i++)
                if (r->entries[i].severity == REPORT_ERROR)
                        return r->entries[i].text;
        return STR("they do not fit");
}

/* The TLS library itself says whether a gateway could present the pair. */
static enum err pair_check(struct api_call *c, const struct object_certificate *o)
{
        struct tls_certificate pair = { o->chain, o->key, STR("the chain"), STR("the key") };
        struct tls_server_conf conf = { .certificates = &pair, .certificates_count = 1 };
        struct tls_context *context;
        struct report report;
        enum err e;

        report_init(&report, STR(""));
        e = tls_server_new(&conf, &report, &context);
        if (e == ERR_OK)
                tls_context_put(context);
        else if (e == ERR_CONFIG)
                e = api_fail(c, 400, NULL, "Chain and key cannot be used: %.*s.", STR_FMT(error_of(&report)));
        report_fini(&report);
        return e;
}

/* What whoever uploads it means it for. */
static enum err hosts_check(struct api_call *c, const struct schema_texts *wanted,
                            const struct schema_texts *names)
{
        for (size_t i = 0; i < wanted->count; i++) {
                bool is_covered = false;

                for (size_t j = 0; j < names->count && !is_covered; j++)
                        is_covered = text_host_fits(names->items[j], wanted->items[i]);
                if (!is_covered)
                        return api_fail(c, 400, NULL, "The certificate is not for %.*s: its names are %.*s.",
                                        STR_FMT(str_sub(wanted->items[i], 0, 100)),
                                        STR_FMT(str_sub(text_of_texts(&c->work, names), 0, 400)));
        }
        return ERR_OK;
}

static bool has_key(const struct store_certificate_key *keys, size_t count, int64_t node)
{
        for (size_t i = 0; i < count; i++)
                if (keys[i].node == node)
                        return true;
        return false;
}

/* For each gateway that has it not yet; *sealed_count: how many there were. */
static enum err keys_seal(struct api_call *c, struct store_change *change,
                          const struct store_certificate *row, struct str key, size_t *sealed_count)
{
        struct store_txn *t = store_change_txn(change);
        struct store_page page = { .org = row->org }, have = { .limit = STORE_PAGE_MAX };
        struct store_certificate_key *keys;
        struct store_node *nodes;
        enum err e = store_certificate_key_of(t, row->id, &have, &c->work, &keys);

        *sealed_count = 0;
        if (e != ERR_OK)
                return e;
        do {
                e = store_node_list_of(t, STORE_GATEWAY, &page, &c->work, &nodes);

                if (e != ERR_OK)
                        return e;
                for (size_t i = 0; i < page.count; i++) {
                        page.after = nodes[i].id;
                        if (has_key(keys, have.count, nodes[i].id))
                                continue;
                        uint8_t *box = arena_alloc(&c->work, key.len + CRYPTO_SEALEDBOX_OVERHEAD, 1);
                        if (!box)
                                return ERR_NO_MEMORY;
                        if (nodes[i].seal_key.len != CRYPTO_SEALEDBOX_KEY_BYTES ||
                            crypto_sealedbox_seal((const uint8_t *)nodes[i].seal_key.ptr, key, box) != ERR_OK)
                                continue;
                        struct store_certificate_key sealed = {
                                .org = row->org,
                                .certificate = row->id,
                                .node = nodes[i].id,
                                .sealed = { (const char *)box, key.len + CRYPTO_SEALEDBOX_OVERHEAD },
                                .created = store_now(t)
                        };
                        if ((e = store_certificate_key_add(change, &sealed)) != ERR_OK)
                                return e;
                        ++*sealed_count;
                }
        } while (page.has_more);
        return ERR_OK;
}

/* An uploaded one of that fingerprint. ERR_NOT_FOUND. */
static enum err uploaded_find(struct api_call *c, struct store_txn *t, const struct store_certificate *like,
                              struct store_certificate *out)
{
        struct store_page page = { .org = like->org };
        struct store_certificate *rows;

        do {
                enum err e = store_certificate_list(t, &page, &c->work, &rows);

                if (e != ERR_OK)
                        return e;
                for (size_t i = 0; i < page.count; i++) {
                        page.after = rows[i].id;
                        *out = rows[i];
                        if (rows[i].source == STORE_CERTIFICATE_UPLOADED &&
                            str_eq(rows[i].fingerprint, like->fingerprint))
                                return ERR_OK;
                }
        } while (page.has_more);
        return ERR_NOT_FOUND;
}

/* The same pair once more: gateways that joined since get its key. With all of them having it, there is nothing to add. */
static enum err again_add(struct api_call *c, struct store_txn *t, const struct identity_permit *permit,
                          const struct store_certificate *row, struct str key)
{
        struct store_change *change = change_begin(t, permit, "certificate.seal");
        struct object_certificate o;
        size_t count;
        enum err e = keys_seal(c, change, row, key, &count);

        if (e == ERR_OK && count == 0)
                return api_fail(c, 409, NULL, "Every gateway there is has this certificate already.");
        if (e != ERR_OK || (e = store_change_finish(change)) != ERR_OK)
                return api_store_failed(c, e, "certificate");
        if ((e = fill(c, t, row, &o)) != ERR_OK)
                return e;
        return api_created(c, &object_certificate_schema, &o, row->revision, "certificates", o.id);
}

API_RUN(certificate_add)
{
        struct object_certificate o = { 0 };
        struct store_certificate row;
        struct certs_facts facts;
        struct store_change *change;
        char until[UNITS_TIME_TEXT_MAX];
        uint64_t given;
        enum err e = api_body(c, &o, &given);

        if (e != ERR_OK || (e = pair_check(c, &o)) != ERR_OK)
                return e;
        if ((e = certs_facts_read(o.chain, &c->work, &facts)) != ERR_OK)
                return e == ERR_MALFORMED ? api_fail(c, 400, NULL, "\"chain\" is no PEM of a certificate.")
                                          : e;
        if (facts.to <= store_now(t))
                return api_fail(c, 400, NULL, "The certificate has expired: it was good until %s.",
                                units_format_time(facts.to, until).ptr);
        const struct schema_texts hosts = { facts.names_count ? facts.names : &facts.common_name,
                                            facts.names_count ? facts.names_count
                                                              : facts.common_name.len != 0 };
        if (hosts.count == 0)
                return api_fail(c, 400, NULL, "The certificate is for no name.");
        if ((e = hosts_check(c, &o.hosts, &hosts)) != ERR_OK)
                return e;
        row = (struct store_certificate){ .org = identity_permit_org(permit),
                                          .name = o.name.len ? o.name : hosts.items[0],
                                          .hosts = text_of_texts(&c->work, &hosts),
                                          .source = STORE_CERTIFICATE_UPLOADED,
                                          .chain = o.chain,
                                          .fingerprint = { (const char *)facts.sha256, sizeof(facts.sha256) },
                                          .not_before = facts.from,
                                          .not_after = facts.to,
                                          .created = store_now(t) };
        struct store_certificate there;
        size_t count;
        if ((e = uploaded_find(c, t, &row, &there)) != ERR_NOT_FOUND)
                return e == ERR_OK ? again_add(c, t, permit, &there, o.key) : e;
        change = change_begin(t, permit, "certificate.add");
        if ((e = store_certificate_add(change, &row)) != ERR_OK ||
            (e = keys_seal(c, change, &row, o.key, &count)) != ERR_OK ||
            (e = store_change_finish(change)) != ERR_OK)
                return api_store_failed(c, e, "certificate");
        if ((e = fill(c, t, &row, &o)) != ERR_OK)
                return e;
        return api_created(c, &object_certificate_schema, &o, row.revision, "certificates", o.id);
}

API_RUN(certificate_remove)
{
        struct store_change *change;
        int64_t id, expected;
        enum err e = api_param_id(c, 0, ID_CERTIFICATE, &id);

        if (e != ERR_OK || (e = api_expected(c, &expected)) != ERR_OK)
                return e;
        change = change_begin(t, permit, "certificate.remove");
        if ((e = store_certificate_retire(change, identity_permit_org(permit), id, expected)) != ERR_OK ||
            (e = store_change_finish(change)) != ERR_OK)
                return api_store_failed(c, e, "certificate");
        return api_nothing(c);
}
