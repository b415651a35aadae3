#include "node/member.h"

#include <string.h>
#include <sys/utsname.h>

#include "base/log.h"

enum {
        AGAIN_MS = 2000,
        RETRY_MS = 500,
        RETRY_MOST_MS = 10 * 1000,
        LEASE_CHECK_MS = 60 * 60 * 1000,
        NAMES_MAX = 16
};

static void refused(struct node_member *m)
{
        if (m->conf.events->on_refused)
                m->conf.events->on_refused(m->conf.context);
}

/* ---- the lease ---- */

static void lease_plan(struct node_member *m)
{
        int64_t left = wire_document_lease_end(m->document) * 1000 + 1000 - loop_wall(m->conf.loop);

        timer_set(m->conf.loop, &m->lease,
                  loop_now(m->conf.loop) + MAX((int64_t)1, MIN(left, (int64_t)LEASE_CHECK_MS)));
}

static void on_lease(struct timer *t)
{
        struct node_member *m = CONTAINER_OF(t, struct node_member, lease);
        bool was_over = m->is_lease_over;

        m->is_lease_over = loop_wall(m->conf.loop) / 1000 > wire_document_lease_end(m->document);
        if (!m->is_lease_over)
                lease_plan(m);
        else if (!was_over)
                m->conf.events->on_turn(m->conf.context);
}

static void document_keep(struct node_member *m, struct wire_document *d)
{
        wire_document_put(m->document);
        m->document = wire_document_get(d);
        m->is_lease_over = loop_wall(m->conf.loop) / 1000 > wire_document_lease_end(d);
        lease_plan(m);
}

/* ---- the channel ---- */

/* Sent away for a while: whoever starts it again may ask whether it is over. */
static bool is_disabled(const struct node_member *m)
{
        return strcmp(m->state.papers.gone, "disabled") == 0;
}

static void on_document(void *context, struct wire_document *d, bool is_renewal)
{
        struct node_member *m = context;
        const struct wire_header *h = wire_document_header(d);
        bool was_over = m->is_lease_over;

        document_keep(m, d);
        log_info(is_renewal ? "lease_renewed" : "document_received", LOG_N("epoch", h->epoch),
                 LOG_N("version", h->version), LOG_N("items", wire_document_items_count(d)));
        m->conf.events->on_document(m->conf.context, d, is_renewal, false);
        if (is_renewal && was_over)
                m->conf.events->on_turn(m->conf.context);
}

/* Whom control wants no more is told so right after the welcome. Nothing came: it does again. */
static void on_again(struct timer *t)
{
        struct node_member *m = CONTAINER_OF(t, struct node_member, again);

        m->is_tried_again = false;
        if (!node_channel_is_up(m->channel))
                return;
        m->state.papers.gone[0] = '\0';
        if (node_state_save_papers(&m->state, &m->state.papers) != ERR_OK)
                log_error("papers_not_stored", LOG_C("folder", m->state.folder));
        log_info("node_wanted_again", LOG_C("control", m->state.papers.control));
        m->conf.events->on_turn(m->conf.context);
}

static void on_change(void *context, bool is_up, const char *why)
{
        struct node_member *m = context;

        if (m->is_tried_again && is_up)
                timer_set(m->conf.loop, &m->again, loop_now(m->conf.loop) + AGAIN_MS);
        if (m->conf.events->on_connected)
                m->conf.events->on_connected(m->conf.context, is_up);
        if (is_up)
                log_info("control_connected", LOG_S("control", node_channel_control(m->channel)));
        else if (m->said != why)
                log_warning("control_not_connected", LOG_S("control", node_channel_control(m->channel)),
                            LOG_C("reason", why), LOG_C("meaning", "what was published stays in force"));
        m->said = is_up ? NULL : why;
}

static const char *remedy_of(const struct node_member *m)
{
        if (is_disabled(m))
                return "at control: sekisho node enable NAME; then start this again";
        return m->conf.kind == WIRE_AGENT
                       ? "to have it back: sekisho node invite agent, and here sekisho agent --join TOKEN"
                       : "to have it back: sekisho node invite gateway, and here sekisho gateway --join TOKEN";
}

static void on_gone(void *context, struct str reason)
{
        struct node_member *m = context;

        log_error("node_gone", LOG_S("reason", reason),
                  LOG_C("meaning", "control wants this node no more; what it published is served no longer"),
                  LOG_C("remedy", remedy_of(m)));
        timer_clear(&m->lease);
        timer_clear(&m->again);
        if (!m->is_tried_again)
                m->conf.events->on_turn(m->conf.context);
        m->is_tried_again = false;
        refused(m);
}

static void on_papers(void *context)
{
        struct node_member *m = context;

        m->conf.events->on_turn(m->conf.context);
}

static void report_say(struct node_member *m)
{
        struct wire_message message = { .type = WIRE_REPORT, .report = m->report };
        char isolation[SANDBOX_TEXT_MAX];
        struct utsname system;

        if (!m->channel)
                return;
        message.report.program = m->conf.program;
        if (m->conf.sandbox)
                message.report.isolation = str_of(sandbox_text(m->conf.sandbox, isolation));
        if (uname(&system) == 0)
                message.report.system = str_of(system.release);
        if (node_channel_say(m->channel, &message) != ERR_OK)
                log_warning("report_not_said", LOG_E(ERR_TOO_LARGE));
}

static void channel_start(struct node_member *m)
{
        static const struct node_channel_events events = { on_document, on_change, on_gone, NULL, on_papers };
        struct wire_document *d = NULL;
        const char *why = "";
        enum err e = node_state_document_load(&m->state, &d, &why);

        if (e != ERR_OK && e != ERR_NOT_FOUND)
                log_error("document_not_used", LOG_C("reason", why), LOG_E(e));
        struct node_channel_conf conf = { .loop = m->conf.loop,
                                          .resolver = m->resolver,
                                          .state = &m->state,
                                          .program = m->conf.program,
                                          .document = d,
                                          .events = &events,
                                          .context = m };
        e = node_channel_new(&conf, &m->channel);
        if (e == ERR_OK)
                report_say(m);
        else
                log_error("channel_not_started", LOG_C("folder", m->state.folder), LOG_E(e));
        if (d) {
                document_keep(m, d);
                if (!m->is_tried_again)
                        m->conf.events->on_document(m->conf.context, d, false, true);
        }
        wire_document_put(d);
}

/* ---- joining ---- */

static void on_wait(void *context, enum err e, struct str text)
{
        struct node_member *m = context;
        const char *said = e == ERR_AGAIN ? "pending" : err_name(e);

        if (m->said != said)
                log_warning("join_waits", LOG_S("reason", text));
        m->said = said;
}

static void on_joined(void *context, enum err e, struct str text)
{
        struct node_member *m = context;

        m->ended_join = m->join;
        m->join = NULL;
        m->said = NULL;
        timer_set(m->conf.loop, &m->timer, loop_now(m->conf.loop) + RETRY_MS); /* frees it */
        if (e != ERR_OK) {
                log_error("join_refused", LOG_S("reason", text), LOG_E(e));
                refused(m);
                return;
        }
        log_info("joined", LOG_C("id", m->state.papers.id), LOG_C("name", m->state.papers.name),
                 LOG_C("control", m->state.papers.control));
        channel_start(m);
}

static void join_start(struct node_member *m)
{
        struct node_join_conf conf = { .loop = m->conf.loop,
                                       .resolver = m->resolver,
                                       .state = &m->state,
                                       .token_url = m->conf.join,
                                       .name = m->conf.name,
                                       .program = m->conf.program,
                                       .on_wait = on_wait,
                                       .on_done = on_joined,
                                       .context = m };

        if (m->state.is_pending) /* goes on where it was, whatever the command line says */
                conf.token_url = STR("");
        enum err e = node_join_start(&conf, &m->join);
        if (e == ERR_OK)
                return;
        log_error("join_not_started", LOG_E(e),
                  LOG_C("meaning", "the token must be skauth-….FINGERPRINT@https://CONTROL"));
        refused(m);
}

static void begin(struct node_member *m)
{
        if (m->state.is_joined && !m->state.papers.gone[0]) {
                if (m->conf.join.len)
                        log_info("joined_already", LOG_C("id", m->state.papers.id),
                                 LOG_C("control", m->state.papers.control));
                channel_start(m);
        } else if (m->conf.join.len || m->state.is_pending) {
                join_start(m);
        } else if (m->state.is_joined && is_disabled(m)) {
                log_info("node_asks_again", LOG_C("reason", m->state.papers.gone));
                m->is_tried_again = true;
                channel_start(m);
        } else if (m->state.is_joined) {
                log_warning("node_gone", LOG_C("reason", m->state.papers.gone),
                            LOG_C("remedy", remedy_of(m)));
                refused(m);
        }
}

/* Another process may still have the folder: the one that this one takes over from. */
static void on_timer(struct timer *t)
{
        struct node_member *m = CONTAINER_OF(t, struct node_member, timer);
        const char *why = "";

        if (m->ended_join) {
                node_join_free(m->ended_join);
                m->ended_join = NULL;
                return;
        }
        enum err e = node_state_open(&m->state, m->conf.folder, m->conf.kind, &why);
        if (e == ERR_OK) {
                begin(m);
                return;
        }
        if (m->said != why)
                log_warning("state_not_opened", LOG_C("folder", m->conf.folder), LOG_C("reason", why));
        m->said = why;
        timer_set(m->conf.loop, t, loop_now(m->conf.loop) + (e == ERR_EXISTS ? RETRY_MS : RETRY_MOST_MS));
}

/* ---- for the owner ---- */

enum err node_member_start(struct node_member *m, const struct node_member_conf *conf)
{
        struct resolver_conf resolver = { .ttl_min_ms = 1000,
                                          .ttl_max_ms = 60 * 1000,
                                          .stale_max_ms = 24 * 3600 * 1000,
                                          .timeout_ms = 5000,
                                          .names_max = NAMES_MAX };

        memset(m, 0, sizeof(*m));
        m->conf = *conf;
        m->state.lock_fd = -1;
        timer_init(&m->timer, on_timer);
        timer_init(&m->lease, on_lease);
        timer_init(&m->again, on_again);
        enum err e = resolver_new(conf->loop, &resolver, &m->resolver);
        if (e == ERR_OK)
                timer_set(conf->loop, &m->timer, loop_now(conf->loop));
        return e;
}

void node_member_end(struct node_member *m)
{
        node_state_close(&m->state);
}

void node_member_leave(struct node_member *m)
{
        timer_clear(&m->timer);
        timer_clear(&m->lease);
        if (m->join)
                node_join_stop(m->join);
        if (m->channel)
                node_channel_stop(m->channel);
        node_state_close(&m->state);
}

void node_member_answer(struct node_member *m, struct str why)
{
        if (!m->channel)
                return;
        if (why.len)
                node_channel_refused(m->channel, why);
        else
                node_channel_applied(m->channel);
}

void node_member_report(struct node_member *m, const struct wire_report *r)
{
        m->report = *r;
        report_say(m);
}
