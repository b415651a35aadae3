#include "base/escape.h"

#include <stdint.h>

/* One code point from the front of s; *len is its bytes. A bad byte gives U+FFFD and *len 1. */
static uint32_t code_point(struct str s, size_t *len)
{
        unsigned char first = (unsigned char)s.ptr[0];
        size_t n = str_utf8_len(s);
        uint32_t value = n == 1 ? first : first & (0x7fu >> n);

        *len = 1;
        if (n == 0)
                return 0xfffd;
        for (size_t i = 1; i < n; i++)
                value = value << 6 | ((unsigned char)s.ptr[i] & 0x3f);
        *len = n;
        return value;
}

/* Controls, line separators, and what can turn the reading direction (Unicode UAX 9). */
static bool is_unsafe(uint32_t c)
{
        return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || (c >= 0x200e && c <= 0x200f) ||
               (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff || c == 0xfffd;
}

static bool is_plain(unsigned char c)
{
        return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

void escape_json(struct buf *out, struct str s)
{
        while (s.len) {
                size_t run = 0, len;

                while (run < s.len && is_plain((unsigned char)s.ptr[run]))
                        run++;
                buf_add(out, str_sub(s, 0, run));
                s = str_from(s, run);
                if (!s.len)
                        return;
                uint32_t c = code_point(s, &len);
                if (c == '"' || c == '\\')
                        buf_addf(out, "\\%c", (char)c);
                else if (c == '\n')
                        buf_add(out, STR("\\n"));
                else if (c == '\t')
                        buf_add(out, STR("\\t"));
                else if (is_unsafe(c))
                        buf_addf(out, "\\u%04x", c);
                else
                        buf_add(out, str_sub(s, 0, len));
                s = str_from(s, len);
        }
}

void escape_html(struct buf *out, struct str s)
{
        while (s.len) {
                size_t len;
                uint32_t c = code_point(s, &len);

                switch (c) {
                case '&': buf_add(out, STR("&amp;")); break;
                case '<': buf_add(out, STR("&lt;")); break;
                case '>': buf_add(out, STR("&gt;")); break;
                case '"': buf_add(out, STR("&quot;")); break;
                case '\'': buf_add(out, STR("&#39;")); break;
                case '\t':
                case '\n': buf_add_char(out, (char)c); break;
                default: buf_add(out, is_unsafe(c) ? STR("\xef\xbf\xbd") : str_sub(s, 0, len));
                }
                s = str_from(s, len);
        }
}

void escape_text(struct buf *out, struct str s)
{
        while (s.len) {
                size_t len;
                uint32_t c = code_point(s, &len);

                if (is_unsafe(c))
                        for (size_t i = 0; i < len; i++)
                                buf_addf(out, "\\x%02x", (unsigned char)s.ptr[i]);
                else
                        buf_add(out, str_sub(s, 0, len));
                s = str_from(s, len);
        }
}
