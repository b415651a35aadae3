/*
 * The rules over whatever lines a stranger sends (the first byte: is the peer trusted, does an upgrade stay). What goes
 * upstream parses, holds no reserved name in any spelling, no hop-by-hop field, and our own fields exactly once.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "http/h1_read.h"
#include "http/h1_write.h"
#include "http/rules.h"

enum { LINES = 32, FIELDS = LINES + 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct h1_limits limits = { .head_bytes_max = 65536,
                                         .target_bytes_max = 64,
                                         .lines_max = FIELDS };

static void counts_check(const struct http_head *h, enum http_field_id id, size_t least, size_t most)
{
        size_t n = 0;

        for (const struct http_field *f = http_find(h, id); f; f = http_find_next(h, f))
                n++;
        assert(n >= least && n <= most);
}

static void result_check(const struct http_head *h, bool is_trusted, bool keeps_upgrade)
{
        for (size_t i = 0; i < h->fields_count; i++) {
                struct str name = h->fields[i].name;
                bool has_underscore = str_find_char(name, '_') != STR_NONE;

                assert(!http_is_reserved(name) && !http_is_alias(name));
                assert(!has_underscore || !http_is_forwarding(name));
                if (!is_trusted && http_is_forwarding(name))
                        assert(h->fields[i].id == HTTP_FIELD_FORWARDED ||
                               h->fields[i].id == HTTP_FIELD_X_FORWARDED_FOR ||
                               h->fields[i].id == HTTP_FIELD_X_FORWARDED_PROTO ||
                               h->fields[i].id == HTTP_FIELD_X_FORWARDED_HOST);
        }
        counts_check(h, HTTP_FIELD_X_FORWARDED_FOR, 1, 1);
        counts_check(h, HTTP_FIELD_X_FORWARDED_PROTO, 1, 1);
        counts_check(h, HTTP_FIELD_X_FORWARDED_HOST, 0, 1);
        counts_check(h, HTTP_FIELD_FORWARDED, 1, 1);
        counts_check(h, HTTP_FIELD_CONNECTION, 0, keeps_upgrade);
        counts_check(h, HTTP_FIELD_UPGRADE, 0, keeps_upgrade ? SIZE_MAX : 0);
        counts_check(h, HTTP_FIELD_KEEP_ALIVE, 0, 0);
        counts_check(h, HTTP_FIELD_TRANSFER_ENCODING, 0, 0);
        counts_check(h, HTTP_FIELD_TRAILER, 0, 0);
        counts_check(h, HTTP_FIELD_PROXY_AUTHORIZATION, 0, 0);
        counts_check(h, HTTP_FIELD_HTTP2_SETTINGS, 0, 0);
        counts_check(h, HTTP_FIELD_TE, 0, 1);
}

static void rules_run(struct http_head *h, bool is_trusted, bool keeps_upgrade, struct arena *a)
{
        struct ip_prefix trusted;
        struct http_client client;
        struct ip peer;
        struct h1_vector v = { 0 };
        struct http_field fields[FIELDS];
        struct http_head again = { .fields = fields, .fields_max = FIELDS };
        struct http_refusal refusal;
        enum err e = ip_prefix_parse(STR("10.0.0.0/8"), &trusted);

        assert(e == ERR_OK);
        e = ip_parse(is_trusted ? STR("10.0.0.1") : STR("192.0.2.1"), &peer);
        assert(e == ERR_OK);
        http_client_find(h, peer, false, &trusted, 1, &client);
        assert(client.ip.family == 4 || client.ip.family == 6);
        assert(is_trusted || ip_eq(client.ip, peer));
        http_remove_reserved(h, is_trusted);
        e = http_remove_hop_by_hop(h, keeps_upgrade);
        if (e != ERR_OK) {
                assert(e == ERR_TOO_LARGE);
                return;
        }
        e = http_add_forwarded(h, &client, is_trusted, a);
        assert(e == ERR_OK);
        e = h1_request_write(h, STR("/"), a, &v);
        assert(e == ERR_OK);
        e = h1_vector_flatten(&v, a);
        assert(e == ERR_OK);
        e = h1_request_parse((struct str){ v.parts[0].iov_base, v.parts[0].iov_len }, &limits, &(size_t){ 0 },
                             &again, &refusal);
        assert(e == ERR_OK);
        result_check(&again, is_trusted, keeps_upgrade);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static char memory[131072];
        struct http_field fields[FIELDS];
        struct http_head h = { .fields = fields, .fields_max = FIELDS };
        struct http_refusal refusal;
        struct arena arena;

        if (size < 1 || size > 8192)
                return 0;
        arena_init(&arena, memory, sizeof(memory), sizeof(memory));
        const struct str parts[] = { STR("GET / HTTP/1.1\r\n"),
                                     { (const char *)data + 1, size - 1 },
                                     STR("\r\n") };
        struct str text = arena_join(&arena, parts, ARRAY_SIZE(parts));
        struct h1_limits lines = limits;

        lines.lines_max = LINES;
        if (h1_request_parse(text, &lines, &(size_t){ 0 }, &h, &refusal) == ERR_OK)
                rules_run(&h, data[0] & 1, data[0] & 2, &arena);
        arena_fini(&arena);
        return 0;
}
