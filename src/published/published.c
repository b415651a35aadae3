#include "published/published.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/units.h"
#include "crypto/sealedbox.h"
#include "crypto/text.h"
#include "json/reader.h"
#include "json/writer.h"

enum { ITEM_MEMORY_MAX = 4 * 1024 * 1024, CERTIFICATE_KEY_MAX = 64 * 1024 };

/* ---- services ---- */

/* Members of a service's settings that are not control's to say there. */
static bool is_ours(struct str key)
{
        static const struct str ours[] = { STR_INIT("name"),     STR_INIT("host"),   STR_INIT("path"),
                                           STR_INIT("upstream"), STR_INIT("access"), STR_INIT("redirect"),
                                           STR_INIT("respond") };

        for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
                if (str_eq(key, ours[i]))
                        return true;
        return false;
}

static bool is_http(const struct json_value *service)
{
        return str_eq(json_str(json_find(service, STR("kind"))), STR("http"));
}

static void upstream_write(struct json_writer *w, struct str id, const struct json_value *service)
{
        const struct json_value *targets = json_find(service, STR("targets"));
        const struct json_value *balance = json_find(json_find(service, STR("settings")), STR("balance"));

        json_write_key(w, id);
        json_write_object_begin(w);
        if (balance)
                json_write_member_raw(w, STR("balance"), balance->raw);
        json_write_key(w, STR("targets"));
        json_write_array_begin(w);
        for (size_t i = 0; json_is(targets, JSON_ARRAY) && i < targets->count; i++) {
                const struct json_value *target = json_item(targets, i);
                struct str agent = json_str(json_find(target, STR("agent")));
                struct str target_id = json_str(json_find(target, STR("id")));
                const struct json_value *weight = json_find(target, STR("weight"));
                char url[2 * WIRE_ID_MAX + 16];
                if (!wire_id_is_valid(agent) || !wire_id_is_valid(target_id))
                        continue;
                int n = snprintf(url, sizeof(url), "link://%.*s/%.*s", STR_FMT(agent), STR_FMT(target_id));
                json_write_object_begin(w);
                json_write_member_str(w, STR("url"), (struct str){ url, (size_t)n });
                if (weight)
                        json_write_member_raw(w, STR("weight"), weight->raw);
                json_write_object_end(w);
        }
        json_write_array_end(w);
        json_write_object_end(w);
}

static bool has_targets(const struct json_value *service)
{
        const struct json_value *targets = json_find(service, STR("targets"));

        for (size_t i = 0; json_is(targets, JSON_ARRAY) && i < targets->count; i++)
                if (wire_id_is_valid(json_str(json_find(json_item(targets, i), STR("agent")))) &&
                    wire_id_is_valid(json_str(json_find(json_item(targets, i), STR("id")))))
                        return true;
        return false;
}

/* public: everybody; token: the scope `proxy`; owner, and whatever we do not know: the scope `admin`. */
static void access_write(struct json_writer *w, const struct json_value *service)
{
        const struct json_value *access = json_find(service, STR("access"));
        struct str kind = json_str(json_find(access, STR("kind")));
        const struct json_value *ips = json_find(access, STR("allowedIps"));

        json_write_key(w, STR("access"));
        json_write_object_begin(w);
        json_write_member_str(w, STR("token"),
                              str_eq(kind, STR("public"))  ? STR("public")
                              : str_eq(kind, STR("token")) ? STR("proxy")
                                                           : STR("admin"));
        if (json_is(ips, JSON_ARRAY))
                json_write_member_raw(w, STR("allowedIps"), ips->raw);
        json_write_object_end(w);
}

/* "/": all; "/x": it and what is below; what has a star or braces already stays as it is. */
static void path_write(struct json_writer *w, const struct json_value *service)
{
        struct str path = json_str(json_find(service, STR("path")));
        char text[1024];

        if (path.len == 0 || str_eq(path, STR("/")) || path.len >= sizeof(text) - 3)
                return;
        if (str_find_char(path, '*') != STR_NONE || str_find_char(path, '{') != STR_NONE) {
                json_write_member_str(w, STR("path"), path);
                return;
        }
        while (path.len > 1 && path.ptr[path.len - 1] == '/')
                path.len--;
        int n = snprintf(text, sizeof(text), "%.*s/*", STR_FMT(path));
        json_write_member_str(w, STR("path"), (struct str){ text, (size_t)n });
}

static void answer_write(struct json_writer *w, struct str code, const char *message)
{
        char body[256];
        int n = snprintf(body, sizeof(body), "{\"error\":{\"code\":\"%.*s\",\"message\":\"%s\"}}\n",
                         STR_FMT(code), message);

        json_write_key(w, STR("respond"));
        json_write_object_begin(w);
        json_write_member_uint(w, STR("status"), 503);
        json_write_member_str(w, STR("contentType"), STR("application/json"));
        json_write_member_str(w, STR("body"), (struct str){ body, (size_t)n });
        json_write_object_end(w);
}

static void route_write(struct json_writer *w, struct str id, const struct json_value *service, bool is_over)
{
        const struct json_value *settings = json_find(service, STR("settings"));
        const struct json_value *hosts = json_find(service, STR("hosts"));

        json_write_object_begin(w);
        json_write_member_str(w, STR("name"), id);
        json_write_member_raw(w, STR("host"), hosts->raw);
        path_write(w, service);
        access_write(w, service);
        if (is_over) {
                answer_write(w, STR("lease_expired"),
                             "this gateway has not heard from its control for too long");
        } else if (!has_targets(service)) {
                answer_write(w, STR("no_target"), "this service has no target yet");
        } else {
                json_write_member_str(w, STR("upstream"), id);
                for (size_t i = 0; json_is(settings, JSON_OBJECT) && i < settings->count; i++)
                        if (!is_ours(settings->members[i].key) &&
                            !str_eq(settings->members[i].key, STR("balance")))
                                json_write_member_raw(w, settings->members[i].key,
                                                      settings->members[i].value.raw);
        }
        json_write_object_end(w);
}

/* Without a host a service of control would catch what the operator's file leaves open. */
static bool is_usable(const struct json_value *service)
{
        const struct json_value *hosts = json_find(service, STR("hosts"));

        return is_http(service) && json_is(hosts, JSON_ARRAY) && hosts->count > 0;
}

/* ---- sections ---- */

typedef void item_fn(struct json_writer *w, const struct wire_item *item, const struct json_value *v,
                     void *context);

static void each(struct json_writer *w, const struct wire_document *d, struct str section, item_fn *fn,
                 void *context)
{
        size_t begin, end = wire_document_section(d, section, &begin);

        for (size_t i = begin; i < end; i++) {
                const struct wire_item *item = wire_document_item(d, i);
                const struct json_value *v;
                struct arena arena;
                arena_init(&arena, NULL, 0, ITEM_MEMORY_MAX);
                if (json_read_strict(&arena, item->json, NULL, &v) == ERR_OK)
                        fn(w, item, v, context);
                arena_fini(&arena);
        }
}

static void on_upstream(struct json_writer *w, const struct wire_item *item, const struct json_value *v,
                        void *context)
{
        (void)context;
        if (is_usable(v) && has_targets(v))
                upstream_write(w, item->id, v);
}

struct routes {
        bool is_over;
        size_t unusable;
};

static void on_route(struct json_writer *w, const struct wire_item *item, const struct json_value *v,
                     void *context)
{
        struct routes *r = context;

        if (is_usable(v))
                route_write(w, item->id, v, r->is_over);
        else
                r->unusable++;
}

static void member_copy(struct json_writer *w, const struct json_value *v, struct str key)
{
        const struct json_value *member = json_find(v, key);

        if (member && !json_is(member, JSON_NULL))
                json_write_member_raw(w, key, member->raw);
}

/* Control's words and ours: `token` opens services of access token, `owner` those and the owner's (access_write). */
static void scopes_write(struct json_writer *w, const struct json_value *scopes)
{
        json_write_key(w, STR("scopes"));
        json_write_array_begin(w);
        for (size_t i = 0; json_is(scopes, JSON_ARRAY) && i < scopes->count; i++) {
                struct str scope = json_str(json_item(scopes, i));

                if (str_eq(scope, STR("token")))
                        json_write_str(w, STR("proxy"));
                else if (str_eq(scope, STR("owner")))
                        json_write_str(w, STR("admin"));
        }
        json_write_array_end(w);
}

/* Seconds since 1970; 0: never. What is no such number has expired. */
static void expires_write(struct json_writer *w, const struct json_value *v)
{
        char text[UNITS_TIME_TEXT_MAX];
        int64_t at = 1;

        if (json_get_int64(v, &at) == ERR_OK && at == 0)
                return;
        if (at < 0 || at > INT64_MAX / 1000)
                at = 1;
        json_write_member_str(w, STR("expires"), units_format_time(at * 1000, text));
}

static void on_token(struct json_writer *w, const struct wire_item *item, const struct json_value *v,
                     void *context)
{
        (void)context;
        json_write_object_begin(w);
        json_write_member_str(w, STR("name"), item->id);
        member_copy(w, v, STR("sha256"));
        scopes_write(w, json_find(v, STR("scopes")));
        expires_write(w, json_find(v, STR("expires")));
        json_write_object_end(w);
}

static void on_certificate(struct json_writer *w, const struct wire_item *item, const struct json_value *v,
                           void *context)
{
        char name[WIRE_ID_MAX + 64];
        int n;
        (void)v, (void)context;

        json_write_object_begin(w);
        n = snprintf(name, sizeof(name), PUBLISHED_FOLDER "%.*s.crt", STR_FMT(item->id));
        json_write_member_str(w, STR("cert"), (struct str){ name, (size_t)n });
        n = snprintf(name, sizeof(name), PUBLISHED_FOLDER "%.*s.key", STR_FMT(item->id));
        json_write_member_str(w, STR("key"), (struct str){ name, (size_t)n });
        json_write_object_end(w);
}

/* Links need a TLS listener, and that a certificate, before anything is published. */
static void own_certificate_write(struct json_writer *w, const struct wire_document *d)
{
        size_t begin, end = wire_document_section(d, STR("certificates"), &begin);

        if (begin != end)
                return;
        json_write_object_begin(w);
        json_write_member_str(w, STR("cert"), STR(PUBLISHED_FOLDER "node.pem"));
        json_write_member_str(w, STR("key"), STR(PUBLISHED_FOLDER "identity.pem"));
        json_write_object_end(w);
}

static void on_agent(struct json_writer *w, const struct wire_item *item, const struct json_value *v,
                     void *context)
{
        (void)context;
        json_write_key(w, item->id);
        json_write_object_begin(w);
        member_copy(w, v, STR("identity"));
        json_write_object_end(w);
}

static void links_write(struct json_writer *w, const struct wire_document *d)
{
        size_t begin, end = wire_document_section(d, STR("agents"), &begin);

        if (begin == end)
                return;
        json_write_key(w, STR("links"));
        json_write_object_begin(w);
        json_write_member_str(w, STR("authority"), STR(PUBLISHED_FOLDER "authority.pem"));
        json_write_member_str(w, STR("cert"), STR(PUBLISHED_FOLDER "node.pem"));
        json_write_member_str(w, STR("key"), STR(PUBLISHED_FOLDER "identity.pem"));
        json_write_key(w, STR("agents"));
        json_write_object_begin(w);
        each(w, d, STR("agents"), on_agent, NULL);
        json_write_object_end(w);
        json_write_object_end(w);
}

enum err published_text(const struct wire_document *d, bool has_papers, unix_ms now, struct buf *out,
                        size_t *unusable)
{
        struct routes routes = { .is_over = now / 1000 > wire_document_lease_end(d) };
        struct json_writer w;

        json_writer_init(&w, out, 2);
        json_write_object_begin(&w);
        json_write_key(&w, STR("gateway"));
        json_write_object_begin(&w);
        json_write_key(&w, STR("apiTokens"));
        json_write_array_begin(&w);
        if (!routes.is_over)
                each(&w, d, STR("tokens"), on_token, NULL);
        json_write_array_end(&w);
        json_write_key(&w, STR("certificates"));
        json_write_array_begin(&w);
        each(&w, d, STR("certificates"), on_certificate, NULL);
        if (has_papers)
                own_certificate_write(&w, d);
        json_write_array_end(&w);
        if (!routes.is_over)
                links_write(&w, d);
        json_write_object_end(&w);
        json_write_key(&w, STR("upstreams"));
        json_write_object_begin(&w);
        if (!routes.is_over)
                each(&w, d, STR("services"), on_upstream, NULL);
        json_write_object_end(&w);
        json_write_key(&w, STR("routes"));
        json_write_array_begin(&w);
        each(&w, d, STR("services"), on_route, &routes);
        json_write_array_end(&w);
        json_write_object_end(&w);
        json_writer_finish(&w);
        *unusable = routes.unusable;
        return out->full ? ERR_TOO_LARGE : ERR_OK;
}

/* ---- the source ---- */

/* The private half is a box for our seal key. */
static enum err certificate_read(struct published *p, struct str id, bool is_key, struct buf *out)
{
        const struct wire_item *item = wire_document_find(p->document, STR("certificates"), id);
        uint8_t box[CERTIFICATE_KEY_MAX];
        const struct json_value *v;
        struct arena arena;
        size_t len;
        enum err e = ERR_NOT_FOUND;

        if (!item)
                return ERR_NOT_FOUND;
        arena_init(&arena, NULL, 0, ITEM_MEMORY_MAX);
        if (json_read_strict(&arena, item->json, NULL, &v) == ERR_OK) {
                struct str text = json_str(json_find(v, is_key ? STR("key") : STR("chain")));
                e = text.len ? ERR_OK : ERR_NOT_FOUND;
                if (e == ERR_OK && !is_key) {
                        buf_add(out, text);
                } else if (e == ERR_OK) {
                        char *room = NULL;
                        e = crypto_base64_parse(text, box, sizeof(box), &len);
                        if (e == ERR_OK && len > CRYPTO_SEALEDBOX_OVERHEAD)
                                room = buf_reserve(out, len - CRYPTO_SEALEDBOX_OVERHEAD);
                        e = room ? crypto_sealedbox_open(p->state.seal, (struct str){ (char *)box, len },
                                                         (uint8_t *)room)
                                 : ERR_MALFORMED;
                        if (e == ERR_OK)
                                buf_added(out, len - CRYPTO_SEALEDBOX_OVERHEAD);
                }
        }
        arena_fini(&arena);
        return e;
}

static enum err own_read(struct published *p, struct str name, struct buf *out)
{
        struct str crt = STR(".crt"), key = STR(".key");

        if (str_eq(name, STR("authority.pem")))
                buf_add(out, str_of(p->state.papers.authority));
        else if (str_eq(name, STR("node.pem")))
                buf_add(out, str_of(p->state.papers.certificate));
        else if (str_eq(name, STR("identity.pem")))
                buf_add(out, buf_str(&p->state.identity_pem));
        else if (str_has_suffix(name, crt))
                return certificate_read(p, str_sub(name, 0, name.len - crt.len), false, out);
        else if (str_has_suffix(name, key))
                return certificate_read(p, str_sub(name, 0, name.len - key.len), true, out);
        else
                return ERR_NOT_FOUND;
        return out->full ? ERR_TOO_LARGE : ERR_OK;
}

/* Where the operator wrote no file of his own. */
static enum err no_file_write(struct str listen, struct buf *out)
{
        struct json_writer w;

        json_writer_init(&w, out, 2);
        json_write_object_begin(&w);
        json_write_key(&w, STR("gateway"));
        json_write_object_begin(&w);
        json_write_key(&w, STR("listen"));
        json_write_array_begin(&w);
        json_write_object_begin(&w);
        json_write_member_str(&w, STR("address"), listen.len ? listen : STR(":443"));
        json_write_member_bool(&w, STR("tls"), true);
        json_write_object_end(&w);
        json_write_array_end(&w);
        if (!listen.len)
                json_write_member_str(&w, STR("redirectHttp"), STR(":80"));
        json_write_object_end(&w);
        json_write_object_end(&w);
        json_writer_finish(&w);
        return out->full ? ERR_TOO_LARGE : ERR_OK;
}

static enum err published_read(struct conf_source *s, enum conf_read_kind kind, struct str name,
                               struct conf_text *out)
{
        struct published *p = CONTAINER_OF(s, struct published, source);
        struct str folder = STR(PUBLISHED_FOLDER);

        if (p->is_on && kind == CONF_READ_CONFIG) {
                enum err e = p->inner->read(p->inner, kind, name, out);

                if (e != ERR_NOT_FOUND)
                        return e;
                out->mode = 0600;
                return no_file_write(p->listen, &out->bytes);
        }
        if (p->is_on && kind == CONF_READ_PUBLISHED) {
                out->mode = 0600;
                buf_add(&out->bytes, buf_str(&p->text));
                return out->bytes.full ? ERR_TOO_LARGE : ERR_OK;
        }
        if (p->is_on && kind != CONF_READ_ENV && str_has_prefix(name, folder)) {
                out->mode = 0600;
                return own_read(p, str_from(name, folder.len), &out->bytes);
        }
        return p->inner->read(p->inner, kind, name, out);
}

static bool document_take(struct published *p)
{
        const char *why = "";
        size_t unusable = 0;
        enum err e = node_state_document_load(&p->state, &p->document, &why);

        if (e == ERR_NOT_FOUND)
                return false;
        if (e == ERR_OK && (e = published_text(p->document, p->state.papers.certificate[0], p->source.now,
                                               &p->text, &unusable)) != ERR_OK)
                why = "it is larger than a configuration may be";
        if (e != ERR_OK) {
                log_error("document_not_used", LOG_C("reason", why), LOG_E(e));
                return false;
        }
        if (unusable)
                log_warning(
                        "services_not_served", LOG_N("services", unusable),
                        LOG_C("meaning",
                              "they have no host, or are of a kind that this gateway does not serve yet"));
        if (p->source.now / 1000 > wire_document_lease_end(p->document))
                log_error("lease_expired",
                          LOG_C("meaning",
                                "what control published is answered with 503 until it is heard again"));
        return true;
}

void published_over(struct published *p, struct conf_source *inner, struct str folder, struct str listen)
{
        char path[NODE_PATH_MAX];
        const char *why = "";

        memset(p, 0, sizeof(*p));
        p->inner = inner;
        p->listen = listen;
        p->source = (struct conf_source){ .read = published_read, .file = inner->file, .now = inner->now };
        buf_init(&p->text, CONF_TEXT_BYTES_MAX);
        if (folder.len == 0 || folder.len >= sizeof(path))
                return;
        memcpy(path, folder.ptr, folder.len);
        path[folder.len] = '\0';
        enum err e = node_state_look(&p->state, path, WIRE_GATEWAY, &why);
        if (e != ERR_OK) {
                if (e != ERR_NOT_FOUND)
                        log_error("document_not_used", LOG_C("reason", why), LOG_E(e));
                return;
        }
        p->is_on = p->state.is_joined && !p->state.papers.gone[0] && document_take(p);
}

bool published_is_on(const struct published *p)
{
        return p->is_on;
}

void published_off(struct published *p)
{
        p->is_on = false;
}

void published_fini(struct published *p)
{
        node_state_close(&p->state);
        wire_document_put(p->document);
        buf_wipe(&p->text);
}
