/* ipsets into ranges: entries add and remove in order, and may name hosts and each other. */
#include "policy/read_priv.h"

enum { VISIT_NEW, VISIT_OPEN, VISIT_DONE, RANGES_MAX = 1000000 };

static void ipset_resolve(struct policy_reader *r, struct policy_ipset *s, int depth, size_t *work);

/* "10.0.0.1-10.0.0.9" */
static bool span_parse(struct str text, struct policy_range *out)
{
        size_t dash = str_find_char(text, '-');

        return dash != STR_NONE && ip_parse(str_sub(text, 0, dash), &out->first) == ERR_OK &&
               ip_parse(str_from(text, dash + 1), &out->last) == ERR_OK &&
               out->first.family == out->last.family && ip_cmp(out->first, out->last) <= 0;
}

/* What one entry stands for, sealed; false when a fault was noted. */
static bool entry_ranges(struct policy_reader *r, const struct json_value *v, struct str text, int depth,
                         size_t *work, struct policy_ranges *out)
{
        struct policy_alias a = policy_alias_parse(text, v->line, v->column);
        struct str shown = str_sub(text, 0, 96);
        struct policy_range span;

        *out = (struct policy_ranges){ 0 };
        if (a.kind == ALIAS_AUTOGROUP && a.autogroup == AUTOGROUP_INTERNET) {
                *out = *policy_ranges_internet();
                return true;
        }
        if (span_parse(a.text, &span)) {
                r->no_memory |= !policy_ranges_add(r->arena, out, span);
                return !r->no_memory;
        }
        if (a.kind == ALIAS_IPSET) {
                const struct policy_ipset *other = policy_file_find_ipset(r->file, a.text);

                if (!other) {
                        policy_fault(r, v, "ipset not found: \"%.*s\"", STR_FMT(shown));
                        return false;
                }
                if (other->visit == VISIT_OPEN || depth == POLICY_IPSET_DEPTH_MAX) {
                        policy_fault(r, v, "ipset \"%.*s\": %s", STR_FMT(shown),
                                     other->visit == VISIT_OPEN ? "circular reference"
                                                                : "nested too deep; the limit is 16");
                        return false;
                }
                ipset_resolve(r, &r->file->ipsets[other - r->file->ipsets], depth + 1, work);
                *out = other->ranges;
                return true;
        }
        if (a.kind == ALIAS_HOST) {
                const struct policy_host *h = policy_file_find_host(r->file, a.name);

                if (h)
                        a = (struct policy_alias){ .kind = ALIAS_PREFIX, .prefix = h->prefix };
        }
        if (a.kind != ALIAS_PREFIX) {
                policy_fault(
                        r, v,
                        "\"%.*s\": invalid address; an ipset holds IPs, CIDRs, ranges, hosts, ipsets and "
                        "autogroup:internet",
                        STR_FMT(shown));
                return false;
        }
        r->no_memory |= !policy_ranges_add_prefix(r->arena, out, a.prefix);
        return !r->no_memory;
}

/* Recurses once a level of nesting, at most POLICY_IPSET_DEPTH_MAX deep; each set is made once. */
static void ipset_resolve(struct policy_reader *r, struct policy_ipset *s, int depth, size_t *work)
{
        if (s->visit == VISIT_DONE)
                return;
        s->visit = VISIT_OPEN;
        for (size_t i = 0; s->entries && i < s->entries->count && !r->no_memory; i++) {
                const struct json_value *v = &s->entries->items[i];
                struct policy_ranges part;
                bool is_less = false;

                if (!policy_read_is(r, v, JSON_STRING, "an ipset"))
                        continue;
                struct str text = policy_text_trim(json_str(v));
                if (str_has_prefix(text, STR("add ")))
                        text = policy_text_trim(str_from(text, 4));
                else if ((is_less = str_has_prefix(text, STR("remove "))))
                        text = policy_text_trim(str_from(text, 7));
                if (!entry_ranges(r, v, text, depth, work, &part))
                        continue;
                /* Removing copies the set, so that is what it costs. */
                *work += part.count + (is_less ? s->ranges.count : 1);
                if (*work > RANGES_MAX) {
                        policy_fault(r, v, "the ipsets multiply out to more than %d ranges", RANGES_MAX);
                        break;
                }
                if (!is_less) {
                        r->no_memory |= !policy_ranges_add_all(r->arena, &s->ranges, &part);
                } else {
                        policy_ranges_seal(&s->ranges);
                        r->no_memory |= !policy_ranges_remove(r->arena, &s->ranges, &part);
                }
        }
        policy_ranges_seal(&s->ranges);
        s->visit = VISIT_DONE;
}

void policy_check_ipsets(struct policy_reader *r)
{
        size_t work = 0;

        for (size_t i = 0; i < r->file->ipsets_count && !r->no_memory && work <= RANGES_MAX; i++)
                ipset_resolve(r, &r->file->ipsets[i], 0, &work);
}
