/*
 * tests/unit/conf/fake.h - a source of texts in memory: the configuration, and files and variables by name.
 */
#pragma once

#include "../test.h"
#include "conf/conf.h"
#include "conf/source.h"
#include "pem.h"

struct fake_text {
        enum conf_read_kind kind;
        const char *name, *text;
        unsigned mode;
};

struct fake {
        struct conf_source source;
        struct str text;
        unsigned mode;
        const char *pair[2]; /* of the tailnet: certificate, key; NULL: none yet */
};

#define FAKE_NOW 1767225600000 /* 2026-01-01 */

static const struct fake_text fake_texts[] = {
        { CONF_READ_ENV, "KEY", "sk-from-the-environment", 0600 },
        { CONF_READ_ENV, "TOKEN", "sk-token-from-the-environment", 0600 },
        { CONF_READ_ENV, "EMPTY", "", 0600 },
        { CONF_READ_ENV, "BLANKS", "two words", 0600 },
        { CONF_READ_ENV, "HOME", "/srv/me", 0600 },
        { CONF_READ_SECRET, "/etc/sekisho/key.txt", "sk-from-a-file\n", 0600 },
        { CONF_READ_SECRET, "/etc/sekisho/open.txt", "sk-from-a-file\n", 0644 },
        { CONF_READ_SECRET, "/srv/me/key.txt", "sk-from-home\r\n", 0640 },
        { CONF_READ_FILE, "/etc/sekisho/a.pem", pem_a_cert, 0644 },
        { CONF_READ_KEY, "/etc/sekisho/a.key", pem_a_key, 0600 },
        { CONF_READ_FILE, "/etc/sekisho/b.pem", pem_b_cert, 0644 },
        { CONF_READ_KEY, "/etc/sekisho/b.key", pem_b_key, 0600 },
        { CONF_READ_SECRET, "/etc/sekisho/a.key", pem_a_key, 0600 },
        { CONF_READ_SECRET, "/etc/sekisho/b.key", pem_b_key, 0600 },
        { CONF_READ_FILE, "/etc/sekisho/broken.pem", "-----BEGIN CERTIFICATE-----\nno\n", 0644 },
        { CONF_READ_KEY, "/etc/sekisho/open.key", pem_a_key, 0604 },
};

static enum err fake_read(struct conf_source *s, enum conf_read_kind kind, struct str name,
                          struct conf_text *out)
{
        struct fake *f = CONTAINER_OF(s, struct fake, source);

        if (kind == CONF_READ_CONFIG) {
                assert_str(name, s->file);
                out->mode = f->mode;
                buf_add(&out->bytes, f->text);
                return out->bytes.full ? ERR_NO_MEMORY : ERR_OK;
        }
        bool is_key = kind == CONF_READ_KEY && str_eq(name, CONF_TAILNET_KEY);

        if (f->pair[is_key] && (is_key || (kind == CONF_READ_FILE && str_eq(name, CONF_TAILNET_CERT)))) {
                out->mode = 0600;
                buf_add(&out->bytes, str_of(f->pair[is_key]));
                return out->bytes.full ? ERR_NO_MEMORY : ERR_OK;
        }
        if (str_eq(name, STR("/etc/sekisho/denied.txt")))
                return ERR_DENIED;
        for (size_t i = 0; i < ARRAY_SIZE(fake_texts); i++) {
                if (fake_texts[i].kind != kind || !str_eq(str_of(fake_texts[i].name), name))
                        continue;
                out->mode = fake_texts[i].mode;
                buf_add(&out->bytes, str_of(fake_texts[i].text));
                return out->bytes.full ? ERR_NO_MEMORY : ERR_OK;
        }
        return ERR_NOT_FOUND;
}

static inline void fake_init(struct fake *f, struct str text)
{
        *f = (struct fake){
                .source = { .read = fake_read, .file = STR("/etc/sekisho/sekisho.json"), .now = FAKE_NOW },
                .text = text,
                .mode = 0600,
        };
}
