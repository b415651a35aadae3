#include <stdlib.h>
#include <string.h>

#include "wg/device_priv.h"

static void first_free(struct wg_device *d, struct wg_peer *p)
{
        struct wg_staged *s = LIST_FIRST(&p->staged, struct wg_staged, link);

        list_remove(&s->link);
        p->staged_count--;
        d->staged_bytes -= s->frame.len;
        free(s);
}

void wg_staged_take_first(struct wg_device *d, struct wg_peer *p)
{
        first_free(d, p);
}

void wg_staged_drop_all(struct wg_device *d, struct wg_peer *p)
{
        while (p->staged_count > 0) {
                first_free(d, p);
                wg_device_drop(d, WG_DROP_STAGED_LOST);
        }
}

enum err wg_staged_add(struct wg_device *d, struct wg_peer *p, const struct wg_frame *frame)
{
        while (p->staged_count > 0 && (p->staged_count >= WG_STAGED_PACKETS_MAX ||
                                       frame->len > WG_STAGED_BYTES_MAX - d->staged_bytes)) {
                first_free(d, p);
                wg_device_drop(d, WG_DROP_STAGED_FULL);
        }
        if (frame->len > WG_STAGED_BYTES_MAX - d->staged_bytes) {
                wg_device_drop(d, WG_DROP_STAGED_FULL);
                return ERR_TOO_LARGE;
        }
        struct wg_staged *s = malloc(sizeof(*s) + frame->len);
        if (!s) {
                wg_device_drop(d, WG_DROP_NO_MEMORY);
                return ERR_NO_MEMORY;
        }
        s->frame = *frame;
        s->frame.bytes = s->bytes;
        memcpy(s->bytes, frame->bytes, frame->len);
        list_add_last(&p->staged, &s->link);
        p->staged_count++;
        d->staged_bytes += frame->len;
        return ERR_OK;
}
