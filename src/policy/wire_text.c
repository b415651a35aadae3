/* The texts that many nodes share: who a unit's sources are, address by address. */
#include <stdlib.h>
#include <string.h>

#include "policy/ssh.h"
#include "policy/wire_priv.h"

enum { ARENA_BYTES_MAX = 1024 * 1024 * 1024 };

/* ---- lists of texts ---- */

void policy_texts_add(struct policy_writer *w, struct policy_texts *texts, struct str text)
{
        if (texts->count == texts->cap) {
                size_t cap = texts->cap ? texts->cap * 2 : 8;
                struct str *items = ARENA_ARRAY(texts->arena, struct str, cap);

                if (!items) {
                        w->no_memory = true;
                        return;
                }
                if (texts->count)
                        memcpy(items, texts->items, texts->count * sizeof(*items));
                texts->items = items;
                texts->cap = cap;
        }
        struct str copy = arena_copy(texts->arena, text);
        w->no_memory |= copy.ptr == NULL;
        texts->items[texts->count++] = copy;
}

static int text_order(const void *a, const void *b)
{
        return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void texts_sort(struct policy_texts *texts)
{
        size_t kept = 0;

        if (texts->count < 2)
                return;
        qsort(texts->items, texts->count, sizeof(*texts->items), text_order);
        for (size_t i = 1; i < texts->count; i++)
                if (!str_eq(texts->items[i], texts->items[kept]))
                        texts->items[++kept] = texts->items[i];
        texts->count = kept + 1;
}

static const struct policy_sources *sources_new(struct policy_writer *w, struct str json, size_t count)
{
        struct policy_sources *s = ARENA_NEW(&w->arena, struct policy_sources);

        if (!s || !(s->json = arena_copy(&w->arena, json)).ptr || map_add(&w->known, s->json, s) != ERR_OK)
                return NULL;
        s->count = count;
        return s;
}

const struct policy_sources *policy_texts_seal(struct policy_writer *w, struct policy_texts *texts)
{
        const struct policy_sources *sources = NULL;
        struct json_writer json;
        struct buf out;

        texts_sort(texts);
        buf_init(&out, ARENA_BYTES_MAX);
        json_writer_init(&json, &out, JSON_COMPACT);
        json_write_array_begin(&json);
        for (size_t i = 0; i < texts->count; i++)
                json_write_str(&json, texts->items[i]);
        json_write_array_end(&json);
        json_writer_finish(&json);
        if (!out.full && !(sources = map_find(&w->known, buf_str(&out))))
                sources = sources_new(w, buf_str(&out), texts->count);
        buf_fini(&out);
        w->no_memory |= sources == NULL;
        return sources;
}

/* ---- addresses of a side ---- */

static void ranges_add(struct policy_writer *w, struct policy_texts *texts,
                       const struct policy_ranges *ranges)
{
        char text[POLICY_RANGE_TEXT_MAX];

        for (size_t i = 0; i < ranges->count; i++)
                policy_texts_add(w, texts, policy_range_format(ranges->items[i], text));
}

/* What "*" stands for as a source, beside single machines. */
static void any_add(struct policy_writer *w, struct policy_texts *texts)
{
        char text[IP_PREFIX_TEXT_MAX];

        ranges_add(w, texts, policy_ranges_tailnet());
        for (size_t i = 0; i < w->t->routes_count; i++) {
                const struct ip_prefix *p = &w->t->routes[i].prefix;

                if (p->bits == (p->ip.family == 4 ? 32 : 128))
                        policy_texts_add(w, texts, ip_format(p->ip, text));
                else
                        policy_texts_add(w, texts, ip_prefix_format(p, text));
        }
}

static bool is_source(const struct policy_alias *a, const struct policy_tables *t,
                      const struct policy_node_entry *e)
{
        return policy_alias_is_identity(a) &&
               policy_subjects_contain(&e->class->subjects, policy_subject_of(t->units->file, a));
}

/* The machines that one name, or without one the whole unit as a source, means by identity, as addresses. */
static bool machines_add(struct policy_writer *w, struct arena *arena, struct policy_ranges *out,
                         uint32_t unit, const struct policy_alias *name)
{
        const struct policy_tables *t = w->t;

        for (size_t i = 0; i < t->facts->nodes_count; i++) {
                bool is_meant = name ? is_source(name, t, &t->nodes[i])
                                     : policy_set_has(t->nodes[i].class->src, unit);

                for (size_t j = 0; is_meant && j < t->nodes[i].node->addresses_count; j++) {
                        struct ip ip = t->nodes[i].node->addresses[j];

                        if (!policy_ranges_add(arena, out, (struct policy_range){ ip, ip }))
                                return false;
                }
        }
        return true;
}

/* What a rule names of addresses that are no machine's here: postures are not asked of them. */
static void outside_add(struct policy_writer *w, struct policy_texts *texts, uint32_t unit)
{
        static const struct ip_prefix all[] = { { .ip.family = 4 }, { .ip.family = 6 } };
        const struct policy_unit *u = &w->t->units->items[unit];
        struct policy_ranges out = { 0 }, ours = { 0 };
        bool ok = policy_ranges_add_all(texts->arena, &out, &u->src) &&
                  policy_ranges_add_all(texts->arena, &ours, policy_ranges_tailnet());

        for (size_t i = 0; (u->flags & UNIT_SRC_ALL) && i < ARRAY_SIZE(all); i++)
                ok = ok && policy_ranges_add_prefix(texts->arena, &out, all[i]);
        for (size_t i = 0; (u->flags & UNIT_SRC_ANY) && i < w->t->routes_count; i++)
                ok = ok && policy_ranges_add_prefix(texts->arena, &out, w->t->routes[i].prefix);
        for (size_t i = 0; i < w->t->addresses_cap && out.count; i++) {
                struct ip ip = w->t->addresses[i].ip;

                if (ip.family)
                        ok = ok && policy_ranges_add(texts->arena, &ours, (struct policy_range){ ip, ip });
        }
        policy_ranges_seal(&out);
        policy_ranges_seal(&ours);
        w->no_memory |= !ok || !policy_ranges_remove(texts->arena, &out, &ours);
        ranges_add(w, texts, &out);
}

/* Sources under a posture: the machines that meet it, one by one, and what is no machine. */
static void postured_add(struct policy_writer *w, struct policy_texts *texts, uint32_t unit)
{
        char text[IP_TEXT_MAX];

        outside_add(w, texts, unit);
        for (size_t i = 0; i < w->t->addresses_cap; i++) {
                const struct policy_address *a = &w->t->addresses[i];

                if (a->ip.family && policy_set_has(a->src, unit))
                        policy_texts_add(w, texts, ip_format(a->ip, text));
        }
}

static bool names_any(const struct policy_rule *rule)
{
        for (size_t i = 0; i < rule->src.count; i++)
                if (rule->src.items[i].kind == ALIAS_ANY)
                        return true;
        return false;
}

/*
 * One set of all names, so that addresses that touch become one range; but beside "*" each name keeps its own texts,
 * though "*" may hold them all.
 */
static void sources_add(struct policy_writer *w, struct policy_texts *texts, uint32_t n)
{
        const struct policy_unit *u = &w->t->units->items[n];
        const struct policy_rule *rule = u->rule;
        bool is_apart = names_any(rule);
        struct policy_ranges all = { 0 };
        struct policy_range room;

        for (size_t i = 0; i < rule->src.count; i++) {
                const struct policy_alias *a = &rule->src.items[i];
                struct policy_ranges named = policy_alias_ranges(w->t->units->file, w->t->facts, a, &room);

                if (!is_apart) {
                        w->no_memory |= !policy_ranges_add_all(texts->arena, &all, &named);
                        continue;
                }
                if (a->kind == ALIAS_ANY)
                        any_add(w, texts);
                all.count = 0;
                w->no_memory |= !policy_ranges_add_all(texts->arena, &all, &named) ||
                                !machines_add(w, texts->arena, &all, n, a);
                policy_ranges_seal(&all);
                ranges_add(w, texts, &all);
        }
        if (!is_apart) {
                w->no_memory |= !machines_add(w, texts->arena, &all, n, NULL);
                policy_ranges_seal(&all);
                ranges_add(w, texts, &all);
        }
}

const struct policy_sources *policy_writer_sources(struct policy_writer *w, uint32_t n)
{
        const struct policy_unit *u = &w->t->units->items[n];
        struct arena scratch;
        struct policy_texts texts = { .arena = &scratch };

        if (w->sources[n])
                return w->sources[n];
        arena_init(&scratch, NULL, 0, ARENA_BYTES_MAX);
        if (u->posture != POLICY_BIT_NONE)
                postured_add(w, &texts, n);
        else if (u->flags & UNIT_SRC_ALL)
                policy_texts_add(w, &texts, STR("*"));
        else
                sources_add(w, &texts, n);
        w->sources[n] = policy_texts_seal(w, &texts);
        arena_fini(&scratch);
        return w->sources[n];
}

/* Destinations as the sources of a companion rule. Self is left to the writer: it differs by person. */
const struct policy_sources *policy_writer_destinations(struct policy_writer *w, uint32_t n)
{
        const struct policy_unit *u = &w->t->units->items[n];
        struct policy_ranges all = { 0 };
        struct arena scratch;
        struct policy_texts texts = { .arena = &scratch };

        if (w->destinations[n])
                return w->destinations[n];
        arena_init(&scratch, NULL, 0, ARENA_BYTES_MAX);
        for (size_t i = 0; i < policy_unit_dst_count(u); i++) {
                const struct policy_alias *a = policy_unit_dst(u, i);

                if (a->kind == ALIAS_ANY)
                        any_add(w, &texts);
                w->no_memory |= policy_alias_is_identity(a) && !machines_add(w, &scratch, &all, n, a);
        }
        w->no_memory |= !policy_ranges_add_all(&scratch, &all, &u->dst);
        policy_ranges_seal(&all);
        ranges_add(w, &texts, &all);
        w->destinations[n] = policy_texts_seal(w, &texts);
        arena_fini(&scratch);
        return w->destinations[n];
}

/* ---- people's machines ---- */

static size_t user_index(const struct policy_tables *t, const struct policy_user *user)
{
        const struct policy_user_entry *e = policy_tables_find_user(t, user);

        return e ? (size_t)(e - t->users) : SIZE_MAX;
}

static bool own_nodes_make(struct policy_writer *w)
{
        const struct policy_tables *t = w->t;
        size_t users = t->facts->users_count, nodes = t->facts->nodes_count;

        w->user_starts = ARENA_ARRAY(&w->arena, uint32_t, users + 2);
        w->user_nodes = ARENA_ARRAY(&w->arena, uint32_t, nodes + 1);
        if (!w->user_starts || !w->user_nodes)
                return false;
        for (size_t i = 0; i < nodes; i++)
                if (t->nodes[i].user)
                        w->user_starts[user_index(t, t->nodes[i].user) + 2]++;
        for (size_t u = 0; u < users; u++)
                w->user_starts[u + 2] += w->user_starts[u + 1];
        for (size_t i = 0; i < nodes; i++)
                if (t->nodes[i].user)
                        w->user_nodes[w->user_starts[user_index(t, t->nodes[i].user) + 1]++] = (uint32_t)i;
        return true;
}

const uint32_t *policy_writer_own_nodes(const struct policy_writer *w, const struct policy_user *user,
                                        size_t *count)
{
        size_t u = user ? user_index(w->t, user) : SIZE_MAX;

        *count = u == SIZE_MAX ? 0 : w->user_starts[u + 1] - w->user_starts[u];
        return u == SIZE_MAX ? NULL : &w->user_nodes[w->user_starts[u]];
}

/* ---- life ---- */

struct policy_writer *policy_writer_new(const struct policy_tables *t)
{
        struct policy_writer *w = calloc(1, sizeof(*w));

        if (!w)
                return NULL;
        w->t = t;
        arena_init(&w->arena, NULL, 0, ARENA_BYTES_MAX);
        map_init(&w->known, (struct hash_key){ 0 }, SIZE_MAX / 2);
        w->sources = ARENA_ARRAY(&w->arena, const struct policy_sources *, t->units->count + 1);
        w->destinations = ARENA_ARRAY(&w->arena, const struct policy_sources *, t->units->count + 1);
        if (!w->sources || !w->destinations || !own_nodes_make(w)) {
                policy_writer_free(w);
                return NULL;
        }
        return w;
}

bool policy_writer_failed(const struct policy_writer *w)
{
        return w->no_memory;
}

void policy_writer_free(struct policy_writer *w)
{
        if (!w)
                return;
        policy_ssh_set_free(w->ssh);
        map_fini(&w->known);
        arena_fini(&w->arena);
        free(w);
}
