#include "world.h"

#include <stdio.h>

#include "base/compiler.h"

static const char *const routes[] = { "10.1.0.0/16", "10.1.2.0/24", "10.2.0.0/16", "fd00:1::/32",
                                      "0.0.0.0/0" };
enum { ROUTES = ARRAY_SIZE(routes), ROUTE_EXIT = ROUTES - 1 };

static const char *const prefixes[] = { "100.64.0.0/30", "100.64.0.2",   "100.64.0.0/24",
                                        "10.1.0.0/16",   "10.1.2.0/23",  "10.0.0.0/8",
                                        "fd00:1::/48",   "192.0.2.0/24", "fd7a:115c:a1e0::3" };
static const char *const hosts[] = { "100.64.0.4", "10.1.2.0/25", "203.0.113.9" };
static const char *const systems[] = { "", "linux", "macos" };

unsigned chance_below(struct chance *c, unsigned n)
{
        c->state ^= c->state << 13;
        c->state ^= c->state >> 7;
        c->state ^= c->state << 17;
        return (unsigned)((c->state >> 11) % n);
}

static struct ip_prefix prefix_of(const char *text)
{
        struct ip_prefix p = { 0 };

        if (ip_prefix_parse(str_of(text), &p) != ERR_OK)
                return (struct ip_prefix){ 0 };
        p.ip = ip_masked(p.ip, p.bits);
        return p;
}

static bool prefix_has(const char *text, struct ip ip)
{
        struct ip_prefix p = prefix_of(text);

        return ip_prefix_contains(&p, ip);
}

/* ---- making ---- */

static void user_make(struct world_user *u, struct chance *c)
{
        *u = (struct world_user){ .exists = true,
                                  .is_shared = chance_below(c, 6) == 0,
                                  .is_admin = chance_below(c, 3) == 0,
                                  .groups = chance_below(c, 1 << WORLD_GROUPS) };
}

static void node_make(struct world_node *n, unsigned i, struct chance *c)
{
        char text[64];

        *n = (struct world_node){ .exists = true, .user = (int)chance_below(c, WORLD_USERS + 3) };
        if (n->user >= WORLD_USERS) {
                n->user = -1;
                n->tags = 1 + chance_below(c, (1 << WORLD_TAGS) - 1);
        }
        snprintf(text, sizeof(text), "100.64.0.%u", i);
        (void)!ip_parse(str_of(text), &n->v4);
        snprintf(text, sizeof(text), "fd7a:115c:a1e0::%x", i);
        if (chance_below(c, 3))
                (void)!ip_parse(str_of(text), &n->v6);
        if (chance_below(c, 3) == 0)
                n->routes = chance_below(c, 1 << ROUTES);
        n->os = (int)chance_below(c, 3);
}

static struct world_name src_make(struct chance *c)
{
        struct world_name n = { .kind = (enum name_kind)chance_below(c, NAME_HOST + 1) };

        n.which = chance_below(c, 60);
        return n;
}

static struct world_name dst_make(struct chance *c)
{
        static const enum name_kind kinds[] = { NAME_ANY,      NAME_USER,   NAME_GROUP,  NAME_TAG,
                                                NAME_MEMBER,   NAME_TAGGED, NAME_PREFIX, NAME_HOST,
                                                NAME_INTERNET, NAME_PREFIX, NAME_TAG };

        return (struct world_name){ kinds[chance_below(c, ARRAY_SIZE(kinds))], chance_below(c, 60) };
}

static void self_make(struct world_rule *r, struct chance *c)
{
        static const enum name_kind people[] = { NAME_USER, NAME_GROUP, NAME_MEMBER, NAME_ADMIN };

        r->dst[chance_below(c, r->dst_count)].kind = NAME_SELF;
        for (unsigned i = 0; i < r->src_count; i++)
                r->src[i].kind = people[chance_below(c, ARRAY_SIZE(people))];
}

static void upward_make(struct world_rule *r, struct chance *c)
{
        r->is_upward = true;
        r->is_acl = false;
        for (unsigned i = 0; i < r->dst_count; i++)
                r->dst[i].kind = (enum name_kind)(NAME_SERVICE + chance_below(c, 3));
        r->auth = (int)chance_below(c, 2);
}

void world_rule_make(struct world_rule *r, struct chance *c)
{
        static const unsigned ports[] = { 0, 22, 80, 443, 1000, 65535 };
        static const int protos[] = { 0, 0, 0, 6, 17, 1, 132 };

        *r = (struct world_rule){ .is_acl = chance_below(c, 2), .via = -1 };
        r->src_count = 1 + chance_below(c, WORLD_NAMES);
        r->dst_count = 1 + chance_below(c, WORLD_NAMES);
        for (unsigned i = 0; i < r->src_count; i++)
                r->src[i] = src_make(c);
        for (unsigned i = 0; i < r->dst_count; i++)
                r->dst[i] = dst_make(c);
        r->proto = protos[chance_below(c, ARRAY_SIZE(protos))];
        r->last = 65535;
        if (r->proto != 1 && chance_below(c, 2)) {
                r->first = ports[1 + chance_below(c, 4)];
                r->last = chance_below(c, 2) ? r->first : 1000;
        }
        if (chance_below(c, 3) == 0)
                r->posture = 1 + (int)chance_below(c, 3);
        unsigned special = chance_below(c, 6);
        if (special == 0) {
                self_make(r, c);
        } else if (special == 1) {
                upward_make(r, c);
        } else if (special == 2) {
                r->is_acl = false;
                r->via = (int)chance_below(c, WORLD_TAGS);
                for (unsigned i = 0; i < r->dst_count; i++)
                        r->dst[i].kind = chance_below(c, 3) ? NAME_PREFIX : NAME_INTERNET;
        }
}

void world_make(struct world *w, struct chance *c)
{
        *w = (struct world){ .rules_count = chance_below(c, WORLD_RULES + 1),
                             .has_default_posture = chance_below(c, 5) == 0 };
        for (unsigned i = 0; i < WORLD_USERS; i++)
                user_make(&w->users[i], c);
        for (unsigned i = 0; i < WORLD_NODES; i++)
                node_make(&w->nodes[i], i, c);
        for (unsigned i = 0; i < w->rules_count; i++)
                world_rule_make(&w->rules[i], c);
}

void world_change(struct world *w, struct chance *c)
{
        for (unsigned n = 1 + chance_below(c, 2); n; n--) {
                unsigned i = chance_below(c, WORLD_NODES), j = chance_below(c, WORLD_USERS);

                switch (chance_below(c, 4)) {
                case 0: w->nodes[i].exists = !w->nodes[i].exists; break;
                case 1: user_make(&w->users[j], c); break;
                case 2: w->users[j].exists = !w->users[j].exists; break;
                default: node_make(&w->nodes[i], i, c); break;
                }
        }
        /* Facts with machines of people who are not there are refused. */
        for (unsigned i = 0; i < WORLD_NODES; i++)
                if (w->nodes[i].user >= 0 && !w->users[w->nodes[i].user].exists)
                        w->nodes[i].exists = false;
}

/* ---- writing ---- */

static void name_add(const struct world_name *n, bool is_acl_dst, const struct world_rule *r, struct buf *out)
{
        static const char *const words[] = { [NAME_ANY] = "*",
                                             [NAME_MEMBER] = "autogroup:member",
                                             [NAME_TAGGED] = "autogroup:tagged",
                                             [NAME_ADMIN] = "autogroup:admin",
                                             [NAME_DANGER_ALL] = "autogroup:danger-all",
                                             [NAME_SELF] = "autogroup:self",
                                             [NAME_INTERNET] = "autogroup:internet" };
        static const char *const models[] = { "gpt-*", "gpt-1", "*" };

        switch (n->kind) {
        case NAME_USER: buf_addf(out, "\"u%u@example.com", n->which % WORLD_USERS); break;
        case NAME_GROUP: buf_addf(out, "\"group:g%u", n->which % WORLD_GROUPS); break;
        case NAME_TAG: buf_addf(out, "\"tag:t%u", n->which % WORLD_TAGS); break;
        case NAME_PREFIX: buf_addf(out, "\"%s", prefixes[n->which % ARRAY_SIZE(prefixes)]); break;
        case NAME_HOST: buf_addf(out, "\"h%u", n->which % (unsigned)ARRAY_SIZE(hosts)); break;
        case NAME_SERVICE: buf_addf(out, "\"service:s%u", n->which % 3); break;
        case NAME_MODEL: buf_addf(out, "\"model:%s", models[n->which % ARRAY_SIZE(models)]); break;
        case NAME_PROVIDER: buf_addf(out, "\"provider:p%u", n->which % 2); break;
        default: buf_addf(out, "\"%s", words[n->kind]); break;
        }
        if (is_acl_dst && r->last == 65535 && !r->first)
                buf_add(out, STR(":*"));
        else if (is_acl_dst)
                buf_addf(out, ":%u-%u", r->first, r->last);
        buf_add_char(out, '"');
}

static void rule_add(const struct world_rule *r, struct buf *out)
{
        static const char *const postures[] = { "", "\"posture:linux\"", "\"posture:macos\"",
                                                "\"posture:linux\", \"posture:macos\"" };

        buf_add(out, r->is_acl ? STR("{\"action\": \"accept\", \"src\": [") : STR("{\"src\": ["));
        for (unsigned i = 0; i < r->src_count; i++) {
                buf_add(out, i ? STR(", ") : STR(""));
                name_add(&r->src[i], false, r, out);
        }
        buf_add(out, STR("], \"dst\": ["));
        for (unsigned i = 0; i < r->dst_count; i++) {
                buf_add(out, i ? STR(", ") : STR(""));
                name_add(&r->dst[i], r->is_acl, r, out);
        }
        buf_add_char(out, ']');
        if (r->posture)
                buf_addf(out, ", \"srcPosture\": [%s]", postures[r->posture]);
        if (r->via >= 0)
                buf_addf(out, ", \"via\": [\"tag:t%d\"]", r->via);
        if (r->is_upward && r->auth)
                buf_add(out, STR(", \"when\": {\"auth\": \"mfa\"}"));
        if (r->is_acl && r->proto)
                buf_addf(out, ", \"proto\": \"%d\"", r->proto);
        if (!r->is_acl && !r->is_upward) {
                buf_add(out, STR(", \"ip\": [\""));
                if (r->proto)
                        buf_addf(out, "%d:", r->proto);
                if (r->last == 65535 && !r->first)
                        buf_add_char(out, '*');
                else
                        buf_addf(out, "%u-%u", r->first, r->last);
                buf_add(out, STR("\"]"));
        }
        buf_add_char(out, '}');
}

void world_policy(const struct world *w, struct buf *out)
{
        buf_add(out, STR("{\"groups\": {"));
        for (unsigned g = 0; g < WORLD_GROUPS; g++) {
                const char *comma = "";

                buf_addf(out, "%s\"group:g%u\": [", g ? ", " : "", g);
                for (unsigned u = 0; u < WORLD_USERS; u++)
                        if (w->users[u].groups >> g & 1) {
                                buf_addf(out, "%s\"u%u@example.com\"", comma, u);
                                comma = ", ";
                        }
                buf_add_char(out, ']');
        }
        buf_add(out, STR("}, \"tagOwners\": {"));
        for (unsigned t = 0; t < WORLD_TAGS; t++)
                buf_addf(out, "%s\"tag:t%u\": []", t ? ", " : "", t);
        buf_add(out, STR("}, \"hosts\": {"));
        for (unsigned h = 0; h < ARRAY_SIZE(hosts); h++)
                buf_addf(out, "%s\"h%u\": \"%s\"", h ? ", " : "", h, hosts[h]);
        buf_add(out, STR("}, \"postures\": {\"posture:linux\": [\"node:os == 'linux'\"], "
                         "\"posture:macos\": [\"node:os == 'macos'\"]}, "));
        if (w->has_default_posture)
                buf_add(out, STR("\"defaultSrcPosture\": [\"posture:macos\"], "));
        for (int acls = 0; acls < 2; acls++) {
                const char *comma = "";

                buf_add(out, acls ? STR("], \"acls\": [") : STR("\"grants\": ["));
                for (unsigned i = 0; i < w->rules_count; i++)
                        if (w->rules[i].is_acl == acls) {
                                buf_add(out, str_of(comma));
                                rule_add(&w->rules[i], out);
                                comma = ",\n";
                        }
        }
        buf_add(out, STR("]}"));
}

static void user_add(const struct world_user *u, unsigned i, struct buf *out)
{
        buf_addf(out, "{\"id\": \"%u\", \"email\": \"u%u@example.com\", \"role\": \"%s\", \"type\": \"%s\"}",
                 i, i, u->is_admin ? "admin" : "member", u->is_shared ? "shared" : "member");
}

static void node_add(const struct world_node *n, unsigned i, struct buf *out)
{
        char text[IP_TEXT_MAX];
        const char *comma = "";

        buf_addf(out, "{\"id\": \"%u\", \"name\": \"n%u\", \"addresses\": [\"%.*s\"", i, i,
                 STR_FMT(ip_format(n->v4, text)));
        if (n->v6.family)
                buf_addf(out, ", \"%.*s\"", STR_FMT(ip_format(n->v6, text)));
        buf_add(out, STR("], \"approvedRoutes\": ["));
        for (unsigned r = 0; r < ROUTES; r++)
                if (n->routes >> r & 1) {
                        buf_addf(out, "%s\"%s\"", comma, routes[r]);
                        comma = ", ";
                }
        buf_add(out, STR("], "));
        if (n->os)
                buf_addf(out, "\"attributes\": {\"node:os\": \"%s\"}, ", systems[n->os]);
        if (n->user >= 0) {
                buf_addf(out, "\"user\": \"%d\"}", n->user);
                return;
        }
        comma = "";
        buf_add(out, STR("\"tags\": ["));
        for (unsigned t = 0; t < WORLD_TAGS; t++)
                if (n->tags >> t & 1) {
                        buf_addf(out, "%s\"tag:t%u\"", comma, t);
                        comma = ", ";
                }
        buf_add(out, STR("]}"));
}

static bool user_same(const struct world_user *a, const struct world_user *b)
{
        return a->exists == b->exists && a->is_shared == b->is_shared && a->is_admin == b->is_admin;
}

static bool node_same(const struct world_node *a, const struct world_node *b)
{
        return a->exists == b->exists && a->user == b->user && a->tags == b->tags && a->routes == b->routes &&
               a->os == b->os && a->v6.family == b->v6.family;
}

static void facts_add(const struct world *w, const struct world *before, struct buf *out)
{
        const char *comma = "";

        buf_add(out, STR("{\"users\": ["));
        for (unsigned i = 0; i < WORLD_USERS; i++)
                if (w->users[i].exists && !(before && user_same(&before->users[i], &w->users[i]))) {
                        buf_add(out, str_of(comma));
                        user_add(&w->users[i], i, out);
                        comma = ",\n";
                }
        comma = "";
        buf_add(out, STR("], \"nodes\": ["));
        for (unsigned i = 0; i < WORLD_NODES; i++)
                if (w->nodes[i].exists && !(before && node_same(&before->nodes[i], &w->nodes[i]))) {
                        buf_add(out, str_of(comma));
                        node_add(&w->nodes[i], i, out);
                        comma = ",\n";
                }
        buf_add_char(out, ']');
}

void world_facts(const struct world *w, struct buf *out)
{
        facts_add(w, NULL, out);
        buf_add(out,
                STR(", \"services\": [\"s0\", \"s1\", \"s2\"], \"providers\": [\"p0\", \"p1\"], \"models\": ["
                    "{\"name\": \"gpt-0\", \"provider\": \"p0\"}, {\"name\": \"gpt-1\", \"provider\": \"p1\"}, "
                    "{\"name\": \"other\", \"provider\": \"p1\"}]}"));
}

void world_patch(const struct world *before, const struct world *after, struct buf *out)
{
        const char *comma = "";

        facts_add(after, before, out);
        buf_add(out, STR(", \"remove\": {\"users\": ["));
        for (unsigned i = 0; i < WORLD_USERS; i++)
                if (before->users[i].exists && !after->users[i].exists) {
                        buf_addf(out, "%s\"%u\"", comma, i);
                        comma = ", ";
                }
        comma = "";
        buf_add(out, STR("], \"nodes\": ["));
        for (unsigned i = 0; i < WORLD_NODES; i++)
                if (before->nodes[i].exists && !after->nodes[i].exists) {
                        buf_addf(out, "%s\"%u\"", comma, i);
                        comma = ", ";
                }
        buf_add(out, STR("]}}"));
}

struct ip world_address(const struct world *w, struct chance *c)
{
        static const char *const others[] = { "10.1.2.3",  "10.1.2.200",  "10.1.3.1",   "10.2.0.9",
                                              "10.3.0.1",  "8.8.8.8",     "192.0.2.9",  "203.0.113.9",
                                              "fd00:1::5", "fd00:1:1::5", "100.64.9.9", "2606:4700::1" };
        const struct world_node *n = &w->nodes[chance_below(c, WORLD_NODES)];
        struct ip ip = n->v4;

        if (chance_below(c, 4) == 0)
                (void)!ip_parse(str_of(others[chance_below(c, ARRAY_SIZE(others))]), &ip);
        else if (n->v6.family && chance_below(c, 2))
                ip = n->v6;
        return ip;
}

/* ---- the evaluator ---- */

static const struct world_node *node_at(const struct world *w, struct ip ip)
{
        for (unsigned i = 0; i < WORLD_NODES; i++)
                if (w->nodes[i].exists &&
                    (ip_eq(w->nodes[i].v4, ip) || (w->nodes[i].v6.family && ip_eq(w->nodes[i].v6, ip))))
                        return &w->nodes[i];
        return NULL;
}

static const struct world_user *user_of(const struct world *w, const struct world_node *n)
{
        return n && n->user >= 0 && w->users[n->user].exists ? &w->users[n->user] : NULL;
}

static bool user_matches(const struct world *w, const struct world_user *u, const struct world_name *n)
{
        switch (n->kind) {
        case NAME_USER: return u == &w->users[n->which % WORLD_USERS];
        case NAME_GROUP: return u->groups >> (n->which % WORLD_GROUPS) & 1;
        case NAME_MEMBER: return !u->is_shared;
        case NAME_ADMIN: return u->is_admin;
        default: return false;
        }
}

/* By who the machine is. */
static bool node_matches(const struct world *w, const struct world_node *n, const struct world_name *name)
{
        const struct world_user *u = user_of(w, n);

        if (name->kind == NAME_TAG)
                return n->user < 0 && (n->tags >> (name->which % WORLD_TAGS) & 1);
        if (name->kind == NAME_TAGGED)
                return n->user < 0;
        return u && user_matches(w, u, name);
}

/* By the address alone. */
static bool address_matches(struct ip ip, const struct world_name *n)
{
        if (n->kind == NAME_PREFIX)
                return prefix_has(prefixes[n->which % ARRAY_SIZE(prefixes)], ip);
        return n->kind == NAME_HOST && prefix_has(hosts[n->which % ARRAY_SIZE(hosts)], ip);
}

static bool is_routed(const struct world *w, struct ip ip)
{
        for (unsigned i = 0; i < WORLD_NODES; i++)
                for (unsigned r = 0; r < ROUTE_EXIT; r++)
                        if (w->nodes[i].exists && (w->nodes[i].routes >> r & 1) && prefix_has(routes[r], ip))
                                return true;
        return false;
}

static bool is_tailnet(struct ip ip)
{
        return (prefix_has("100.64.0.0/10", ip) && !prefix_has("100.115.92.0/23", ip)) ||
               prefix_has("fd7a:115c:a1e0::/48", ip);
}

/* Of the addresses that are asked about. */
static bool is_internet(struct ip ip)
{
        return prefix_has("8.0.0.0/8", ip) || prefix_has("192.0.2.0/24", ip) ||
               prefix_has("203.0.113.0/24", ip) || prefix_has("2000::/3", ip);
}

static bool posture_met(const struct world *w, const struct world_rule *r, const struct world_node *n)
{
        int wanted = r->posture ? r->posture : w->has_default_posture ? 2 : 0;

        return !wanted || (n && n->os > 0 && (wanted >> (n->os - 1) & 1));
}

/* Asked of the network's own machines: neither of who was shared in, nor of what lies behind routers. */
static bool posture_holds(const struct world *w, const struct world_rule *r, const struct world_node *n,
                          struct ip ip)
{
        const struct world_user *u = n ? user_of(w, n) : NULL;

        if (n ? u && u->is_shared : !is_tailnet(ip))
                return true;
        return posture_met(w, r, n);
}

static bool src_matches(const struct world *w, const struct world_rule *r, struct ip ip)
{
        const struct world_node *n = node_at(w, ip);

        if (!posture_holds(w, r, n, ip))
                return false;
        for (unsigned i = 0; i < r->src_count; i++) {
                const struct world_name *name = &r->src[i];

                if (name->kind == NAME_DANGER_ALL || address_matches(ip, name) ||
                    (n && node_matches(w, n, name)) ||
                    (name->kind == NAME_ANY && (is_tailnet(ip) || is_routed(w, ip))))
                        return true;
        }
        return false;
}

static bool machine_matches(const struct world *w, const struct world_rule *r, struct ip src, struct ip dst,
                            const struct world_node *n)
{
        const struct world_node *from = node_at(w, src);

        for (unsigned i = 0; i < r->dst_count && r->via < 0; i++) {
                const struct world_name *name = &r->dst[i];

                if (name->kind == NAME_ANY || address_matches(dst, name) || node_matches(w, n, name))
                        return true;
                if (name->kind == NAME_SELF && from && user_of(w, n) && user_of(w, from) == user_of(w, n))
                        return true;
        }
        return false;
}

/* A name as addresses, which a machine's filter has whole when it has to do with a part of them. */
static bool is_carried(const struct world_node *n, const struct world_name *name, bool is_via)
{
        struct ip_prefix p =
                prefix_of(name->kind == NAME_PREFIX ? prefixes[name->which % ARRAY_SIZE(prefixes)]
                                                    : hosts[name->which % ARRAY_SIZE(hosts)]);

        for (unsigned k = 0; k < ROUTE_EXIT; k++) {
                struct ip_prefix route = prefix_of(routes[k]);

                if ((n->routes >> k & 1) && (ip_prefix_covers(&route, &p) || ip_prefix_covers(&p, &route)))
                        return true;
        }
        return !is_via && (ip_prefix_contains(&p, n->v4) || (n->v6.family && ip_prefix_contains(&p, n->v6)));
}

static bool network_matches(const struct world *w, const struct world_rule *r, struct ip dst)
{
        for (unsigned i = 0; i < WORLD_NODES; i++) {
                const struct world_node *n = &w->nodes[i];
                bool leads = false;

                for (unsigned k = 0; k < ROUTES; k++)
                        leads |= (n->routes >> k & 1) && prefix_has(routes[k], dst);
                if (!n->exists || !leads || (r->via >= 0 && (n->user >= 0 || !(n->tags >> r->via & 1))))
                        continue;
                for (unsigned j = 0; j < r->dst_count; j++) {
                        const struct world_name *name = &r->dst[j];

                        if (name->kind == NAME_ANY ||
                            (name->kind == NAME_INTERNET && is_internet(dst) &&
                             (n->routes >> ROUTE_EXIT & 1)) ||
                            (address_matches(dst, name) && is_carried(n, name, r->via >= 0)))
                                return true;
                }
        }
        return false;
}

static bool port_matches(const struct world_rule *r, int proto, unsigned port)
{
        if (r->proto ? r->proto != proto : proto != 6 && proto != 17 && proto != 1 && proto != 58)
                return false;
        return (proto != 6 && proto != 17 && proto != 132) || (port >= r->first && port <= r->last);
}

bool world_allows(const struct world *w, struct ip src, struct ip dst, int proto, unsigned port)
{
        const struct world_node *n = node_at(w, dst);

        for (unsigned i = 0; i < w->rules_count; i++) {
                const struct world_rule *r = &w->rules[i];

                if (!r->is_upward && port_matches(r, proto, port) && src_matches(w, r, src) &&
                    (n ? machine_matches(w, r, src, dst, n) : network_matches(w, r, dst)))
                        return true;
        }
        return false;
}

static const struct {
        const char *name;
        unsigned provider;
} model_names[] = { { "gpt-0", 0 }, { "gpt-1", 1 }, { "other", 1 } };

void world_target(enum name_kind kind, unsigned which, char out[64])
{
        if (kind == NAME_MODEL)
                snprintf(out, 64, "model:%s", model_names[which % 3].name);
        else
                snprintf(out, 64, "%s%u", kind == NAME_SERVICE ? "service:s" : "provider:p",
                         which % (kind == NAME_SERVICE ? 3 : 2));
}

static bool target_matches(const struct world_name *n, enum name_kind kind, unsigned which)
{
        if (kind == NAME_MODEL && n->kind == NAME_PROVIDER)
                return model_names[which % 3].provider == n->which % 2;
        if (kind != n->kind)
                return false;
        if (kind == NAME_SERVICE)
                return n->which % 3 == which % 3;
        if (kind == NAME_PROVIDER)
                return n->which % 2 == which % 2;
        return n->which % 3 == 2 || (n->which % 3 == 1 ? which % 3 == 1 : which % 3 < 2);
}

bool world_lets_use(const struct world *w, int user, int node, enum name_kind kind, unsigned which, int auth)
{
        const struct world_node *n = node >= 0 ? &w->nodes[node] : NULL;
        const struct world_user *u = user >= 0 ? &w->users[user] : NULL;

        for (unsigned i = 0; i < w->rules_count; i++) {
                const struct world_rule *r = &w->rules[i];
                bool src = false, dst = false;

                if (!r->is_upward || r->auth > auth || !posture_met(w, r, n))
                        continue;
                for (unsigned j = 0; j < r->src_count; j++)
                        src |= r->src[j].kind == NAME_DANGER_ALL ||
                               (r->src[j].kind == NAME_ANY && (u || n)) ||
                               (n ? node_matches(w, n, &r->src[j]) : u && user_matches(w, u, &r->src[j]));
                for (unsigned j = 0; j < r->dst_count; j++)
                        dst |= target_matches(&r->dst[j], kind, which);
                if (src && dst)
                        return true;
        }
        return false;
}
