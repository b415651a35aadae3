#include "proxy/error_page.h"

#include "base/escape.h"
#include "base/units.h"
#include "http/status.h"

static const char plain_page[] =
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
        "content=\"width=device-width\">\n<title>{status} {reason}</title>\n"
        "<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem;"
        "color:#222;background:#fff}small{color:#666}@media(prefers-color-scheme:dark){body{color:#ddd;"
        "background:#161616}small{color:#999}}</style></head>\n"
        "<body><h1>{status} {reason}</h1><p>{message}</p><small>{request_id}</small></body></html>\n";

/* The rank of one entry in thousandths (RFC 9110 12.4.2); what is not in that form counts as 0. */
static unsigned rank_of(struct str parameters)
{
        struct str parameter;

        while (str_split(&parameters, ';', &parameter)) {
                unsigned value = 0, unit = 1000;

                parameter = str_trim(parameter);
                if (parameter.len < 3 || (parameter.ptr[0] | 0x20) != 'q' || parameter.ptr[1] != '=')
                        continue;
                for (size_t i = 2; i < parameter.len && i < 7; i++) {
                        if (parameter.ptr[i] == '.' && i == 3)
                                continue;
                        if (parameter.ptr[i] < '0' || parameter.ptr[i] > '9')
                                return 0;
                        value += (unsigned)(parameter.ptr[i] - '0') * unit;
                        unit /= 10;
                }
                return MIN(value, 1000u);
        }
        return 1000;
}

bool error_page_is_wanted(const struct http_head *request)
{
        unsigned html = 0, json = 0;

        for (size_t i = 0; i < request->fields_count; i++) {
                struct str rest = request->fields[i].value, entry, type;

                if (!str_eq_nocase(request->fields[i].name, STR("Accept")))
                        continue;
                while (str_split(&rest, ',', &entry)) {
                        if (!str_split(&entry, ';', &type))
                                continue;
                        type = str_trim(type);
                        if (str_eq_nocase(type, STR("text/html")) ||
                            str_eq_nocase(type, STR("application/xhtml+xml")))
                                html = MAX(html, rank_of(entry));
                        else if (str_eq_nocase(type, STR("application/json")))
                                json = MAX(json, rank_of(entry));
                }
        }
        return html > 0 && html >= json;
}

const struct error_page *error_page_find(const struct error_page_set *set, uint16_t status)
{
        for (size_t i = 0; i < set->count; i++)
                if (status >= set->pages[i].status_min && status <= set->pages[i].status_max)
                        return &set->pages[i];
        return NULL;
}

static bool value_add(struct str name, const struct error_page_facts *f, struct buf *out)
{
        if (str_eq(name, STR("{status}")))
                buf_addf(out, "%u", f->status);
        else if (str_eq(name, STR("{reason}")))
                escape_html(out, http_status_reason(f->status));
        else if (str_eq(name, STR("{message}")))
                escape_html(out, str_of(f->message));
        else if (str_eq(name, STR("{request_id}")))
                escape_html(out, str_of(f->request_id));
        else if (str_eq(name, STR("{host}")))
                escape_html(out, f->host);
        else if (str_eq(name, STR("{path}")))
                escape_html(out, f->path);
        else
                return false;
        return true;
}

void error_page_format(const struct error_page *page, const struct error_page_facts *facts, struct buf *out)
{
        struct str text = page ? page->text : STR(plain_page);

        while (text.len) {
                size_t open = MIN(str_find_char(text, '{'), text.len);

                buf_add(out, str_sub(text, 0, open));
                text = str_from(text, open);
                size_t close = str_find_char(text, '}');
                if (close != STR_NONE && value_add(str_sub(text, 0, close + 1), facts, out)) {
                        text = str_from(text, close + 1);
                } else if (text.len) { /* a brace of the page's own */
                        buf_add_char(out, '{');
                        text = str_from(text, 1);
                }
        }
}
