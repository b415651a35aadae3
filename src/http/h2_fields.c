#include "http/h2_fields_priv.h"

#include "http/chars_priv.h"

/*
 * Theory of operation. A field is judged when it comes and kept as the line HTTP/1.1 would have, so that a head made from
 * the list is one run of lines, forwarded as one range; an index beside it says where each is. Pseudo-fields are kept as
 * lines too, which the index passes over; :authority is kept as Host.
 */

enum {
        METHOD_BYTES_MAX = 32,
        TEXT_BYTES_FIRST = 768,
        LINES_BYTES_FIRST = 24 * sizeof(struct h2_line),
        SPARES_MAX = 32 /* 36 KiB a thread */
};

/* Memory of lists that are no more, for the next ones: else each request would take and give back two blocks. */
static _Thread_local struct {
        char *text, *lines;
} spares[SPARES_MAX];
static _Thread_local unsigned spares_count;

static const struct {
        struct str name;
        enum h2_section_kind kind;
} pseudos[H2_PSEUDO_COUNT] = {
        [H2_METHOD] = { STR_INIT(":method"), H2_SECTION_REQUEST },
        [H2_SCHEME] = { STR_INIT(":scheme"), H2_SECTION_REQUEST },
        [H2_AUTHORITY] = { STR_INIT(":authority"), H2_SECTION_REQUEST },
        [H2_PATH] = { STR_INIT(":path"), H2_SECTION_REQUEST },
        [H2_PROTOCOL] = { STR_INIT(":protocol"), H2_SECTION_REQUEST },
        [H2_STATUS] = { STR_INIT(":status"), H2_SECTION_ANSWER },
};

struct str h2_pseudo_name(enum h2_pseudo p)
{
        return pseudos[p].name;
}

void h2_section_init(struct h2_section *s, enum h2_section_kind kind, const struct h1_limits *limits)
{
        static_assert(ARRAY_SIZE(s->pseudo) == H2_PSEUDO_COUNT, "a slot for each");
        *s = (struct h2_section){ .kind = kind, .limits = *limits };
        if (kind == H2_SECTION_TRAILERS) {
                s->limits.head_bytes_max = MIN(s->limits.head_bytes_max, H1_TRAILER_BYTES_MAX);
                s->limits.lines_max = MIN(s->limits.lines_max, H1_TRAILERS_MAX);
        }
        /* Cookies are joined behind the rest, so the text may hold them twice. */
        buf_init(&s->text, (size_t)s->limits.head_bytes_max * 2 + H2_TEXT_SLACK);
        buf_init(&s->lines, (size_t)s->limits.head_bytes_max + LINES_BYTES_FIRST);
}

/* For the first field. Nothing to take: text_add and line_add find their own. */
static void memory_take(struct h2_section *s)
{
        if (spares_count == 0)
                return;
        spares_count--;
        s->text.ptr = spares[spares_count].text;
        s->text.cap = TEXT_BYTES_FIRST;
        s->lines.ptr = spares[spares_count].lines;
        s->lines.cap = LINES_BYTES_FIRST;
        MEMORY_UNPOISON(s->text.ptr, TEXT_BYTES_FIRST);
        MEMORY_UNPOISON(s->lines.ptr, LINES_BYTES_FIRST);
}

static bool memory_keep(struct h2_section *s)
{
        if (s->text.cap != TEXT_BYTES_FIRST || s->lines.cap != LINES_BYTES_FIRST ||
            spares_count == SPARES_MAX)
                return false;
        MEMORY_POISON(s->text.ptr, TEXT_BYTES_FIRST);
        MEMORY_POISON(s->lines.ptr, LINES_BYTES_FIRST);
        spares[spares_count].text = s->text.ptr;
        spares[spares_count++].lines = s->lines.ptr;
        s->text = (struct buf){ .bytes_max = s->text.bytes_max };
        s->lines = (struct buf){ .bytes_max = s->lines.bytes_max };
        return true;
}

void h2_section_fini(struct h2_section *s)
{
        if (memory_keep(s))
                return;
        buf_fini(&s->text);
        buf_fini(&s->lines);
}

static void malformed(struct h2_section *s, const char *reason)
{
        if (!s->malformed)
                s->malformed = reason;
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
        char *at = buf_reserve(&s->lines, s->lines.cap ? sizeof(line) : (size_t)LINES_BYTES_FIRST);

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

const char *h2_pseudo_check(enum h2_pseudo p, struct str value)
{
        switch (p) {
        case H2_METHOD:
                return value.len <= METHOD_BYTES_MAX && http_name_is_valid(value) ? NULL : "h2_method";
        case H2_SCHEME:
                return str_eq_nocase(value, STR("http")) || str_eq_nocase(value, STR("https")) ? NULL
                                                                                               : "h2_scheme";
        case H2_AUTHORITY:
                return is_of_target(value) && str_find_char(value, '/') == STR_NONE &&
                                       str_find_char(value, '?') == STR_NONE
                               ? NULL
                               : "h2_authority";
        case H2_PATH:
                return is_of_target(value) && (value.ptr[0] == '/' || str_eq(value, STR("*"))) ? NULL
                                                                                               : "h2_path";
        case H2_PROTOCOL: return http_name_is_valid(value) ? NULL : "h2_protocol";
        case H2_STATUS:
                return value.len == 3 && value.ptr[0] >= '1' && value.ptr[0] <= '5' &&
                                       ascii_is_digit(value.ptr[1]) && ascii_is_digit(value.ptr[2])
                               ? NULL
                               : "h2_status";
        case H2_PSEUDO_COUNT: break;
        }
        return "h2_pseudo_unknown";
}

static void pseudo_add(struct h2_section *s, struct str name, struct str value)
{
        unsigned p = 0;
        const char *reason;

        while (p < H2_PSEUDO_COUNT && !(pseudos[p].kind == s->kind && str_eq(name, pseudos[p].name)))
                p++;
        if (p == H2_PSEUDO_COUNT)
                malformed(s, "h2_pseudo_unknown");
        else if (s->has_fields)
                malformed(s, "h2_pseudo_late");
        else if (h2_pseudo_is_seen(s, p))
                malformed(s, "h2_pseudo_twice");
        else if ((reason = h2_pseudo_check(p, value)))
                malformed(s, reason);
        if (s->malformed)
                return;
        s->pseudo_seen |= (uint16_t)(1u << p);
        if (p == H2_PATH && value.len > s->limits.target_bytes_max)
                s->is_target_too_long = true;
        if (s->is_too_large || s->is_target_too_long)
                return;
        if (p == H2_AUTHORITY)
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

        s->list_bytes += name.len + value.len + H2_FIELD_OVERHEAD;
        if (s->list_bytes > s->limits.head_bytes_max)
                s->is_too_large = true;
        if (s->malformed)
                return;
        if (!s->text.ptr && !s->lines.ptr)
                memory_take(s);
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
        if (id == HTTP_FIELD_HOST && h2_pseudo_is_seen(s, H2_AUTHORITY)) {
                if (!s->is_too_large && !str_eq_nocase(value, h2_pseudo_value(s, H2_AUTHORITY)))
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
