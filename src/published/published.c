#include "published/published.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/units.h"
#include "crypto/sealedbox.h"
#include "crypto/text.h"
#include "node/controls.h"
#include "published/service.h"
#include "json/reader.h"
#include "json/writer.h"

enum { ITEM_MEMORY_MAX = 4 * 1024 * 1024, CERTIFICATE_KEY_MAX = 64 * 1024 };

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

/* Where control is. */
struct controls {
        char texts[WIRE_CONTROLS_MAX + 1][NODE_URL_MAX];
        struct str urls[WIRE_CONTROLS_MAX + 1];
        size_t count;
};

static void controls_find(const struct node_papers *p, const struct wire_document *d, struct controls *out)
{
        out->count = MIN(node_controls_count(p, d), (size_t)ARRAY_SIZE(out->urls));
        for (size_t i = 0; i < out->count; i++) {
                node_controls_get(p, d, i, out->texts[i]);
                out->urls[i] = str_of(out->texts[i]);
        }
}

static void on_upstream(struct json_writer *w, const struct wire_item *item, const struct json_value *v,
                        void *context)
{
        const struct controls *controls = context;

        if (service_is_control(v))
                service_control_upstream_write(w, item->id, controls->urls, controls->count);
        else if ((service_is_route(v) || service_is_stream(v) || service_is_pass(v)) &&
                 service_has_targets(v))
                service_upstreams_write(w, item->id, v);
}

/* Without a target nothing is listened on: nobody is there. */
static void on_stream(struct json_writer *w, const struct wire_item *item, const struct json_value *v,
                      void *context)
{
        (void)context;
        if (service_is_stream(v) && service_has_targets(v))
                service_listens_write(w, item->id, v);
}

static void on_provider(struct json_writer *w, const struct wire_item *item, const struct json_value *v,
                        void *context)
{
        (void)item, (void)context;
        if (service_is_models(v))
                service_providers_write(w, v);
}

static void on_pass(struct json_writer *w, const struct wire_item *item, const struct json_value *v,
                    void *context)
{
        (void)context;
        if (service_is_pass(v) && service_has_targets(v))
                service_pass_write(w, item->id, v);
}

struct routes {
        bool is_over;
        size_t unusable;
};

static void on_route(struct json_writer *w, const struct wire_item *item, const struct json_value *v,
                     void *context)
{
        struct routes *r = context;

        if (service_is_route(v))
                service_route_write(w, item->id, v, r->is_over);
        else if (!service_is_stream(v) && !service_is_models(v) && !service_is_pass(v))
                r->unusable++;
}

static void member_copy(struct json_writer *w, const struct json_value *v, struct str key)
{
        const struct json_value *member = json_find(v, key);

        if (member && !json_is(member, JSON_NULL))
                json_write_member_raw(w, key, member->raw);
}

/* Control's words and ours: `token` opens services of access token, `owner` those and the owner's (access_write), `models` the
 * catalogue of models. */
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
                else if (str_eq(scope, STR("models")))
                        json_write_str(w, STR("llm"));
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

/* Also before there is an agent: the first one would else meet somebody who speaks to visitors only, and come as a WebSocket. */
static void links_write(struct json_writer *w, const struct wire_document *d, bool has_papers)
{
        size_t begin, end = wire_document_section(d, STR("agents"), &begin);

        if (begin == end && !has_papers)
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

enum err published_text(const struct wire_document *d, const struct node_papers *papers, unix_ms now,
                        struct buf *out, size_t *unusable)
{
        bool has_papers = papers->certificate[0];
        struct controls controls;
        struct routes routes = { .is_over = now / 1000 > wire_document_lease_end(d) };
        struct json_writer w;

        controls_find(papers, d, &controls);
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
        json_write_key(&w, STR("listen"));
        json_write_array_begin(&w);
        if (!routes.is_over)
                each(&w, d, STR("services"), on_stream, NULL);
        json_write_array_end(&w);
        json_write_key(&w, STR("passThrough"));
        json_write_array_begin(&w);
        if (!routes.is_over)
                each(&w, d, STR("services"), on_pass, NULL);
        json_write_array_end(&w);
        if (!routes.is_over)
                links_write(&w, d, has_papers);
        json_write_object_end(&w);
        json_write_key(&w, STR("upstreams"));
        json_write_object_begin(&w);
        if (!routes.is_over)
                each(&w, d, STR("services"), on_upstream, &controls);
        json_write_object_end(&w);
        json_write_key(&w, STR("providers"));
        json_write_object_begin(&w);
        if (!routes.is_over)
                each(&w, d, STR("services"), on_provider, NULL);
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

/* "ID:VOUCHER": with which control believes what address a caller has; "-": it gave none, and believes nothing. */
static enum err voucher_read(const struct published *p, struct buf *out)
{
        const struct wire_item *item =
                wire_document_find(p->document, STR("self"), str_of(p->state.papers.id));
        const struct json_value *v = NULL;
        struct str voucher = STR("");
        struct arena arena;

        arena_init(&arena, NULL, 0, ITEM_MEMORY_MAX);
        if (item && json_read_strict(&arena, item->json, NULL, &v) == ERR_OK)
                voucher = json_str(json_find(v, STR("voucher")));
        if (voucher.len)
                buf_addf(out, "%s:%.*s", p->state.papers.id, STR_FMT(voucher));
        else
                buf_add_char(out, '-');
        arena_fini(&arena);
        return ERR_OK;
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
        else if (str_eq(name, STR("voucher")))
                return voucher_read(p, out);
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
        if (e == ERR_OK &&
            (e = published_text(p->document, &p->state.papers, p->source.now, &p->text, &unusable)) != ERR_OK)
                why = "it is larger than a configuration may be";
        if (e != ERR_OK) {
                log_error("document_not_used", LOG_C("reason", why), LOG_E(e));
                return false;
        }
        if (unusable)
                log_warning(
                        "services_not_served", LOG_N("services", unusable),
                        LOG_C("meaning",
                              "they have no host, are of a kind that this gateway does not serve yet, or are raw TCP that "
                              "asks for a token or for a range of ports"));
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
