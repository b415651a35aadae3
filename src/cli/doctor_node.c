/* The papers of a gateway or agent of this machine, and whether its control is there. */
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "cli/client.h"
#include "cli/doctor_priv.h"
#include "io/process.h"
#include "io/tls.h"

enum { ASK_MS = 5000, HOST_BYTES = 300, CONTROL_PORT = 443 };

#define DAY_MS   (INT64_C(86400) * 1000)
#define SLACK_MS (INT64_C(60) * 1000)

static const char *const kinds[] = { [WIRE_GATEWAY] = "gateway", [WIRE_AGENT] = "agent" };

static void end_judge(struct doctor *d, const char *part, const char *what, int64_t end_ms,
                      const char *remedy)
{
        char text[UNITS_TIME_TEXT_MAX];
        int64_t left = end_ms - process_wall_ms();
        enum finding_level level = left <= 0           ? FINDING_ERROR
                                   : left < 3 * DAY_MS ? FINDING_WARNING
                                                       : FINDING_GOOD;

        finding_add(d->findings, level, part, level == FINDING_GOOD ? NULL : remedy, "%s %s %.*s", what,
                    left <= 0 ? "ended" : "is good until", STR_FMT(units_format_time(end_ms, text)));
}

/* Does the key fit, and until when? */
static void certificate_look(struct doctor *d, const struct node_state *s)
{
        const struct tls_certificate pair = { .cert_pem = str_of(s->papers.certificate),
                                              .key_pem = buf_str(&s->identity_pem),
                                              .cert_name = STR("the node's certificate"),
                                              .key_name = STR("identity.key") };
        const struct tls_server_conf conf = { .certificates = &pair, .certificates_count = 1 };
        struct tls_context *context;
        struct report report;

        report_init(&report, STR(""));
        if (tls_server_new(&conf, &report, &context) != ERR_OK) {
                finding_add(d->findings, FINDING_ERROR, "certificate",
                            "join again with a new token: sekisho node invite, then --join",
                            "the certificate in node.json and identity.key do not belong together");
        } else {
                end_judge(
                        d, "certificate", "the node's certificate", tls_not_after(context) * 1000,
                        "it is renewed over the channel: see why control is not reached; if it has ended, join again with a "
                        "new token");
                tls_context_put(context);
        }
        report_fini(&report);
        if (s->papers.issued > process_wall_ms() + SLACK_MS)
                finding_add(d->findings, FINDING_ERROR, "clock", "set it: timedatectl set-ntp true",
                            "this machine's clock is before the moment its certificate was made");
}

static void document_look(struct doctor *d, const struct node_state *s)
{
        struct wire_document *document = NULL;
        const char *why = "";
        enum err e = node_state_document_load(s, &document, &why);

        if (e == ERR_NOT_FOUND) {
                finding_add(d->findings, FINDING_WARNING, "document",
                            "start the node, and see that it reaches control",
                            "control has not told this node anything yet");
                return;
        }
        if (e != ERR_OK) {
                finding_add(d->findings, FINDING_ERROR, "document",
                            "remove document.json and start the node: control gives it again", "%s", why);
                return;
        }
        end_judge(d, "document", "what control published (its lease)",
                  wire_document_lease_end(document) * 1000,
                  "the node must hear from control again: it serves nothing of it after that");
        wire_document_put(document);
}

/* "https://host:8000". */
static bool place_split(struct str url, char host[HOST_BYTES], uint16_t *port)
{
        uint64_t number = CONTROL_PORT;
        size_t end, n = 0;

        if (!str_has_prefix(url, STR("https://")))
                return false;
        url = str_from(url, 8);
        url = str_sub(url, 0, str_find_char(url, '/'));
        for (end = url.len; end > 0 && url.ptr[end - 1] >= '0' && url.ptr[end - 1] <= '9';)
                end--;
        if (end > 0 && end < url.len && url.ptr[end - 1] == ':') {
                if (units_parse_u64(str_from(url, end), 65535, &number) != ERR_OK)
                        return false;
                url = str_sub(url, 0, end - 1);
        }
        for (size_t i = 0; i < url.len && n < HOST_BYTES - 1; i++)
                if (url.ptr[i] != '[' && url.ptr[i] != ']')
                        host[n++] = url.ptr[i];
        host[n] = '\0';
        *port = (uint16_t)number;
        return n > 0;
}

/* The steps in order; gives the remedy of the one that failed, or NULL. */
static const char *control_try(const struct node_state *s, struct client *c, struct tls_context *tls,
                               enum err *e)
{
        const struct client_request request = { .method = STR("GET"),
                                                .path = STR("/health"),
                                                .host = STR("control.sekisho.internal") };
        struct ip addresses[CLIENT_ADDRESSES_MAX];
        struct client_answer answer;
        char host[HOST_BYTES];
        size_t count = 0;
        uint16_t port;

        *e = ERR_MALFORMED;
        if (!place_split(str_of(s->papers.control), host, &port))
                return "its address in node.json is none; join again with a new token";
        if ((*e = client_find(str_of(host), addresses, &count)) != ERR_OK)
                return "its name is not found: see DNS, and control.publicUrl";
        *e = ERR_UNREACHABLE;
        for (size_t i = 0; i < count && *e != ERR_OK; i++)
                *e = client_dial(c, &(struct dial_target){ .ip = addresses[i], .port = port }, ASK_MS);
        if (*e != ERR_OK)
                return "nobody answers there: is control running, and does a firewall let this machine through? What was published "
                       "stays in force meanwhile";
        if ((*e = client_secure(c, tls, STR("control.sekisho.internal"), ASK_MS)) != ERR_OK)
                return "who answers there is not the control this node joined, or knows this node's key no more: join again with "
                       "a new token";
        if ((*e = client_ask(c, &request, ASK_MS, &answer)) == ERR_OK && answer.status == 200)
                return NULL;
        return "see control's log";
}

static void control_look(struct doctor *d, const struct node_state *s)
{
        const struct tls_client_conf conf = { .ca_pem = str_of(s->papers.authority),
                                              .cert_pem = str_of(s->papers.certificate),
                                              .key_pem = buf_str(&s->identity_pem),
                                              .uri_name = STR("sekisho://*/control") };
        struct client *c = client_new();
        struct tls_context *tls = NULL;
        struct report report;
        enum err e = ERR_NO_MEMORY;

        report_init(&report, STR(""));
        if (c && (e = tls_client_new(&conf, &report, &tls)) == ERR_OK) {
                const char *remedy = control_try(s, c, tls, &e);

                if (remedy)
                        finding_add(d->findings, FINDING_ERROR, "control", remedy,
                                    "%s does not answer as it should: %s", s->papers.control, err_text(e));
                else
                        finding_add(d->findings, FINDING_GOOD, "control", NULL, "%s answers, and is the one",
                                    s->papers.control);
        } else {
                finding_add(d->findings, FINDING_ERROR, "control", NULL, "it cannot be asked: %s",
                            err_text(e));
        }
        report_fini(&report);
        tls_context_put(tls);
        client_free(c);
}

static void papers_look(struct doctor *d, const struct node_state *s, const char *kind)
{
        char remedy[NODE_PATH_MAX + 200];

        if (s->papers.gone[0]) {
                snprintf(remedy, sizeof(remedy),
                         "sekisho node invite %s, and here: sekisho %s --join TOKEN; or remove %s/%s", kind,
                         kind, d->state, kind);
                finding_add(d->findings, FINDING_ERROR, "node", remedy,
                            "control wants the %s %s no more: it was %s", kind, s->papers.name,
                            s->papers.gone);
                return;
        }
        finding_add(d->findings, FINDING_GOOD, "node", NULL, "the %s %s (%s) of %s", kind, s->papers.name,
                    s->papers.id, s->papers.control);
        certificate_look(d, s);
        document_look(d, s);
        control_look(d, s);
}

void doctor_node(struct doctor *d, enum wire_kind kind)
{
        struct node_state s;
        const char *why = "";
        enum err e = node_state_look(&s, d->state, kind, &why);

        if (e == ERR_NOT_FOUND)
                return;
        *(kind == WIRE_GATEWAY ? &d->has_gateway : &d->has_agent) = true;
        if (e != ERR_OK) {
                finding_add(d->findings, FINDING_ERROR, "node",
                            e == ERR_DENIED
                                    ? "run this as the user of the role, or give the folder to it (0700)"
                                    : NULL,
                            "the %s's papers in %s: %s", kinds[kind], d->state, why);
                return;
        }
        if (s.is_joined)
                papers_look(d, &s, kinds[kind]);
        else if (s.is_pending)
                finding_add(d->findings, FINDING_WARNING, "node", "there: sekisho node approve NAME",
                            "the %s waits to be let in by %s", kinds[kind], s.pending.control);
        node_state_close(&s);
}
