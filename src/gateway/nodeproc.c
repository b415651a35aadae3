#include "gateway/nodeproc.h"

#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/log.h"
#include "gateway/message.h"
#include "io/mailbox.h"
#include "io/process.h"
#include "io/timer.h"
#include "node/channel.h"
#include "node/join.h"

enum {
        RETRY_MS = 500,
        RETRY_MOST_MS = 10 * 1000,
        LEASE_CHECK_MS = 60 * 60 * 1000,
        NAMES_MAX = 16,
        ADDRESSES_MAX = 64
};

struct nodeproc {
        const struct nodeproc_input *in;
        struct loop *loop;
        struct mailbox mailbox;
        struct resolver *resolver;
        struct node_state state;
        struct node_join *join, *ended_join;
        struct node_channel *channel;
        struct wire_document *document; /* the last that was given; ours */
        struct timer timer, lease;
        char addresses[MAILBOX_BODY_BYTES_MAX]; /* a line each */
        size_t addresses_len;
        bool is_lease_over, has_failed;
        const char *said; /* the last trouble, so that it is said once */
};

static void tell(struct nodeproc *p, enum message_kind kind, const void *body, size_t len)
{
        if (mailbox_send(&p->mailbox, kind, (struct str){ body, len }, NULL, 0) != ERR_OK)
                log_error("mailbox_full", LOG_N("kind", kind));
}

/* ---- the lease ---- */

static void lease_plan(struct nodeproc *p)
{
        int64_t left;

        if (!p->document)
                return;
        left = wire_document_lease_end(p->document) * 1000 + 1000 - loop_wall(p->loop);
        timer_set(p->loop, &p->lease,
                  loop_now(p->loop) + MAX((int64_t)1, MIN(left, (int64_t)LEASE_CHECK_MS)));
}

static void on_lease(struct timer *t)
{
        struct nodeproc *p = CONTAINER_OF(t, struct nodeproc, lease);

        if (loop_wall(p->loop) / 1000 <= wire_document_lease_end(p->document)) {
                lease_plan(p);
                return;
        }
        if (!p->is_lease_over)
                tell(p, MESSAGE_NODE_READ, NULL, 0);
        p->is_lease_over = true;
}

static void enough(struct nodeproc *p, bool has_failed)
{
        p->has_failed = has_failed;
        loop_stop(p->loop);
}

static void document_keep(struct nodeproc *p, struct wire_document *d)
{
        wire_document_put(p->document);
        p->document = wire_document_get(d);
        p->is_lease_over = loop_wall(p->loop) / 1000 > wire_document_lease_end(d);
        atomic_store(&p->in->board->control.epoch, wire_document_header(d)->epoch);
        atomic_store(&p->in->board->control.version, wire_document_header(d)->version);
        atomic_store(&p->in->board->control.lease_end, wire_document_lease_end(d));
        lease_plan(p);
        if (p->in->ends_with_document)
                enough(p, false);
}

/* ---- the channel ---- */

static void on_document(void *context, struct wire_document *d, bool is_renewal)
{
        struct nodeproc *p = context;
        const struct wire_header *h = wire_document_header(d);
        struct message_node m = { h->epoch, h->version };
        bool was_over = p->is_lease_over;

        document_keep(p, d);
        log_info(is_renewal ? "lease_renewed" : "document_received", LOG_N("epoch", h->epoch),
                 LOG_N("version", h->version), LOG_N("items", wire_document_items_count(d)));
        if (!is_renewal)
                tell(p, MESSAGE_NODE_DOCUMENT, &m, sizeof(m));
        else if (was_over)
                tell(p, MESSAGE_NODE_READ, NULL, 0);
}

static void on_change(void *context, bool is_up, const char *why)
{
        struct nodeproc *p = context;

        atomic_store(&p->in->board->control.is_connected, is_up);
        if (is_up)
                log_info("control_connected", LOG_C("control", p->state.papers.control));
        else if (p->said != why)
                log_warning("control_not_connected", LOG_C("control", p->state.papers.control),
                            LOG_C("reason", why), LOG_C("meaning", "what was published stays in force"));
        p->said = is_up ? NULL : why;
}

static void on_gone(void *context, struct str reason)
{
        struct nodeproc *p = context;

        log_error("node_gone", LOG_S("reason", reason),
                  LOG_C("meaning",
                        "control wants this gateway no more; what it published is served no longer"));
        timer_clear(&p->lease);
        tell(p, MESSAGE_NODE_READ, NULL, 0);
}

static void report_say(struct nodeproc *p)
{
        struct wire_message m = { .type = WIRE_REPORT, .report = { .program = p->in->program } };
        struct str lines[ADDRESSES_MAX], rest = { p->addresses, p->addresses_len };
        struct utsname system;

        while (m.report.addresses_count < ARRAY_SIZE(lines) &&
               str_split(&rest, '\n', &lines[m.report.addresses_count]) &&
               lines[m.report.addresses_count].len)
                m.report.addresses_count++;
        m.report.addresses = lines;

        if (uname(&system) == 0)
                m.report.system = str_of(system.release);
        if (node_channel_say(p->channel, &m) != ERR_OK)
                log_warning("report_not_said", LOG_E(ERR_TOO_LARGE));
}

static void channel_start(struct nodeproc *p)
{
        static const struct node_channel_events events = { on_document, on_change, on_gone, NULL };
        struct wire_document *d = NULL;
        const char *why = "";
        enum err e = node_state_document_load(&p->state, &d, &why);

        if (e != ERR_OK && e != ERR_NOT_FOUND)
                log_error("document_not_used", LOG_C("reason", why), LOG_E(e));
        if (d)
                document_keep(p, d);
        struct node_channel_conf conf = { .loop = p->loop,
                                          .resolver = p->resolver,
                                          .state = &p->state,
                                          .program = p->in->program,
                                          .document = d,
                                          .events = &events,
                                          .context = p };
        e = node_channel_new(&conf, &p->channel);
        wire_document_put(d);
        if (e == ERR_OK)
                report_say(p);
        else
                log_error("channel_not_started", LOG_C("folder", p->state.folder), LOG_E(e));
}

/* ---- joining ---- */

static void on_wait(void *context, enum err e, struct str text)
{
        struct nodeproc *p = context;
        const char *said = e == ERR_AGAIN ? "pending" : err_name(e);

        if (p->said != said)
                log_warning("join_waits", LOG_S("reason", text));
        p->said = said;
}

static void on_joined(void *context, enum err e, struct str text)
{
        struct nodeproc *p = context;

        p->ended_join = p->join;
        p->join = NULL;
        p->said = NULL;
        timer_set(p->loop, &p->timer, loop_now(p->loop) + RETRY_MS); /* frees it */
        if (e != ERR_OK) {
                log_error("join_refused", LOG_S("reason", text), LOG_E(e));
                if (p->in->ends_with_document)
                        enough(p, true);
                return;
        }
        log_info("joined", LOG_C("id", p->state.papers.id), LOG_C("name", p->state.papers.name),
                 LOG_C("control", p->state.papers.control));
        channel_start(p);
}

static void join_start(struct nodeproc *p)
{
        struct node_join_conf conf = { .loop = p->loop,
                                       .resolver = p->resolver,
                                       .state = &p->state,
                                       .token_url = p->in->join,
                                       .name = p->in->name,
                                       .program = p->in->program,
                                       .on_wait = on_wait,
                                       .on_done = on_joined,
                                       .context = p };
        if (p->state.is_pending) /* goes on where it was, whatever the command line says */
                conf.token_url = STR("");
        enum err e = node_join_start(&conf, &p->join);
        if (e == ERR_OK)
                return;
        log_error("join_not_started", LOG_E(e),
                  LOG_C("meaning", "the token must be skauth-….FINGERPRINT@https://CONTROL"));
        if (p->in->ends_with_document)
                enough(p, true);
}

static void begin(struct nodeproc *p)
{
        bool has_papers = p->state.is_joined && !p->state.papers.gone[0];

        if (has_papers) {
                if (p->in->join.len)
                        log_info("joined_already", LOG_C("id", p->state.papers.id),
                                 LOG_C("control", p->state.papers.control));
                channel_start(p);
        } else if (p->in->join.len || p->state.is_pending) {
                join_start(p);
        } else if (p->state.is_joined) {
                log_warning("node_gone", LOG_C("reason", p->state.papers.gone),
                            LOG_C("meaning", "join again with a new token to be told what to serve"));
                if (p->in->ends_with_document)
                        enough(p, true);
        }
}

/* Another gateway may still have the folder: the one that this one takes over from. */
static void on_timer(struct timer *t)
{
        struct nodeproc *p = CONTAINER_OF(t, struct nodeproc, timer);
        const char *why = "";

        if (p->ended_join) {
                node_join_free(p->ended_join);
                p->ended_join = NULL;
                return;
        }
        enum err e = node_state_open(&p->state, p->in->folder, WIRE_GATEWAY, &why);
        if (e == ERR_OK) {
                begin(p);
                return;
        }
        if (p->said != why)
                log_warning("state_not_opened", LOG_C("folder", p->in->folder), LOG_C("reason", why));
        p->said = why;
        timer_set(p->loop, t, loop_now(p->loop) + (e == ERR_EXISTS ? RETRY_MS : RETRY_MOST_MS));
}

/* ---- the supervisor ---- */

static void on_message(struct mailbox *m, uint32_t kind, struct str body, int *fds, size_t fds_count)
{
        struct nodeproc *p = CONTAINER_OF(m, struct nodeproc, mailbox);
        struct message_read read;

        (void)fds, (void)fds_count;
        if (kind == MESSAGE_NODE_ADDRESSES && body.len <= sizeof(p->addresses)) {
                memcpy(p->addresses, body.ptr, p->addresses_len = body.len);
                if (p->channel)
                        report_say(p);
                return;
        }
        if (kind != MESSAGE_NODE_APPLIED || body.len != sizeof(read) || !p->channel)
                return;
        memcpy(&read, body.ptr, sizeof(read));
        read.text[sizeof(read.text) - 1] = '\0';
        if (read.error == ERR_OK)
                node_channel_applied(p->channel);
        else
                node_channel_refused(p->channel, str_of(read.text));
}

static void on_supervisor_gone(struct mailbox *m)
{
        loop_stop(CONTAINER_OF(m, struct nodeproc, mailbox)->loop);
}

int nodeproc_run(const struct nodeproc_input *in)
{
        static struct nodeproc process; /* one a process */
        struct nodeproc *p = &process;
        struct resolver_conf resolver = { .ttl_min_ms = 1000,
                                          .ttl_max_ms = 60 * 1000,
                                          .stale_max_ms = 24 * 3600 * 1000,
                                          .timeout_ms = 5000,
                                          .names_max = NAMES_MAX };

        p->in = in;
        timer_init(&p->timer, on_timer);
        timer_init(&p->lease, on_lease);
        process_forbid_dumps();
        atomic_store(&in->board->control.is_on, true);
        atomic_store(&in->board->control.is_connected, false);
        if (loop_new(&p->loop) != ERR_OK ||
            mailbox_open(&p->mailbox, p->loop, in->mailbox_fd, on_message, on_supervisor_gone) != ERR_OK ||
            resolver_new(p->loop, &resolver, &p->resolver) != ERR_OK) {
                log_error("node_not_started", LOG_E(ERR_NO_MEMORY));
                return 1;
        }
        timer_set(p->loop, &p->timer, loop_now(p->loop));
        loop_run(p->loop);
        node_state_close(&p->state);
        return p->has_failed;
}
