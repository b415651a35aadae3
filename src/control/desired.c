#include "control/desired_priv.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "store/controls.h"
#include "store/outbox.h"
#include "store/settings.h"
#include "json/reader.h"

enum {
        ARENA_BYTES = 256 << 20,
        TEXTS_BYTES = 16 << 20,
        ROWS_BYTES = 256 * 1024, /* of a first block, which goes back to the system as a whole */
        BUILT_BYTES_MAX =
                4 << 20 /* more than rows have room for: what is too large is found when it is whole */
};

/* ---- items ---- */

/* Takes the item. */
static enum err item_keep(struct desired_items *to, struct wire_item *item)
{
        if (to->count == to->cap) {
                size_t cap = to->cap ? to->cap * 2 : 4;
                struct wire_item **list = realloc(to->list, cap * sizeof(struct wire_item *));

                if (!list) {
                        wire_item_put(item);
                        return ERR_NO_MEMORY;
                }
                to->list = list;
                to->cap = cap;
        }
        to->list[to->count++] = item;
        return ERR_OK;
}

static void items_fini(struct desired_items *items)
{
        for (size_t i = 0; i < items->count; i++)
                wire_item_put(items->list[i]);
        free(items->list);
}

struct str desired_id(struct reading *r, const char *prefix, int64_t row)
{
        char text[WIRE_ID_SIZE];

        return arena_copy(r->a, id_format(r->id_key, prefix, row, text));
}

void desired_item_begin(struct json_writer *w, struct buf *json)
{
        buf_init(json, BUILT_BYTES_MAX);
        json_writer_init(w, json, JSON_COMPACT);
        json_write_object_begin(w);
}

enum err desired_item_end(struct json_writer *w, struct buf *json, struct desired_items *to,
                          const char *section, struct str id)
{
        struct wire_item *item = NULL;
        enum err e;

        json_write_object_end(w);
        json_writer_finish(w);
        e = json->full ? ERR_NO_MEMORY : wire_item_new(str_of(section), id, buf_str(json), &item);
        buf_fini(json);
        if (e == ERR_OK)
                return item_keep(to, item);
        if (e == ERR_NO_MEMORY)
                return e;
        log_error("item_left_out", LOG_C("section", section), LOG_S("id", id), LOG_E(e));
        return ERR_OK;
}

void desired_member_raw(struct json_writer *w, const char *name, struct str json, const char *otherwise)
{
        json_write_member_raw(w, str_of(name), json.len ? json : str_of(otherwise));
}

void desired_moment_note(struct reading *r, unix_ms when)
{
        if (when > r->now && (!r->d->next_change || when < r->d->next_change))
                r->d->next_change = when;
}

/* ---- nodes ---- */

static bool is_in_force(const struct store_node *n)
{
        return n->state == STORE_NODE_ACTIVE;
}

static void node_members(struct reading *r, const struct store_node *n, struct json_writer *w)
{
        uint8_t identity[CRYPTO_SHA256_BYTES];

        crypto_sha256(n->tls_key, identity);
        json_write_member_str(w, STR("identity"),
                              text_hex(r->a, (struct str){ (const char *)identity, sizeof(identity) }));
        json_write_member_str(w, STR("address4"), text_ip(r->a, n->address4));
        json_write_member_str(w, STR("address6"), text_ip(r->a, n->address6));
        json_write_member_str(w, STR("tunnel"), text_base64(r->a, n->wg_key));
}

/* Where agents reach a gateway: as the operator set it, else as the gateway itself said. */
static void addresses_write(struct reading *r, const struct store_node *n, struct json_writer *w)
{
        const struct json_value *settings = NULL, *facts = NULL, *list;
        int64_t links = 1, overlay = 0;

        if (n->settings.len && json_read_strict(r->a, n->settings, NULL, &settings) != ERR_OK)
                settings = NULL;
        if (n->facts.len && json_read_strict(r->a, n->facts, NULL, &facts) != ERR_OK)
                facts = NULL;
        list = json_find(settings, STR("addresses"));
        if (!list || list->count == 0)
                list = json_find(facts, STR("addresses"));
        if (json_get_int64(json_find(settings, STR("links")), &links) != ERR_OK)
                links = 1;
        json_write_key(w, STR("addresses"));
        json_write_array_begin(w);
        for (size_t i = 0; list && i < list->count; i++) {
                struct str text = json_str(json_item(list, i));
                bool has_port = text.len && (text.ptr[0] == '[' ? str_find(text, STR("]:"))
                                                                : str_find_char(text, ':')) != STR_NONE;
                struct str parts[] = { text, STR(":443") };

                if (text.len)
                        json_write_str(w, has_port ? text : arena_join(r->a, parts, 2));
        }
        json_write_array_end(w);
        json_write_member_int(w, STR("links"), links);
        if ((json_get_int64(json_find(settings, STR("overlay")), &overlay) == ERR_OK ||
             json_get_int64(json_find(facts, STR("overlay")), &overlay) == ERR_OK) &&
            overlay > 0 && overlay <= UINT16_MAX)
                json_write_member_int(w, STR("overlay"), overlay);
}

/* Its own place in the overlay, which the lists of others do not say; and a gateway's word for callers. */
static enum err self_item(struct reading *r, const struct store_node *n, struct desired_node *d)
{
        char voucher[CALLERS_VOUCHER_SIZE];
        struct json_writer w;
        struct buf json;

        desired_item_begin(&w, &json);
        json_write_member_str(&w, STR("address4"), text_ip(r->a, n->address4));
        json_write_member_str(&w, STR("address6"), text_ip(r->a, n->address6));
        if (n->kind == STORE_GATEWAY)
                json_write_member_str(&w, STR("voucher"),
                                      callers_voucher_make(r->callers, str_of(d->id), voucher));
        return desired_item_end(&w, &json, &d->own, "self", str_of(d->id));
}

static enum err node_items(struct reading *r, const struct store_node *n, struct desired_node *d)
{
        struct json_writer w;
        struct buf json;

        if (!is_in_force(n))
                return ERR_OK;
        enum err e = self_item(r, n, d);
        if (e != ERR_OK)
                return e;
        desired_item_begin(&w, &json);
        json_write_member_str(&w, STR("name"), n->name);
        if (n->kind == STORE_AGENT)
                json_write_member_str(&w, STR("state"), STR("active"));
        else
                addresses_write(r, n, &w);
        node_members(r, n, &w);
        return desired_item_end(&w, &json, n->kind == STORE_AGENT ? &r->d->gateways : &r->d->agents,
                                n->kind == STORE_AGENT ? "agents" : "gateways", str_of(d->id));
}

/* {"tags": ["eu", "fast"]} of its settings as "eu,fast". */
static struct str tags_read(struct reading *r, const struct store_node *n)
{
        const struct json_value *settings, *list;
        struct str all = STR("");

        if (str_find(n->settings, STR("\"tags\"")) == STR_NONE ||
            json_read_strict(r->a, n->settings, NULL, &settings) != ERR_OK)
                return all;
        list = json_find(settings, STR("tags"));
        for (size_t i = 0; list && i < list->count; i++) {
                struct str parts[] = { all, all.len ? STR(",") : STR(""), json_str(json_item(list, i)) };

                all = arena_join(r->a, parts, ARRAY_SIZE(parts));
        }
        return all;
}

static enum err nodes_room(struct desired *d, size_t count)
{
        struct desired_node *nodes = realloc(d->nodes, (d->nodes_count + count) * sizeof(*nodes));

        if (!nodes && d->nodes_count + count)
                return ERR_NO_MEMORY;
        d->nodes = nodes;
        return ERR_OK;
}

static enum err node_read(struct reading *r, const struct store_node *row)
{
        bool is_gateway = row->kind == STORE_GATEWAY;
        struct desired_node *n = &r->d->nodes[r->d->nodes_count++];

        *n = (struct desired_node){ .row = row->id,
                                    .kind = is_gateway ? WIRE_GATEWAY : WIRE_AGENT,
                                    .state = row->state,
                                    .expires = row->expires,
                                    .name = arena_copy(&r->d->texts, row->name),
                                    .tags = arena_copy(&r->d->texts, tags_read(r, row)) };
        id_format(r->id_key, is_gateway ? ID_GATEWAY : ID_AGENT, row->id, n->id);
        desired_moment_note(r, row->expires);
        return node_items(r, row, n);
}

static enum err nodes_read(struct reading *r)
{
        struct store_page page = { .org = r->org };
        struct store_node *rows;
        enum err e;

        do {
                arena_reset(r->rows);
                if ((e = store_node_list(r->t, &page, r->rows, &rows)) == ERR_OK && page.count)
                        e = nodes_room(r->d, page.count);
                for (size_t i = 0; e == ERR_OK && i < page.count; i++) {
                        page.after = rows[i].id;
                        arena_reset(r->a);
                        if (rows[i].kind != STORE_CLIENT)
                                e = node_read(r, &rows[i]);
                }
        } while (e == ERR_OK && page.has_more);
        return e;
}

const struct desired_node *desired_find(const struct desired *d, int64_t row)
{
        size_t low = 0, high = d->nodes_count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (d->nodes[middle].row == row)
                        return &d->nodes[middle];
                if (d->nodes[middle].row < row)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

/* ---- controls: where nodes go when theirs is gone. With one alone there is nothing to say ---- */

static enum err control_item(struct reading *r, const struct store_control *row, struct desired_items *to)
{
        struct json_writer w;
        struct buf json;

        desired_item_begin(&w, &json);
        json_write_member_str(&w, STR("url"), row->url);
        return desired_item_end(&w, &json, to, "controls", desired_id(r, ID_CONTROL, row->id));
}

/* "https://control.example.com/" is reached at "control.example.com:443". */
static struct str place_of(struct reading *r, struct str url)
{
        struct str at = str_has_prefix(url, STR("https://")) ? str_from(url, 8) : url;

        at = str_sub(at, 0, str_find_char(at, '/'));
        bool has_port =
                at.len && (at.ptr[0] == '[' ? str_find(at, STR("]:")) : str_find_char(at, ':')) != STR_NONE;
        return has_port ? at : arena_format(r->a, "%.*s:443", STR_FMT(at));
}

/* Control as a gateway of agents', at whichever of these addresses: for requests that they send out. */
static enum err links_item(struct reading *r, const struct store_control *rows, size_t count,
                           struct str own_url)
{
        struct json_writer w;
        struct buf json;

        desired_item_begin(&w, &json);
        json_write_member_str(&w, STR("name"), STR("control"));
        json_write_key(&w, STR("addresses"));
        json_write_array_begin(&w);
        for (size_t i = 0; i < count; i++)
                json_write_str(&w, place_of(r, rows[i].url));
        if (count == 0)
                json_write_str(&w, place_of(r, own_url));
        json_write_array_end(&w);
        json_write_member_int(&w, STR("links"), 1);
        return desired_item_end(&w, &json, &r->d->agents, "gateways", STR("control"));
}

static enum err controls_read(struct reading *r, struct str dispatch_url)
{
        struct store_page page = { .org = r->org, .limit = WIRE_CONTROLS_MAX };
        struct store_control *rows;
        enum err e = store_control_list(r->t, &page, r->a, &rows);

        r->d->controls_count = page.count;
        for (size_t i = 0; i < page.count && page.count > 1 && e == ERR_OK; i++)
                if ((e = control_item(r, &rows[i], &r->d->gateways)) == ERR_OK)
                        e = control_item(r, &rows[i], &r->d->agents);
        return e == ERR_OK && dispatch_url.len ? links_item(r, rows, page.count, dispatch_url) : e;
}

/* ---- all ---- */

static enum err all_read(struct reading *r, struct str dispatch_url)
{
        struct object_settings settings;
        int64_t first;
        enum err e;

        if ((e = store_outbox_range(r->t, &first, &r->d->seq)) == ERR_OK &&
            (e = store_epoch(r->t, &r->d->epoch)) == ERR_OK &&
            (e = controls_read(r, dispatch_url)) == ERR_OK &&
            (e = settings_read(r->t, r->org, r->a, &settings)) == ERR_OK) {
                r->d->lease = settings.lease;
                e = nodes_read(r);
        }
        if (e == ERR_OK && (e = desired_services_read(r)) == ERR_OK && (e = desired_tokens_read(r)) == ERR_OK)
                e = desired_certificates_read(r);
        return e == ERR_OK && (r->a->full || r->rows->full || r->d->texts.full) ? ERR_NO_MEMORY : e;
}

enum err desired_read(struct store_txn *t, int64_t org, const struct desired_keys *keys,
                      struct str dispatch_url, struct desired **out)
{
        struct desired *d = calloc(1, sizeof(*d));
        char *first = malloc(ROWS_BYTES);
        struct arena rows, a;
        struct reading r = { .t = t,
                             .d = d,
                             .rows = &rows,
                             .a = &a,
                             .org = org,
                             .id_key = keys->id_key,
                             .callers = keys->callers,
                             .now = store_now(t) };
        enum err e = ERR_NO_MEMORY;

        *out = NULL;
        if (d && first) {
                arena_init(&d->texts, NULL, 0, TEXTS_BYTES);
                arena_init(&rows, first, ROWS_BYTES, ARENA_BYTES);
                arena_init(&a, NULL, 0, ARENA_BYTES);
                e = all_read(&r, dispatch_url);
                arena_fini(&a);
                arena_fini(&rows);
        }
        free(first);
        if (e == ERR_OK)
                *out = d;
        else
                desired_free(d);
        return e;
}

/* Both in one order, but for what was added and removed since: each is looked for a little further on than the one before. */
static void items_share(struct desired_items *items, const struct desired_items *before)
{
        enum { FURTHER = 8 };
        size_t next = 0;

        for (size_t i = 0; i < items->count; i++)
                for (size_t j = next; j < before->count && j < next + FURTHER; j++) {
                        struct wire_item *mine = items->list[i], *theirs = before->list[j];

                        if (!str_eq(mine->id, theirs->id) || !str_eq(mine->section, theirs->section))
                                continue;
                        if (memcmp(mine->sha256, theirs->sha256, sizeof(mine->sha256)) == 0) {
                                items->list[i] = wire_item_get(theirs);
                                wire_item_put(mine);
                        }
                        next = j + 1;
                        break;
                }
}

void desired_share(struct desired *d, const struct desired *before)
{
        if (!before)
                return;
        items_share(&d->gateways, &before->gateways);
        items_share(&d->agents, &before->agents);
        for (size_t i = 0; i < d->nodes_count; i++) {
                const struct desired_node *n = desired_find(before, d->nodes[i].row);

                if (n)
                        items_share(&d->nodes[i].own, &n->own);
        }
}

void desired_free(struct desired *d)
{
        if (!d)
                return;
        items_fini(&d->gateways);
        items_fini(&d->agents);
        for (size_t i = 0; i < d->nodes_count; i++)
                items_fini(&d->nodes[i].own);
        free(d->nodes);
        arena_fini(&d->texts);
        free(d);
}
