#include "proxy/caller.h"

#include <stdlib.h>

#include "proxy/reply.h"
#include "proxy/worker.h"

/* ---- who is meant ---- */

static struct str lower(struct str s, char out[CALLER_WORD_BYTES_MAX])
{
        size_t len = MIN(s.len, (size_t)CALLER_WORD_BYTES_MAX);

        for (size_t i = 0; i < len; i++)
                out[i] = ascii_lower(s.ptr[i]);
        return (struct str){ out, len };
}

bool caller_is(const struct caller *c, struct str entry)
{
        char a[CALLER_WORD_BYTES_MAX], b[CALLER_WORD_BYTES_MAX];

        if (!str_has_prefix(entry, STR("tag:")))
                return c->login.len && c->login.len <= CALLER_WORD_BYTES_MAX &&
                       entry.len <= CALLER_WORD_BYTES_MAX && str_match(lower(entry, a), lower(c->login, b));
        if (str_eq(entry, STR("tag:*")))
                return c->tags_count > 0;
        for (size_t i = 0; i < c->tags_count; i++)
                if (str_eq(c->tags[i], entry))
                        return true;
        return false;
}

/* ---- asking ---- */

const char *caller_result_word(enum err e)
{
        switch (e) {
        case ERR_OK: return "ok";
        case ERR_NOT_FOUND: return "unknown";
        case ERR_TIMED_OUT: return "timeout";
        case ERR_TOO_LARGE: return "full";
        default: return "unavailable";
        }
}

static enum err who_copy(struct caller_question *q, const struct caller *who)
{
        struct arena *a = &q->x->arena;
        struct str *tags = NULL;

        if (who->tags_count > CALLER_TAGS_MAX || !(tags = ARENA_ARRAY(a, struct str, who->tags_count + 1)))
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < who->tags_count; i++)
                tags[i] = arena_copy(a, who->tags[i]);
        q->who =
                (struct caller){ arena_copy(a, who->login), arena_copy(a, who->node), tags, who->tags_count };
        return a->full ? ERR_NO_MEMORY : ERR_OK;
}

static void answered(struct caller_question *q, enum err result, const struct caller *who)
{
        q->result = result == ERR_OK ? who_copy(q, who) : result;
        measure_count(q->x->w, MEASURE_TAILNET_LOOKUPS, caller_result_word(q->result), NULL, NULL);
        exchange_run_later(q->x);
}

void caller_answered(struct caller_question *q, enum err result, const struct caller *who)
{
        q->is_answered = true;
        q->answered(q, result, who);
}

static enum step_result ask(struct exchange *x)
{
        struct caller_asker *asker = x->w->callers;
        struct caller_question *q = ARENA_NEW(&x->arena, struct caller_question);

        if (!q)
                return exchange_refuse(x, 503, "memory", "The gateway has no memory for this request.");
        *q = (struct caller_question){ .x = x, .answered = answered };
        x->question = q;
        /* What a PROXY header says is no remote address, and a Unix socket has none. */
        if (x->origin->is_relayed || !x->origin->peer.family)
                q->result = ERR_NOT_FOUND;
        else if (!asker)
                q->result = ERR_UNSUPPORTED;
        else if ((q->result = asker->ask(asker, q, x->origin)) == ERR_OK)
                return STEP_WAIT;
        q->is_answered = true;
        measure_count(x->w, MEASURE_TAILNET_LOOKUPS, caller_result_word(q->result), NULL, NULL);
        return STEP_NEXT;
}

void caller_forget(struct exchange *x)
{
        struct caller_question *q = x->question;

        x->question = NULL;
        x->caller = NULL;
        if (q && !q->is_answered)
                x->w->callers->forget(x->w->callers, q);
        if (q && q->is_again)
                free(q);
}

/* ---- Serve in front ---- */

static struct str the_one(const struct http_head *h, struct str name)
{
        const struct http_field *f = http_find_name(h, name);

        return f && !http_find_next(h, f) ? f->value : STR_NULL;
}

static bool is_word(struct str s)
{
        for (size_t i = 0; i < s.len; i++)
                if (s.ptr[i] <= 0x20 || s.ptr[i] >= 0x7f)
                        return false;
        return s.len > 0 && s.len <= CALLER_WORD_BYTES_MAX;
}

/* Serve says the login of a user, nothing of a tagged machine, and nothing of who comes through Funnel. */
static bool serve_says(struct exchange *x, struct caller *who)
{
        struct str login = the_one(&x->request, STR("Tailscale-User-Login"));

        if (!x->snap->serve_is_in_front || x->origin->is_relayed || !ip_is_loopback(x->origin->peer) ||
            !is_word(login) || str_has_prefix(login, STR("tag:")))
                return false;
        *who = (struct caller){ .login = arena_copy(&x->arena, login) };
        return who->login.len > 0;
}

/* ---- the decision ---- */

static enum step_result unknown(struct exchange *x, enum err e)
{
        if (e == ERR_NOT_FOUND)
                return exchange_refuse(x, 403, "caller_unknown",
                                       "This is for machines of the tailnet, called directly over it.");
        reply_will_have(x, "Retry-After", STR("1"));
        return exchange_refuse(x, 503, "caller_unavailable",
                               "The tailnet cannot be asked who you are. Try again soon.");
}

struct str caller_name(const struct caller *who)
{
        return who->login.len || who->tags_count == 0 ? who->login : who->tags[0];
}

enum step_result caller_find(struct exchange *x, const struct str *list, size_t count, bool may_be_unknown)
{
        enum step_result result = x->question ? STEP_NEXT : ask(x);
        struct caller_question *q = x->question;

        if (result != STEP_NEXT)
                return result;
        if (!q->is_answered)
                return STEP_WAIT;
        bool is_serves = q->result == ERR_NOT_FOUND && serve_says(x, &q->who);

        if (is_serves)
                q->result = ERR_OK;
        if (q->result == ERR_NOT_FOUND && may_be_unknown)
                return STEP_DONE;
        if (q->result != ERR_OK)
                return unknown(x, q->result);
        if (!is_serves)
                x->caller_at = loop_now(x->w->loop);
        for (size_t i = 0; i < count; i++)
                if (caller_is(&q->who, list[i])) {
                        x->caller = &q->who;
                        x->caller_name = caller_name(&q->who);
                        x->caller_entry = list[i];
                        return STEP_NEXT;
                }
        x->caller_name = caller_name(&q->who);
        return exchange_refuse(x, 403, "caller_not_allowed",
                               "You are known by the tailnet, and not among those this is for.");
}

enum err caller_fields_add(struct exchange *x)
{
        const struct caller *c = x->caller;
        struct http_head *h = &x->request;
        struct str tags = STR("");
        enum err e = ERR_OK;

        if (!c)
                return ERR_OK;
        for (size_t i = 0; i < c->tags_count; i++) {
                struct str parts[3] = { tags, i ? STR(",") : STR(""), c->tags[i] };
                tags = arena_join(&x->arena, parts, 3);
        }
        if (c->login.len && http_value_is_valid(c->login))
                e = http_add(h, STR("X-Sekisho-Tailnet-Login"), c->login);
        if (e == ERR_OK && tags.len && http_value_is_valid(tags))
                e = http_add(h, STR("X-Sekisho-Tailnet-Tags"), tags);
        if (e == ERR_OK && c->node.len && http_value_is_valid(c->node))
                e = http_add(h, STR("X-Sekisho-Tailnet-Node"), c->node);
        return e;
}
