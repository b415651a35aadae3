#include <string.h>

#include "control/hub.h"
#include "control/lead.h"
#include "control/routes_priv.h"
#include "control/version.h"
#include "io/process.h"
#include "store/controls.h"
#include "store/nodes.h"
#include "store/services.h"
#include "store/settings.h"

struct str id_text(struct api_call *c, const char *prefix, int64_t row)
{
        char text[WIRE_ID_SIZE];

        return arena_copy(&c->work, id_format(c->control->secrets.id_key, prefix, row, text));
}

struct str id_text_or_none(struct api_call *c, const char *prefix, int64_t row)
{
        return row ? id_text(c, prefix, row) : STR("");
}

struct store_change *change_begin(struct store_txn *t, const struct identity_permit *permit,
                                  const char *action)
{
        const struct store_actor actor = identity_permit_actor(permit);

        return store_change_begin(t, identity_permit_org(permit), &actor, action);
}

bool hub_prepare(struct api_call *c)
{
        struct hub_facts *f = ARENA_NEW(&c->arena, struct hub_facts);

        if (f)
                f->nodes = hub_copy(c->control->hub, &c->arena, &f->count);
        c->prepared = f;
        if (f && f->nodes)
                return true;
        exchange_refuse(c->x, 503, "memory", "Control has no memory for this request.");
        return false;
}

enum err hub_elsewhere(struct api_call *c, struct store_txn *t)
{
        struct hub_facts *f = c->prepared;
        struct store_page page = { .org = STORE_ORG_DEFAULT, .limit = HUB_ELSEWHERE_MAX };
        struct store_control *rows;
        enum err e;

        f->elsewhere_count = 0;
        if (!lead_row(c->control->lead))
                return ERR_OK;
        e = store_control_list(t, &page, &c->work, &rows);
        for (size_t i = 0; e == ERR_OK && i < page.count; i++)
                if (rows[i].id != lead_row(c->control->lead) &&
                    store_now(t) - rows[i].last_seen < LEAD_SILENCE_MS)
                        f->elsewhere[f->elsewhere_count++] = rows[i].id;
        return e;
}

bool hub_is_elsewhere(const struct hub_facts *f, int64_t control)
{
        for (size_t i = 0; f && control && i < f->elsewhere_count; i++)
                if (f->elsewhere[i] == control)
                        return true;
        return false;
}

static enum err nodes_count(struct store_txn *t, int64_t org, const struct hub_facts *f, struct arena *a,
                            struct object_counts *out)
{
        struct store_page page = { .org = org };
        struct store_node *rows;

        do {
                enum err e = store_node_list(t, &page, a, &rows);

                if (e != ERR_OK)
                        return e;
                for (size_t i = 0; i < page.count; i++) {
                        const struct hub_node *live = hub_node_find(f->nodes, f->count, rows[i].id);

                        page.after = rows[i].id;
                        if (rows[i].state == STORE_NODE_REMOVED)
                                continue;
                        out->gateways += rows[i].kind == STORE_GATEWAY;
                        out->agents += rows[i].kind == STORE_AGENT;
                        out->pending += rows[i].state == STORE_NODE_PENDING;
                        bool is_elsewhere = !live && hub_is_elsewhere(f, rows[i].control);

                        out->connected += live != NULL || is_elsewhere;
                        out->behind +=
                                live ? live->applied_version < live->wanted_version
                                     : is_elsewhere && rows[i].applied_version < rows[i].wanted_version;
                }
        } while (page.has_more);
        return ERR_OK;
}

static enum err services_count(struct store_txn *t, int64_t org, struct arena *a, struct object_counts *out)
{
        struct store_page page = { .org = org };
        struct store_service *rows;

        do {
                enum err e = store_service_list(t, &page, a, &rows);

                if (e != ERR_OK)
                        return e;
                out->services += (int64_t)page.count;
                if (page.count)
                        page.after = rows[page.count - 1].id;
        } while (page.has_more);
        return ERR_OK;
}

API_RUN(status_get)
{
        const struct control *control = c->control;
        uint8_t fingerprint[CERTS_FINGERPRINT_BYTES];
        char isolation[SANDBOX_TEXT_MAX];
        struct object_status s = { .version = STR(SEKISHO_VERSION),
                                   .organisation = str_of(control->secrets.org),
                                   .url = str_of(control->url),
                                   .store = store_engine(control->store),
                                   .started = control->started,
                                   .time = process_wall_ms() };
        int64_t org = identity_permit_org(permit);
        enum err e;

        s.isolation = str_of(sandbox_text(&control->sandbox, isolation));
        certs_authority_fingerprint(control->secrets.authority, fingerprint);
        if ((e = store_epoch(t, &s.epoch)) != ERR_OK || (e = hub_elsewhere(c, t)) != ERR_OK ||
            (e = nodes_count(t, org, c->prepared, &c->work, &s.nodes)) != ERR_OK ||
            (e = services_count(t, org, &c->work, &s.nodes)) != ERR_OK)
                return e;
        char hex[2 * CERTS_FINGERPRINT_BYTES + 1];
        for (size_t i = 0; i < sizeof(fingerprint); i++) {
                hex[2 * i] = "0123456789abcdef"[fingerprint[i] >> 4];
                hex[2 * i + 1] = "0123456789abcdef"[fingerprint[i] & 15];
        }
        s.authority_sha256 = (struct str){ hex, 2 * sizeof(fingerprint) };
        return api_answer(c, &object_status_schema, &s, 0);
}

static struct schema_texts scopes_texts(struct arena *a, unsigned scopes)
{
        struct schema_texts texts = { ARENA_ARRAY(a, struct str, 8), 0 };
        struct str rest = identity_scopes_format(scopes, a), word;

        while (texts.items && rest.len && texts.count < 8 && str_split(&rest, ',', &word))
                texts.items[texts.count++] = word;
        return texts;
}

API_RUN(me_get)
{
        const struct identity_caller *caller = identity_permit_caller(permit);
        struct object_me me = { .kind = STR("key"),
                                .id = id_text(c, ID_KEY, caller->id),
                                .name = caller->name,
                                .organisation = str_of(c->control->secrets.org),
                                .scopes = scopes_texts(&c->work, caller->scopes) };

        return api_answer(c, &object_me_schema, &me, 0);
}
