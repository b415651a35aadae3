#include "conf/loader_priv.h"

/* As wire/name.h has it: it stands in certificates' URI names. */
static bool organisation_is_valid(struct str s)
{
        if (s.len == 0 || s.len > 64)
                return false;
        for (size_t i = 0; i < s.len; i++) {
                char c = s.ptr[i];
                bool is_letter = (c >= 'a' && c <= 'z') || ascii_is_digit(c);

                if (!is_letter && (i == 0 || (c != '-' && c != '_' && c != '.')))
                        return false;
        }
        return true;
}

static void pool_resolve(struct loader *l, const char *key, const struct draft_text *d, int family,
                         uint8_t bits_max, struct ip_prefix *out)
{
        if (!d->text.ptr)
                return;
        if (ip_prefix_parse(d->text, out) == ERR_OK && out->ip.family == family && out->bits <= bits_max &&
            ip_eq(out->ip, ip_masked(out->ip, out->bits)))
                return;
        loader_error_at(
                l, d->at,
                "control.addresses.%s: \"%.*s\" is no IPv%d prefix of at most %u bits with a zero rest, as \"%s\"",
                key, STR_FMT(d->text), family, bits_max,
                family == 4 ? "100.64.0.0/10" : "fd12:3456:789a::/48");
}

static void certificates_resolve(struct loader *l, const struct draft_list *list, struct conf_control *c)
{
        const struct draft_certificate *drafts = list->items;

        if (list->count == 0 ||
            !(c->certificates = ARENA_ARRAY(l->arena, struct conf_certificate, list->count)))
                return;
        for (size_t i = 0; i < list->count; i++)
                if (resolve_pair(l, drafts[i].item.path.ptr, &drafts[i].cert, &drafts[i].key,
                                 CONF_READ_SECRET, &c->certificates[c->certificates_count]))
                        c->certificates_count++;
}

void resolve_control(struct loader *l, struct draft_control *d)
{
        struct conf_control *c = &l->conf->control;

        *c = d->control;
        c->is_given = d->at.line != 0;
        c->organisation = d->organisation.text;
        c->store_url = d->store_url.text;
        if (d->state.text.ptr)
                c->state = loader_file_name(l, d->state.text);
        resolve_listen(l, "control.listen", &d->listen, &c->listen);
        if (d->public_url.text.ptr &&
            resolve_url(l, "control.publicUrl", &d->public_url, 0, &c->public_url) &&
            c->public_url.scheme != CONF_HTTPS)
                loader_error_at(
                        l, d->public_url.at,
                        "control.publicUrl: must begin with https://; control never speaks in the clear");
        if (!organisation_is_valid(c->organisation))
                loader_error_at(
                        l, d->organisation.at,
                        "control.organisation: \"%.*s\" must be lower-case letters, digits, '-', '_' and '.', and begin "
                        "with a letter or digit",
                        STR_FMT(c->organisation));
        pool_resolve(l, "ipv4", &d->pool4, 4, 28, &c->pool4);
        pool_resolve(l, "ipv6", &d->pool6, 6, 112, &c->pool6);
        certificates_resolve(l, &d->certificates, c);
        resolve_allow(l, "control.dispatch.allow", d->at, &d->dispatch_allow, &c->dispatch.allow,
                      &c->dispatch.allow_count);
}
