/* A list that is whole, as a request, an answer or trailers. */
#include "http/h2_fields_priv.h"
#include "http/rules.h"

static enum err refuse(struct http_refusal *refusal, enum err e, uint16_t status, const char *reason)
{
        *refusal = (struct http_refusal){ status, reason };
        return e;
}

static size_t lines_count(const struct h2_section *s)
{
        return s->lines.len / sizeof(struct h2_line);
}

static struct h2_line line_at(const struct h2_section *s, size_t i)
{
        struct h2_line line;

        memcpy(&line, s->lines.ptr + i * sizeof(line), sizeof(line));
        return line;
}

static struct http_field field_of(const struct h2_section *s, struct h2_line l)
{
        const char *at = s->text.ptr + l.at;

        return (struct http_field){ .name = { at, l.name_len },
                                    .value = { at + l.name_len + 2, l.value_len },
                                    .line = { at, l.name_len + 2 + l.value_len + 2 },
                                    .id = (uint16_t)l.id };
}

/* Behind the rest, as one: RFC 9113 8.2.3. False when there is nothing to join, or no room. */
static bool cookies_join(struct h2_section *s)
{
        static const struct str name = STR_INIT("cookie");
        size_t count = lines_count(s), begin = s->text.len;
        struct h2_line all = { (uint32_t)begin, (uint32_t)name.len, 0, HTTP_FIELD_COOKIE };

        if (s->cookies_count < 2)
                return false;
        char *room = buf_reserve(&s->text, begin + H2_TEXT_SLACK), *at = room;
        if (!room)
                return false;
        for (size_t i = 0; i < count; i++) {
                struct h2_line l = line_at(s, i);

                if (l.id != HTTP_FIELD_COOKIE)
                        continue;
                memcpy(at, at == room ? "cookie: " : "; ", at == room ? 8 : 2);
                at += at == room ? 8 : 2;
                if (l.value_len)
                        memcpy(at, s->text.ptr + l.at + l.name_len + 2, l.value_len);
                at += l.value_len;
        }
        memcpy(at, "\r\n", 2);
        buf_added(&s->text, (size_t)(at + 2 - room));
        all.value_len = (uint32_t)(s->text.len - begin - name.len - 4);
        buf_add(&s->lines, (struct str){ (const char *)&all, sizeof(all) });
        return true;
}

/* The lines as fields; of cookies that were joined only the last, which is all of them. */
static enum err fields_make(struct h2_section *s, struct http_field *fields, size_t fields_max, size_t *count)
{
        bool is_joined = cookies_join(s);
        size_t lines = lines_count(s), n = 0;

        if (s->text.full || s->lines.full)
                return ERR_TOO_LARGE;
        for (size_t i = 0; i < lines; i++) {
                struct h2_line l = line_at(s, i);

                if (l.id == HTTP_FIELD_COOKIE && is_joined && i + 1 < lines)
                        continue;
                if (n == fields_max)
                        return ERR_TOO_LARGE;
                fields[n++] = field_of(s, l);
        }
        *count = n;
        return ERR_OK;
}

static enum err head_make(struct h2_section *s, struct http_head *out)
{
        size_t count = 0;
        enum err e = fields_make(s, out->fields, MIN(out->fields_max, HTTP_FIELDS_MAX), &count);

        if (e != ERR_OK)
                return e;
        *out = (struct http_head){ .method = HTTP_OTHER,
                                   .version_minor = 1,
                                   .keeps_alive = true,
                                   .bytes = s->text.len,
                                   .fields = out->fields,
                                   .fields_max = out->fields_max,
                                   .fields_count = (uint16_t)count };
        for (size_t i = 0; i < count; i++)
                if (out->fields[i].id != HTTP_FIELD_OTHER && out->first[out->fields[i].id] == 0)
                        out->first[out->fields[i].id] = (uint8_t)(i + 1);
        return ERR_OK;
}

/* False: twice, or no number. */
static bool length_find(const struct http_head *h, bool *has_length, uint64_t *length)
{
        const struct http_field *f = http_find(h, HTTP_FIELD_CONTENT_LENGTH);

        *has_length = f != NULL;
        return !f || (!http_find_next(h, f) && http_length_parse(f->value, length));
}

/* What must be there, for each of the three shapes a request can have. RFC 9113 8.3.1, 8.5; RFC 8441 4. */
static bool pseudos_are_whole(const struct h2_section *s)
{
        const unsigned full = 1u << H2_METHOD | 1u << H2_SCHEME | 1u << H2_PATH;
        bool is_connect = str_eq(h2_pseudo_value(s, H2_METHOD), STR("CONNECT"));

        if (h2_pseudo_is_seen(s, H2_PROTOCOL))
                return is_connect && h2_pseudo_is_seen(s, H2_AUTHORITY) && (s->pseudo_seen & full) == full;
        if (is_connect)
                return s->pseudo_seen == (1u << H2_METHOD | 1u << H2_AUTHORITY);
        return (s->pseudo_seen & full) == full;
}

static enum err tunnel_make(struct h2_section *s, struct str websocket_key, struct http_head *out,
                            struct http_refusal *refusal)
{
        enum err e;

        if (websocket_key.len == 0 || !str_eq_nocase(h2_pseudo_value(s, H2_PROTOCOL), STR("websocket")))
                return refuse(refusal, ERR_UNSUPPORTED, 501, "h2_protocol_unknown");
        if (out->framing == HTTP_BODY_LENGTH)
                return refuse(refusal, ERR_MALFORMED, 400, "h2_content_length");
        out->method = HTTP_GET;
        out->method_text = STR("GET");
        out->framing = HTTP_BODY_NONE; /* what follows belongs to the tunnel */
        out->expects_continue = false;
        out->asks_upgrade = true;
        if ((e = http_set(out, HTTP_FIELD_SEC_WEBSOCKET_KEY, websocket_key)) != ERR_OK ||
            (e = http_add(out, STR("Upgrade"), STR("websocket"))) != ERR_OK ||
            (e = http_add(out, STR("Connection"), STR("Upgrade"))) != ERR_OK)
                return refuse(refusal, ERR_TOO_LARGE, 431, "too_many_lines");
        return ERR_OK;
}

/* CONNECT as the upgrade that it is inside; whom to connect to is said by other means than its authority. */
static enum err raw_make(struct http_head *out, bool is_datagram, struct http_refusal *refusal)
{
        if (out->framing == HTTP_BODY_LENGTH)
                return refuse(refusal, ERR_MALFORMED, 400, "h2_content_length");
        out->method = HTTP_OTHER;
        out->target = STR("/");
        out->framing = HTTP_BODY_NONE; /* what follows belongs to the tunnel */
        out->expects_continue = false;
        out->asks_upgrade = out->is_raw = true;
        out->is_datagram = is_datagram;
        if (http_add(out, STR("Upgrade"), is_datagram ? STR("connect-udp") : STR("tcp")) != ERR_OK ||
            http_add(out, STR("Connection"), STR("Upgrade")) != ERR_OK)
                return refuse(refusal, ERR_TOO_LARGE, 431, "too_many_lines");
        return ERR_OK;
}

static enum err request_limits_check(const struct h2_section *s, struct http_refusal *refusal)
{
        if (s->is_too_large)
                return refuse(refusal, ERR_TOO_LARGE, 431, "head_too_large");
        if (s->is_target_too_long)
                return refuse(refusal, ERR_TOO_LARGE, 414, "target_too_long");
        if (s->host_differs)
                return refuse(refusal, ERR_DENIED, 400, "host_differs");
        return ERR_OK;
}

static enum err request_framing(struct http_head *out, bool is_end, struct http_refusal *refusal)
{
        bool has_length;
        const struct http_field *expect = http_find(out, HTTP_FIELD_EXPECT);

        if (!length_find(out, &has_length, &out->content_length) || (is_end && out->content_length > 0))
                return refuse(refusal, ERR_MALFORMED, 400, "h2_content_length");
        out->framing = has_length ? HTTP_BODY_LENGTH : is_end ? HTTP_BODY_NONE : HTTP_BODY_CHUNKED;
        if (expect && (!str_eq_nocase(expect->value, STR("100-continue")) || http_find_next(out, expect)))
                return refuse(refusal, ERR_UNSUPPORTED, 417, "expect");
        out->expects_continue = expect && (out->framing == HTTP_BODY_CHUNKED || out->content_length > 0);
        return ERR_OK;
}

enum err h2_section_request(struct h2_section *s, bool is_end, struct str websocket_key,
                            struct http_head *out, struct http_refusal *refusal)
{
        enum err e;

        assert(s->kind == H2_SECTION_REQUEST);
        if (s->malformed)
                return refuse(refusal, ERR_MALFORMED, 400, s->malformed);
        if (!s->is_too_large && !s->is_target_too_long && !pseudos_are_whole(s))
                return refuse(refusal, ERR_MALFORMED, 400, "h2_pseudo_missing");
        if ((e = request_limits_check(s, refusal)) != ERR_OK)
                return e;
        if (head_make(s, out) != ERR_OK)
                return refuse(refusal, ERR_TOO_LARGE, 431, "head_too_large");
        out->method_text = h2_pseudo_value(s, H2_METHOD);
        out->method = http_method_of(out->method_text);
        out->target = h2_pseudo_value(s, H2_PATH);
        if ((e = request_framing(out, is_end, refusal)) != ERR_OK)
                return e;
        if (s->takes_raw && h2_pseudo_is_seen(s, H2_PROTOCOL) &&
            str_eq_nocase(h2_pseudo_value(s, H2_PROTOCOL), STR("connect-udp")))
                return raw_make(out, true, refusal);
        if (h2_pseudo_is_seen(s, H2_PROTOCOL))
                return tunnel_make(s, websocket_key, out, refusal);
        if (out->method == HTTP_CONNECT && s->takes_raw)
                return raw_make(out, false, refusal);
        if (out->method == HTTP_CONNECT)
                return refuse(refusal, ERR_UNSUPPORTED, 405, "connect");
        return ERR_OK;
}

bool h2_section_asks_tunnel(const struct h2_section *s)
{
        return h2_pseudo_is_seen(s, H2_PROTOCOL);
}

enum err h2_section_answer(struct h2_section *s, bool is_end, enum http_method request_method,
                           struct http_head *out, struct http_refusal *refusal)
{
        bool has_length, has_no_body;

        assert(s->kind == H2_SECTION_ANSWER);
        if (s->malformed)
                return refuse(refusal, ERR_MALFORMED, 502, s->malformed);
        if (s->is_too_large || head_make(s, out) != ERR_OK)
                return refuse(refusal, ERR_TOO_LARGE, 502, "head_too_large");
        struct str digits = h2_pseudo_value(s, H2_STATUS);
        if (digits.len != 3)
                return refuse(refusal, ERR_MALFORMED, 502, "h2_pseudo_missing");
        out->status =
                (uint16_t)((digits.ptr[0] - '0') * 100 + (digits.ptr[1] - '0') * 10 + digits.ptr[2] - '0');
        if (out->status == 101 || (out->status < 200 && is_end))
                return refuse(refusal, ERR_MALFORMED, 502, "h2_status");
        if (!length_find(out, &has_length, &out->content_length))
                return refuse(refusal, ERR_MALFORMED, 502, "h2_content_length");
        if ((out->status < 200 || out->status == 204) && out->content_length > 0)
                return refuse(refusal, ERR_MALFORMED, 502, "body_forbidden");
        has_no_body =
                out->status < 200 || out->status == 204 || out->status == 304 || request_method == HTTP_HEAD;
        if (!has_no_body && is_end && out->content_length > 0)
                return refuse(refusal, ERR_MALFORMED, 502, "h2_content_length");
        if (has_no_body) {
                out->framing = HTTP_BODY_NONE;
                out->content_length = 0;
        } else {
                out->framing = has_length ? HTTP_BODY_LENGTH : HTTP_BODY_CHUNKED;
        }
        return ERR_OK;
}

enum err h2_section_trailers(struct h2_section *s, struct http_field *out, size_t *out_count,
                             struct http_refusal *refusal)
{
        size_t count = 0, kept = 0;

        assert(s->kind == H2_SECTION_TRAILERS);
        if (s->malformed)
                return refuse(refusal, ERR_MALFORMED, 400, s->malformed);
        if (s->is_too_large || fields_make(s, out, H1_TRAILERS_MAX, &count) != ERR_OK)
                return refuse(refusal, ERR_TOO_LARGE, 400, "trailers_too_large");
        for (size_t i = 0; i < count; i++) {
                if (http_trailer_is_forbidden(&out[i]))
                        return refuse(refusal, ERR_MALFORMED, 400, "trailer_forbidden");
                if (!http_trailer_is_idle(&out[i]))
                        out[kept++] = out[i];
        }
        *out_count = kept;
        return ERR_OK;
}
