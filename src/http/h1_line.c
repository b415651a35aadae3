#include "http/h1_line_priv.h"

#include "http/chars_priv.h"

static enum h1_line bad(const char **reason, const char *word)
{
        *reason = word;
        return H1_LINE_BAD;
}

/* The CRLF at `p`; `stray` is the word for any other byte there. */
static enum h1_line line_end_read(const char *p, const char *end, const char *stray, const char **reason)
{
        if (p == end)
                return H1_LINE_CUT;
        if (*p == '\n')
                return bad(reason, "bare_lf");
        if (*p != '\r')
                return bad(reason, stray);
        if (p + 1 == end)
                return H1_LINE_CUT;
        return p[1] == '\n' ? H1_LINE_EMPTY : bad(reason, "bare_cr");
}

/* A name has ended at `p` and no colon follows. */
static const char *name_fault(const char *start, const char *p)
{
        if (*p == ' ' || *p == '\t')
                return p == start ? "obs_fold" : "space_before_colon";
        if (*p == ':')
                return "empty_name";
        return *p == '\r' || *p == '\n' ? "no_colon" : "name_byte";
}

enum h1_line h1_line_read(const char **at, const char *end, struct http_field *out, const char **reason)
{
        const char *start = *at;
        const char *p = http_name_skip(start, end);

        if (p == end)
                return H1_LINE_CUT;
        if (UNLIKELY(p == start && (*p == '\r' || *p == '\n'))) {
                enum h1_line l = line_end_read(p, end, "", reason);
                if (l == H1_LINE_EMPTY)
                        *at = p + 2;
                return l;
        }
        if (UNLIKELY(*p != ':' || p == start))
                return bad(reason, name_fault(start, p));

        const char *name_end = p++;
        if (LIKELY(p < end && *p == ' '))
                p++;
        while (UNLIKELY(p < end && (*p == ' ' || *p == '\t')))
                p++;
        const char *value = p;
        p = http_value_skip(p, end);
        if (UNLIKELY(end - p < 2 || p[0] != '\r' || p[1] != '\n'))
                return line_end_read(p, end, "value_byte", reason);
        const char *value_end = p;
        while (value_end > value && (value_end[-1] == ' ' || value_end[-1] == '\t'))
                value_end--;

        out->name = (struct str){ start, (size_t)(name_end - start) };
        out->value = (struct str){ value, (size_t)(value_end - value) };
        out->line = (struct str){ start, (size_t)(p + 2 - start) };
        out->id = (uint16_t)http_field_id_of(out->name);
        out->is_removed = false;
        *at = p + 2;
        return H1_LINE_FIELD;
}
