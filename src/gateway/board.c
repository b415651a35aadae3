#include "gateway/board.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/units.h"
#include "conf/conf.h"
#include "gateway/message.h"
#include "gateway/version.h"

struct board *board_new(unsigned rows_count, unix_ms now)
{
        struct board *b = mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        if (b == MAP_FAILED)
                return NULL;
        b->pid = getpid();
        b->rows_count = rows_count;
        b->started_at = now;
        return b;
}

void board_reload_set(struct board *b, bool ok, struct str text, unix_ms now)
{
        b->reload_at = now;
        b->reload_ok = ok;
        snprintf(b->reload_text, sizeof(b->reload_text), "%.*s", STR_FMT(text));
}

void board_tailnet_set(struct board *b, const struct message_tailnet *ours)
{
        struct board_tailnet *t = &b->tailnet;

        t->is_running = ours->is_running;
        t->v4 = ours->v4;
        t->v6 = ours->v6;
        snprintf(t->certificate, sizeof(t->certificate), "%s", ours->certificate);
}

static struct str text_of(const char text[BOARD_TEXT_BYTES])
{
        return (struct str){ text, strnlen(text, BOARD_TEXT_BYTES) };
}

static void time_write(struct json_writer *w, struct str key, unix_ms when)
{
        char text[UNITS_TIME_TEXT_MAX];

        json_write_member_str(w, key, units_format_time(when, text));
}

static void sandbox_write(struct json_writer *w, const struct sandbox *s)
{
        json_write_key(w, STR("isolation"));
        json_write_object_begin(w);
        json_write_member_uint(w, STR("uid"), s->uid);
        json_write_member_bool(w, STR("noNewPrivileges"), s->has_no_privileges);
        json_write_member_bool(w, STR("noCapabilities"), s->has_no_capabilities);
        json_write_member_bool(w, STR("noDumps"), s->has_no_dumps);
        json_write_member_bool(w, STR("seccomp"), s->has_filter);
        json_write_member_int(w, STR("landlock"), s->landlock);
        json_write_object_end(w);
}

static void row_write(struct json_writer *w, unsigned index, const struct board_row *r, unix_ms now)
{
        json_write_object_begin(w);
        json_write_member_uint(w, STR("index"), index);
        json_write_member_int(w, STR("pid"), r->pid);
        json_write_member_int(w, STR("uptimeSeconds"), r->pid ? MAX(now - r->started_at, 0) / 1000 : 0);
        json_write_member_uint(w, STR("deaths"), r->deaths);
        json_write_member_uint(w, STR("config"), r->number);
        json_write_member_uint(w, STR("connections"),
                               atomic_load_explicit(&r->connections, memory_order_relaxed));
        sandbox_write(w, &r->sandbox);
        json_write_object_end(w);
}

static void keys_write(struct json_writer *w, const struct board_keys *k, unix_ms now)
{
        json_write_key(w, STR("keyHolder"));
        if (k->pid == 0 && k->deaths == 0) {
                json_write_null(w);
                return;
        }
        json_write_object_begin(w);
        json_write_member_int(w, STR("pid"), k->pid);
        json_write_member_int(w, STR("uptimeSeconds"), k->pid ? MAX(now - k->started_at, 0) / 1000 : 0);
        json_write_member_uint(w, STR("deaths"), k->deaths);
        json_write_member_uint(w, STR("keys"), atomic_load_explicit(&k->keys, memory_order_relaxed));
        json_write_member_uint(w, STR("signatures"),
                               atomic_load_explicit(&k->signatures, memory_order_relaxed));
        json_write_member_uint(w, STR("refused"), atomic_load_explicit(&k->refused, memory_order_relaxed));
        json_write_member_uint(w, STR("dropped"), atomic_load_explicit(&k->dropped, memory_order_relaxed));
        json_write_member_bool(w, STR("lockedMemory"),
                               atomic_load_explicit(&k->is_locked, memory_order_relaxed));
        sandbox_write(w, &k->sandbox);
        json_write_object_end(w);
}

static void listener_write(struct json_writer *w, const struct listen_address *a, bool is_tls, bool is_admin)
{
        char text[LISTEN_ADDRESS_TEXT_MAX];

        json_write_object_begin(w);
        json_write_member_str(w, STR("address"), listen_address_format(a, text));
        json_write_member_bool(w, STR("tls"), is_tls);
        json_write_member_bool(w, STR("admin"), is_admin);
        json_write_object_end(w);
}

static void listeners_write(struct json_writer *w, const struct conf *c)
{
        json_write_key(w, STR("listeners"));
        json_write_array_begin(w);
        for (size_t i = 0; i < c->gateway.listens_count; i++)
                listener_write(w, &c->gateway.listens[i].address, c->gateway.listens[i].is_tls, false);
        if (c->admin.is_on)
                listener_write(w, &c->admin.listen, false, true);
        json_write_array_end(w);
}

static void upstreams_write(struct json_writer *w, const struct snapshot *s, mono_ms now)
{
        json_write_key(w, STR("upstreams"));
        json_write_array_begin(w);
        for (size_t i = 0; i < s->upstreams_count; i++) {
                const struct upstream *u = s->upstreams[i];

                json_write_object_begin(w);
                json_write_member_str(w, STR("name"), u->name);
                json_write_key(w, STR("targets"));
                json_write_array_begin(w);
                for (size_t j = 0; j < u->targets_count; j++) {
                        json_write_object_begin(w);
                        json_write_member_str(w, STR("url"), u->targets[j].url);
                        json_write_member_bool(w, STR("up"), standing_is_usable(u->targets[j].standing, now));
                        json_write_object_end(w);
                }
                json_write_array_end(w);
                json_write_object_end(w);
        }
        json_write_array_end(w);
}

static void reload_write(struct json_writer *w, const struct board *b)
{
        json_write_key(w, STR("reload"));
        if (b->reload_at == 0) {
                json_write_null(w);
                return;
        }
        json_write_object_begin(w);
        time_write(w, STR("time"), b->reload_at);
        json_write_member_bool(w, STR("ok"), b->reload_ok);
        json_write_member_str(w, STR("text"), text_of(b->reload_text));
        json_write_object_end(w);
}

static void control_write(struct json_writer *w, const struct board_control *c)
{
        int64_t lease_end = atomic_load_explicit(&c->lease_end, memory_order_relaxed);

        json_write_key(w, STR("control"));
        if (!atomic_load_explicit(&c->is_on, memory_order_relaxed)) {
                json_write_null(w);
                return;
        }
        json_write_object_begin(w);
        json_write_member_bool(w, STR("connected"),
                               atomic_load_explicit(&c->is_connected, memory_order_relaxed));
        json_write_member_uint(w, STR("epoch"), atomic_load_explicit(&c->epoch, memory_order_relaxed));
        json_write_member_uint(w, STR("version"), atomic_load_explicit(&c->version, memory_order_relaxed));
        if (lease_end)
                time_write(w, STR("leaseEnd"), lease_end * 1000);
        else
                json_write_member_null(w, STR("leaseEnd"));
        sandbox_write(w, &c->sandbox);
        json_write_object_end(w);
}

static void text_or_null(struct json_writer *w, struct str key, struct str text)
{
        if (text.len)
                json_write_member_str(w, key, text);
        else
                json_write_member_null(w, key);
}

static void tailnet_write(struct json_writer *w, const struct board_tailnet *t, const struct conf_tailnet *c)
{
        char text[IP_TEXT_MAX];

        json_write_key(w, STR("tailnet"));
        if (!c->is_used) {
                json_write_null(w);
                return;
        }
        json_write_object_begin(w);
        json_write_member_int(w, STR("pid"), t->pid);
        json_write_member_uint(w, STR("deaths"), t->deaths);
        json_write_member_bool(w, STR("connected"), t->is_running);
        text_or_null(w, STR("ipv4"), t->v4.family ? ip_format(t->v4, text) : STR(""));
        text_or_null(w, STR("ipv6"), t->v6.family ? ip_format(t->v6, text) : STR(""));
        json_write_key(w, STR("certificate"));
        if (c->wants_certificate) {
                json_write_object_begin(w);
                text_or_null(w, STR("name"), text_of(t->certificate));
                if (t->not_after)
                        time_write(w, STR("until"), t->not_after * 1000);
                else
                        json_write_member_null(w, STR("until"));
                text_or_null(w, STR("problem"), text_of(t->problem));
                json_write_object_end(w);
        } else {
                json_write_null(w);
        }
        sandbox_write(w, &t->sandbox);
        json_write_object_end(w);
}

void board_write(const struct board *b, const struct worker *worker, unix_ms now, struct json_writer *w)
{
        const struct snapshot *s = worker->snap;
        const struct conf *c = s->conf;

        json_write_object_begin(w);
        json_write_member_str(w, STR("version"), STR(SEKISHO_VERSION));
        json_write_member_int(w, STR("pid"), b->pid);
        time_write(w, STR("started"), b->started_at);
        json_write_member_int(w, STR("uptimeSeconds"), MAX(now - b->started_at, 0) / 1000);
        json_write_key(w, STR("config"));
        json_write_object_begin(w);
        json_write_member_str(w, STR("file"), c->file);
        json_write_member_str(w, STR("version"), s->version);
        json_write_member_uint(w, STR("number"), s->number);
        json_write_object_end(w);
        reload_write(w, b);
        listeners_write(w, c);
        json_write_key(w, STR("workers"));
        json_write_array_begin(w);
        for (unsigned i = 0; i < MIN(b->rows_count, (unsigned)BOARD_ROWS_MAX); i++)
                row_write(w, i, &b->rows[i], now);
        json_write_array_end(w);
        keys_write(w, &b->keys, now);
        control_write(w, &b->control);
        tailnet_write(w, &b->tailnet, &c->gateway.tailnet);
        upstreams_write(w, s, loop_now(worker->loop));
        json_write_object_end(w);
}
