#include "proxy/record_combined.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "proxy/access.h"

enum { TEXT_BYTES_MAX = 2048 };

const char *record_combined_time(unix_ms now, char out[RECORD_COMBINED_TIME_MAX])
{
        static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
        time_t seconds = (time_t)(now / 1000);
        struct tm t;

        if (!gmtime_r(&seconds, &t) || t.tm_year > 8099)
                memset(&t, 0, sizeof(t));
        snprintf(out, RECORD_COMBINED_TIME_MAX, "%02u/%.3s/%04u:%02u:%02u:%02u +0000",
                 (unsigned)t.tm_mday % 100, months[t.tm_mon % 12], (unsigned)(t.tm_year + 1900) % 10000,
                 (unsigned)t.tm_hour % 100, (unsigned)t.tm_min % 100, (unsigned)t.tm_sec % 100);
        return out;
}

static bool is_plain(char c, bool in_quotes)
{
        return c > ' ' && c < 0x7f ? c != '"' && c != '\\' : c == ' ' && in_quotes;
}

static void add_escaped(struct buf *out, struct str text, bool in_quotes)
{
        static const char digits[] = "0123456789ABCDEF";
        size_t run;

        while (text.len) {
                for (run = 0; run < text.len && is_plain(text.ptr[run], in_quotes); run++)
                        ;
                buf_add(out, str_sub(text, 0, run));
                text = str_from(text, run);
                if (!text.len)
                        return;
                unsigned char c = (unsigned char)text.ptr[0];
                char escape[4] = { '\\', 'x', digits[c >> 4], digits[c & 15] };
                buf_add(out, (struct str){ escape, sizeof(escape) });
                text = str_from(text, 1);
        }
}

void record_combined_quote(struct buf *out, struct str text)
{
        buf_add_char(out, '"');
        if (text.len)
                add_escaped(out, str_sub(text, 0, TEXT_BYTES_MAX), true);
        else
                buf_add_char(out, '-');
        buf_add_char(out, '"');
}

static void line_begin(struct buf *out, struct ip client, struct str user, const char *time)
{
        char address[IP_TEXT_MAX];

        buf_add(out, client.family ? ip_format(client, address) : STR("-"));
        buf_add(out, STR(" - "));
        if (user.len)
                add_escaped(out, user, false);
        else
                buf_add_char(out, '-');
        buf_addf(out, " [%s] ", time);
}

static struct str without_query(struct str url)
{
        return str_sub(url, 0, MIN(str_find_char(url, '?'), str_find_char(url, '#')));
}

void record_combined_request(struct buf *out, const struct exchange *x, const char *time)
{
        struct ip client = x->client.ip.family ? x->client.ip : x->origin->peer;
        /* What could not be made canonical is not known to be free of a query. */
        struct str path = x->target.path.len ? x->target.path : without_query(x->request.target);

        const struct http_field *referer = http_find_name(&x->request, STR("Referer"));

        line_begin(out, client, x->token ? x->token->name : x->caller_name, time);
        buf_add_char(out, '"');
        add_escaped(out, x->request.method_text, true);
        buf_add_char(out, ' ');
        add_escaped(out, str_sub(path, 0, TEXT_BYTES_MAX), true);
        buf_addf(out, " HTTP/1.%u\" %u %" PRIu64 " ", (unsigned)x->request.version_minor, (unsigned)x->status,
                 x->answer_bytes);
        record_combined_quote(out, referer ? without_query(referer->value) : STR_NULL);
        buf_add_char(out, ' ');
        record_combined_quote(out, str_sub(http_value(&x->request, HTTP_FIELD_USER_AGENT), 0, 200));
        buf_add_char(out, '\n');
}

void record_combined_refused(struct buf *out, struct ip peer, uint16_t status, const char *time)
{
        line_begin(out, peer, STR_NULL, time);
        buf_addf(out, "\"-\" %u 0 \"-\" \"-\"\n", (unsigned)status);
}
