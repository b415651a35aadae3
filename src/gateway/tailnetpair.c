#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "gateway/supervisor_priv.h"
#include "gateway/tailnetcert.h"
#include "io/process.h"

/*
 * Theory of operation. Where the configuration wants the tailnet's own certificate a process is forked that asks tailscaled for it, checks
 * it, passes it here as a sealed memory file and ends. The file is never mapped here: the reader, forked with it, reads it like any other
 * certificate's, and its key goes on to the key holder. Another certificate than the last is a reload. It is asked for again every
 * REFRESH_MS at least, since it is tailscaled that decides when a new one is due (a third of its life before its end), at a SIGHUP, and when
 * tailscaled comes back. Until there is another one the last goes on.
 */

enum {
        REFRESH_MS = 60 * 60 * 1000,
        REFRESH_MIN_MS = 5 * 1000,
        RETRY_MS = 5 * 1000,
        REFRESH_PART = 20 /* of what is left of its life, where that is sooner */
};

static void ask(struct supervisor *s);

static bool is_wanted(const struct supervisor *s)
{
        return s->conf->gateway.tailnet.wants_certificate && !s->is_stopping;
}

/* Once for each reason: it is tried for as long as it takes. */
static void say(struct supervisor *s, const char *event, const char *problem)
{
        struct tailnetpair *p = &s->pair;

        snprintf(s->board->tailnet.problem, sizeof(s->board->tailnet.problem), "%s", problem);
        if (strncmp(p->said, problem, sizeof(p->said) - 1) == 0)
                return;
        snprintf(p->said, sizeof(p->said), "%s", problem);
        log_warning(event, LOG_C("why", problem),
                    LOG_C("meaning", p->fd >= 0
                                             ? "the one there is goes on"
                                             : "listeners that have no other are closed until there is one"));
}

static void again_in(struct supervisor *s, int64_t wait_ms)
{
        timer_set(s->loop, &s->pair.again, loop_now(s->loop) + wait_ms);
}

static int64_t refresh_ms(const struct tailnetpair *p)
{
        int64_t left = p->not_after * 1000 - process_wall_ms();

        return MAX(MIN((int64_t)REFRESH_MS, left / REFRESH_PART), (int64_t)REFRESH_MIN_MS);
}

/* ---- what came ---- */

static void take(struct supervisor *s, struct reading *what)
{
        struct tailnetpair *p = &s->pair;
        char text[UNITS_TIME_TEXT_MAX];
        bool is_new = memcmp(p->sha256, what->pair_sha256, sizeof(p->sha256)) != 0;

        fds_close(&p->fd, 1);
        p->fd = what->keys_fd;
        p->not_after = what->pair_not_after;
        memcpy(p->sha256, what->pair_sha256, sizeof(p->sha256));
        p->failures = 0;
        p->said[0] = s->board->tailnet.problem[0] = '\0';
        s->board->tailnet.not_after = p->not_after;
        again_in(s, refresh_ms(p));
        if (is_new)
                log_info("tailnet_certificate", LOG_C("name", s->tailnet.ours.certificate),
                         LOG_S("until", units_format_time(p->not_after * 1000, text)));
        p->is_new |= is_new;
        if (p->is_new) /* also when the last reload was refused: it tries again */
                reload(s);
}

static void on_answer(struct reader *r, struct reading *what)
{
        struct supervisor *s = r->supervisor;
        struct tailnetpair *p = &s->pair;
        char problem[sizeof(p->said)];

        if (!is_wanted(s)) {
                reading_drop(what);
                return;
        }
        if (what->error == ERR_OK) {
                take(s, what);
        } else {
                snprintf(problem, sizeof(problem), "%.*s", STR_FMT(what->problem));
                say(s, "tailnet_certificate_failed", problem);
                again_in(s, MIN((int64_t)RETRY_MS << MIN(p->failures, 10u), (int64_t)REFRESH_MS));
                p->failures++;
        }
        if (p->asks_again)
                ask(s);
}

/* ---- asking ---- */

static void ask(struct supervisor *s)
{
        struct tailnetpair *p = &s->pair;

        p->asks_again = p->reader.pid != 0;
        if (p->asks_again || !is_wanted(s) || !s->tailnet.ours.is_running)
                return;
        if (!s->tailnet.ours.certificate[0]) {
                say(s, "tailnet_certificate_not_offered",
                    "this tailnet offers no certificates: switch on HTTPS in its DNS settings (headscale has none)");
                return;
        }
        if (reader_start(&p->reader, s, READER_PAIR, on_answer) != ERR_OK)
                again_in(s, RETRY_MS);
}

static void on_again(struct timer *t)
{
        ask(CONTAINER_OF(t, struct supervisor, pair.again));
}

void tailnetpair_init(struct supervisor *s)
{
        timer_init(&s->pair.again, on_again);
}

void tailnetpair_ask(struct supervisor *s)
{
        s->pair.failures = 0;
        ask(s);
}

void tailnetpair_follow(struct supervisor *s)
{
        struct tailnetpair *p = &s->pair;

        if (is_wanted(s)) {
                if (p->not_after == 0 && p->again.due == MONO_NEVER)
                        ask(s);
                return;
        }
        timer_clear(&p->again);
        fds_close(&p->fd, 1);
        p->fd = -1;
        p->not_after = s->board->tailnet.not_after = 0;
        p->said[0] = s->board->tailnet.problem[0] = '\0';
        memset(p->sha256, 0, sizeof(p->sha256));
}

void tailnetpair_read(struct supervisor *s)
{
        s->pair.is_read = s->pair.is_new;
}

void tailnetpair_in_force(struct supervisor *s)
{
        s->pair.is_new &= !s->pair.is_read;
}
