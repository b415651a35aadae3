#include "gateway/tailnetcert.h"

#include <string.h>

#include "base/units.h"
#include "crypto/sha256.h"
#include "io/mailbox.h"
#include "io/sandbox.h"
#include "io/tls.h"
#include "mesh/localapi.h"
#include "mesh/tailnet.h"

enum { SAID_BYTES_MAX = 160 };

/* ---- what it may be ---- */

/* As a listener would present it. */
static enum err fits(struct str key, struct str chain, struct str name, unix_ms now, struct buf *problem,
                     int64_t *not_after)
{
        const struct tls_certificate pair = { chain, key, STR("the certificate"), STR("its key") };
        const struct tls_server_conf conf = { .certificates = &pair, .certificates_count = 1 };
        struct tls_context *context;
        struct report report;
        enum err e;

        report_init(&report, STR(""));
        e = tls_server_new(&conf, &report, &context);
        if (e != ERR_OK) {
                buf_addf(problem, "what tailscaled gave cannot be used: %.*s",
                         STR_FMT(report.entries_count ? report.entries[0].text : str_of(err_text(e))));
                report_fini(&report);
                return e;
        }
        report_fini(&report);
        *not_after = tls_not_after(context);
        if (!tls_context_has_name(context, name)) {
                buf_addf(problem, "the certificate tailscaled gave is not for %.*s", STR_FMT(name));
                e = ERR_MALFORMED;
        } else if (*not_after * 1000 <= now) {
                char text[UNITS_TIME_TEXT_MAX];

                buf_addf(problem, "the certificate tailscaled gave ended %.*s",
                         STR_FMT(units_format_time(*not_after * 1000, text)));
                e = ERR_STALE;
        }
        tls_context_put(context);
        return e;
}

enum err tailnetcert_check(struct str body, struct str name, unix_ms now, struct buf *problem,
                           struct tailnetcert_pair *out)
{
        struct str key, chain;
        struct buf file;
        enum err e = mesh_tailnet_pair_split(body, &key, &chain);

        *out = (struct tailnetcert_pair){ .fd = -1 };
        if (e != ERR_OK) {
                buf_addf(problem, "what tailscaled gave is not a key and its certificate");
                return e;
        }
        if ((e = fits(key, chain, name, now, problem, &out->not_after)) != ERR_OK)
                return e;
        crypto_sha256(chain, out->sha256);
        buf_init_secret(&file, 2 * TAILNETCERT_PAIR_BYTES_MAX);
        conf_keys_add(&file, key);
        conf_keys_add(&file, chain);
        e = file.full ? ERR_NO_MEMORY : mailbox_memfd(buf_str(&file), &out->fd);
        buf_wipe(&file);
        return e;
}

/* ---- asking ---- */

/* The first line of what an error's answer says. */
static struct str first_line(struct str body)
{
        size_t len = MIN(body.len, (size_t)SAID_BYTES_MAX), n = 0;

        while (n < len && body.ptr[n] >= ' ' && body.ptr[n] < 0x7f)
                n++;
        return str_sub(body, 0, n);
}

static enum err answer_judge(const struct mesh_localapi *c, enum err e, struct str name, struct buf *problem)
{
        if (e == ERR_OK && (e = mesh_localapi_err(c->status)) == ERR_OK)
                return ERR_OK;
        if (e == ERR_DENIED)
                buf_addf(
                        problem,
                        "tailscaled gives keys to root, its operator and one user more; set TS_PERMIT_CERT_UID to this gateway's "
                        "user in /etc/default/tailscaled and restart it");
        else if (e == ERR_TIMED_OUT)
                buf_addf(problem, "tailscaled did not get a certificate for %.*s in time", STR_FMT(name));
        else if (e == ERR_TOO_LARGE)
                buf_addf(problem, "what tailscaled gave is too large for a key and its certificate");
        else if (c->status && c->status / 100 != 2)
                buf_addf(problem, "tailscaled answered %u: %.*s", c->status,
                         STR_FMT(first_line(buf_str(&c->body))));
        else
                buf_addf(problem, "tailscaled: %s", err_text(e));
        return e;
}

static enum err close_in(struct str socket)
{
        static struct sandbox_paths reach;
        const struct sandbox_user same = { .is_set = false };
        struct sandbox s;
        enum err e;

        tls_prepare();
        sandbox_paths_add_folder_of(&reach, socket, false);
        if ((e = sandbox_fence(SANDBOX_NODE, &same, &reach, &s)) == ERR_OK)
                sandbox_filter(SANDBOX_NODE, &s);
        return e;
}

enum err tailnetcert_ask(struct str socket, struct str name, unix_ms now, struct buf *problem,
                         struct tailnetcert_pair *out)
{
        struct mesh_localapi_request r = { .socket = socket,
                                           .method = STR("GET"),
                                           .bytes_max = TAILNETCERT_PAIR_BYTES_MAX,
                                           .timeout_ms = TAILNETCERT_WAIT_MS };
        struct mesh_localapi c;
        struct buf path;
        enum err e;

        *out = (struct tailnetcert_pair){ .fd = -1 };
        if ((e = close_in(socket)) != ERR_OK)
                return e;
        buf_init(&path, 1024);
        buf_addf(&path, "/localapi/v0/cert/%.*s?type=pair", STR_FMT(name));
        r.path = buf_str(&path);
        e = answer_judge(&c, mesh_localapi_ask(&c, &r), name, problem);
        if (e == ERR_OK)
                e = tailnetcert_check(buf_str(&c.body), name, now, problem, out);
        mesh_localapi_fini(&c);
        buf_fini(&path);
        return e;
}

/* ---- for who reads the configuration ---- */

static enum err read(struct conf_source *s, enum conf_read_kind kind, struct str name, struct conf_text *out)
{
        struct tailnetcert *c = CONTAINER_OF(s, struct tailnetcert, source);
        struct str file, rest, key, chain;
        bool is_chain = kind == CONF_READ_FILE && str_eq(name, CONF_TAILNET_CERT);
        enum err e;

        if (!is_chain && !(kind == CONF_READ_KEY && str_eq(name, CONF_TAILNET_KEY)))
                return c->inner->read(c->inner, kind, name, out);
        if (c->fd < 0)
                return ERR_NOT_FOUND;
        if ((e = mailbox_map(c->fd, 2 * TAILNETCERT_PAIR_BYTES_MAX, &file)) != ERR_OK)
                return e;
        rest = file;
        if ((e = conf_keys_next(&rest, &key)) == ERR_OK && (e = conf_keys_next(&rest, &chain)) == ERR_OK) {
                out->mode = 0600;
                buf_add(&out->bytes, is_chain ? chain : key);
                e = out->bytes.full ? ERR_TOO_LARGE : ERR_OK;
        }
        mailbox_unmap(file);
        return e;
}

void tailnetcert_over(struct tailnetcert *c, struct conf_source *inner, int fd)
{
        *c = (struct tailnetcert){ .source = { .read = read, .file = inner->file, .now = inner->now },
                                   .inner = inner,
                                   .fd = fd };
}
