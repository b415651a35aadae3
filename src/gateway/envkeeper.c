#include "gateway/envkeeper.h"

#include <stdlib.h>
#include <string.h>

static struct buf *kept_find(struct envkeeper *k, struct str name)
{
        for (size_t i = 0; i < k->count; i++)
                if (str_eq(k->kept[i].name, name))
                        return &k->kept[i].value;
        return NULL;
}

/* Keeps the value and overwrites it in the environment. Without room it stays where it is: better readable than lost. */
static void keep(struct envkeeper *k, struct str name, struct str value)
{
        char *copy = k->count < ENVKEEPER_MAX ? strndup(name.ptr, name.len) : NULL;
        char *stands = copy ? getenv(copy) : NULL;

        if (!stands || strlen(stands) != value.len) {
                free(copy);
                return;
        }
        struct buf *kept = &k->kept[k->count].value;
        buf_init(kept, CONF_TEXT_BYTES_MAX);
        buf_add(kept, value);
        if (kept->full) {
                buf_wipe(kept);
                free(copy);
                return;
        }
        k->kept[k->count++].name = str_of(copy);
        explicit_bzero(stands, strlen(stands));
        unsetenv(copy);
}

static enum err keeper_read(struct conf_source *s, enum conf_read_kind kind, struct str name,
                            struct conf_text *out)
{
        struct envkeeper *k = CONTAINER_OF(s, struct envkeeper, source);
        struct buf *kept = kind == CONF_READ_ENV ? kept_find(k, name) : NULL;

        if (kept) {
                out->mode = 0600;
                buf_add(&out->bytes, buf_str(kept));
                return out->bytes.full ? ERR_TOO_LARGE : ERR_OK;
        }
        enum err e = k->inner->read(k->inner, kind, name, out);
        if (e == ERR_OK && kind == CONF_READ_ENV)
                keep(k, name, buf_str(&out->bytes));
        return e;
}

void envkeeper_init(struct envkeeper *k)
{
        *k = (struct envkeeper){ .source = { .read = keeper_read } };
}

void envkeeper_over(struct envkeeper *k, struct conf_source *inner)
{
        k->inner = inner;
        k->source.file = inner->file;
        k->source.now = inner->now;
}

void envkeeper_restore(const struct envkeeper *k)
{
        for (size_t i = 0; i < k->count; i++) {
                struct str value = buf_str(&k->kept[i].value);
                char *text = strndup(value.ptr ? value.ptr : "", value.len);

                if (text)
                        setenv(k->kept[i].name.ptr, text, 1);
                free(text);
        }
}

void envkeeper_fini(struct envkeeper *k)
{
        for (size_t i = 0; i < k->count; i++) {
                free((void *)(uintptr_t)k->kept[i].name.ptr);
                buf_wipe(&k->kept[i].value);
        }
        k->count = 0;
}
