#include "policy/explain.h"
#include "policy/explain_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES_MAX = 64 * 1024 * 1024, FINDINGS_MAX = 64, END_DISTANCE = 1000 };

/* ---- findings ---- */

void policy_finding_add(struct policy_explanation *e, struct policy_considered *c, const char *what,
                        struct str asked, struct str found, bool holds)
{
        if (!c->findings)
                c->findings = ARENA_ARRAY(&e->arena, struct policy_finding, FINDINGS_MAX);
        if (!c->findings || c->findings_count == FINDINGS_MAX)
                return;
        c->findings[c->findings_count++] =
                (struct policy_finding){ arena_copy(&e->arena, str_of(what)), asked, found, holds };
        if (!holds)
                c->distance += str_eq(str_of(what), STR("source")) || str_eq(str_of(what), STR("destination"))
                                       ? END_DISTANCE
                                       : 1;
}

/* Texts in a row, the first few of many. */
static struct str joined(struct policy_explanation *e, struct str so_far, struct str more, size_t index)
{
        if (index > 8)
                return so_far;
        return arena_format(&e->arena, "%.*s%s%.*s", STR_FMT(so_far), index ? ", " : "",
                            STR_FMT(index == 8 ? STR("...") : more));
}

struct str policy_aliases_text(struct policy_explanation *e, const struct policy_aliases *list)
{
        struct str text = STR("");

        for (size_t i = 0; i < list->count; i++)
                text = joined(e, text, list->items[i].text, i);
        return text;
}

static struct str dst_text(struct policy_explanation *e, const struct policy_unit *u)
{
        struct str text = STR("");

        for (size_t i = 0; i < policy_unit_dst_count(u); i++)
                text = joined(e, text, policy_unit_dst(u, i)->text, i);
        return text;
}

static struct str ports_text(struct policy_explanation *e, const struct policy_unit *u)
{
        struct str text = STR("");
        size_t n = 0;

        for (size_t i = 0; i < u->ports_count; i++) {
                const struct policy_ports *p = &u->ports[i];
                const char *name = policy_proto_name(p->proto);

                for (size_t j = 0; j < p->count; j++, n++) {
                        struct policy_port_range r = p->ranges[j];
                        struct str one = r.first == 0 && r.last == POLICY_PORT_MAX ? STR("*")
                                         : r.first == r.last
                                                 ? arena_format(&e->arena, "%u", r.first)
                                                 : arena_format(&e->arena, "%u-%u", r.first, r.last);

                        if (p->proto != POLICY_PROTO_ANY)
                                one = name ? arena_format(&e->arena, "%s:%.*s", name, STR_FMT(one))
                                           : arena_format(&e->arena, "%d:%.*s", p->proto, STR_FMT(one));
                        text = joined(e, text, one, n);
                }
        }
        return text;
}

static struct str value_text(struct policy_explanation *e, const struct policy_value *v)
{
        if (!v)
                return STR("not set");
        if (v->type == VALUE_BOOL)
                return v->boolean ? STR("true") : STR("false");
        return v->type == VALUE_NUMBER ? v->text : arena_format(&e->arena, "'%.*s'", STR_FMT(v->text));
}

/* Postures of which one must hold; a unit without any says nothing. */
void policy_postures_find(struct policy_explanation *e, struct policy_considered *c,
                          const struct policy_file *f, const uint32_t *list, size_t count,
                          const struct policy_attrs *attrs)
{
        bool any = false;

        for (size_t i = 0; i < count; i++)
                any |= policy_posture_holds(&f->postures[list[i]], attrs);
        for (size_t i = 0; i < count; i++) {
                const struct policy_posture *p = &f->postures[list[i]];
                bool holds = policy_posture_holds(p, attrs);

                if (any && !holds)
                        continue; /* another one holds, and suffices */
                for (size_t j = 0; j < p->conditions_count; j++) {
                        const struct policy_condition *condition = &p->conditions[j];
                        struct str what = arena_format(&e->arena, "%.*s", STR_FMT(p->name));

                        policy_finding_add(e, c, what.ptr ? what.ptr : "posture", condition->text,
                                           value_text(e, policy_attrs_find(attrs, condition->attr)),
                                           policy_condition_holds(condition, attrs));
                }
        }
}

static void unit_postures_find(struct policy_explanation *e, struct policy_considered *c,
                               const struct policy_tables *t, const struct policy_unit *u,
                               const struct policy_attrs *attrs, bool is_asked)
{
        if (u->posture == POLICY_BIT_NONE)
                return;
        const struct policy_posture_list *list = &t->units->postures[u->posture];

        if (!is_asked)
                policy_finding_add(e, c, "posture", STR("asked of the network's own machines"),
                                   STR("none of them"), true);
        else
                policy_postures_find(e, c, t->units->file, list->postures, list->count, attrs);
}

/* ---- ranking ---- */

static int considered_order(const void *a, const void *b)
{
        const struct policy_considered *x = a, *y = b;

        if (x->distance != y->distance)
                return x->distance < y->distance ? -1 : 1;
        return x->unit < y->unit ? -1 : x->unit > y->unit;
}

/* Keeps the nearest: fewest things that fail, then the order of the file. */
void policy_considered_keep(struct policy_explanation *e, const struct policy_considered *c)
{
        if (!e->rules)
                e->rules = ARENA_ARRAY(&e->arena, struct policy_considered, POLICY_NEAREST_MAX + 1);
        if (!e->rules)
                return;
        e->rules[e->rules_count++] = *c;
        qsort(e->rules, e->rules_count, sizeof(*e->rules), considered_order);
        if (e->rules_count > POLICY_NEAREST_MAX)
                e->rules_count = POLICY_NEAREST_MAX;
}

static bool is_near(const struct policy_explanation *e, size_t distance)
{
        return e->rules_count < POLICY_NEAREST_MAX || distance < e->rules[e->rules_count - 1].distance;
}

/* ---- flows ---- */

struct str policy_address_text(struct policy_explanation *e, const struct policy_tables *t, struct ip ip)
{
        const struct policy_address *a = policy_tables_find_address(t, ip);
        char text[IP_TEXT_MAX];
        struct str shown = ip_format(ip, text), tags = STR("");

        if (!a)
                return arena_format(&e->arena, "%.*s (no machine)", STR_FMT(shown));
        struct str name = a->node->name.len ? a->node->name : a->node->id;
        for (size_t i = 0; i < a->node->tags_count; i++)
                tags = joined(e, tags, a->node->tags[i], i);
        if (a->user && !a->node->tags_count)
                tags = a->user->email.len ? a->user->email : a->user->id;
        return arena_format(&e->arena, "%.*s (%.*s, %.*s)", STR_FMT(name), STR_FMT(tags), STR_FMT(shown));
}

static struct str port_text(struct policy_explanation *e, int16_t proto, uint16_t port)
{
        const char *name = policy_proto_name(proto);

        if (!policy_proto_has_ports(proto))
                return name ? str_of(name) : arena_format(&e->arena, "protocol %d", proto);
        return arena_format(&e->arena, "%u/%s", port, name ? name : "?");
}

/* Without its posture: whether the sources name this address at all. */
static bool src_is_named(const struct policy_tables *t, uint32_t n, struct ip ip)
{
        const struct policy_address *a = policy_tables_find_address(t, ip);
        const struct policy_unit *u = &t->units->items[n];
        const struct policy_node_entry *entry = a ? policy_tables_find_node(t, a->node) : NULL;

        if (entry && policy_set_has(entry->class->src, n))
                return true;
        return (u->flags & UNIT_SRC_ALL) || policy_ranges_contain(&u->src, ip) ||
               ((u->flags & UNIT_SRC_ANY) && (a ? policy_ranges_contain(policy_ranges_tailnet(), ip)
                                                : policy_tables_is_any_source(t, ip)));
}

static void flow_consider(const struct policy_tables *t, const struct policy_question *q, uint32_t n,
                          struct policy_explanation *e)
{
        static const struct policy_attrs none;
        const struct policy_address *a = policy_tables_find_address(t, q->src);
        const struct policy_unit *u = &t->units->items[n];
        bool src = src_is_named(t, n, q->src), dst = policy_unit_takes_dst(t, n, q->src, q->dst);
        bool port = policy_unit_takes_port(u, q->proto, q->port);
        struct policy_considered c = { .rule = u->rule, .unit = n };

        if (!(u->flags & UNIT_IP) || (!src && !dst) ||
            !is_near(e, ((size_t)!src + !dst) * END_DISTANCE + !port))
                return;
        policy_finding_add(e, &c, "source", policy_aliases_text(e, &u->rule->src), e->src, src);
        policy_finding_add(e, &c, "destination", dst_text(e, u), e->dst, dst);
        policy_finding_add(e, &c, "port", ports_text(e, u), e->port, port);
        if (u->flags & UNIT_VIA)
                policy_finding_add(e, &c, "via", policy_aliases_text(e, &u->rule->via),
                                   dst ? STR("a router with it") : STR("no router"), dst);
        if (src)
                unit_postures_find(
                        e, &c, t, u, a ? &a->node->attrs : &none,
                        policy_posture_is_asked(a ? policy_tables_find_node(t, a->node) : NULL, q->src));
        if (is_near(e, c.distance))
                policy_considered_keep(e, &c);
}

void policy_explain_flow(const struct policy_tables *t, const struct policy_question *q,
                         struct policy_explanation *e)
{
        struct policy_answer answer = policy_decide(t, q);

        e->src = policy_address_text(e, t, q->src);
        e->dst = policy_address_text(e, t, q->dst);
        e->port = port_text(e, q->proto, q->port);
        e->is_allowed = answer.is_allowed;
        if (answer.is_allowed)
                flow_consider(t, q, answer.unit, e);
        for (uint32_t n = 0; !answer.is_allowed && n < t->units->count; n++)
                flow_consider(t, q, n, e);
        if (answer.is_allowed && e->rules_count)
                e->rules[0].decides = true;
        e->no_memory = e->arena.full;
}

/* ---- uses ---- */

/* "mon tue 08:00-18:00+09:00" */
static struct str hours_text(struct policy_explanation *e, const struct policy_hours *h)
{
        static const char days[] = "mon tue wed thu fri sat sun ";
        struct str named = STR("");

        for (int i = 0; i < 7 && h->days != 0x7f; i++)
                if (h->days >> i & 1)
                        named = arena_format(&e->arena, "%.*s%.4s", STR_FMT(named), days + 4 * i);
        return arena_format(&e->arena, "%.*s%02u:%02u-%02u:%02u%c%02d:%02d", STR_FMT(named),
                            h->from_minute / 60, h->from_minute % 60, h->to_minute / 60, h->to_minute % 60,
                            h->offset_minutes < 0 ? '-' : '+', abs(h->offset_minutes) / 60,
                            abs(h->offset_minutes) % 60);
}

static struct str time_text(struct policy_explanation *e, unix_ms now)
{
        char text[UNITS_TIME_TEXT_MAX];

        return arena_copy(&e->arena, units_format_time(now, text));
}

static void when_find(struct policy_explanation *e, struct policy_considered *c, const struct policy_when *w,
                      const struct policy_asker *asker)
{
        char text[POLICY_RANGE_TEXT_MAX];
        struct str list = STR("");

        if (w->address.count) {
                for (size_t i = 0; i < w->address.count; i++)
                        list = joined(e, list,
                                      arena_copy(&e->arena, policy_range_format(w->address.items[i], text)),
                                      i);
                struct str found = asker->address.family
                                           ? arena_copy(&e->arena, ip_format(asker->address, text))
                                           : STR("not known");
                policy_finding_add(e, c, "address", list, found,
                                   policy_ranges_contain(&w->address, asker->address));
        }
        if (w->country_count) {
                bool holds = false;

                list = STR("");
                for (size_t i = 0; i < w->country_count; i++) {
                        holds |= str_eq(w->country[i], asker->country);
                        list = joined(e, list, w->country[i], i);
                }
                policy_finding_add(e, c, "country", list,
                                   asker->country.len ? asker->country : STR("not known"), holds);
        }
        if (w->hours_count) {
                list = STR("");
                for (size_t i = 0; i < w->hours_count; i++)
                        list = joined(e, list, hours_text(e, &w->hours[i]), i);
                policy_finding_add(e, c, "hours", list, time_text(e, asker->now),
                                   policy_hours_hold(w->hours, w->hours_count, asker->now));
        }
        if (w->auth > AUTH_NONE)
                policy_finding_add(e, c, "auth", str_of(policy_auth_name(w->auth)),
                                   str_of(policy_auth_name(asker->auth)), asker->auth >= w->auth);
        if (w->after)
                policy_finding_add(e, c, "after", time_text(e, w->after), time_text(e, asker->now),
                                   asker->now >= w->after);
        if (w->before)
                policy_finding_add(e, c, "before", time_text(e, w->before), time_text(e, asker->now),
                                   asker->now < w->before);
}

/* Limits, of which one set must leave a way. */
static void limits_find(struct policy_explanation *e, struct policy_considered *c,
                        const struct policy_rule *rule, const struct policy_asker *asker)
{
        const char *fails = NULL;

        if (!rule->limits_count)
                return;
        for (size_t i = 0; i < rule->limits_count; i++)
                if (!(fails = policy_limits_fail(rule->limits[i], asker)))
                        break;
        struct str found =
                fails ? arena_format(&e->arena, "%.*s %.*s", STR_FMT(asker->method), STR_FMT(asker->path))
                      : STR("within them");
        policy_finding_add(e, c, fails ? fails : "limits",
                           arena_format(&e->arena, "%zu set(s) of limits", rule->limits_count), found,
                           !fails);
}

static void use_consider(const struct policy_tables *t, const struct policy_principal *who,
                         const struct policy_asker *asker, const struct policy_resource *what, uint32_t n,
                         struct policy_explanation *e)
{
        static const struct policy_attrs none;
        const struct policy_unit *u = &t->units->items[n];
        bool src = policy_unit_takes_asker(t, n, who, asker), dst = policy_unit_names(t, u, what);
        struct policy_considered c = { .rule = u->rule, .unit = n };

        if (!src && !dst)
                return;
        policy_finding_add(e, &c, "source", policy_aliases_text(e, &u->rule->src), e->src, src);
        policy_finding_add(e, &c, "destination", dst_text(e, u), e->dst, dst);
        unit_postures_find(e, &c, t, u, who->attrs ? who->attrs : &none, true);
        if (u->rule->when)
                when_find(e, &c, u->rule->when, asker);
        limits_find(e, &c, u->rule, asker);
        if (is_near(e, c.distance))
                policy_considered_keep(e, &c);
}

void policy_explain_use(const struct policy_tables *t, const struct policy_principal *who,
                        struct str who_text, const struct policy_asker *asker,
                        const struct policy_resource *what, struct policy_explanation *e)
{
        static const char *const kinds[] = { "service", "model", "provider", "tool" };
        struct policy_gate gate;
        struct policy_way way = { .unit = POLICY_BIT_NONE };

        policy_gate_open(&gate, t, *who, asker, *what);
        e->is_allowed = policy_gate_next(&gate, &way);
        e->src = who_text;
        e->dst = arena_format(&e->arena, "%s:%.*s", kinds[what->kind - ALIAS_SERVICE], STR_FMT(what->name));
        if (e->is_allowed)
                use_consider(t, who, asker, what, way.unit, e);
        for (uint32_t i = 0; !e->is_allowed && i < t->units->upward_count; i++)
                use_consider(t, who, asker, what, t->units->upward[i], e);
        if (e->is_allowed && e->rules_count)
                e->rules[0].decides = true;
        e->no_memory = e->arena.full;
}

void policy_explanation_init(struct policy_explanation *e)
{
        *e = (struct policy_explanation){ 0 };
        arena_init(&e->arena, NULL, 0, ARENA_BYTES_MAX);
}

void policy_explanation_fini(struct policy_explanation *e)
{
        arena_fini(&e->arena);
        *e = (struct policy_explanation){ 0 };
}
