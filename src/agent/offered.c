#include "agent/offered.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "wire/ports.h"
#include "json/reader.h"
#include "json/writer.h"

enum { ITEM_MEMORY_MAX = 1024 * 1024, TEXT_BYTES_MAX = 4 << 20, URL_BYTES_MAX = 600 };

/* ---- the document as configuration ---- */

static void raw_copy(struct json_writer *w, const struct json_value *v, struct str key)
{
        const struct json_value *member = json_find(v, key);

        if (member && !json_is(member, JSON_NULL))
                json_write_member_raw(w, key, member->raw);
}

/* A model may think for minutes before its first byte; the gateway has the caller's patience, and breaks off. */
static void timeouts_write(struct json_writer *w)
{
        json_write_key(w, STR("timeouts"));
        json_write_object_begin(w);
        json_write_member_str(w, STR("firstByte"), STR("10m"));
        json_write_member_str(w, STR("idle"), STR("10m"));
        json_write_object_end(w);
}

/* How long nothing may pass on a stream of bytes. */
static void idle_write(struct json_writer *w, const struct json_value *target)
{
        const struct json_value *idle = json_find(target, STR("idleTimeout"));

        if (!idle)
                return;
        json_write_key(w, STR("timeouts"));
        json_write_object_begin(w);
        json_write_member_raw(w, STR("tunnel"), idle->raw);
        json_write_object_end(w);
}

static void upstream_write(struct json_writer *w, const struct json_value *service,
                           const struct json_value *target, struct str url)
{
        const struct str h2c = STR("h2c://");
        char text[URL_BYTES_MAX + 16];

        json_write_object_begin(w);
        if (str_has_prefix(url, h2c) &&
            url.len < URL_BYTES_MAX) { /* control's word for it; in a file it is two */
                url = str_from(url, h2c.len);
                url = (struct str){ text, (size_t)snprintf(text, sizeof(text), "http://%.*s", STR_FMT(url)) };
                json_write_member_str(w, STR("protocol"), STR("h2c"));
        }
        json_write_key(w, STR("targets"));
        json_write_array_begin(w);
        json_write_str(w, url);
        json_write_array_end(w);
        raw_copy(w, target, STR("health"));
        raw_copy(w, target, STR("tls"));
        if (str_eq(json_str(json_find(service, STR("kind"))), STR("llm")))
                timeouts_write(w);
        raw_copy(w, target, STR("proxyProtocol"));
        idle_write(w, target);
        json_write_object_end(w);
}

/* One of a range: "tg-x-3" for the fourth port. */
static void port_write(struct json_writer *w, const struct json_value *service, struct str id,
                       const struct json_value *target, const struct wire_ports *ports, unsigned n,
                       bool as_upstreams)
{
        char name[WIRE_ID_MAX + 16], url[URL_BYTES_MAX + 16];
        int name_len = snprintf(name, sizeof(name), "%.*s-%u", STR_FMT(id), n);
        int url_len = snprintf(url, sizeof(url), "%.*s:%u", STR_FMT(ports->before), ports->first + n);
        struct str numbered = { name, (size_t)name_len };

        json_write_key(w, numbered);
        if (as_upstreams)
                upstream_write(w, service, target, (struct str){ url, (size_t)url_len });
        else
                json_write_str(w, numbered);
}

/* Each target is an upstream and a service of the same id; of a range, each port. */
static void targets_write(struct json_writer *w, const struct json_value *service, bool as_upstreams)
{
        const struct json_value *targets = json_find(service, STR("targets"));

        for (size_t i = 0; json_is(targets, JSON_OBJECT) && i < targets->count; i++) {
                struct str id = targets->members[i].key;
                const struct json_value *target = &targets->members[i].value;
                const struct json_value *url = json_find(target, STR("url"));
                struct wire_ports ports;

                if (!wire_id_is_valid(id) || !json_is(url, JSON_STRING))
                        continue;
                if (json_str(url).len < URL_BYTES_MAX && wire_ports_parse(json_str(url), &ports) == ERR_OK &&
                    ports.count > 1) {
                        for (unsigned n = 0; n < ports.count; n++)
                                port_write(w, service, id, target, &ports, n, as_upstreams);
                        continue;
                }
                json_write_key(w, id);
                if (as_upstreams)
                        upstream_write(w, service, target, json_str(url));
                else
                        json_write_str(w, id);
        }
}

static void gateway_write(struct json_writer *w, struct str id, const struct json_value *gateway)
{
        const struct json_value *addresses = json_find(gateway, STR("addresses"));
        size_t count =
                json_is(addresses, JSON_ARRAY) ? MIN(addresses->count, (size_t)CONF_AGENT_ADDRESSES_MAX) : 0;

        if (count == 0)
                return;
        json_write_object_begin(w);
        json_write_key(w, STR("address"));
        json_write_array_begin(w);
        for (size_t i = 0; i < count; i++)
                if (json_is(&addresses->items[i], JSON_STRING))
                        json_write_raw(w, addresses->items[i].raw);
        json_write_array_end(w);
        json_write_member_str(w, STR("id"), id);
        json_write_object_end(w);
}

enum part { UPSTREAMS, SERVICES, GATEWAYS };

static void part_write(struct json_writer *w, const struct wire_document *d, enum part part)
{
        size_t begin,
                end = wire_document_section(d, part == GATEWAYS ? STR("gateways") : STR("services"), &begin);

        for (size_t i = begin; i < end; i++) {
                const struct wire_item *item = wire_document_item(d, i);
                const struct json_value *v;
                struct arena arena;

                arena_init(&arena, NULL, 0, ITEM_MEMORY_MAX);
                bool is_read = json_read_strict(&arena, item->json, NULL, &v) == ERR_OK;
                if (is_read && part == GATEWAYS)
                        gateway_write(w, item->id, v);
                else if (is_read)
                        targets_write(w, v, part == UPSTREAMS);
                arena_fini(&arena);
        }
}

/* After the lease the upstreams stay, which the own file may name; nobody else gets to them. */
static void text_make(struct buf *out, const struct wire_document *d, bool is_over)
{
        struct json_writer w;

        json_writer_init(&w, out, 2);
        json_write_object_begin(&w);
        json_write_key(&w, STR("upstreams"));
        json_write_object_begin(&w);
        part_write(&w, d, UPSTREAMS);
        json_write_object_end(&w);
        json_write_key(&w, STR("agent"));
        json_write_object_begin(&w);
        json_write_member_str(&w, STR("authority"), STR(OFFERED_FOLDER "authority.pem"));
        json_write_member_str(&w, STR("cert"), STR(OFFERED_FOLDER "node.pem"));
        json_write_member_str(&w, STR("key"), STR(OFFERED_FOLDER "identity.pem"));
        json_write_key(&w, STR("gateways"));
        json_write_array_begin(&w);
        part_write(&w, d, GATEWAYS);
        json_write_array_end(&w);
        json_write_key(&w, STR("services"));
        json_write_object_begin(&w);
        if (!is_over)
                part_write(&w, d, SERVICES);
        json_write_object_end(&w);
        json_write_object_end(&w);
        json_write_object_end(&w);
        json_writer_finish(&w);
}

/* ---- the source ---- */

static enum err own_read(const struct offered *o, struct str name, struct buf *out)
{
        if (str_eq(name, STR("authority.pem")))
                buf_add(out, str_of(o->state.papers.authority));
        else if (str_eq(name, STR("node.pem")))
                buf_add(out, str_of(o->state.papers.certificate));
        else if (str_eq(name, STR("identity.pem")))
                buf_add(out, buf_str(&o->state.identity_pem));
        else
                return ERR_NOT_FOUND;
        return out->full ? ERR_TOO_LARGE : ERR_OK;
}

static enum err source_read(struct conf_source *s, enum conf_read_kind kind, struct str name,
                            struct conf_text *out)
{
        struct offered *o = CONTAINER_OF(s, struct offered, source);

        out->mode = 0600;
        if (kind == CONF_READ_PUBLISHED && o->is_on) {
                buf_add(&out->bytes, buf_str(&o->text));
                return out->bytes.full ? ERR_TOO_LARGE : ERR_OK;
        }
        if (kind != CONF_READ_ENV && o->is_on && str_has_prefix(name, STR(OFFERED_FOLDER)))
                return own_read(o, str_from(name, sizeof(OFFERED_FOLDER) - 1), &out->bytes);
        enum err e = o->inner->read(o->inner, kind, name, out);
        if (e == ERR_NOT_FOUND && kind == CONF_READ_CONFIG) {
                buf_add(&out->bytes, STR("{\"agent\":{}}"));
                return ERR_OK;
        }
        return e;
}

static bool document_take(struct offered *o)
{
        struct wire_document *d = NULL;
        const char *why = "";
        enum err e = node_state_document_load(&o->state, &d, &why);

        if (e == ERR_NOT_FOUND)
                return false;
        if (e != ERR_OK) {
                log_error("document_not_used", LOG_C("reason", why), LOG_E(e));
                return false;
        }
        bool is_over = o->source.now / 1000 > wire_document_lease_end(d);

        text_make(&o->text, d, is_over);
        wire_document_put(d);
        if (is_over)
                log_error("lease_expired", LOG_C("meaning", "what control published is served no longer, "
                                                            "until it is heard again"));
        if (o->text.full)
                log_error("document_not_used", LOG_C("reason", "it is too large"), LOG_E(ERR_TOO_LARGE));
        return !o->text.full;
}

void offered_over(struct offered *o, struct conf_source *inner, const char *folder)
{
        const char *why = "";

        memset(o, 0, sizeof(*o));
        o->inner = inner;
        o->source = (struct conf_source){ .read = source_read, .file = inner->file, .now = inner->now };
        buf_init(&o->text, TEXT_BYTES_MAX);
        enum err e = node_state_look(&o->state, folder, WIRE_AGENT, &why);
        if (e == ERR_OK)
                o->is_on = o->state.is_joined && !o->state.papers.gone[0] && document_take(o);
        else
                o->state.lock_fd = -1;
        if (e != ERR_OK && e != ERR_NOT_FOUND)
                log_error("document_not_used", LOG_C("reason", why), LOG_E(e));
}

bool offered_is_on(const struct offered *o)
{
        return o->is_on;
}

void offered_off(struct offered *o)
{
        o->is_on = false;
}

void offered_fini(struct offered *o)
{
        buf_wipe(&o->text);
        node_state_close(&o->state);
}
