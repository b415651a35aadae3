#include "gateway/upgrade.h"

#include <string.h>

static const struct str magic = STR_INIT("SKUP1\n");

struct head {
        uint32_t place, fd;
        uint16_t len;
};

enum { HEAD_BYTES = 4 + 4 + 2, FD_MAX = 1 << 20 };

void upgrade_begin(struct buf *out, const uint8_t ticket_key[TLS_TICKET_KEY_BYTES])
{
        buf_add(out, magic);
        buf_add(out, (struct str){ (const char *)ticket_key, TLS_TICKET_KEY_BYTES });
}

void upgrade_add(struct buf *out, uint32_t place, int fd, struct str text)
{
        const struct head h = { place, (uint32_t)fd,
                                (uint16_t)MIN(text.len, (size_t)UPGRADE_TEXT_BYTES_MAX) };

        buf_add(out, (struct str){ (const char *)&h.place, sizeof(h.place) });
        buf_add(out, (struct str){ (const char *)&h.fd, sizeof(h.fd) });
        buf_add(out, (struct str){ (const char *)&h.len, sizeof(h.len) });
        buf_add(out, str_sub(text, 0, h.len));
}

bool upgrade_next(struct upgrade_reader *r, struct upgrade_entry *out)
{
        struct head h;

        if (r->rest.len < HEAD_BYTES)
                return false;
        memcpy(&h.place, r->rest.ptr, 4);
        memcpy(&h.fd, r->rest.ptr + 4, 4);
        memcpy(&h.len, r->rest.ptr + 8, 2);
        if (h.len > UPGRADE_TEXT_BYTES_MAX || h.len > r->rest.len - HEAD_BYTES || h.fd > FD_MAX)
                return false;
        *out = (struct upgrade_entry){ h.place, (int)h.fd, str_sub(r->rest, HEAD_BYTES, h.len) };
        r->rest = str_from(r->rest, HEAD_BYTES + (size_t)h.len);
        return true;
}

enum err upgrade_open(struct upgrade_reader *r, struct str text)
{
        struct upgrade_entry entry;
        size_t count = 0;

        if (!str_has_prefix(text, magic) || text.len < magic.len + TLS_TICKET_KEY_BYTES)
                return ERR_MALFORMED;
        memcpy(r->ticket_key, text.ptr + magic.len, TLS_TICKET_KEY_BYTES);
        r->rest = str_from(text, magic.len + TLS_TICKET_KEY_BYTES);
        struct upgrade_reader all = *r;

        while (upgrade_next(&all, &entry))
                if (++count > UPGRADE_ENTRIES_MAX)
                        return ERR_MALFORMED;
        return all.rest.len == 0 ? ERR_OK : ERR_MALFORMED;
}
