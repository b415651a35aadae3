#include "proxy/datagrams.h"

#include "proxy/exchange.h"

void datagrams_init(struct datagrams *d, struct side *side, size_t *all_bytes, datagrams_offer_fn *offer,
                    datagrams_send_fn *send)
{
        *d = (struct datagrams){
                .side = side, .offer = offer, .send = send, .all_bytes = all_bytes, .is_held = true
        };
        capsule_init(&d->reader);
        buf_init(&d->queue, DATAGRAMS_QUEUE_BYTES);
}

void datagrams_fini(struct datagrams *d)
{
        capsule_fini(&d->reader);
        *d->all_bytes -= d->queue.len;
        buf_fini(&d->queue);
}

bool datagrams_is_empty(const struct datagrams *d)
{
        return d->queue.len == 0;
}

/* Keeps what is left of the parts after `taken` bytes. */
static void keep(struct datagrams *d, const struct str parts[2], size_t taken)
{
        for (size_t i = 0; i < 2; i++) {
                size_t here = MIN(taken, parts[i].len);

                buf_add(&d->queue, str_from(parts[i], here));
                taken -= here;
        }
}

bool datagrams_put(struct datagrams *d, struct str datagram)
{
        uint8_t head[CAPSULE_HEAD_MAX];
        struct str parts[2] = { STR_NULL, datagram };
        size_t len, taken = 0;

        if (datagram.len > CAPSULE_DATAGRAM_BYTES_MAX)
                return false;
        parts[0] = capsule_head(datagram.len, head);
        len = parts[0].len + datagram.len;
        if (!d->is_held && d->queue.len == 0 && d->side->x) {
                struct side_data data = { parts, 2, false, NULL, 0 };

                taken = d->offer(d->side->x, &data);
                d->is_held = taken < len;
                if (taken == len)
                        return true;
        }
        /* What was begun is finished whatever the others hold; then the queue was empty, and it fits. */
        if (len - taken > DATAGRAMS_QUEUE_BYTES - d->queue.len ||
            (taken == 0 && len > DATAGRAMS_ALL_BYTES - MIN(*d->all_bytes, (size_t)DATAGRAMS_ALL_BYTES)))
                return false;
        *d->all_bytes -= d->queue.len;
        keep(d, parts, taken);
        *d->all_bytes += d->queue.len;
        return !d->queue.full;
}

void datagrams_pull(struct datagrams *d)
{
        d->is_held = false;
        while (d->queue.len && !d->is_held && d->side->x) {
                struct str bytes = buf_str(&d->queue);
                struct side_data data = { &bytes, 1, false, NULL, 0 };
                size_t taken = d->offer(d->side->x, &data);

                d->is_held = taken < bytes.len;
                buf_consume(&d->queue, taken);
                *d->all_bytes -= taken;
        }
        if (d->queue.len == 0) {
                buf_fini(&d->queue);
                buf_init(&d->queue, DATAGRAMS_QUEUE_BYTES);
        }
}

enum err datagrams_take(struct datagrams *d, const struct side_data *data)
{
        for (size_t i = 0; i < data->slices_count; i++) {
                struct str in = data->slices[i], out;
                enum err e;

                while ((e = capsule_read(&d->reader, &in, &out)) == ERR_OK)
                        d->send(d->side, out);
                if (e != ERR_AGAIN)
                        return e;
        }
        return ERR_OK;
}
