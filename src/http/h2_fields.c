#include "http/h2_fields.h"

#include <assert.h>
#include <string.h>

#include "http/chars_priv.h"
#include "http/rules.h"

/*
 * Theory of operation. A field is judged when it comes and kept as the line HTTP/1.1 would have, so that a head made from
 * the list is one run of lines, forwarded as one range; an index beside it says where each is. Pseudo-fields are kept as
 * lines too, which the index passes over; :authority is kept as Host.
 */

enum {
        FIELD_OVERHEAD = 32,
        METHOD_BYTES_MAX = 32,
        TEXT_SLACK = 512,
        TEXT_BYTES_FIRST = 768,
        LINES_FIRST = 24
};

struct h2_line {
        uint32_t at, name_len, value_len;
        uint32_t id; /* enum http_field_id */
};
static_assert(sizeof(struct h2_line) <= FIELD_OVERHEAD, "no index is larger than what a list may count");

enum pseudo { METHOD, SCHEME, AUTHORITY, PATH, PROTOCOL, STATUS, PSEUDO_COUNT };

static const struct {
        struct str name;
        enum h2_section_kind kind;
} pseudos[PSEUDO_COUNT] = {
        [METHOD] = { STR_INIT(":method"), H2_SECTION_REQUEST },
        [SCHEME] = { STR_INIT(":scheme"), H2_SECTION_REQUEST },
        [AUTHORITY] = { STR_INIT(":authority"), H2_SECTION_REQUEST },
        [PATH] = { STR_INIT(":path"), H2_SECTION_REQUEST },
        [PROTOCOL] = { STR_INIT(":protocol"), H2_SECTION_REQUEST },
        [STATUS] = { STR_INIT(":status"), H2_SECTION_ANSWER },
};

/* ---- taking a list in ---- */

void h2_section_init(struct h2_section *s, enum h2_section_kind kind, const struct h1_limits *limits)
{
        static_assert(ARRAY_SIZE(s->pseudo) == PSEUDO_COUNT, "a slot for each");
        *s = (struct h2_section){ .kind = kind, .limits = *limits };
        if (kind == H2_SECTION_TRAILERS) {
                s->limits.head_bytes_max = MIN(s->limits.head_bytes_max, H1_TRAILER_BYTES_MAX);
                s->limits.lines_max = MIN(s->limits.lines_max, H1_TRAILERS_MAX);
        }
        /* Cookies are joined behind the rest, so the text may hold them twice. */
        buf_init(&s->text, (size_t)s->limits.head_bytes_max * 2 + TEXT_SLACK);
        buf_init(&s->lines, (size_t)s->limits.head_bytes_max + LINES_FIRST * sizeof(struct h2_line));
}

void h2_section_fini(struct h2_section *s)
{
        buf_fini(&s->text);
        buf_fini(&s->lines);
}

static void malformed(struct h2_section *s, const char *reason)
{
        if (!s->malformed)
                s->malformed = reason;
}

static bool is_seen(const struct h2_section *s, enum pseudo p)
{
        return s->pseudo_seen & 1u << p;
}

static struct str pseudo_value(const struct h2_section *s, enum pseudo p)
{
        return is_seen(s, p) && s->text.ptr ? str_sub(buf_str(&s->text), s->pseudo[p].at, s->pseudo[p].len)
                                            : STR_NULL;
}

static void text_add(struct h2_section *s, struct str name, struct str value)
{
        size_t bytes = name.len + 2 + value.len + 2;
        char *at = buf_reserve(&s->text, s->text.cap ? bytes : MAX(bytes, (size_t)TEXT_BYTES_FIRST));

        if (!at) {
                s->is_too_large = true;
                return;
        }
        memcpy(at, name.ptr, name.len);
        memcpy(at + name.len, ": ", 2);
        if (value.len)
                memcpy(at + name.len + 2, value.ptr, value.len);
        memcpy(at + name.len + 2 + value.len, "\r\n", 2);
        buf_added(&s->text, bytes);
}

static void line_add(struct h2_section *s, enum http_field_id id, struct str name, struct str value)
{
        struct h2_line line = { (uint32_t)s->text.len, (uint32_t)name.len, (uint32_t)value.len, id };
        char *at = buf_reserve(&s->lines, (s->lines.cap ? 1 : LINES_FIRST) * sizeof(line));

        if (!at) {
                s->is_too_large = true;
                return;
        }
        memcpy(at, &line, sizeof(line));
        buf_added(&s->lines, sizeof(line));
        text_add(s, name, value);
}

/* Visible ASCII without '#', and for an authority nothing that begins a path. */
static bool is_of_target(struct str value)
{
        return value.len &&
               http_chars_skip(value.ptr, value.ptr + value.len, HTTP_CHAR_TARGET) == value.ptr + value.len;
}

static const char *pseudo_check(enum pseudo p, struct str value)
{
        switch (p) {
        case METHOD: return value.len <= METHOD_BYTES_MAX && http_name_is_valid(value) ? NULL : "h2_method";
        case SCHEME:
                return str_eq_nocase(value, STR("http")) || str_eq_nocase(value, STR("https")) ? NULL
                                                                                               : "h2_scheme";
        case AUTHORITY:
                return is_of_target(value) && str_find_char(value, '/') == STR_NONE &&
                                       str_find_char(value, '?') == STR_NONE
                               ? NULL
                               : "h2_authority";
        case PATH:
                return is_of_target(value) && (value.ptr[0] == '/' || str_eq(value, STR("*"))) ? NULL
                                                                                               : "h2_path";
        case PROTOCOL: return http_name_is_valid(value) ? NULL : "h2_protocol";
        case STATUS:
                return value.len == 3 && value.ptr[0] >= '1' && value.ptr[0] <= '5' &&
                                       ascii_is_digit(value.ptr[1]) && ascii_is_digit(value.ptr[2])
                               ? NULL
                               : "h2_status";
        case PSEUDO_COUNT: break;
        }
        return "h2_pseudo_unknown";
}

static void pseudo_add(struct h2_section *s, struct str name, struct str value)
{
        unsigned p = 0;
        const char *reason;

        while (p < PSEUDO_COUNT && !(pseudos[p].kind == s->kind && str_eq(name, pseudos[p].name)))
                p++;
        if (p == PSEUDO_COUNT)
                malformed(s, "h2_pseudo_unknown");
        else if (s->has_fields)
                malformed(s, "h2_pseudo_late");
        else if (is_seen(s, p))
                malformed(s, "h2_pseudo_twice");
        else if ((reason = pseudo_check(p, value)))
                malformed(s, reason);
        if (s->malformed)
                return;
        s->pseudo_seen |= (uint16_t)(1u << p);
        if (p == PATH && value.len > s->limits.target_bytes_max)
                s->is_target_too_long = true;
        if (s->is_too_large || s->is_target_too_long)
                return;
        if (p == AUTHORITY)
                line_add(s, HTTP_FIELD_HOST, STR("host"), value);
        else
                text_add(s, name, value);
        s->pseudo[p].len = (uint32_t)value.len;
        s->pseudo[p].at = (uint32_t)(s->text.len - value.len - 2);
}

static bool has_capital(struct str s)
{
        size_t i = 0;

        for (; s.len - i >= 8; i += 8)
                if (http_word_capitals(http_word(s.ptr + i)))
                        return true;
        for (; i < s.len; i++)
                if (s.ptr[i] >= 'A' && s.ptr[i] <= 'Z')
                        return true;
        return false;
}

/* RFC 9113 8.2.1: HPACK carries any byte; what could end a line or a name is not passed on. */
static const char *field_check(struct str name, struct str value)
{
        if (!http_name_is_valid(name))
                return "h2_name";
        if (has_capital(name))
                return "h2_name_case";
        if (!http_value_is_valid(value) || str_trim(value).len != value.len)
                return "h2_value";
        return NULL;
}

/* RFC 9113 8.2.2. */
static const char *connection_field_check(enum http_field_id id, struct str value)
{
        switch (id) {
        case HTTP_FIELD_CONNECTION:
        case HTTP_FIELD_KEEP_ALIVE:
        case HTTP_FIELD_PROXY_CONNECTION:
        case HTTP_FIELD_TRANSFER_ENCODING:
        case HTTP_FIELD_UPGRADE: return "h2_connection_field";
        case HTTP_FIELD_TE: return str_eq_nocase(value, STR("trailers")) ? NULL : "h2_te";
        default: return NULL;
        }
}

void h2_section_add(struct h2_section *s, struct str name, struct str value)
{
        const char *reason;

        s->list_bytes += name.len + value.len + FIELD_OVERHEAD;
        if (s->list_bytes > s->limits.head_bytes_max)
                s->is_too_large = true;
        if (s->malformed)
                return;
        if (name.len && name.ptr[0] == ':') {
                pseudo_add(s, name, value);
                return;
        }
        s->has_fields = true;
        enum http_field_id id = http_field_id_of(name);
        if ((reason = field_check(name, value)) || (reason = connection_field_check(id, value))) {
                malformed(s, reason);
                return;
        }
        if (id == HTTP_FIELD_HOST && is_seen(s, AUTHORITY)) {
                if (!s->is_too_large && !str_eq_nocase(value, pseudo_value(s, AUTHORITY)))
                        s->host_differs = true;
                return; /* it is there already */
        }
        if (id != HTTP_FIELD_COOKIE || s->cookies_count++ == 0)
                s->lines_count++;
        if (s->lines_count > s->limits.lines_max)
                s->is_too_large = true;
        if (!s->is_too_large)
                line_add(s, id, name, value);
}

/* ---- a list that is whole ---- */

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
        char *room = buf_reserve(&s->text, begin + TEXT_SLACK), *at = room;
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
        const unsigned full = 1u << METHOD | 1u << SCHEME | 1u << PATH;
        bool is_connect = str_eq(pseudo_value(s, METHOD), STR("CONNECT"));

        if (is_seen(s, PROTOCOL))
                return is_connect && is_seen(s, AUTHORITY) && (s->pseudo_seen & full) == full;
        if (is_connect)
                return s->pseudo_seen == (1u << METHOD | 1u << AUTHORITY);
        return (s->pseudo_seen & full) == full;
}

static enum err tunnel_make(struct h2_section *s, struct str websocket_key, struct http_head *out,
                            struct http_refusal *refusal)
{
        enum err e;

        if (websocket_key.len == 0 || !str_eq_nocase(pseudo_value(s, PROTOCOL), STR("websocket")))
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
        out->method_text = pseudo_value(s, METHOD);
        out->method = http_method_of(out->method_text);
        out->target = pseudo_value(s, PATH);
        if ((e = request_framing(out, is_end, refusal)) != ERR_OK)
                return e;
        if (s->takes_raw && is_seen(s, PROTOCOL) &&
            str_eq_nocase(pseudo_value(s, PROTOCOL), STR("connect-udp")))
                return raw_make(out, true, refusal);
        if (is_seen(s, PROTOCOL))
                return tunnel_make(s, websocket_key, out, refusal);
        if (out->method == HTTP_CONNECT && s->takes_raw)
                return raw_make(out, false, refusal);
        if (out->method == HTTP_CONNECT)
                return refuse(refusal, ERR_UNSUPPORTED, 405, "connect");
        return ERR_OK;
}

bool h2_section_asks_tunnel(const struct h2_section *s)
{
        return is_seen(s, PROTOCOL);
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
        struct str digits = pseudo_value(s, STATUS);
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

/* ---- a list to send ---- */

static bool is_sent(const struct http_field *f)
{
        switch (f->id) {
        case HTTP_FIELD_CONNECTION:
        case HTTP_FIELD_HOST:
        case HTTP_FIELD_HTTP2_SETTINGS:
        case HTTP_FIELD_KEEP_ALIVE:
        case HTTP_FIELD_PROXY_CONNECTION:
        case HTTP_FIELD_TRANSFER_ENCODING:
        case HTTP_FIELD_UPGRADE: return false;
        case HTTP_FIELD_TE: return !f->is_removed && str_eq_nocase(f->value, STR("trailers"));
        default: return !f->is_removed;
        }
}

/* Secrets; and names of one request, which would only push what comes again out of the table. */
static bool is_unindexed(const struct http_field *f)
{
        switch (f->id) {
        case HTTP_FIELD_AUTHORIZATION:
        case HTTP_FIELD_COOKIE:
        case HTTP_FIELD_PROXY_AUTHORIZATION:
        case HTTP_FIELD_REQUEST_ID:
        case HTTP_FIELD_X_API_KEY:
        case HTTP_FIELD_X_REQUEST_ID: return true;
        case HTTP_FIELD_OTHER:
                return str_eq_nocase(f->name, STR("x-sekisho-request-id")) ||
                       str_eq_nocase(f->name, STR("traceparent"));
        default: return false;
        }
}

static void pair_put(struct h2_list *l, struct str name, struct str value)
{
        l->pairs[l->count++] = (struct h2_pair){ name, value, false };
}

/* Room for `fields_count` fields and as many pseudo-fields as there are. */
static enum err list_begin(struct h2_list *l, size_t fields_count, struct arena *a)
{
        l->count = 0;
        l->pairs = ARENA_ARRAY_RAW(a, struct h2_pair, fields_count + PSEUDO_COUNT);
        return l->pairs ? ERR_OK : ERR_NO_MEMORY;
}

static void name_lower(char *to, struct str name)
{
        size_t i = 0;

        for (; name.len - i >= 8; i += 8) {
                uint64_t word = http_word(name.ptr + i);

                word |= http_word_capitals(word);
                memcpy(to + i, &word, sizeof(word));
        }
        for (; i < name.len; i++)
                to[i] = ascii_lower(name.ptr[i]);
}

static enum err fields_put(struct h2_list *l, const struct http_field *fields, size_t count, bool is_tunnel,
                           struct arena *a)
{
        size_t names_bytes = 1;

        for (size_t i = 0; i < count; i++)
                names_bytes += fields[i].name.len;
        char *at = arena_alloc(a, names_bytes, 1);
        if (!at)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < count; i++) {
                const struct http_field *f = &fields[i];

                if (!is_sent(f) || (is_tunnel && (f->id == HTTP_FIELD_SEC_WEBSOCKET_KEY ||
                                                  f->id == HTTP_FIELD_SEC_WEBSOCKET_ACCEPT ||
                                                  f->id == HTTP_FIELD_CONTENT_LENGTH)))
                        continue;
                /* What was received was judged then, and goes on as it came over HTTP/1.1 too. */
                if (!f->line.len && (!http_name_is_valid(f->name) || !http_value_is_valid(f->value)))
                        return ERR_MALFORMED;
                name_lower(at, f->name);
                l->pairs[l->count++] =
                        (struct h2_pair){ { at, f->name.len }, str_trim(f->value), is_unindexed(f) };
                at += f->name.len;
        }
        return ERR_OK;
}

enum err h2_list_request(const struct http_head *h, struct str scheme, struct str target, struct arena *a,
                         struct h2_list *out)
{
        struct str method = h->method == HTTP_OTHER ? h->method_text : http_method_name(h->method);
        struct str host = http_value(h, HTTP_FIELD_HOST);
        bool is_tunnel =
                h->asks_upgrade && str_eq_nocase(http_value(h, HTTP_FIELD_UPGRADE), STR("websocket"));

        if (pseudo_check(METHOD, method) || pseudo_check(PATH, target) || pseudo_check(SCHEME, scheme) ||
            pseudo_check(AUTHORITY, host))
                return ERR_MALFORMED;
        if (list_begin(out, h->fields_count, a) != ERR_OK)
                return ERR_NO_MEMORY;
        if (h->is_raw) {
                pair_put(out, pseudos[METHOD].name, STR("CONNECT"));
                if (h->is_datagram) { /* RFC 8441 4, RFC 9298 3.4 */
                        pair_put(out, pseudos[PROTOCOL].name, STR("connect-udp"));
                        pair_put(out, pseudos[SCHEME].name, scheme);
                        pair_put(out, pseudos[PATH].name, target);
                }
                pair_put(out, pseudos[AUTHORITY].name, host);
                return fields_put(out, h->fields, h->fields_count, true, a);
        }
        pair_put(out, pseudos[METHOD].name, is_tunnel ? STR("CONNECT") : method);
        if (is_tunnel)
                pair_put(out, pseudos[PROTOCOL].name, STR("websocket"));
        pair_put(out, pseudos[SCHEME].name, scheme);
        pair_put(out, pseudos[AUTHORITY].name, host);
        pair_put(out, pseudos[PATH].name, target);
        return fields_put(out, h->fields, h->fields_count, is_tunnel, a);
}

enum err h2_list_answer(const struct http_head *h, struct arena *a, struct h2_list *out)
{
        bool is_tunnel = h->status == 101;
        unsigned status = is_tunnel ? 200 : h->status;
        char *digits = arena_alloc(a, 3, 1);

        if (status < 100 || status > 599)
                return ERR_MALFORMED;
        if (!digits || list_begin(out, h->fields_count, a) != ERR_OK)
                return ERR_NO_MEMORY;
        digits[0] = (char)('0' + status / 100);
        digits[1] = (char)('0' + status / 10 % 10);
        digits[2] = (char)('0' + status % 10);
        pair_put(out, pseudos[STATUS].name, (struct str){ digits, 3 });
        return fields_put(out, h->fields, h->fields_count, is_tunnel, a);
}

enum err h2_list_trailers(const struct http_field *fields, size_t fields_count, struct arena *a,
                          struct h2_list *out)
{
        enum err e = list_begin(out, fields_count, a);

        return e == ERR_OK ? fields_put(out, fields, fields_count, false, a) : e;
}
