#include "http/trace_context.h"

#include <string.h>

enum { KEY_BYTES_MAX = 256, VALUE_BYTES_MAX = 256, VERSION_NONE = 0xff, FLAG_SAMPLED = 1 };

/* Lower case only: the specification's HEXDIGLC. */
static int digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex_read(struct str text, size_t at, uint8_t *out, size_t bytes)
{
        for (size_t i = 0; i < bytes; i++) {
                int high = digit(text.ptr[at + 2 * i]), low = digit(text.ptr[at + 2 * i + 1]);

                if (high < 0 || low < 0)
                        return false;
                out[i] = (uint8_t)(high << 4 | low);
        }
        return true;
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
        uint8_t any = 0;

        for (size_t i = 0; i < len; i++)
                any |= bytes[i];
        return any == 0;
}

enum err trace_parent_parse(struct str text, struct trace_parent *out)
{
        struct trace_parent p;
        uint8_t version, flags;

        if (text.len < TRACE_PARENT_LEN || text.ptr[2] != '-' || text.ptr[35] != '-' || text.ptr[52] != '-')
                return ERR_MALFORMED;
        if (!hex_read(text, 0, &version, 1) || version == VERSION_NONE)
                return ERR_MALFORMED;
        /* A later version may be longer, behind one more dash. */
        if (text.len > TRACE_PARENT_LEN && (version == 0 || text.ptr[TRACE_PARENT_LEN] != '-'))
                return ERR_MALFORMED;
        if (!hex_read(text, 3, p.trace_id, sizeof(p.trace_id)) ||
            !hex_read(text, 36, p.span_id, sizeof(p.span_id)) || !hex_read(text, 53, &flags, 1))
                return ERR_MALFORMED;
        if (is_zero(p.trace_id, sizeof(p.trace_id)) || is_zero(p.span_id, sizeof(p.span_id)))
                return ERR_MALFORMED;
        p.is_sampled = flags & FLAG_SAMPLED;
        *out = p;
        return ERR_OK;
}

static char *hex_write(char *out, const uint8_t *bytes, size_t len)
{
        static const char digits[] = "0123456789abcdef";

        for (size_t i = 0; i < len; i++) {
                *out++ = digits[bytes[i] >> 4];
                *out++ = digits[bytes[i] & 15];
        }
        return out;
}

struct str trace_parent_format(const struct trace_parent *p, char out[TRACE_PARENT_LEN + 1])
{
        char *at = out;

        memcpy(at, "00-", 3);
        at = hex_write(at + 3, p->trace_id, sizeof(p->trace_id));
        *at++ = '-';
        at = hex_write(at, p->span_id, sizeof(p->span_id));
        memcpy(at, p->is_sampled ? "-01" : "-00", 4);
        return (struct str){ out, TRACE_PARENT_LEN };
}

/* ---- tracestate ---- */

static bool is_key_char(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '*' ||
               c == '/';
}

/* One part of a key: its first byte a letter, or where `may_be_digit` also a digit. */
static bool key_part_is_valid(struct str part, size_t bytes_max, bool may_be_digit)
{
        if (part.len == 0 || part.len > bytes_max)
                return false;
        char c = part.ptr[0];
        if (!(c >= 'a' && c <= 'z') && !(may_be_digit && c >= '0' && c <= '9'))
                return false;
        for (size_t i = 0; i < part.len; i++)
                if (!is_key_char(part.ptr[i]))
                        return false;
        return true;
}

/* "vendor", or "tenant@system" with 241 and 14 bytes. */
static bool key_is_valid(struct str key)
{
        size_t at = str_find_char(key, '@');

        if (at == STR_NONE)
                return key_part_is_valid(key, KEY_BYTES_MAX, false);
        return key_part_is_valid(str_sub(key, 0, at), 241, true) &&
               key_part_is_valid(str_from(key, at + 1), 14, false);
}

static bool value_is_valid(struct str value)
{
        if (value.len == 0 || value.len > VALUE_BYTES_MAX || value.ptr[value.len - 1] == ' ')
                return false;
        for (size_t i = 0; i < value.len; i++) {
                char c = value.ptr[i];

                if (c < 0x20 || c > 0x7e || c == ',' || c == '=')
                        return false;
        }
        return true;
}

static bool is_known(const struct str *keys, size_t count, struct str key)
{
        for (size_t i = 0; i < count; i++)
                if (str_eq(keys[i], key))
                        return true;
        return false;
}

enum err trace_state_check(struct str text)
{
        struct str keys[TRACE_STATE_MEMBERS_MAX], member;
        size_t count = 0;

        if (text.len > TRACE_STATE_BYTES_MAX)
                return ERR_TOO_LARGE;
        while (str_split(&text, ',', &member)) {
                member = str_trim(member);
                if (member.len == 0) /* empty members are allowed, and count for nothing */
                        continue;
                size_t at = str_find_char(member, '=');
                if (at == STR_NONE || !key_is_valid(str_sub(member, 0, at)) ||
                    !value_is_valid(str_from(member, at + 1)))
                        return ERR_MALFORMED;
                if (count == TRACE_STATE_MEMBERS_MAX)
                        return ERR_TOO_LARGE;
                if (is_known(keys, count, str_sub(member, 0, at)))
                        return ERR_MALFORMED;
                keys[count++] = str_sub(member, 0, at);
        }
        return ERR_OK;
}
