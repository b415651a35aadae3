#include <string.h>
#include <unistd.h>

#include "gateway/supervisor_priv.h"
#include "io/process.h"

/*
 * Theory of operation. A reload is a row of waits: for the reader, for the key holder where there are keys, for each worker.
 * Until the second is over the new configuration stands beside the old one, and can be dropped.
 */

static void hand_over(struct supervisor *s)
{
        struct message_apply m = { s->number, s->access_fd >= 0 };

        for (unsigned i = 0; i < s->workers_count; i++) {
                struct place *p = &s->places[i];
                int fds[MAILBOX_FDS_MAX];

                fds[0] = s->bundle_fd;
                fds[1] = s->access_fd;
                memcpy(fds + 1 + m.has_access_file, p->fds, s->listens_count * sizeof(int));
                if (p->pid &&
                    mailbox_send(&p->mailbox, MESSAGE_APPLY, (struct str){ (const char *)&m, sizeof(m) }, fds,
                                 s->listens_count + 1 + m.has_access_file) != ERR_OK)
                        log_error("config_not_handed_over", LOG_N("worker", i));
        }
}

void reload_over(struct supervisor *s, bool is_applied, struct str text)
{
        if (is_applied)
                log_info("config_applied", LOG_N("number", s->number), LOG_S("config", s->conf->version));
        if (!s->is_reloading)
                return;
        s->is_reloading = false;
        nodekeeper_told(s, is_applied, text);
        board_reload_set(s->board, is_applied, text, process_wall_ms());
        service_say("READY=1\nSTATUS=%s; configuration %.*s is in force",
                    is_applied ? "Reloaded" : "The reload was refused, see the log",
                    STR_FMT(s->conf->version));
}

/* Asked for again meanwhile: what stands in the files now is what was meant. */
static void again(struct supervisor *s)
{
        if (!s->wants_reload)
                return;
        s->wants_reload = false;
        reload(s);
}

static void refuse(struct supervisor *s, struct reading *what, const char *why)
{
        log_error("config_reload_refused", LOG_C("why", why),
                  LOG_C("kept", "the old configuration stays in force"));
        reading_drop(what);
        reload_over(s, false, str_of(why));
        again(s);
}

/* From here on it is the one in force. */
static void come_into_force(struct supervisor *s, struct reading *what)
{
        struct listen_address wanted[LISTENS_MAX];
        size_t wanted_count;

        if (addresses_list(s, what->conf, wanted, &wanted_count) != ERR_OK ||
            sockets_change(s, what->conf, wanted, wanted_count) != ERR_OK) {
                refuse(s, what, "an address cannot be listened on, see the log");
                return;
        }
        conf_free(s->conf);
        fds_close(&s->bundle_fd, 1);
        s->conf = what->conf;
        s->bundle_fd = what->bundle_fd;
        s->number++;
        access_file_open(s);
        timer_set(s->loop, &s->tickets_timer, loop_now(s->loop) + s->conf->gateway.ticket_rotation);
        watchdog_set(&s->watchdog, s->conf->gateway.watchdog);
        tailnetkeeper_follow(s);
        tailnetpair_in_force(s);
        tailnetpair_follow(s);
        meshkeeper_follow(s);
        hand_over(s);
        again(s);
}

/* Ours in the tailnet: another one, or one that can be bound at last. A socket that nobody opened yet is tried, for workers would build all anew. */
static bool addresses_differ(const struct supervisor *s, const struct listen_address *wanted, size_t count)
{
        const struct conf_gateway *g = &s->conf->gateway;
        int fd;

        for (size_t i = 0; i < count && i < g->listens_count; i++) {
                if (!g->listens[i].tailnet_family)
                        continue;
                if (!listen_address_eq(&wanted[i], &s->addresses[i]))
                        return true;
                if (wanted[i].is_later || socket_is_open(s->places[0].fds[i]) ||
                    listen_socket_open(&wanted[i], false, &fd) != ERR_OK)
                        continue;
                close(fd);
                return true;
        }
        return false;
}

void reload_addresses(struct supervisor *s)
{
        struct listen_address wanted[LISTENS_MAX];
        size_t count;

        if (s->reader.pid || s->staged.conf) /* that looks at them, too */
                return;
        if (addresses_list(s, s->conf, wanted, &count) != ERR_OK || !addresses_differ(s, wanted, count))
                return;
        if (sockets_change(s, s->conf, wanted, count) != ERR_OK)
                return;
        for (size_t i = 0; i < count; i++) {
                char text[LISTEN_ADDRESS_TEXT_MAX];

                if (i < s->conf->gateway.listens_count && s->conf->gateway.listens[i].tailnet_family)
                        log_info("tailnet_listener",
                                 LOG_S("address", listen_address_format(&wanted[i], text)),
                                 LOG_B("open", socket_is_open(s->places[0].fds[i])));
        }
        hand_over(s);
}

void reload_keys_held(struct supervisor *s, bool ok)
{
        struct reading staged = s->staged;

        if (!staged.conf)
                return;
        s->staged.conf = NULL;
        if (ok)
                come_into_force(s, &staged);
        else
                refuse(s, &staged, "the key holder did not take its keys, see the log");
}

static void keys_forget(struct reading *what)
{
        fds_close(&what->keys_fd, 1);
        what->keys_fd = -1;
}

static void on_read(struct reader *r, struct reading *what)
{
        struct supervisor *s = r->supervisor;
        bool had_one = s->keyholder.pid;

        if (s->is_stopping) {
                reading_drop(what);
        } else if (what->error != ERR_OK) { /* the reader has logged why */
                reload_over(s, false, what->problem);
                again(s);
        } else if (!keyholder_is_wanted(what->conf)) {
                keys_forget(what);
                come_into_force(s, what);
        } else if (!had_one && keyholder_start(s, what->keys_fd) != ERR_OK) {
                refuse(s, what, "the key holder cannot be started");
        } else {
                enum err e = keyholder_give(s, s->number + 1, what->keys_fd);

                keys_forget(what);
                if (!had_one)
                        keyholder_connect(s);
                if (e == ERR_OK)
                        s->staged = *what;
                else
                        refuse(s, what, "the key holder cannot be reached");
        }
}

void reload(struct supervisor *s)
{
        if (s->reader.pid || s->staged.conf) {
                s->wants_reload = true;
                return;
        }
        s->is_reloading = true;
        nodekeeper_reads(s);
        tailnetpair_read(s);
        service_say_reloading();
        if (reader_start(&s->reader, s, READER_RELOAD, on_read) != ERR_OK) {
                log_error("config_reload_refused", LOG_E(ERR_NO_MEMORY));
                reload_over(s, false, STR("no process can be made to read it"));
        }
}
