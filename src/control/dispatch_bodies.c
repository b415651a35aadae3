#include "control/dispatch_bodies.h"

enum { BOX_BYTES_MAX = 1 << 20 };

static struct str purpose_of(struct arena *a, const struct store_dispatch *row, enum dispatch_side side)
{
        return arena_format(a, "dispatch-%s %.*s", side == DISPATCH_ASKED ? "asked" : "answered",
                            STR_FMT(row->request));
}

static enum err body_close(const struct certs_seal *seal, struct arena *a, const struct store_dispatch *row,
                           enum dispatch_side side, struct str *body)
{
        struct buf box;
        enum err e;

        if (body->len == 0)
                return ERR_OK;
        buf_init(&box, BOX_BYTES_MAX);
        e = certs_seal_close(seal, purpose_of(a, row, side), *body, &box);
        if (e == ERR_OK)
                *body = arena_copy(a, buf_str(&box));
        buf_fini(&box);
        return e == ERR_OK && a->full ? ERR_NO_MEMORY : e;
}

enum err dispatch_bodies_close(const struct certs_seal *seal, struct arena *a, struct store_dispatch *row)
{
        enum err e = body_close(seal, a, row, DISPATCH_ASKED, &row->asked);

        if (e == ERR_OK)
                e = body_close(seal, a, row, DISPATCH_ANSWERED, &row->answered);
        if (e != ERR_OK) {
                row->has_bodies = false;
                row->asked = row->answered = STR("");
        }
        return e;
}

bool dispatch_bodies_open(const struct certs_seal *seal, struct arena *a, const struct store_dispatch *row,
                          enum dispatch_side side, struct str *out)
{
        struct str box = side == DISPATCH_ASKED ? row->asked : row->answered;
        struct buf text;
        bool is_open;

        *out = STR("");
        if (box.len == 0)
                return true;
        buf_init_secret(&text, BOX_BYTES_MAX);
        is_open = certs_unseal(seal, purpose_of(a, row, side), box, &text) == ERR_OK;
        if (is_open)
                *out = arena_copy(a, buf_str(&text));
        buf_wipe(&text);
        return is_open && out->ptr;
}
