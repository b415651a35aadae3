#include "gateway/nodeproc.h"

#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/units.h"
#include "gateway/message.h"
#include "io/mailbox.h"
#include "io/tls.h"
#include "node/member.h"

enum { ADDRESSES_MAX = 64 };

struct nodeproc {
        const struct nodeproc_input *in;
        struct loop *loop;
        struct mailbox mailbox;
        struct node_member member;
        char addresses[MAILBOX_BODY_BYTES_MAX]; /* a line each */
        struct str lines[ADDRESSES_MAX], problems[ADDRESSES_MAX];
        bool has_failed;
};

static void tell(struct nodeproc *p, enum message_kind kind, const void *body, size_t len)
{
        if (mailbox_send(&p->mailbox, kind, (struct str){ body, len }, NULL, 0) != ERR_OK)
                log_error("mailbox_full", LOG_N("kind", kind));
}

/* ---- the member's events ---- */

static void on_document(void *context, struct wire_document *d, bool is_renewal, bool is_stored)
{
        struct nodeproc *p = context;
        const struct wire_header *h = wire_document_header(d);
        struct message_node m = { h->epoch, h->version };
        struct board_control *shown = &p->in->board->control;

        atomic_store(&shown->epoch, h->epoch);
        atomic_store(&shown->version, h->version);
        atomic_store(&shown->lease_end, wire_document_lease_end(d));
        if (p->in->ends_with_document)
                loop_stop(p->loop);
        else if (!is_renewal && !is_stored)
                tell(p, MESSAGE_NODE_DOCUMENT, &m, sizeof(m));
}

static void on_turn(void *context)
{
        struct nodeproc *p = context;

        if (p->in->ends_with_document)
                loop_stop(p->loop);
        else
                tell(p, MESSAGE_NODE_READ, NULL, 0);
}

static void on_connected(void *context, bool is_up)
{
        struct nodeproc *p = context;

        atomic_store(&p->in->board->control.is_connected, is_up);
}

static void on_refused(void *context)
{
        struct nodeproc *p = context;

        p->has_failed = true;
        if (p->in->ends_with_document)
                loop_stop(p->loop);
}

static const struct node_member_events events = { on_document, on_turn, on_connected, on_refused };

/* ---- the supervisor ---- */

/* "IP:PORT", "=the overlay's UDP port" and "!what could not be done", a line each. */
static void addresses_take(struct nodeproc *p, struct str text)
{
        struct wire_report report = { .addresses = p->lines, .problems = p->problems };
        struct str rest = { p->addresses, text.len }, line;

        memcpy(p->addresses, text.ptr, text.len);
        while (str_split(&rest, '\n', &line)) {
                if (line.len && line.ptr[0] == '!' && report.problems_count < ARRAY_SIZE(p->problems))
                        p->problems[report.problems_count++] = str_from(line, 1);
                else if (line.len && line.ptr[0] == '=' &&
                         units_parse_u64(str_from(line, 1), UINT16_MAX, &report.overlay) == ERR_OK)
                        continue;
                else if (line.len && line.ptr[0] != '!' && report.addresses_count < ARRAY_SIZE(p->lines))
                        p->lines[report.addresses_count++] = line;
        }
        node_member_report(&p->member, &report);
}

static void on_message(struct mailbox *m, uint32_t kind, struct str body, int *fds, size_t fds_count)
{
        struct nodeproc *p = CONTAINER_OF(m, struct nodeproc, mailbox);
        struct message_read read;

        (void)fds, (void)fds_count;
        if (kind == MESSAGE_NODE_ADDRESSES && body.len <= sizeof(p->addresses))
                addresses_take(p, body);
        if (kind != MESSAGE_NODE_APPLIED || body.len != sizeof(read))
                return;
        memcpy(&read, body.ptr, sizeof(read));
        read.text[sizeof(read.text) - 1] = '\0';
        node_member_answer(&p->member, read.error == ERR_OK ? STR_NULL
                                       : read.text[0]       ? str_of(read.text)
                                                            : STR("it cannot be used"));
}

/* It speaks with control and keeps what control says; nothing else is within its reach. */
static enum err close_in(struct nodeproc *p)
{
        static const struct sandbox_user same = { 0 };
        static struct sandbox_paths reach;
        struct sandbox *s = &p->in->board->control.sandbox;
        char own[NODE_PATH_MAX];
        enum err e = node_state_own_folder(p->in->folder, WIRE_GATEWAY, own);

        if (e != ERR_OK)
                own[0] = '\0'; /* the member says why it cannot have it */
        sandbox_paths_add_system(&reach);
        sandbox_paths_add(&reach, str_of(own), true);
        tls_prepare();
        if ((e = sandbox_fence(SANDBOX_NODE, &same, &reach, s)) != ERR_OK)
                return e;
        sandbox_filter(SANDBOX_NODE, s);
        sandbox_log(s, "node");
        return ERR_OK;
}

static void on_supervisor_gone(struct mailbox *m)
{
        loop_stop(CONTAINER_OF(m, struct nodeproc, mailbox)->loop);
}

int nodeproc_run(const struct nodeproc_input *in)
{
        static struct nodeproc process; /* one a process */
        struct nodeproc *p = &process;
        struct node_member_conf conf = { .folder = in->folder,
                                         .kind = WIRE_GATEWAY,
                                         .join = in->join,
                                         .name = in->name,
                                         .program = in->program,
                                         .sandbox = &in->board->control.sandbox,
                                         .events = &events,
                                         .context = p };

        p->in = in;
        atomic_store(&in->board->control.is_on, true);
        atomic_store(&in->board->control.is_connected, false);
        if (loop_new(&p->loop) != ERR_OK)
                goto fail;
        conf.loop = p->loop;
        if (mailbox_open(&p->mailbox, p->loop, in->mailbox_fd, on_message, on_supervisor_gone) != ERR_OK ||
            close_in(p) != ERR_OK || node_member_start(&p->member, &conf) != ERR_OK)
                goto fail;
        loop_run(p->loop);
        node_member_end(&p->member);
        return p->has_failed;

fail:
        log_error("node_not_started", LOG_E(ERR_NO_MEMORY));
        return 1;
}
