#include "io/resolver.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/random.h"
#include "io/file.h"
#include "io/resolver_priv.h"

enum { HOSTS_BYTES_MAX = 4 * 1024 * 1024 };

/*
 * One name. Queries wait in it until the entry's task hands them what there is: at once for a kept answer, after the
 * question for a new one. So fn never runs inside resolver_find, and one question serves all that wait.
 */
struct entry {
        struct list node; /* in the order of use */
        struct resolver *resolver;

        enum err err;
        struct ip addresses[RESOLVER_ADDRESSES_MAX];
        size_t addresses_count;
        mono_ms fresh_until, stale_until; /* the answer; the addresses, while newer questions fail */

        bool is_asking, is_telling;
        struct list waiting;
        struct task task;
        struct timer timer; /* of those that wait; the question itself may go on */

        size_t name_len;
        char name[];
};

struct resolver {
        struct loop *loop;
        struct resolver_conf conf;
        struct asker *asker;
        struct hosts hosts;
        struct map names;
        struct list entries; /* least recently used first */
};

enum err resolver_new(struct loop *l, const struct resolver_conf *conf, struct resolver **out)
{
        struct resolver *r = calloc(1, sizeof(*r));
        struct hash_key key;
        struct buf text;
        enum err e;

        if (!r)
                return ERR_NO_MEMORY;
        crypto_random(&key, sizeof(key));
        r->loop = l;
        r->conf = *conf;
        list_init(&r->entries);
        e = asker_new(l, conf->servers, conf->timeout_ms, &r->asker);
        if (e != ERR_OK) {
                free(r);
                return e;
        }
        map_init(&r->names, key, conf->names_max);
        hosts_init(&r->hosts, key);
        buf_init(&text, HOSTS_BYTES_MAX);
        if (file_read(conf->hosts_path ? conf->hosts_path : "/etc/hosts", &text) == ERR_OK)
                hosts_parse(&r->hosts, buf_str(&text));
        /* RFC 6761 6.3: never asked of a server. */
        if (!hosts_find(&r->hosts, STR("localhost")))
                hosts_parse(&r->hosts, STR("127.0.0.1 localhost\n::1 localhost\n"));
        buf_fini(&text);
        *out = r;
        return ERR_OK;
}

static void entry_free(struct entry *entry)
{
        map_remove(&entry->resolver->names, (struct str){ entry->name, entry->name_len });
        list_remove(&entry->node);
        loop_unpost(&entry->task);
        timer_clear(&entry->timer);
        free(entry);
}

void resolver_free(struct resolver *r)
{
        if (!r)
                return;
        asker_free(r->asker);
        while (!list_is_empty(&r->entries)) {
                struct entry *entry = CONTAINER_OF(r->entries.next, struct entry, node);
                while (!list_is_empty(&entry->waiting))
                        list_remove(entry->waiting.next);
                entry_free(entry);
        }
        hosts_fini(&r->hosts);
        map_fini(&r->names);
        free(r);
}

static bool is_fresh(const struct entry *entry)
{
        return loop_now(entry->resolver->loop) < entry->fresh_until;
}

/* Hands the waiting ones what there is. */
static void tell(struct task *t)
{
        struct entry *entry = CONTAINER_OF(t, struct entry, task);
        struct list queries;

        list_init(&queries);
        list_move_all(&queries, &entry->waiting);
        timer_clear(&entry->timer);
        entry->is_telling = true;
        while (!list_is_empty(&queries)) {
                struct resolver_query *q = CONTAINER_OF(queries.next, struct resolver_query, node);
                bool ok = entry->err == ERR_OK;

                list_remove(&q->node);
                q->fn(q, entry->err, ok ? entry->addresses : NULL, ok ? entry->addresses_count : 0);
        }
        entry->is_telling = false;
}

static void timed_out(struct timer *t)
{
        struct entry *entry = CONTAINER_OF(t, struct entry, timer);

        entry->err = entry->addresses_count && loop_now(entry->resolver->loop) < entry->stale_until
                             ? ERR_OK
                             : ERR_TIMED_OUT;
        loop_post(entry->resolver->loop, &entry->task);
}

static int64_t kept_for(const struct resolver_conf *conf, int64_t ttl_ms)
{
        return MAX(conf->ttl_min_ms, MIN(ttl_ms, conf->ttl_max_ms));
}

static void answered(void *context, const struct answer *answer)
{
        struct entry *entry = context;
        struct resolver *r = entry->resolver;
        mono_ms now = loop_now(r->loop);

        entry->is_asking = false;
        entry->err = answer->err;
        if (answer->err == ERR_OK) {
                memcpy(entry->addresses, answer->addresses, sizeof(answer->addresses));
                entry->addresses_count = answer->addresses_count;
                entry->fresh_until = now + kept_for(&r->conf, answer->ttl_ms);
                entry->stale_until = entry->fresh_until + r->conf.stale_max_ms;
        } else {
                entry->fresh_until = now + r->conf.ttl_min_ms;
                /* That there is no such name any more is an answer; all else is a failure to get one (RFC 8767 4). */
                if (answer->err == ERR_NOT_FOUND)
                        entry->addresses_count = 0;
                else if (entry->addresses_count && now < entry->stale_until)
                        entry->err = ERR_OK;
        }
        loop_post(r->loop, &entry->task);
}

/* Makes room by forgetting what was not asked for the longest. */
static bool make_room(struct resolver *r)
{
        if (r->names.count < r->conf.names_max)
                return true;
        list_for_each(node, &r->entries) {
                struct entry *entry = CONTAINER_OF(node, struct entry, node);
                if (!entry->is_asking && !entry->is_telling && list_is_empty(&entry->waiting)) {
                        entry_free(entry);
                        return true;
                }
        }
        return false;
}

static struct entry *entry_for(struct resolver *r, struct str name)
{
        struct entry *entry = map_find(&r->names, name);

        if (entry) {
                list_remove(&entry->node);
                list_add_last(&r->entries, &entry->node);
                return entry;
        }
        if (!make_room(r) || !(entry = calloc(1, sizeof(*entry) + name.len + 1)))
                return NULL;
        entry->resolver = r;
        memcpy(entry->name, name.ptr, name.len);
        entry->name_len = name.len;
        entry->fresh_until = entry->stale_until = INT64_MIN;
        list_init(&entry->waiting);
        task_init(&entry->task, tell);
        timer_init(&entry->timer, timed_out);
        if (map_add(&r->names, (struct str){ entry->name, entry->name_len }, entry) != ERR_OK) {
                free(entry);
                return NULL;
        }
        list_add_last(&r->entries, &entry->node);
        return entry;
}

/* Lower case, without the last dot. False for what can be no name (RFC 1035 2.3.4; '_' is common in names of services). */
static bool canonical(struct str name, char out[RESOLVER_NAME_BYTES_MAX], struct str *result)
{
        if (str_has_suffix(name, STR(".")))
                name.len--;
        if (name.len == 0 || name.len > RESOLVER_NAME_BYTES_MAX)
                return false;
        for (size_t i = 0; i < name.len; i++) {
                char c = ascii_lower(name.ptr[i]);
                if (!ascii_is_alpha(c) && !ascii_is_digit(c) && c != '-' && c != '_' && c != '.')
                        return false;
                out[i] = c;
        }
        *result = (struct str){ out, name.len };
        return true;
}

/* What needs no question: an address, a name of the hosts file, what can be no name. */
static void tell_known(struct task *t)
{
        struct resolver_query *q = CONTAINER_OF(t, struct resolver_query, task);
        const struct answer *answer = q->entry;

        if (answer)
                q->fn(q, ERR_OK, answer->addresses, answer->addresses_count);
        else if (q->literal.family)
                q->fn(q, ERR_OK, &q->literal, 1);
        else
                q->fn(q, q->err, NULL, 0);
}

void resolver_find(struct resolver *r, struct resolver_query *q, struct str name, resolver_fn *fn)
{
        char text[RESOLVER_NAME_BYTES_MAX];
        struct str key;
        struct entry *entry;

        q->fn = fn;
        q->entry = NULL;
        q->literal.family = 0;
        q->err = ERR_NOT_FOUND;
        list_init(&q->node);
        task_init(&q->task, tell_known);
        if (ip_parse(name, &q->literal) == ERR_OK || !canonical(name, text, &key)) {
                loop_post(r->loop, &q->task);
                return;
        }
        q->entry = hosts_find(&r->hosts, key);
        entry = q->entry ? NULL : entry_for(r, key);
        if (!entry) {
                q->err = ERR_NO_MEMORY;
                loop_post(r->loop, &q->task);
                return;
        }
        list_add_last(&entry->waiting, &q->node);
        if (is_fresh(entry) && !entry->is_asking) {
                loop_post(r->loop, &entry->task);
                return;
        }
        if (entry->timer.due == MONO_NEVER)
                timer_set(r->loop, &entry->timer, loop_now(r->loop) + r->conf.timeout_ms);
        if (!entry->is_asking) {
                entry->is_asking = true;
                asker_ask(r->asker, entry->name, answered, entry);
        }
}

void resolver_cancel(struct resolver_query *q)
{
        list_remove(&q->node);
        loop_unpost(&q->task);
}

size_t resolver_peek(struct resolver *r, struct str name, struct ip out[RESOLVER_ADDRESSES_MAX])
{
        char text[RESOLVER_NAME_BYTES_MAX];
        const struct answer *known;
        struct entry *entry;
        struct str key;

        if (ip_parse(name, &out[0]) == ERR_OK)
                return 1;
        if (!canonical(name, text, &key))
                return 0;
        if ((known = hosts_find(&r->hosts, key))) {
                memcpy(out, known->addresses, known->addresses_count * sizeof(*out));
                return known->addresses_count;
        }
        entry = map_find(&r->names, key);
        if (!entry || entry->err != ERR_OK || !is_fresh(entry))
                return 0;
        memcpy(out, entry->addresses, entry->addresses_count * sizeof(*out));
        return entry->addresses_count;
}
