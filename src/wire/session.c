#include <stdlib.h>

#include "wire/session_priv.h"

void wire_queue_init(struct wire_queue *q)
{
        list_init(&q->list);
        q->count = 0;
}

enum err wire_queue_add(struct wire_queue *q, const struct wire_message *m)
{
        struct wire_queued *entry;

        if (q->count == WIRE_NODE_QUEUE)
                return ERR_TOO_LARGE;
        if (!(entry = calloc(1, sizeof(*entry))))
                return ERR_NO_MEMORY;
        entry->type = m->type;
        buf_init(&entry->text, WIRE_SMALL_MAX);
        wire_message_write(m, &entry->text);
        if (entry->text.full) {
                wire_queued_free(entry);
                return ERR_TOO_LARGE;
        }
        list_add_last(&q->list, &entry->node);
        q->count++;
        return ERR_OK;
}

struct wire_queued *wire_queue_take(struct wire_queue *q)
{
        struct wire_queued *entry = LIST_FIRST(&q->list, struct wire_queued, node);

        if (!entry)
                return NULL;
        list_remove(&entry->node);
        q->count--;
        return entry;
}

void wire_queued_free(struct wire_queued *q)
{
        if (!q)
                return;
        buf_fini(&q->text);
        free(q);
}

void wire_queue_clear(struct wire_queue *q)
{
        struct wire_queued *entry;

        while ((entry = wire_queue_take(q)))
                wire_queued_free(entry);
}

void wire_pulse_begin(struct wire_pulse *p, mono_ms now)
{
        *p = (struct wire_pulse){ .heard = now, .asked = now, .ping_ms = WIRE_PING_MS };
}

bool wire_pulse_is_dead(const struct wire_pulse *p, mono_ms now)
{
        return now - p->heard >= WIRE_SILENCE_MS;
}

bool wire_pulse_is_due(struct wire_pulse *p, mono_ms now)
{
        if (now - MAX(p->heard, p->asked) < p->ping_ms)
                return false;
        p->asked = now;
        return true;
}

mono_ms wire_pulse_deadline(const struct wire_pulse *p)
{
        return MIN(p->heard + WIRE_SILENCE_MS, MAX(p->heard, p->asked) + p->ping_ms);
}
