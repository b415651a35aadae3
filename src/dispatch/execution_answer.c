/* What the caller of a dispatched request is told. */
#include <stdio.h>
#include <string.h>

#include "dispatch/dispatcher_priv.h"
#include "dispatch/words.h"
#include "http/head.h"

enum { RESULT_BYTES_MAX = 1 << 30, RAW_FIELDS_OWN = 8, NAME_BYTES_MAX = 512 };

void execution_give(struct execution *e)
{
        struct exchange *x = e->side.x;
        struct str rest = str_from(buf_str(&e->body), e->given);
        struct side_data d = { &rest, rest.len ? 1 : 0, e->is_whole, NULL, 0 };

        if (!x || (rest.len == 0 && !e->is_whole))
                return;
        e->given += exchange_answer_data(x, &d);
        if (e->given < e->body.len)
                return;
        buf_clear(&e->body);
        e->given = 0;
        if (e->side.x)
                exchange_answer_flush(e->side.x);
        if (e->order.is_raw && e->is_calling && e->side.x)
                call_resume(&e->call);
}

static void result_of(const struct execution *e, struct dispatch_result *out)
{
        const struct dispatch_ask *ask = &e->order.ask;
        struct arena *a = (struct arena *)(uintptr_t)&e->order.arena;

        *out = (struct dispatch_result){ .request_id = str_of(e->id),
                                         .is_success = e->error == NULL,
                                         .status = e->error ? 0 : e->status,
                                         .fields = e->fields,
                                         .fields_count = e->error ? 0 : e->fields_count,
                                         .body = buf_str(&e->body),
                                         .error = str_of(e->error),
                                         .agent_id = e->agent_id,
                                         .agent = e->agent,
                                         .source_ip = e->source_ip,
                                         .begun = e->begun,
                                         .duration_ms = loop_now(e->d->w->loop) - e->begun_at,
                                         .attempts = e->attempts };
        out->url = dispatch_url_format(&ask->url, a);
}

void execution_finish(struct execution *e)
{
        struct exchange *x = e->side.x;
        struct http_field fields[4];
        struct http_head head = { .status = e->error ? words_status(e->error) : 200,
                                  .version_minor = 1,
                                  .framing = HTTP_BODY_LENGTH,
                                  .keeps_alive = true,
                                  .fields = fields,
                                  .fields_max = ARRAY_SIZE(fields) };
        struct dispatch_result result;
        struct buf text;
        char length[24];

        if (!x)
                return;
        timer_clear(&e->timer);
        buf_init(&text, RESULT_BYTES_MAX);
        result_of(e, &result);
        dispatch_result_write(&result, &text);
        buf_fini(&e->body);
        e->body = text;
        e->given = 0;
        e->head_is_out = e->is_whole = true;
        head.content_length = text.len;
        snprintf(length, sizeof(length), "%zu", text.len);
        if (text.full || http_add(&head, STR("Content-Type"), STR("application/json")) != ERR_OK ||
            http_add(&head, STR("Cache-Control"), STR("no-store")) != ERR_OK ||
            http_add(&head, STR("Content-Length"), str_of(length)) != ERR_OK) {
                exchange_abort(x);
                return;
        }
        exchange_answer_head(x, &head);
        execution_give(e);
}

/* The target's fields with a name that cannot be taken for ours, in their order. */
static bool target_fields_add(struct execution *e, struct http_head *head)
{
        for (size_t i = 0; i < e->fields_count; i++) {
                struct str name = arena_format(&e->order.arena, "Target-%.*s", STR_FMT(e->fields[i].name));

                if (!name.ptr || http_add(head, name, e->fields[i].value) != ERR_OK)
                        return false;
        }
        return true;
}

bool execution_raw_head(struct execution *e, const struct http_head *answer)
{
        size_t max = e->fields_count + RAW_FIELDS_OWN;
        struct http_head head = { .status = 200,
                                  .version_minor = 1,
                                  .framing = HTTP_BODY_CHUNKED,
                                  .keeps_alive = true,
                                  .fields = ARENA_ARRAY(&e->order.arena, struct http_field, max),
                                  .fields_max = (uint16_t)MIN(max, (size_t)HTTP_FIELDS_MAX) };
        char status[8];

        snprintf(status, sizeof(status), "%u", answer->status);
        if (!head.fields || !e->side.x ||
            http_add(&head, STR("Content-Type"), STR("application/octet-stream")) != ERR_OK ||
            http_add(&head, STR("Cache-Control"), STR("no-store")) != ERR_OK ||
            http_add(&head, STR("Dispatch-Status"), arena_copy(&e->order.arena, str_of(status))) != ERR_OK ||
            http_add(&head, STR("Dispatch-Agent"), e->agent) != ERR_OK ||
            http_add(&head, STR("Dispatch-Source"), e->source_ip) != ERR_OK ||
            http_add(&head, STR("Dispatch-Request"), str_of(e->id)) != ERR_OK || !target_fields_add(e, &head))
                return false;
        e->head_is_out = true;
        exchange_answer_head(e->side.x, &head);
        if (e->side.x)
                exchange_answer_flush(e->side.x);
        return true;
}
