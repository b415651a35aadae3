#include "policy/facts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "policy/facts_priv.h"

enum { BATCH_BYTES_MAX = 1024 * 1024 * 1024 };

static const char *const role_names[ROLES] = {
        [ROLE_MEMBER] = "member",
        [ROLE_OWNER] = "owner",
        [ROLE_ADMIN] = "admin",
        [ROLE_IT_ADMIN] = "it-admin",
        [ROLE_NETWORK_ADMIN] = "network-admin",
        [ROLE_BILLING_ADMIN] = "billing-admin",
        [ROLE_AUDITOR] = "auditor",
};

const char *policy_role_name(enum policy_role r)
{
        return role_names[r];
}

bool policy_role_find(struct str text, enum policy_role *out)
{
        for (int i = ROLE_MEMBER; i < ROLES; i++)
                if (str_eq(text, str_of(role_names[i]))) {
                        *out = (enum policy_role)i;
                        return true;
                }
        return false;
}

bool policy_role_may_edit(enum policy_role r)
{
        return r == ROLE_OWNER || r == ROLE_ADMIN || r == ROLE_NETWORK_ADMIN;
}

int policy_id_compare(struct str a, struct str b)
{
        bool a_is_number = a.len > 0, b_is_number = b.len > 0;

        for (size_t i = 0; i < a.len && a_is_number; i++)
                a_is_number = ascii_is_digit(a.ptr[i]);
        for (size_t i = 0; i < b.len && b_is_number; i++)
                b_is_number = ascii_is_digit(b.ptr[i]);
        if (a_is_number != b_is_number)
                return a_is_number ? -1 : 1;
        if (a_is_number && a.len != b.len)
                return a.len < b.len ? -1 : 1;
        return str_cmp(a, b);
}

static int nocase_compare(struct str a, struct str b)
{
        for (size_t i = 0; i < a.len && i < b.len; i++) {
                int order = (unsigned char)ascii_lower(a.ptr[i]) - (unsigned char)ascii_lower(b.ptr[i]);

                if (order)
                        return order;
        }
        return a.len == b.len ? 0 : a.len < b.len ? -1 : 1;
}

static int user_id_order(const void *a, const void *b)
{
        return policy_id_compare((*(struct policy_user *const *)a)->id,
                                 (*(struct policy_user *const *)b)->id);
}

static int node_id_order(const void *a, const void *b)
{
        return policy_id_compare((*(struct policy_node *const *)a)->id,
                                 (*(struct policy_node *const *)b)->id);
}

static int email_order(const void *a, const void *b)
{
        return nocase_compare((*(struct policy_user *const *)a)->email,
                              (*(struct policy_user *const *)b)->email);
}

static int user_name_order(const void *a, const void *b)
{
        return nocase_compare((*(struct policy_user *const *)a)->name,
                              (*(struct policy_user *const *)b)->name);
}

/* ---- batches ---- */

static struct policy_batch *batch_new(void)
{
        struct policy_batch *b = calloc(1, sizeof(*b));

        if (b) {
                b->references = 1;
                arena_init(&b->arena, b->first, sizeof(b->first), BATCH_BYTES_MAX);
        }
        return b;
}

static void batch_put(struct policy_batch *b)
{
        if (!b || --b->references)
                return;
        arena_fini(&b->arena);
        free(b);
}

/* One reference for the set under construction, however many of its records lie in the batch. */
static bool batch_count(struct policy_facts *f, struct policy_batch *b, size_t *cap)
{
        if (b->seen_by == f)
                return true;
        if (f->batches_count == *cap) {
                size_t more = *cap ? *cap * 2 : 4;
                struct policy_batch **batches = realloc(f->batches, more * sizeof(*batches));

                if (!batches)
                        return false;
                f->batches = batches;
                *cap = more;
        }
        b->references++;
        b->seen_by = f;
        f->batches[f->batches_count++] = b;
        return true;
}

/* ---- putting a set together ---- */

static int text_id_order(const void *a, const void *b)
{
        return policy_id_compare(*(const struct str *)a, *(const struct str *)b);
}

/* Both lists of pointers sorted by `order` into one; of equals the second list's stays. Returns the count. */
static size_t merge(void **out, void *const *a, size_t a_count, void *const *b, size_t b_count,
                    int (*order)(const void *, const void *))
{
        size_t i = 0, j = 0, n = 0;

        while (i < a_count || j < b_count) {
                int o = i == a_count ? 1 : j == b_count ? -1 : order(&a[i], &b[j]);

                if (o == 0)
                        i++;
                else if (o < 0)
                        out[n++] = a[i++];
                if (o >= 0)
                        out[n++] = b[j++];
        }
        return n;
}

/* The draft's records as pointers, sorted; a repeated id is a fault. */
static void **draft_sorted(void *records, size_t count, size_t size, int (*order)(const void *, const void *),
                           const char *what, struct report *report)
{
        void **sorted = calloc(count ? count : 1, sizeof(*sorted));

        if (!sorted)
                return NULL;
        for (size_t i = 0; i < count; i++)
                sorted[i] = (char *)records + i * size;
        qsort(sorted, count, sizeof(*sorted), order);
        for (size_t i = 1; i < count; i++)
                if (order(&sorted[i - 1], &sorted[i]) == 0)
                        report_error(report, 0, 0, "%s: the id \"%.*s\" stands twice", what,
                                     STR_FMT(*(struct str *)sorted[i]));
        return sorted;
}

/* `old` without the removed ones (sorted here), as a new list. */
static void **kept_old(void *const *old, size_t count, struct str *removed, size_t removed_count,
                       size_t *kept_count)
{
        void **kept = calloc(count ? count : 1, sizeof(*kept));

        *kept_count = 0;
        if (removed_count)
                qsort(removed, removed_count, sizeof(*removed), text_id_order);
        for (size_t i = 0; kept && i < count; i++)
                if (!removed_count ||
                    !bsearch(old[i], removed, removed_count, sizeof(*removed), text_id_order))
                        kept[(*kept_count)++] = old[i];
        return kept;
}

static void **records_merge(void *const *old, size_t old_count, struct str *removed, size_t removed_count,
                            void *records, size_t records_count, size_t size,
                            int (*order)(const void *, const void *), const char *what, struct report *report,
                            size_t *count)
{
        size_t kept_count = 0;
        void **added = draft_sorted(records, records_count, size, order, what, report);
        void **kept = kept_old(old, old_count, removed, removed_count, &kept_count);
        void **all = calloc(kept_count + records_count + 1, sizeof(*all));

        *count = 0;
        if (added && kept && all)
                *count = merge(all, kept, kept_count, added, records_count, order);
        bool failed = !added || !kept;
        free(added);
        free(kept);
        if (failed) {
                free(all);
                all = NULL;
        }
        return all;
}

/* Whether nobody came, left or changed. */
static bool same_users(const struct policy_facts *a, const struct policy_facts *b)
{
        return b && a->users_count == b->users_count &&
               memcmp(a->users, b->users, a->users_count * sizeof(*a->users)) == 0;
}

static bool users_index(struct policy_facts *f, const struct policy_facts *old)
{
        f->by_email = calloc(f->users_count + 1, sizeof(*f->by_email));
        f->by_name = calloc(f->users_count + 1, sizeof(*f->by_name));
        if (!f->by_email || !f->by_name)
                return false;
        if (same_users(f, old)) {
                memcpy(f->by_email, old->by_email, old->by_email_count * sizeof(*f->by_email));
                memcpy(f->by_name, old->by_name, old->by_name_count * sizeof(*f->by_name));
                f->by_email_count = old->by_email_count;
                f->by_name_count = old->by_name_count;
                f->has_roles = old->has_roles;
                return true;
        }
        for (size_t i = 0; i < f->users_count; i++) {
                if (f->users[i]->email.len)
                        f->by_email[f->by_email_count++] = f->users[i];
                if (f->users[i]->name.len)
                        f->by_name[f->by_name_count++] = f->users[i];
                f->has_roles |= f->users[i]->role != ROLE_UNKNOWN;
        }
        qsort(f->by_email, f->by_email_count, sizeof(*f->by_email), email_order);
        qsort(f->by_name, f->by_name_count, sizeof(*f->by_name), user_name_order);
        return true;
}

static void facts_check(const struct policy_facts *f, const struct policy_facts *old,
                        const struct policy_batch *batch, struct report *report)
{
        bool old_ones_hold = same_users(f, old);

        for (size_t i = 1; i < f->by_email_count; i++)
                if (email_order(&f->by_email[i - 1], &f->by_email[i]) == 0)
                        report_error(report, 0, 0, "users: the email \"%.*s\" stands twice",
                                     STR_FMT(f->by_email[i]->email));
        for (size_t i = 0; i < f->nodes_count; i++) {
                const struct policy_node *n = f->nodes[i];

                if (n->tags_count || (old_ones_hold && n->batch != batch) ||
                    policy_facts_find_user(f, n->user))
                        continue;
                report_error(report, 0, 0,
                             "node \"%.*s\": there is no user \"%.*s\"; name one of users by id or email",
                             STR_FMT(n->id), STR_FMT(n->user));
        }
}

static bool batches_count_all(struct policy_facts *f)
{
        size_t cap = 0;
        bool ok = true;

        for (size_t i = 0; ok && i < f->users_count; i++)
                ok = batch_count(f, f->users[i]->batch, &cap);
        for (size_t i = 0; ok && i < f->nodes_count; i++)
                ok = batch_count(f, f->nodes[i]->batch, &cap);
        /* Whatever came of it: another set may come to lie where this one was. */
        for (size_t i = 0; i < f->batches_count; i++)
                f->batches[i]->seen_by = NULL;
        return ok;
}

/* Where one list comes from: the draft where it speaks of it, else `old`, whose memory is then shared. */
#define COMMON_SET(f, old, d, which, list)                                                   \
        do {                                                                                 \
                bool list##_is_new = !(old) || (d)->has_##list;                              \
                (f)->list = list##_is_new ? (d)->list : (old)->list;                         \
                (f)->list##_count = list##_is_new ? (d)->list##_count : (old)->list##_count; \
                (f)->common[which] = list##_is_new ? (d)->batch : (old)->common[which];      \
                (f)->common[which]->references++;                                            \
        } while (0)

static void common_set(struct policy_facts *f, const struct policy_facts *old,
                       const struct policy_facts_draft *d)
{
        bool is_new = !old || d->has_network;

        COMMON_SET(f, old, d, 0, services);
        COMMON_SET(f, old, d, 1, models);
        COMMON_SET(f, old, d, 2, providers);
        COMMON_SET(f, old, d, 3, tools);
        COMMON_SET(f, old, d, 4, domains);
        f->network = is_new ? d->network : old->network;
        f->common[5] = is_new ? d->batch : old->common[5];
        f->common[5]->references++;
        f->now = d->has_now || !old ? d->now : old->now;
}

static enum err facts_build(const struct policy_facts *old, const struct policy_facts_draft *d,
                            struct report *report, struct policy_facts **out)
{
        struct policy_facts *f = calloc(1, sizeof(*f));
        size_t errors_before = report->errors_count;

        if (!f)
                return ERR_NO_MEMORY;
        f->references = 1;
        common_set(f, old, d);
        f->users = (struct policy_user **)(void *)records_merge(
                old ? (void *const *)(void *)old->users : NULL, old ? old->users_count : 0, d->users_removed,
                d->users_removed_count, d->users, d->users_count, sizeof(*d->users), user_id_order, "users",
                report, &f->users_count);
        f->nodes = (struct policy_node **)(void *)records_merge(
                old ? (void *const *)(void *)old->nodes : NULL, old ? old->nodes_count : 0, d->nodes_removed,
                d->nodes_removed_count, d->nodes, d->nodes_count, sizeof(*d->nodes), node_id_order, "nodes",
                report, &f->nodes_count);
        if (!f->users || !f->nodes || !batches_count_all(f) || !users_index(f, old)) {
                policy_facts_put(f);
                return ERR_NO_MEMORY;
        }
        facts_check(f, old, d->batch, report);
        if (report->errors_count > errors_before) {
                policy_facts_put(f);
                return ERR_CONFIG;
        }
        *out = f;
        return ERR_OK;
}

static enum err facts_make(const struct policy_facts *old, struct str text, struct report *report,
                           struct policy_facts **out)
{
        struct policy_facts_draft draft = { .batch = batch_new() };

        if (!draft.batch)
                return ERR_NO_MEMORY;
        enum err e = policy_facts_read(text, old != NULL, report, &draft);
        if (e == ERR_OK)
                e = facts_build(old, &draft, report, out);
        batch_put(draft.batch);
        return e;
}

enum err policy_facts_new(struct str text, struct report *report, struct policy_facts **out)
{
        return facts_make(NULL, text, report, out);
}

enum err policy_facts_patch(const struct policy_facts *old, struct str text, struct report *report,
                            struct policy_facts **out)
{
        assert(old);
        return facts_make(old, text, report, out);
}

struct policy_facts *policy_facts_get(struct policy_facts *f)
{
        f->references++;
        return f;
}

void policy_facts_put(struct policy_facts *f)
{
        if (!f || --f->references)
                return;
        for (size_t i = 0; i < f->batches_count; i++)
                batch_put(f->batches[i]);
        for (size_t i = 0; i < ARRAY_SIZE(f->common); i++)
                batch_put(f->common[i]);
        free(f->batches);
        free(f->users);
        free(f->nodes);
        free(f->by_email);
        free(f->by_name);
        free(f);
}

/* ---- look-ups ---- */

const struct policy_user *policy_facts_find_user(const struct policy_facts *f, struct str text)
{
        struct policy_user key = { .id = text, .email = text, .name = text }, *at = &key;
        struct policy_user **found = bsearch(&at, f->users, f->users_count, sizeof(*f->users), user_id_order);

        if (!found)
                found = bsearch(&at, f->by_email, f->by_email_count, sizeof(*f->by_email), email_order);
        if (!found)
                found = bsearch(&at, f->by_name, f->by_name_count, sizeof(*f->by_name), user_name_order);
        return found ? *found : NULL;
}

const struct policy_node *policy_facts_find_node(const struct policy_facts *f, struct str text)
{
        struct policy_node key = { .id = text }, *at = &key;
        struct policy_node **found = bsearch(&at, f->nodes, f->nodes_count, sizeof(*f->nodes), node_id_order);

        if (found)
                return *found;
        for (size_t i = 0; i < f->nodes_count; i++)
                if (str_eq_nocase(f->nodes[i]->name, text))
                        return f->nodes[i];
        return NULL;
}

static int service_order(const void *a, const void *b)
{
        return str_cmp(((const struct policy_service *)a)->name, ((const struct policy_service *)b)->name);
}

const struct policy_service *policy_facts_find_service(const struct policy_facts *f, struct str name)
{
        struct policy_service key = { .name = name };

        return f->services_count ? bsearch(&key, f->services, f->services_count, sizeof(key), service_order)
                                 : NULL;
}

const struct policy_user *policy_facts_owner(const struct policy_facts *f)
{
        for (size_t i = 0; i < f->users_count; i++)
                if (f->users[i]->role == ROLE_OWNER)
                        return f->users[i];
        return f->has_roles || !f->users_count ? NULL : f->users[0];
}

struct str policy_email_domain(struct str email)
{
        for (size_t i = email.len; i-- > 0;)
                if (email.ptr[i] == '@')
                        return str_from(email, i + 1);
        return STR_NULL;
}

bool policy_facts_has_domain(const struct policy_facts *f, struct str domain)
{
        const struct policy_user *owner = policy_facts_owner(f);
        struct str own = owner ? policy_email_domain(owner->email) : STR_NULL;

        /* A network of people without an identity provider's domain calls its own "passkey". */
        if (str_eq(domain, STR("passkey")))
                return true;
        for (size_t i = 0; i < f->domains_count; i++)
                if (str_eq_nocase(f->domains[i], domain))
                        return true;
        return f->domains_count == 0 && (own.len == 0 || str_eq_nocase(own, domain));
}
