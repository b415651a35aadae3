/*
 * What a hostile server may say to us over HTTP/2: three requests are open, its bytes come in pieces (the first byte gives
 * their size). An answer ends at most once, never after a reset and never before its head; a stream never brings more than
 * its window.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "http/h2_client.h"

enum { ASKED = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct asked {
        struct h2_client_stream s;
        bool has_head, has_end, is_reset;
        size_t held;
};

static struct h2_client *client;

static struct asked *asked_of(struct h2_client_stream *s)
{
        return CONTAINER_OF(s, struct asked, s);
}

static void on_nothing(void *context) {}

static void on_head(struct h2_client_stream *s, struct http_head *head, bool is_end)
{
        struct asked *a = asked_of(s);

        assert(!a->has_head && !a->has_end && !a->is_reset);
        a->has_head = head->status >= 200;
        a->has_end = is_end;
        for (uint16_t i = 0; i < head->fields_count; i++)
                assert(head->fields[i].is_removed || (http_name_is_valid(head->fields[i].name) &&
                                                      http_value_is_valid(head->fields[i].value)));
}

static void on_data(struct h2_client_stream *s, const struct str *slices, size_t slices_count, bool is_end)
{
        struct asked *a = asked_of(s);

        assert(a->has_head && !a->has_end && !a->is_reset && slices_count > 0);
        for (size_t i = 0; i < slices_count; i++)
                a->held += slices[i].len;
        assert(a->held <= H2_CLIENT_WINDOW_BYTES);
        a->has_end = is_end;
}

static void on_end(struct h2_client_stream *s, const struct http_field *trailers, size_t count)
{
        struct asked *a = asked_of(s);

        assert(a->has_head && !a->has_end && !a->is_reset);
        a->has_end = true;
}

static void on_room(struct h2_client_stream *s) {}

static void on_reset(struct h2_client_stream *s, enum err e, enum h2_client_reset how)
{
        struct asked *a = asked_of(s);

        assert(!a->has_end && !a->is_reset && e != ERR_OK);
        a->is_reset = true;
}

static const struct h2_client_events events = { on_nothing, on_nothing, on_head,  on_data,
                                                on_end,     on_room,    on_reset, on_nothing };

static void ask(struct asked *a, bool has_body)
{
        char first[2048];
        struct arena arena;
        struct http_field fields[4];
        struct http_head head = { .method = has_body ? HTTP_POST : HTTP_GET,
                                  .fields = fields,
                                  .fields_max = 4 };
        struct str body = STR("body");
        struct h2_list list;

        arena_init(&arena, first, sizeof(first), sizeof(first));
        if (http_add(&head, STR("Host"), STR("x")) == ERR_OK &&
            h2_list_request(&head, STR("http"), STR("/"), &arena, &list) == ERR_OK &&
            h2_client_request(client, &a->s, &head, &list, !has_body) == ERR_OK && has_body)
                (void)h2_client_write(client, &a->s, &body, 1, true, NULL);
        arena_fini(&arena);
}

static void drain(void)
{
        char out[4096];

        for (int i = 0; i < 64 && h2_client_fill(client, out, sizeof(out)); i++)
                ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const struct h1_limits limits = { .head_bytes_max = 2048, .target_bytes_max = 1024, .lines_max = 16 };
        struct asked asked[ASKED];
        enum err e = ERR_OK;

        if (size < 1 || !(client = h2_client_new(&limits, false, &events, NULL)))
                return 0;
        memset(asked, 0, sizeof(asked));
        for (int i = 0; i < ASKED; i++)
                ask(&asked[i], i == 1);
        drain();
        size_t piece = 1 + (size_t)data[0] * 8;
        for (struct str in = { (const char *)data + 1, size - 1 }; in.len && e == ERR_OK;
             in = str_from(in, piece)) {
                e = h2_client_receive(client, str_sub(in, 0, piece), 1000);
                drain();
                for (int i = 0; i < ASKED; i++) {
                        h2_client_credit(client, &asked[i].s, asked[i].held / 2);
                        asked[i].held -= asked[i].held / 2;
                }
        }
        for (int i = 0; i < ASKED; i++)
                h2_client_forget(client, &asked[i].s);
        drain();
        h2_client_free(client);
        return 0;
}
