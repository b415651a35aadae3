#include "wire/message.h"

#include <assert.h>
#include <string.h>

#include "wire/document_priv.h"
#include "wire/fields_priv.h"

enum { VALUES_MAX = 16 * 1024, PEM_MAX = 16 * 1024 };

static const struct str type_texts[] = {
#define X(name, text) STR_INIT(text),
        WIRE_TYPE_LIST(X)
#undef X
};

static enum wire_type type_of(struct str text)
{
        for (size_t i = 1; i < ARRAY_SIZE(type_texts); i++)
                if (str_eq(text, type_texts[i]))
                        return (enum wire_type)i;
        return WIRE_UNKNOWN;
}

/* Control writes it first, so that this ends soon; elsewhere it is found, too. */
enum wire_type wire_message_type(struct str text)
{
        struct wire_member m;
        struct wire_walk w;
        struct str type;

        wire_walk_init(&w, text);
        while (wire_walk_next(&w, &m) == ERR_OK)
                if (str_eq(m.key, STR("type")))
                        return wire_raw_text(m.value, &type) ? type_of(type) : WIRE_UNKNOWN;
        return WIRE_UNKNOWN;
}

struct wire_have wire_have_of(const struct wire_document *d)
{
        struct wire_have h = { .is_any = d != NULL };

        if (d) {
                h.epoch = wire_document_header(d)->epoch;
                h.version = wire_document_header(d)->version;
                h.issued = wire_document_header(d)->issued;
                memcpy(h.hash, wire_document_hash(d), WIRE_HASH_BYTES);
                memcpy(h.items, wire_document_items_hash(d), WIRE_HASH_BYTES);
        }
        return h;
}

/* ---- reading ---- */

static bool have_read(const struct json_value *v, struct wire_have *out)
{
        struct wire_have h = { .is_any = true };
        uint64_t issued = 0;

        if (!v || json_is(v, JSON_NULL)) {
                *out = (struct wire_have){ 0 };
                return true;
        }
        if (!wire_get_uint(v, STR("epoch"), WIRE_NUMBER_MAX, &h.epoch) ||
            !wire_get_uint(v, STR("version"), WIRE_NUMBER_MAX, &h.version) ||
            !wire_get_hash(v, STR("hash"), h.hash))
                return false;
        if (json_find(v, STR("issued")) && !wire_get_uint(v, STR("issued"), WIRE_NUMBER_MAX, &issued))
                return false;
        h.issued = (int64_t)issued;
        if (json_find(v, STR("items")) && !wire_get_hash(v, STR("items"), h.items))
                return false;
        *out = h;
        return true;
}

static bool hello_read(const struct json_value *v, struct wire_hello *out)
{
        uint64_t format;

        if (!wire_get_text_maybe(v, STR("program"), WIRE_TEXT_MAX, &out->program) ||
            !wire_get_uint(v, STR("format"), UINT32_MAX, &format) || format == 0)
                return false;
        out->format = (uint32_t)format;
        return have_read(json_find(v, STR("have")), &out->have);
}

static bool welcome_read(const struct json_value *v, struct wire_welcome *out)
{
        uint64_t heartbeat = 0;

        if (!wire_get_text_maybe(v, STR("program"), WIRE_TEXT_MAX, &out->program) ||
            !wire_get_uint(v, STR("epoch"), WIRE_NUMBER_MAX, &out->epoch) ||
            (json_find(v, STR("heartbeat")) && !wire_get_uint(v, STR("heartbeat"), 3600, &heartbeat)))
                return false;
        out->heartbeat = (uint32_t)heartbeat;
        return true;
}

static bool refused_read(const struct json_value *v, struct wire_refused *out)
{
        return wire_get_uint(v, STR("epoch"), WIRE_NUMBER_MAX, &out->epoch) &&
               wire_get_uint(v, STR("version"), WIRE_NUMBER_MAX, &out->version) &&
               wire_get_text_maybe(v, STR("reason"), 4 * WIRE_TEXT_MAX, &out->reason);
}

/* Room for a list of a report, or NULL: a list that is none, or too long. *count is 0 when it is missing. */
static void *list_room(struct arena *arena, const struct json_value *list, size_t size, size_t *count)
{
        *count = list ? list->count : 0;
        if (list && (!json_is(list, JSON_ARRAY) || list->count > WIRE_REPORT_ENTRIES_MAX))
                return NULL;
        return arena_calloc(arena, *count + 1, size, _Alignof(struct str));
}

static bool texts_read(struct arena *arena, const struct json_value *list, const struct str **out,
                       size_t *count)
{
        struct str *texts = list_room(arena, list, sizeof(*texts), count);

        if (!texts)
                return false;
        for (size_t i = 0; i < *count; i++) {
                texts[i] = json_str(json_item(list, i));
                if (!json_is(json_item(list, i), JSON_STRING) || texts[i].len > WIRE_TEXT_MAX)
                        return false;
        }
        *out = texts;
        return true;
}

static bool links_read(struct arena *arena, const struct json_value *list, struct wire_report *out)
{
        struct wire_link_report *links = list_room(arena, list, sizeof(*links), &out->links_count);
        uint64_t up = 0, wanted = 0;

        if (!links)
                return false;
        for (size_t i = 0; i < out->links_count; i++) {
                const struct json_value *v = json_item(list, i);
                if (!wire_get_text(v, STR("peer"), WIRE_ID_MAX, &links[i].peer) ||
                    !wire_get_uint(v, STR("up"), UINT32_MAX, &up) ||
                    !wire_get_uint(v, STR("wanted"), UINT32_MAX, &wanted) ||
                    !wire_get_text_maybe(v, STR("detail"), WIRE_TEXT_MAX, &links[i].detail))
                        return false;
                links[i].up = (uint32_t)up;
                links[i].wanted = (uint32_t)wanted;
        }
        out->links = links;
        return true;
}

static bool health_read(struct arena *arena, const struct json_value *list, struct wire_report *out)
{
        struct wire_health *health = list_room(arena, list, sizeof(*health), &out->health_count);

        if (!health)
                return false;
        for (size_t i = 0; i < out->health_count; i++) {
                const struct json_value *v = json_item(list, i);
                const struct json_value *up = json_find(v, STR("up"));
                if (!wire_get_text(v, STR("target"), WIRE_ID_MAX, &health[i].target) ||
                    !json_is(up, JSON_BOOL) ||
                    !wire_get_text_maybe(v, STR("detail"), WIRE_TEXT_MAX, &health[i].detail))
                        return false;
                health[i].is_up = up->boolean;
        }
        out->health = health;
        return true;
}

static bool models_read(struct arena *arena, const struct json_value *list, struct wire_report *out)
{
        struct wire_models *models = list_room(arena, list, sizeof(*models), &out->models_count);

        if (!models)
                return false;
        for (size_t i = 0; i < out->models_count; i++) {
                const struct json_value *v = json_item(list, i);
                if (!json_is(v, JSON_OBJECT) ||
                    !wire_get_text_maybe(v, STR("target"), WIRE_ID_MAX, &models[i].target) ||
                    !wire_get_text_maybe(v, STR("url"), WIRE_TEXT_MAX, &models[i].url) ||
                    !texts_read(arena, json_find(v, STR("names")), &models[i].names, &models[i].names_count))
                        return false;
        }
        out->models = models;
        return true;
}

static bool offers_read(struct arena *arena, const struct json_value *list, struct wire_report *out)
{
        struct wire_offer *offers = list_room(arena, list, sizeof(*offers), &out->offers_count);

        if (!offers)
                return false;
        for (size_t i = 0; i < out->offers_count; i++) {
                const struct json_value *v = json_item(list, i);
                if (!wire_get_text(v, STR("name"), WIRE_ID_MAX, &offers[i].name) ||
                    !wire_get_text(v, STR("url"), WIRE_TEXT_MAX, &offers[i].url) ||
                    !texts_read(arena, json_find(v, STR("hosts")), &offers[i].hosts,
                                &offers[i].hosts_count) ||
                    !wire_get_text_maybe(v, STR("path"), WIRE_TEXT_MAX, &offers[i].path) ||
                    !wire_get_text_maybe(v, STR("access"), WIRE_ID_MAX, &offers[i].access))
                        return false;
        }
        out->offers = offers;
        return true;
}

static bool report_read(struct arena *arena, const struct json_value *v, struct wire_report *out)
{
        const struct json_value *versions = json_find(v, STR("versions"));

        return (!json_find(v, STR("overlay")) ||
                wire_get_uint(v, STR("overlay"), UINT16_MAX, &out->overlay)) &&
               links_read(arena, json_find(v, STR("links")), out) &&
               health_read(arena, json_find(v, STR("health")), out) &&
               models_read(arena, json_find(v, STR("models")), out) &&
               offers_read(arena, json_find(v, STR("offers")), out) &&
               texts_read(arena, json_find(v, STR("addresses")), &out->addresses, &out->addresses_count) &&
               texts_read(arena, json_find(v, STR("problems")), &out->problems, &out->problems_count) &&
               wire_get_text_maybe(versions, STR("program"), WIRE_TEXT_MAX, &out->program) &&
               wire_get_text_maybe(versions, STR("system"), WIRE_TEXT_MAX, &out->system) &&
               wire_get_text_maybe(versions, STR("isolation"), WIRE_TEXT_MAX, &out->isolation);
}

static bool share_read(const struct json_value *v, struct wire_share *out)
{
        return wire_get_uint(v, STR("ref"), WIRE_NUMBER_MAX, &out->ref) &&
               wire_get_text(v, STR("kind"), WIRE_TEXT_MAX, &out->kind) &&
               wire_get_text(v, STR("url"), WIRE_TEXT_MAX, &out->url) &&
               wire_get_text_maybe(v, STR("host"), WIRE_TEXT_MAX, &out->host);
}

static bool shared_read(const struct json_value *v, struct wire_shared *out)
{
        return wire_get_uint(v, STR("ref"), WIRE_NUMBER_MAX, &out->ref) &&
               wire_get_text(v, STR("id"), WIRE_ID_MAX, &out->id) &&
               wire_get_text_maybe(v, STR("host"), WIRE_TEXT_MAX, &out->host) &&
               wire_get_text_maybe(v, STR("url"), WIRE_TEXT_MAX, &out->url);
}

static bool body_read(struct arena *arena, const struct json_value *v, struct wire_message *m)
{
        switch (m->type) {
        case WIRE_HELLO: return hello_read(v, &m->hello);
        case WIRE_WELCOME: return welcome_read(v, &m->welcome);
        case WIRE_APPLIED: return have_read(v, &m->applied);
        case WIRE_REFUSED: return refused_read(v, &m->refused);
        case WIRE_REPORT: return report_read(arena, v, &m->report);
        case WIRE_CERTIFICATE:
                return wire_get_text(v, STR("certificate"), PEM_MAX, &m->certificate.certificate) &&
                       wire_get_text(v, STR("authority"), PEM_MAX, &m->certificate.authority);
        case WIRE_SHARE: return share_read(v, &m->share);
        case WIRE_SHARED: return shared_read(v, &m->shared);
        case WIRE_UNSHARE:
        case WIRE_UNSHARED:
                return wire_get_uint(v, STR("ref"), WIRE_NUMBER_MAX, &m->unshare.ref) &&
                       wire_get_text(v, STR("id"), WIRE_ID_MAX, &m->unshare.id);
        case WIRE_ERROR:
                return wire_get_uint(v, STR("ref"), WIRE_NUMBER_MAX, &m->error.ref) &&
                       wire_get_text_maybe(v, STR("text"), 4 * WIRE_TEXT_MAX, &m->error.text);
        case WIRE_GONE: return wire_get_text_maybe(v, STR("reason"), 4 * WIRE_TEXT_MAX, &m->gone.reason);
        default: return true;
        }
}

enum err wire_message_read(struct arena *arena, struct str text, struct wire_message *out, const char **why)
{
        struct wire_message m = { .type = wire_message_type(text) };
        const struct json_value *root;

        if (m.type == WIRE_DOCUMENT || m.type == WIRE_CHANGE) {
                *out = m;
                return ERR_OK;
        }
        enum err e = wire_small_read(arena, text, WIRE_SMALL_MAX, VALUES_MAX, &root);
        if (e != ERR_OK) {
                *why = e == ERR_TOO_LARGE ? "the message is too large" : "the message is no JSON object";
                return e;
        }
        if (!body_read(arena, root, &m)) {
                *why = arena->full ? "the message is too large"
                                   : "a member of the message is missing or not what it should be";
                return arena->full ? ERR_NO_MEMORY : ERR_MALFORMED;
        }
        *out = m;
        return ERR_OK;
}

/* ---- writing ---- */

static void have_write(const struct wire_have *h, struct json_writer *w)
{
        json_write_member_uint(w, STR("epoch"), h->epoch);
        json_write_member_uint(w, STR("version"), h->version);
        wire_put_hash(w, STR("hash"), h->hash);
        wire_put_hash(w, STR("items"), h->items);
        json_write_member_int(w, STR("issued"), h->issued);
}

static void hello_write(const struct wire_hello *h, struct json_writer *w)
{
        json_write_member_str(w, STR("program"), h->program);
        json_write_member_uint(w, STR("format"), h->format);
        if (!h->have.is_any) {
                json_write_member_null(w, STR("have"));
                return;
        }
        json_write_key(w, STR("have"));
        json_write_object_begin(w);
        have_write(&h->have, w);
        json_write_object_end(w);
}

static void maybe_write(struct json_writer *w, struct str key, struct str text)
{
        if (text.len)
                json_write_member_str(w, key, text);
}

static void texts_write(struct json_writer *w, struct str key, const struct str *texts, size_t count)
{
        json_write_key(w, key);
        json_write_array_begin(w);
        for (size_t i = 0; i < count; i++)
                json_write_str(w, texts[i]);
        json_write_array_end(w);
}

static void links_write(const struct wire_report *r, struct json_writer *w)
{
        json_write_key(w, STR("links"));
        json_write_array_begin(w);
        for (size_t i = 0; i < r->links_count; i++) {
                json_write_object_begin(w);
                json_write_member_str(w, STR("peer"), r->links[i].peer);
                json_write_member_uint(w, STR("up"), r->links[i].up);
                json_write_member_uint(w, STR("wanted"), r->links[i].wanted);
                maybe_write(w, STR("detail"), r->links[i].detail);
                json_write_object_end(w);
        }
        json_write_array_end(w);
}

static void offers_write(const struct wire_report *r, struct json_writer *w)
{
        json_write_key(w, STR("offers"));
        json_write_array_begin(w);
        for (size_t i = 0; i < r->offers_count; i++) {
                const struct wire_offer *o = &r->offers[i];

                json_write_object_begin(w);
                json_write_member_str(w, STR("name"), o->name);
                json_write_member_str(w, STR("url"), o->url);
                texts_write(w, STR("hosts"), o->hosts, o->hosts_count);
                maybe_write(w, STR("path"), o->path);
                maybe_write(w, STR("access"), o->access);
                json_write_object_end(w);
        }
        json_write_array_end(w);
}

static void report_write(const struct wire_report *r, struct json_writer *w)
{
        links_write(r, w);
        json_write_key(w, STR("health"));
        json_write_array_begin(w);
        for (size_t i = 0; i < r->health_count; i++) {
                json_write_object_begin(w);
                json_write_member_str(w, STR("target"), r->health[i].target);
                json_write_member_bool(w, STR("up"), r->health[i].is_up);
                maybe_write(w, STR("detail"), r->health[i].detail);
                json_write_object_end(w);
        }
        json_write_array_end(w);
        json_write_key(w, STR("models"));
        json_write_array_begin(w);
        for (size_t i = 0; i < r->models_count; i++) {
                json_write_object_begin(w);
                maybe_write(w, STR("target"), r->models[i].target);
                maybe_write(w, STR("url"), r->models[i].url);
                texts_write(w, STR("names"), r->models[i].names, r->models[i].names_count);
                json_write_object_end(w);
        }
        json_write_array_end(w);
        if (r->offers_count)
                offers_write(r, w);
        texts_write(w, STR("addresses"), r->addresses, r->addresses_count);
        if (r->problems_count)
                texts_write(w, STR("problems"), r->problems, r->problems_count);
        if (r->overlay)
                json_write_member_uint(w, STR("overlay"), r->overlay);
        json_write_key(w, STR("versions"));
        json_write_object_begin(w);
        maybe_write(w, STR("program"), r->program);
        maybe_write(w, STR("system"), r->system);
        maybe_write(w, STR("isolation"), r->isolation);
        json_write_object_end(w);
}

static void answer_write(const struct wire_message *m, struct json_writer *w)
{
        switch (m->type) {
        case WIRE_SHARE:
                json_write_member_uint(w, STR("ref"), m->share.ref);
                json_write_member_str(w, STR("kind"), m->share.kind);
                json_write_member_str(w, STR("url"), m->share.url);
                maybe_write(w, STR("host"), m->share.host);
                break;
        case WIRE_SHARED:
                json_write_member_uint(w, STR("ref"), m->shared.ref);
                json_write_member_str(w, STR("id"), m->shared.id);
                json_write_member_str(w, STR("host"), m->shared.host);
                maybe_write(w, STR("url"), m->shared.url);
                break;
        case WIRE_UNSHARE:
        case WIRE_UNSHARED:
                json_write_member_uint(w, STR("ref"), m->unshare.ref);
                json_write_member_str(w, STR("id"), m->unshare.id);
                break;
        default:
                json_write_member_uint(w, STR("ref"), m->error.ref);
                json_write_member_str(w, STR("text"), m->error.text);
                break;
        }
}

static void body_write(const struct wire_message *m, struct json_writer *w)
{
        switch (m->type) {
        case WIRE_HELLO: hello_write(&m->hello, w); break;
        case WIRE_WELCOME:
                json_write_member_str(w, STR("program"), m->welcome.program);
                json_write_member_uint(w, STR("epoch"), m->welcome.epoch);
                json_write_member_uint(w, STR("heartbeat"), m->welcome.heartbeat);
                break;
        case WIRE_APPLIED: have_write(&m->applied, w); break;
        case WIRE_REFUSED:
                json_write_member_uint(w, STR("epoch"), m->refused.epoch);
                json_write_member_uint(w, STR("version"), m->refused.version);
                json_write_member_str(w, STR("reason"), m->refused.reason);
                break;
        case WIRE_REPORT: report_write(&m->report, w); break;
        case WIRE_CERTIFICATE:
                json_write_member_str(w, STR("certificate"), m->certificate.certificate);
                json_write_member_str(w, STR("authority"), m->certificate.authority);
                break;
        case WIRE_GONE: json_write_member_str(w, STR("reason"), m->gone.reason); break;
        case WIRE_RESYNC:
        case WIRE_RENEW: break;
        default: answer_write(m, w); break;
        }
}

void wire_message_write(const struct wire_message *m, struct buf *out)
{
        struct json_writer w;

        assert(m->type != WIRE_UNKNOWN && m->type != WIRE_DOCUMENT && m->type != WIRE_CHANGE);
        json_writer_init(&w, out, JSON_COMPACT);
        json_write_object_begin(&w);
        json_write_member_str(&w, STR("type"), type_texts[m->type]);
        body_write(m, &w);
        json_write_object_end(&w);
        json_writer_finish(&w);
}
