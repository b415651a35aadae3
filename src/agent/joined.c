#include "agent/joined.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "io/timer.h"
#include "node/channel.h"
#include "node/join.h"
#include "json/reader.h"
#include "json/writer.h"

#define FOLDER "/sekisho.published/"

enum { ITEM_MEMORY_MAX = 1024 * 1024, TEXT_BYTES_MAX = 4 << 20, JOIN_BYTES_MAX = 1024, NAME_BYTES_MAX = 64 };

struct joined {
        struct conf_source source; /* joined_over */
        struct conf_source *inner;
        struct buf text;
        struct node_state state;
        struct node_join *join;
        struct node_channel *channel;
        struct wire_document *document; /* in force, or about to be */
        struct loop *loop;
        struct resolver *resolver;
        const struct joined_events *events;
        void *context;
        struct task task; /* frees the join that is over */
        const char *said; /* the last trouble, so that it is said once */
        char token[JOIN_BYTES_MAX], name[NAME_BYTES_MAX + 1];
        bool is_news; /* control waits for a word */
};

/* ---- the document as configuration ---- */

static void raw_copy(struct json_writer *w, const struct json_value *v, struct str key)
{
        const struct json_value *member = json_find(v, key);

        if (member && !json_is(member, JSON_NULL))
                json_write_member_raw(w, key, member->raw);
}

/* Each target is an upstream and a service of the same id. */
static void targets_write(struct json_writer *w, const struct json_value *service, bool as_upstreams)
{
        const struct json_value *targets = json_find(service, STR("targets"));

        for (size_t i = 0; json_is(targets, JSON_OBJECT) && i < targets->count; i++) {
                struct str id = targets->members[i].key;
                const struct json_value *target = &targets->members[i].value;
                const struct json_value *url = json_find(target, STR("url"));

                if (!wire_id_is_valid(id) || !json_is(url, JSON_STRING))
                        continue;
                if (!as_upstreams) {
                        json_write_member_str(w, id, id);
                        continue;
                }
                json_write_key(w, id);
                json_write_object_begin(w);
                json_write_key(w, STR("targets"));
                json_write_array_begin(w);
                json_write_raw(w, url->raw);
                json_write_array_end(w);
                raw_copy(w, target, STR("health"));
                raw_copy(w, target, STR("tls"));
                json_write_object_end(w);
        }
}

/* Its first address: another one is for those who cannot reach that. */
static void gateway_write(struct json_writer *w, struct str id, const struct json_value *gateway)
{
        const struct json_value *addresses = json_find(gateway, STR("addresses"));
        const struct json_value *first =
                json_is(addresses, JSON_ARRAY) && addresses->count ? &addresses->items[0] : NULL;

        if (!json_is(first, JSON_STRING))
                return;
        json_write_object_begin(w);
        json_write_member_raw(w, STR("address"), first->raw);
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

static void text_make(struct joined *j)
{
        const struct wire_document *d = j->document;
        struct json_writer w;

        buf_clear(&j->text);
        json_writer_init(&w, &j->text, 2);
        json_write_object_begin(&w);
        json_write_key(&w, STR("upstreams"));
        json_write_object_begin(&w);
        part_write(&w, d, UPSTREAMS);
        json_write_object_end(&w);
        json_write_key(&w, STR("agent"));
        json_write_object_begin(&w);
        json_write_member_str(&w, STR("authority"), STR(FOLDER "authority.pem"));
        json_write_member_str(&w, STR("cert"), STR(FOLDER "node.pem"));
        json_write_member_str(&w, STR("key"), STR(FOLDER "identity.pem"));
        json_write_key(&w, STR("gateways"));
        json_write_array_begin(&w);
        part_write(&w, d, GATEWAYS);
        json_write_array_end(&w);
        json_write_key(&w, STR("services"));
        json_write_object_begin(&w);
        part_write(&w, d, SERVICES);
        json_write_object_end(&w);
        json_write_object_end(&w);
        json_write_object_end(&w);
        json_writer_finish(&w);
}

static enum err own_read(struct joined *j, struct str name, struct buf *out)
{
        if (str_eq(name, STR("authority.pem")))
                buf_add(out, str_of(j->state.papers.authority));
        else if (str_eq(name, STR("node.pem")))
                buf_add(out, str_of(j->state.papers.certificate));
        else if (str_eq(name, STR("identity.pem")))
                buf_add(out, buf_str(&j->state.identity_pem));
        else
                return ERR_NOT_FOUND;
        return out->full ? ERR_TOO_LARGE : ERR_OK;
}

static enum err source_read(struct conf_source *s, enum conf_read_kind kind, struct str name,
                            struct conf_text *out)
{
        struct joined *j = CONTAINER_OF(s, struct joined, source);
        bool is_on = j->document && j->state.is_joined && !j->state.papers.gone[0];

        out->mode = 0600;
        if (kind == CONF_READ_PUBLISHED && is_on) {
                buf_add(&out->bytes, buf_str(&j->text));
                return out->bytes.full ? ERR_TOO_LARGE : ERR_OK;
        }
        if (kind != CONF_READ_ENV && is_on && str_has_prefix(name, STR(FOLDER)))
                return own_read(j, str_from(name, sizeof(FOLDER) - 1), &out->bytes);
        enum err e = j->inner->read(j->inner, kind, name, out);
        if (e == ERR_NOT_FOUND && kind == CONF_READ_CONFIG) {
                buf_add(&out->bytes, STR("{\"agent\":{}}"));
                return ERR_OK;
        }
        return e;
}

struct conf_source *joined_over(struct joined *j, struct conf_source *inner)
{
        j->inner = inner;
        j->source = (struct conf_source){ .read = source_read, .file = inner->file, .now = inner->now };
        if (j->document)
                text_make(j);
        return &j->source;
}

/* ---- the channel ---- */

static void document_keep(struct joined *j, struct wire_document *d)
{
        wire_document_put(j->document);
        j->document = wire_document_get(d);
}

static void on_document(void *context, struct wire_document *d, bool is_renewal)
{
        struct joined *j = context;
        const struct wire_header *h = wire_document_header(d);

        document_keep(j, d);
        log_info(is_renewal ? "lease_renewed" : "document_received", LOG_N("epoch", h->epoch),
                 LOG_N("version", h->version));
        if (is_renewal)
                return;
        j->is_news = true;
        j->events->on_news(j->context);
}

static void on_change(void *context, bool is_up, const char *why)
{
        struct joined *j = context;

        if (is_up)
                log_info("control_connected", LOG_C("control", j->state.papers.control));
        else if (j->said != why)
                log_warning("control_not_connected", LOG_C("control", j->state.papers.control),
                            LOG_C("reason", why), LOG_C("meaning", "what was published stays in force"));
        j->said = is_up ? NULL : why;
}

static void on_gone(void *context, struct str reason)
{
        struct joined *j = context;

        log_error(
                "node_gone", LOG_S("reason", reason),
                LOG_C("meaning", "control wants this agent no more; what it published is served no longer"));
        j->events->on_news(j->context);
}

void joined_said(struct joined *j, enum err e, struct str problem)
{
        if (!j->is_news || !j->channel)
                return;
        j->is_news = false;
        if (e == ERR_OK)
                node_channel_applied(j->channel);
        else
                node_channel_refused(j->channel, problem.len ? problem : str_of(err_text(e)));
}

static void channel_start(struct joined *j)
{
        static const struct node_channel_events events = { on_document, on_change, on_gone, NULL };
        struct node_channel_conf conf = { .loop = j->loop,
                                          .resolver = j->resolver,
                                          .state = &j->state,
                                          .program = STR("sekisho"),
                                          .document = j->document,
                                          .events = &events,
                                          .context = j };
        enum err e = node_channel_new(&conf, &j->channel);

        if (e != ERR_OK)
                log_error("channel_not_started", LOG_C("folder", j->state.folder), LOG_E(e));
}

/* ---- joining ---- */

static void on_wait(void *context, enum err e, struct str text)
{
        struct joined *j = context;
        const char *said = e == ERR_AGAIN ? "pending" : err_name(e);

        if (j->said != said)
                log_warning("join_waits", LOG_S("reason", text));
        j->said = said;
}

static void join_over(struct task *t)
{
        struct joined *j = CONTAINER_OF(t, struct joined, task);

        if (j->channel || !j->state.is_joined)
                return;
        channel_start(j);
}

static void on_joined(void *context, enum err e, struct str text)
{
        struct joined *j = context;

        j->said = NULL;
        if (e != ERR_OK) {
                log_error("join_refused", LOG_S("reason", text), LOG_E(e));
                return;
        }
        log_info("joined", LOG_C("id", j->state.papers.id), LOG_C("name", j->state.papers.name),
                 LOG_C("control", j->state.papers.control));
        loop_post(j->loop, &j->task);
}

/* ---- birth and death ---- */

enum err joined_open(struct str folder, struct str join, struct str name, struct joined **out,
                     const char **why)
{
        char path[NODE_PATH_MAX];
        struct joined *j;
        enum err e = ERR_OK;

        *out = NULL;
        *why = "the state folder's name is too long";
        if (folder.len >= sizeof(path) || (folder.len == 0 && node_state_folder(path) != ERR_OK))
                return ERR_TOO_LARGE;
        if (folder.len) {
                memcpy(path, folder.ptr, folder.len);
                path[folder.len] = '\0';
        }
        if (join.len == 0 && !node_state_exists(path, WIRE_AGENT))
                return ERR_NOT_FOUND;
        *why = "the token or the name is too long";
        if (join.len >= JOIN_BYTES_MAX || name.len > NAME_BYTES_MAX)
                return ERR_TOO_LARGE;
        *why = err_text(ERR_NO_MEMORY);
        if (!(j = calloc(1, sizeof(*j))))
                return ERR_NO_MEMORY;
        if ((e = node_state_open(&j->state, path, WIRE_AGENT, why)) != ERR_OK) {
                free(j);
                return e;
        }
        if (join.len)
                memcpy(j->token, join.ptr, join.len);
        if (name.len)
                memcpy(j->name, name.ptr, name.len);
        buf_init(&j->text, TEXT_BYTES_MAX);
        task_init(&j->task, join_over);
        if (j->state.is_joined && !j->state.papers.gone[0]) {
                e = node_state_document_load(&j->state, &j->document, why);
                if (e != ERR_OK && e != ERR_NOT_FOUND)
                        log_error("document_not_used", LOG_C("reason", *why), LOG_E(e));
        }
        *out = j;
        return ERR_OK;
}

enum err joined_start(struct joined *j, struct loop *l, struct resolver *r,
                      const struct joined_events *events, void *context)
{
        j->loop = l;
        j->resolver = r;
        j->events = events;
        j->context = context;
        if (j->state.is_joined && !j->state.papers.gone[0]) {
                channel_start(j);
                return ERR_OK;
        }
        if (!j->token[0] && !j->state.is_pending) {
                log_warning("node_gone", LOG_C("reason", j->state.papers.gone),
                            LOG_C("meaning", "join again with a new token to be told what to serve"));
                return ERR_OK;
        }
        struct node_join_conf conf = { .loop = l,
                                       .resolver = r,
                                       .state = &j->state,
                                       .token_url = j->state.is_pending ? STR("") : str_of(j->token),
                                       .name = str_of(j->name),
                                       .program = STR("sekisho"),
                                       .on_wait = on_wait,
                                       .on_done = on_joined,
                                       .context = j };
        return node_join_start(&conf, &j->join);
}

void joined_free(struct joined *j)
{
        if (!j)
                return;
        node_join_free(j->join);
        node_channel_free(j->channel);
        wire_document_put(j->document);
        buf_wipe(&j->text);
        node_state_close(&j->state);
        memset(j->token, 0, sizeof(j->token));
        free(j);
}
