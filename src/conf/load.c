#include "conf/conf.h"

#include <stdlib.h>

#include "conf/loader_priv.h"
#include "crypto/secret.h"
#include "crypto/sha256.h"
#include "crypto/text.h"
#include "json/reader.h"

enum {
        CONF_ARENA_BYTES_MAX = 256 << 20,
        SCRATCH_BYTES_MAX = 128 << 20,
        VERSION_DIGITS = 16,
        MODE_READ_BY_OTHERS = 0004
};

void conf_free(struct conf *c)
{
        if (!c)
                return;
        for (struct conf_secret *s = c->secrets; s; s = s->next)
                crypto_wipe((char *)(uintptr_t)s->value.ptr, s->value.len);
        arena_fini(&c->arena);
        free(c);
}

/* A file with plain secrets in it should be its owner's alone. */
static void file_mode_check(struct loader *l, unsigned mode)
{
        if (l->has_plain_secret && mode & MODE_READ_BY_OTHERS)
                loader_warning_at(
                        l, (struct draft_place){ 0 },
                        "the file holds secrets, and its mode %04o lets every user read it; run: chmod 600 %.*s",
                        mode & 07777, STR_FMT(l->source->file));
}

static void resolve(struct loader *l, struct draft *d)
{
        l->is_agents = d->agent.at.line && !d->gateway.at.line;
        l->is_control_only = d->control.at.line && !d->gateway.at.line;
        resolve_gateway(l, &d->gateway);
        resolve_providers(l, &d->providers);
        resolve_models(l, &d->models);
        resolve_upstreams(l, &d->upstreams);
        resolve_raw_listens(l, &d->gateway);
        resolve_routes(l, &d->routes);
        resolve_admin(l, &d->admin);
        resolve_published_listens(l, &d->gateway);
        resolve_pass_through(l, &d->gateway);
        resolve_log(l, &d->log);
        resolve_trace(l, &d->trace);
        resolve_agent(l, &d->agent);
        resolve_control(l, &d->control);
        l->conf->draft = d;
}

static const struct json_options options = { .mode = JSON_HUJSON, .nul_refused = true };

/* The texts must live as long as the trees; `published` may be empty. */
static enum err text_load(struct loader *l, const struct conf_text *text, struct str published)
{
        const struct json_value *root, *other;
        struct draft *d;
        enum err e = json_read(&l->scratch, buf_str(&text->bytes), &options, l->report, &root);

        if (e == ERR_OK && published.len) {
                e = json_read(&l->scratch, published, &options, l->report, &other);
                if (e == ERR_OK)
                        root = loader_merge(l, root, other);
        }
        if (e == ERR_NO_MEMORY)
                return e;
        if (e != ERR_OK)
                return ERR_CONFIG;
        if (!(d = loader_read(l, root)))
                return ERR_NO_MEMORY;
        if (l->report->errors_count == 0)
                resolve(l, d);
        if (l->arena->full || l->scratch.full)
                return ERR_NO_MEMORY;
        file_mode_check(l, text->mode);
        return l->report->errors_count ? ERR_CONFIG : ERR_OK;
}

static void config_problem(struct loader *l, enum err e)
{
        struct draft_place nowhere = { 0 };

        if (e == ERR_NOT_FOUND)
                loader_error_at(l, nowhere, "there is no such file; 'sekisho setup' writes one");
        else if (e == ERR_DENIED)
                loader_error_at(l, nowhere, "the file cannot be read by this user");
        else if (e == ERR_TOO_LARGE)
                loader_error_at(l, nowhere, "the file is over %d MiB", CONF_TEXT_BYTES_MAX >> 20);
        else
                loader_error_at(l, nowhere, "the file cannot be read: %s", err_text(e));
}

static void version_make(struct loader *l)
{
        uint8_t hash[CRYPTO_SHA256_BYTES];
        char digits[CRYPTO_HEX_SIZE(CRYPTO_SHA256_BYTES)];

        crypto_sha256_finish(&l->hash, hash);
        struct str text = crypto_hex_format((struct str){ (char *)hash, sizeof(hash) }, digits);
        l->conf->version = arena_copy(l->arena, str_sub(text, 0, VERSION_DIGITS));
}

static enum err both_load(struct loader *l, const struct conf_text *text)
{
        struct conf_text published = { 0 };
        enum err e;

        buf_init(&published.bytes, CONF_TEXT_BYTES_MAX);
        crypto_sha256_add(&l->hash, buf_str(&text->bytes));
        e = l->source->read(l->source, CONF_READ_PUBLISHED, CONF_PUBLISHED, &published);
        l->is_published = e == ERR_OK;
        if (e == ERR_OK)
                crypto_sha256_add(&l->hash, buf_str(&published.bytes));
        if (e == ERR_OK || e == ERR_NOT_FOUND)
                e = text_load(l, text, e == ERR_OK ? buf_str(&published.bytes) : STR_NULL);
        buf_wipe(&published.bytes);
        return e;
}

static enum err load(struct loader *l)
{
        struct conf_text text = { 0 };

        buf_init(&text.bytes, CONF_TEXT_BYTES_MAX);
        enum err e = l->source->read(l->source, CONF_READ_CONFIG, l->source->file, &text);

        if (e == ERR_OK) {
                e = both_load(l, &text);
                version_make(l);
        } else if (e != ERR_NO_MEMORY) {
                config_problem(l, e);
                e = ERR_CONFIG;
        }
        buf_wipe(&text.bytes);
        return e == ERR_OK && l->arena->full ? ERR_NO_MEMORY : e;
}

enum err conf_load(struct conf_source *source, struct report *r, struct conf **out)
{
        struct conf *c = calloc(1, sizeof(*c));
        struct loader l = { .source = source, .report = r, .conf = c };
        enum err e;

        *out = NULL;
        if (!c)
                return ERR_NO_MEMORY;
        if ((e = crypto_sha256_init(&l.hash)) != ERR_OK)
                goto fail_hash;
        if (!r->file.len)
                r->file = source->file;
        l.arena = &c->arena;
        arena_init(&c->arena, NULL, 0, CONF_ARENA_BYTES_MAX);
        arena_init(&l.scratch, NULL, 0, SCRATCH_BYTES_MAX);
        buf_init(&l.path, LOADER_PATH_BYTES_MAX);
        c->file = arena_copy(&c->arena, source->file);
        if ((e = load(&l)) == ERR_OK)
                *out = c;
        else
                conf_free(c);
        buf_fini(&l.path);
        arena_fini(&l.scratch);
        crypto_sha256_fini(&l.hash);
        return e;

fail_hash:
        free(c);
        return e;
}
