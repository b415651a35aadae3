#include <stddef.h>

#include "conf/loader_priv.h"
#include "crypto/secret.h"
#include "io/tls_keys.h"

enum { SECRET_BYTES_MAX = 16 * 1024, PEM_BYTES_MAX = 1 << 20, MODE_OTHERS = 0007, MODE_GROUP_WRITE = 0020 };

struct str loader_secret_copy(struct loader *l, struct str value)
{
        /* The note first: a secret without one would not be wiped. */
        struct conf_secret *secret = ARENA_NEW(l->arena, struct conf_secret);

        if (!secret)
                return STR_NULL;
        secret->value = arena_copy(l->arena, value);
        secret->next = l->conf->secrets;
        l->conf->secrets = secret;
        return secret->value;
}

struct str loader_file_name(struct loader *l, struct str name)
{
        struct str file = l->source->file;

        if (name.len && name.ptr[0] == '/')
                return arena_copy(l->arena, name);
        if (str_has_prefix(name, STR("~/"))) {
                struct conf_text home = { 0 };

                buf_init(&home.bytes, 4096);
                enum err e = l->source->read(l->source, CONF_READ_ENV, STR("HOME"), &home);
                struct str parts[] = { buf_str(&home.bytes), str_from(name, 1) };
                struct str joined = arena_join(l->arena, parts, 2);
                buf_fini(&home.bytes);
                return e == ERR_OK ? joined : arena_copy(l->arena, name);
        }
        while (file.len && file.ptr[file.len - 1] != '/')
                file.len--;
        return arena_join(l->arena, (struct str[]){ file, name }, 2);
}

static void read_problem(struct loader *l, enum conf_read_kind kind, struct str name, struct draft_place at,
                         enum err e)
{
        if (kind == CONF_READ_ENV && e == ERR_NOT_FOUND)
                loader_error_at(l, at,
                                "the environment variable %.*s is not set; set it, or take the key out",
                                STR_FMT(name));
        else if (e == ERR_NOT_FOUND)
                loader_error_at(l, at, "there is no file %.*s", STR_FMT(name));
        else if (e == ERR_DENIED)
                loader_error_at(l, at,
                                "the file %.*s cannot be read by this user; change its owner or its mode",
                                STR_FMT(name));
        else
                loader_error_at(l, at, "%.*s cannot be read: %s", STR_FMT(name), err_text(e));
}

/* A secret that anybody on the machine can read is none. Group reading is left to the operator (ssl-cert). */
static bool mode_is_safe(struct loader *l, struct str name, unsigned mode, struct draft_place at)
{
        if (!(mode & (MODE_OTHERS | MODE_GROUP_WRITE)))
                return true;
        loader_error_at(l, at,
                        "the file %.*s has mode %04o, so others can read or change it; run: chmod 600 %.*s",
                        STR_FMT(name), mode & 07777, STR_FMT(name));
        return false;
}

/* What is no key at all is told where it meets its certificate. */
static bool key_is_of_use(struct loader *l, struct str name, struct str pem, struct draft_place at)
{
        struct buf half;

        buf_init(&half, PEM_BYTES_MAX);
        enum err e = tls_public_half(pem, &half);
        buf_fini(&half);
        if (e != ERR_UNSUPPORTED)
                return true;
        loader_error_at(l, at,
                        "the key in %.*s is of a kind no certificate is served with here; make one of ECDSA, "
                        "Ed25519, or RSA up to %d bits",
                        STR_FMT(name), TLS_SIGNATURE_BYTES_MAX * 8);
        return false;
}

/* The whole text into the configuration's arena. */
static bool source_read(struct loader *l, enum conf_read_kind kind, struct str name, size_t bytes_max,
                        struct draft_place at, struct str *out)
{
        struct conf_text text = { 0 };
        bool ok = false;

        if (kind != CONF_READ_ENV)
                name = loader_file_name(l, name);
        if (!name.ptr)
                return false;
        buf_init(&text.bytes, bytes_max);
        enum err e = l->source->read(l->source, kind, name, &text);

        /* A key changes with its certificate, or not at all; and not everybody who loads has it. */
        if (kind != CONF_READ_KEY)
                crypto_sha256_add(&l->hash, buf_str(&text.bytes));
        if (e != ERR_OK)
                read_problem(l, kind, name, at, e);
        else if ((kind != CONF_READ_SECRET && kind != CONF_READ_KEY) || mode_is_safe(l, name, text.mode, at))
                ok = kind != CONF_READ_KEY || l->source->has_public_halves ||
                     key_is_of_use(l, name, buf_str(&text.bytes), at);
        if (ok) {
                *out = kind == CONF_READ_FILE ? arena_copy(l->arena, buf_str(&text.bytes))
                                              : loader_secret_copy(l, buf_str(&text.bytes));
                ok = out->ptr != NULL;
        }
        buf_wipe(&text.bytes);
        return ok;
}

static bool line_is_visible(struct str s)
{
        for (size_t i = 0; i < s.len; i++)
                if (s.ptr[i] <= ' ' || s.ptr[i] > '~')
                        return false;
        return s.len > 0;
}

bool loader_secret_read(struct loader *l, enum conf_read_kind kind, struct str name, struct draft_place at,
                        struct str *out)
{
        struct str value;

        if (!source_read(l, kind, name, SECRET_BYTES_MAX, at, &value))
                return false;
        while (value.len && (value.ptr[value.len - 1] == '\n' || value.ptr[value.len - 1] == '\r'))
                value.len--;
        if (!line_is_visible(value)) {
                loader_error_at(
                        l, at, "%s %.*s %s; it must hold one line of visible ASCII characters",
                        kind == CONF_READ_ENV ? "the environment variable" : "the file", STR_FMT(name),
                        value.len ? "holds blanks or other characters a secret cannot have" : "is empty");
                return false;
        }
        *out = value;
        return true;
}

bool loader_pem_read(struct loader *l, enum conf_read_kind kind, const struct draft_text *name,
                     struct str *out)
{
        return source_read(l, kind, name->text, PEM_BYTES_MAX, name->at, out);
}

bool loader_pem_find(struct loader *l, enum conf_read_kind kind, struct str name, struct str *out)
{
        struct conf_text text = { 0 };

        buf_init(&text.bytes, PEM_BYTES_MAX);
        bool ok = l->source->read(l->source, kind, name, &text) == ERR_OK;
        if (ok && kind != CONF_READ_KEY)
                crypto_sha256_add(&l->hash, buf_str(&text.bytes));
        if (ok)
                *out = loader_secret_copy(l, buf_str(&text.bytes));
        buf_wipe(&text.bytes);
        return ok && out->ptr;
}

static void plain_take(struct loader *l, const struct json_value *v, enum secret_rules rules,
                       struct draft_secret *out)
{
        out->from = DRAFT_PLAIN;
        out->value = loader_secret_copy(l, v->text);
        /* The reader's copy of a text with escapes lies in the scratch arena; one without lies in the file's text,
         * which is wiped as a whole. */
        if (v->text.ptr != v->raw.ptr + 1)
                crypto_wipe((char *)(uintptr_t)v->text.ptr, v->text.len);
        if (out->value.len && rules != SECRET_PERHAPS)
                l->has_plain_secret = true;
}

void loader_secret(struct loader *l, const struct json_value *v, enum secret_rules rules,
                   struct draft_secret *out)
{
        *out = (struct draft_secret){ .at = loader_place(l, v) };
        if (v->type == JSON_STRING) {
                plain_take(l, v, rules, out);
                return;
        }
        const struct json_member *source = v->type == JSON_OBJECT && v->count == 1 ? &v->members[0] : NULL;
        bool is_env = source && str_eq(source->key, STR("env"));

        if (rules == SECRET_PLAIN || !source || (!is_env && !str_eq(source->key, STR("file"))) ||
            !json_is(&source->value, JSON_STRING)) {
                loader_error(l, v, "%s",
                             rules == SECRET_PLAIN
                                     ? "must be a string"
                                     : "must be {\"env\": \"NAME\"}, {\"file\": \"path\"} or a string");
                return;
        }
        out->from = is_env ? DRAFT_ENV : DRAFT_FILE;
        out->name = arena_copy(l->arena, source->value.text);
        if (out->name.ptr)
                loader_secret_read(l, is_env ? CONF_READ_ENV : CONF_READ_SECRET, out->name, out->at,
                                   &out->value);
}
