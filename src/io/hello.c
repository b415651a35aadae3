#include "io/hello.h"

#include <string.h>

enum {
        RECORD_HEADER_BYTES = 5,
        RECORD_HANDSHAKE = 22,
        MESSAGE_HEADER_BYTES = 4,
        MESSAGE_CLIENT_HELLO = 1,
        VERSION_RANDOM_BYTES = 2 + 32,
        SESSION_BYTES_MAX = 32,
        EXTENSION_SERVER_NAME = 0,
        NAME_HOST = 0,
        EXTENSIONS_MAX = 64
};

/* What is left to read. Once something was not there, all that follows is empty. */
struct cursor {
        const uint8_t *at;
        size_t len;
        bool is_short;
};

static const uint8_t *take(struct cursor *c, size_t len)
{
        const uint8_t *at = c->at;

        if (c->is_short || len > c->len) {
                c->is_short = true;
                c->len = 0;
                return NULL;
        }
        c->at += len;
        c->len -= len;
        return at;
}

/* A big-endian number of `bytes` bytes. */
static uint32_t number(struct cursor *c, size_t bytes)
{
        const uint8_t *p = take(c, bytes);
        uint32_t n = 0;

        for (size_t i = 0; p && i < bytes; i++)
                n = n << 8 | p[i];
        return n;
}

/* What a length of `bytes` bytes is put before. */
static struct cursor vector(struct cursor *c, size_t bytes)
{
        size_t len = number(c, bytes);
        struct cursor inner = { .at = take(c, len), .len = len };

        if (c->is_short)
                inner = (struct cursor){ .is_short = true };
        return inner;
}

/*
 * The handshake message out of its records, which may cut it anywhere. ERR_OK: `out` has *len bytes of it, all there are.
 */
static enum err message_gather(struct str bytes, uint8_t out[HELLO_BYTES_MAX], size_t *len)
{
        struct cursor c = { .at = (const uint8_t *)bytes.ptr, .len = bytes.len };
        size_t wanted = MESSAGE_HEADER_BYTES;

        *len = 0;
        while (*len < wanted) {
                if (c.len && c.at[0] != RECORD_HANDSHAKE)
                        return ERR_MALFORMED;
                if (c.len > 1 && c.at[1] != 3)
                        return ERR_MALFORMED;
                if (c.len < RECORD_HEADER_BYTES)
                        return bytes.len >= HELLO_BYTES_MAX ? ERR_TOO_LARGE : ERR_AGAIN;
                size_t record = (size_t)c.at[3] << 8 | c.at[4];

                if (record == 0)
                        return ERR_MALFORMED;
                (void)take(&c, RECORD_HEADER_BYTES);
                size_t here = MIN(MIN(record, c.len), wanted - *len);
                memcpy(out + *len, take(&c, here), here);
                *len += here;
                if (*len == MESSAGE_HEADER_BYTES && wanted == MESSAGE_HEADER_BYTES) {
                        if (out[0] != MESSAGE_CLIENT_HELLO)
                                return ERR_MALFORMED;
                        wanted += (size_t)out[1] << 16 | (size_t)out[2] << 8 | out[3];
                        if (wanted > HELLO_BYTES_MAX)
                                return ERR_TOO_LARGE;
                        size_t more = MIN(MIN(record - here, c.len), wanted - *len);
                        if (more)
                                memcpy(out + *len, take(&c, more), more);
                        *len += more;
                        here += more;
                }
                if (*len < wanted && here < record)
                        return bytes.len >= HELLO_BYTES_MAX ? ERR_TOO_LARGE : ERR_AGAIN;
        }
        return ERR_OK;
}

static bool name_read(struct cursor extension, struct hello *out)
{
        struct cursor list = vector(&extension, 2);
        uint32_t kind = number(&list, 1);
        struct cursor name = vector(&list, 2);

        if (extension.is_short || list.is_short || name.is_short || extension.len || list.len ||
            kind != NAME_HOST || name.len == 0 || name.len > HELLO_NAME_BYTES_MAX)
                return false;
        for (size_t i = 0; i < name.len; i++) {
                if (name.at[i] <= ' ' || name.at[i] >= 0x7f)
                        return false;
                out->name[i] = ascii_lower((char)name.at[i]);
        }
        out->name_len = (uint8_t)name.len;
        return true;
}

static bool extensions_read(struct cursor all, struct hello *out)
{
        uint32_t seen[EXTENSIONS_MAX];
        size_t count = 0;

        while (all.len) {
                uint32_t kind = number(&all, 2);
                struct cursor extension = vector(&all, 2);

                if (all.is_short || extension.is_short || count == EXTENSIONS_MAX)
                        return false;
                for (size_t i = 0; i < count; i++)
                        if (seen[i] == kind)
                                return false;
                seen[count++] = kind;
                if (kind == EXTENSION_SERVER_NAME && !name_read(extension, out))
                        return false;
        }
        return true;
}

enum err hello_read(struct str bytes, struct hello *out)
{
        uint8_t message[HELLO_BYTES_MAX];
        struct hello hello = { .name_len = 0 };
        size_t len;
        enum err e = message_gather(bytes, message, &len);
        struct cursor c = { .at = message, .len = e == ERR_OK ? len : 0 };

        if (e != ERR_OK)
                return e;
        (void)take(&c, MESSAGE_HEADER_BYTES + VERSION_RANDOM_BYTES);
        struct cursor session = vector(&c, 1), suites = vector(&c, 2), compressions = vector(&c, 1);
        if (c.is_short || session.len > SESSION_BYTES_MAX || suites.len == 0 || suites.len % 2 ||
            compressions.len == 0)
                return ERR_MALFORMED;
        if (c.len) { /* TLS 1.2 clients may have no extensions at all */
                struct cursor extensions = vector(&c, 2);

                if (c.is_short || c.len || !extensions_read(extensions, &hello))
                        return ERR_MALFORMED;
        }
        *out = hello;
        return ERR_OK;
}
