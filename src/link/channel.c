#include "link/channel.h"

#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "crypto/random.h"

enum {
        READ_BYTES = 16 * 1024,
        IN_MAX = LINK_DERP_FRAME_MAX + READ_BYTES,
        READS_A_TURN = 16,
        WRITE_PARTS = 16,
};

/* What waits to be sent, whole: framed, masked. */
struct piece {
        struct list link;
        bool is_packet; /* may give way */
        size_t len;
        uint8_t bytes[];
};

void link_channel_init(struct link_channel *c, const struct link_channel_events *events,
                       size_t queue_bytes_max)
{
        memset(c, 0, sizeof(*c));
        c->events = events;
        c->queue_bytes_max = queue_bytes_max;
        list_init(&c->queue);
}

static void piece_free(struct link_channel *c, struct piece *p)
{
        list_remove(&p->link);
        c->queued_bytes -= p->len;
        free(p);
}

void link_channel_fini(struct link_channel *c)
{
        struct piece *p;

        while ((p = LIST_FIRST(&c->queue, struct piece, link)))
                piece_free(c, p);
        free(c->in);
        c->in = NULL;
        c->in_len = c->in_cap = c->ws_len = 0;
}

/* ---- out ---- */

/* Packets that nobody has begun to send give way, oldest first. */
static bool make_room(struct link_channel *c, size_t len)
{
        if (len > c->queue_bytes_max)
                return false;
        list_for_each_safe(node, &c->queue) {
                struct piece *p = CONTAINER_OF(node, struct piece, link);
                if (c->queued_bytes <= c->queue_bytes_max - len)
                        return true;
                if (!p->is_packet || (node == c->queue.next && c->head_sent > 0))
                        continue;
                piece_free(c, p);
                c->stats.dropped_oldest++;
        }
        return c->queued_bytes <= c->queue_bytes_max - len;
}

static struct piece *piece_new(struct link_channel *c, size_t len, bool is_packet)
{
        struct piece *p = make_room(c, len) ? malloc(sizeof(*p) + len) : NULL;

        if (!p)
                return NULL;
        p->is_packet = is_packet;
        p->len = len;
        c->queued_bytes += len;
        list_add_last(&c->queue, &p->link);
        return p;
}

bool link_channel_send_raw(struct link_channel *c, struct str bytes)
{
        struct piece *p = piece_new(c, bytes.len, false);

        if (!p)
                return false;
        memcpy(p->bytes, bytes.ptr, bytes.len);
        return true;
}

static bool send_wrapped(struct link_channel *c, enum link_ws_opcode opcode, const struct str *parts,
                         size_t parts_count, bool is_packet)
{
        uint8_t header[LINK_WS_HEADER_MAX], mask[LINK_WS_MASK_BYTES] = { 0 };
        size_t len = 0, at = 0;

        for (size_t i = 0; i < parts_count; i++)
                len += parts[i].len;
        if (c->has_ws) {
                if (c->ws.is_client)
                        crypto_random(mask, sizeof(mask));
                at = link_ws_header_put(&c->ws, opcode, len, mask, header);
        }
        struct piece *p = piece_new(c, at + len, is_packet);
        if (!p)
                return false;
        memcpy(p->bytes, header, at);
        size_t begin = at;
        for (size_t i = 0; i < parts_count; i++) {
                if (parts[i].len)
                        memcpy(p->bytes + at, parts[i].ptr, parts[i].len);
                at += parts[i].len;
        }
        if (c->has_ws && c->ws.is_client)
                link_ws_mask(mask, 0, p->bytes + begin, len);
        return true;
}

bool link_channel_send(struct link_channel *c, enum link_derp_type type, struct str first, struct str second)
{
        uint8_t header[LINK_DERP_HEADER_BYTES];
        struct str parts[] = { { (char *)header, sizeof(header) }, first, second };

        link_derp_header_put(header, type, first.len + second.len);
        if (!send_wrapped(c, LINK_WS_BINARY, parts, ARRAY_SIZE(parts),
                          type == LINK_DERP_SEND || type == LINK_DERP_RECEIVE))
                return false;
        c->stats.frames_sent++;
        return true;
}

static void drop_sent(struct link_channel *c, size_t written)
{
        c->stats.bytes_sent += written;
        c->head_sent += written;
        while (!list_is_empty(&c->queue)) {
                struct piece *p = LIST_FIRST(&c->queue, struct piece, link);
                if (c->head_sent < p->len)
                        return;
                c->head_sent -= p->len;
                piece_free(c, p);
        }
}

static bool end(struct link_channel *c, enum err e)
{
        c->events->on_end(c, e);
        return false;
}

bool link_channel_flush(struct link_channel *c)
{
        while (!list_is_empty(&c->queue)) {
                struct iovec parts[WRITE_PARTS];
                size_t written;
                int n = 0;
                list_for_each(node, &c->queue) {
                        struct piece *p = CONTAINER_OF(node, struct piece, link);
                        size_t skip = n == 0 ? c->head_sent : 0;
                        if (n == WRITE_PARTS)
                                break;
                        parts[n++] = (struct iovec){ p->bytes + skip, p->len - skip };
                }
                enum err e = stream_write(&c->stream, parts, n, &written);
                if (e == ERR_AGAIN)
                        return true;
                if (e != ERR_OK)
                        return end(c, e);
                drop_sent(c, written);
        }
        return true;
}

/* ---- in ---- */

static bool room_for(struct link_channel *c, size_t more)
{
        size_t used = c->in_len + c->ws_len, cap = c->in_cap ? c->in_cap : READ_BYTES;

        if (used + more <= c->in_cap)
                return true;
        while (cap < used + more)
                cap *= 2;
        uint8_t *bigger = realloc(c->in, cap);
        if (!bigger)
                return false;
        c->in = bigger;
        c->in_cap = cap;
        return true;
}

/* An idle connection keeps no buffer. */
static void give_back(struct link_channel *c)
{
        if (c->in_len + c->ws_len > 0)
                return;
        free(c->in);
        c->in = NULL;
        c->in_cap = 0;
}

/* Moves what came out of WebSocket to the bytes that are frames. False: ended. */
static bool unwrap(struct link_channel *c)
{
        while (c->ws_len > 0) {
                struct link_ws_part part;
                uint8_t *from = c->in + c->in_len;
                enum err e = link_ws_read(&c->ws, from, c->ws_len, &part);
                if (e == ERR_AGAIN)
                        break;
                if (e != ERR_OK)
                        return end(c, e);
                if (part.opcode == LINK_WS_CLOSE)
                        return end(c, ERR_CLOSED);
                /* At most one answer waits for each ping that came, and none when the queue is full. */
                if (part.opcode == LINK_WS_PING && !send_wrapped(c, LINK_WS_PONG, &part.bytes, 1, true))
                        return end(c, ERR_TOO_LARGE);
                size_t kept = part.opcode == LINK_WS_BINARY ? part.bytes.len : 0;
                memmove(from, part.bytes.ptr, kept);
                memmove(from + kept, from + part.consumed, c->ws_len - part.consumed);
                c->in_len += kept;
                c->ws_len -= part.consumed;
        }
        return true;
}

static bool take_frames(struct link_channel *c)
{
        size_t at = 0;

        for (;;) {
                struct link_derp_frame frame;
                enum err e = link_derp_read((struct str){ (char *)c->in + at, c->in_len - at }, &frame);
                if (e == ERR_AGAIN)
                        break;
                if (e != ERR_OK)
                        return end(c, e);
                c->stats.frames_received++;
                if (!c->events->on_frame(c, &frame))
                        return false;
                at += frame.bytes;
        }
        if (at > 0) {
                memmove(c->in, c->in + at, c->in_len - at + c->ws_len);
                c->in_len -= at;
        }
        return true;
}

static bool take(struct link_channel *c, size_t got)
{
        c->stats.bytes_received += got;
        if (c->has_ws) {
                c->ws_len += got;
                if (!unwrap(c))
                        return false;
        } else {
                c->in_len += got;
        }
        return take_frames(c);
}

bool link_channel_begin(struct link_channel *c, bool has_ws, bool is_client, struct str first)
{
        c->has_ws = has_ws;
        c->ws.is_client = is_client;
        if (first.len == 0)
                return true;
        if (!room_for(c, first.len))
                return end(c, ERR_NO_MEMORY);
        memcpy(c->in, first.ptr, first.len);
        return take(c, first.len);
}

static bool read_some(struct link_channel *c)
{
        for (int n = 0; n < READS_A_TURN; n++) {
                size_t got;
                if (c->in_len + c->ws_len > IN_MAX)
                        return end(c, ERR_TOO_LARGE);
                if (!room_for(c, READ_BYTES))
                        return end(c, ERR_NO_MEMORY);
                enum err e = stream_read(&c->stream, c->in + c->in_len + c->ws_len, READ_BYTES, &got);
                if (e == ERR_AGAIN) {
                        give_back(c);
                        return true;
                }
                if (e != ERR_OK)
                        return end(c, e);
                if (!take(c, got))
                        return false;
        }
        stream_poke(&c->stream, STREAM_READABLE);
        return true;
}

bool link_channel_ready(struct link_channel *c, unsigned ready)
{
        if ((ready & STREAM_READABLE) && !read_some(c))
                return false;
        return link_channel_flush(c);
}
