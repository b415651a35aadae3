#include <string.h>
#include <unistd.h>

#include "conf/source.h"
#include "gateway/overlay.h"
#include "gateway/supervisor_priv.h"
#include "io/process.h"

enum err conf_read(struct supervisor *s, struct report *r, struct conf **conf, struct buf *bundle)
{
        struct conf_source system;
        struct overlay overlay;
        struct conf_recorder recorder;
        enum err e;

        conf_source_system(&system, s->options->config_file, process_wall_ms());
        envkeeper_over(&s->environment, &system);
        overlay_init(&overlay, &s->environment.source,
                     s->options->no_auth ? STR("false")
                     : s->options->auth  ? STR("true")
                                         : STR(""));
        conf_recorder_init(&recorder, &overlay.source);
        e = conf_load(&recorder.source, r, conf);
        if (e == ERR_OK) {
                struct str bytes = conf_recorder_bundle(&recorder);

                buf_init(bundle, CONF_BUNDLE_BYTES_MAX);
                buf_add(bundle, bytes);
                if (bytes.len == 0 || bundle->full) {
                        conf_free(*conf);
                        buf_wipe(bundle);
                        e = ERR_NO_MEMORY;
                }
        }
        conf_recorder_fini(&recorder);
        return e;
}

static void reload_report(const struct report *r)
{
        for (size_t i = 0; i < r->entries_count; i++) {
                const struct report_entry *entry = &r->entries[i];

                if (entry->severity == REPORT_ERROR)
                        log_error("config_problem", LOG_S("file", entry->file), LOG_N("line", entry->line),
                                  LOG_N("column", entry->column), LOG_S("problem", entry->text));
        }
        log_error("config_reload_refused", LOG_N("errors", r->errors_count),
                  LOG_C("kept", "the old configuration stays in force"));
}

static void hand_over(struct supervisor *s)
{
        struct message_apply m = { s->number, s->access_fd >= 0 };
        int bundle_fd;

        if (mailbox_memfd(buf_str(&s->bundle), &bundle_fd) != ERR_OK) {
                log_error("config_not_handed_over", LOG_E(ERR_NO_MEMORY));
                return;
        }
        for (unsigned i = 0; i < s->workers_count; i++) {
                struct place *p = &s->places[i];
                int fds[MAILBOX_FDS_MAX];

                fds[0] = bundle_fd;
                fds[1] = s->access_fd;
                memcpy(fds + 1 + m.has_access_file, p->fds, s->listens_count * sizeof(int));
                if (p->pid &&
                    mailbox_send(&p->mailbox, MESSAGE_APPLY, (struct str){ (const char *)&m, sizeof(m) }, fds,
                                 s->listens_count + 1 + m.has_access_file) != ERR_OK)
                        log_error("config_not_handed_over", LOG_N("worker", i));
        }
        close(bundle_fd);
}

void reload_over(struct supervisor *s, bool is_applied, struct str text)
{
        if (is_applied)
                log_info("config_applied", LOG_N("number", s->number), LOG_S("config", s->conf->version));
        if (!s->is_reloading)
                return;
        s->is_reloading = false;
        board_reload_set(s->board, is_applied, text, process_wall_ms());
        service_say("READY=1\nSTATUS=%s; configuration %.*s is in force",
                    is_applied ? "Reloaded" : "The reload was refused, see the log",
                    STR_FMT(s->conf->version));
}

void reload(struct supervisor *s)
{
        struct listen_address wanted[LISTENS_MAX];
        struct report report;
        struct conf *conf = NULL;
        struct buf bundle;
        size_t wanted_count;

        s->is_reloading = true;
        service_say_reloading();
        report_init(&report, s->options->config_file);
        if (conf_read(s, &report, &conf, &bundle) != ERR_OK) {
                struct str first = STR("it cannot be read");

                reload_report(&report);
                for (size_t i = report.entries_count; i-- > 0;)
                        if (report.entries[i].severity == REPORT_ERROR)
                                first = report.entries[i].text;
                reload_over(s, false, first);
        } else if (addresses_list(conf, wanted, &wanted_count) != ERR_OK ||
                   sockets_change(s, wanted, wanted_count) != ERR_OK) {
                log_error("config_reload_refused", LOG_C("kept", "the old configuration stays in force"));
                conf_free(conf);
                buf_wipe(&bundle);
                reload_over(s, false, STR("an address cannot be listened on, see the log"));
        } else {
                conf_free(s->conf);
                buf_wipe(&s->bundle);
                s->conf = conf;
                s->bundle = bundle;
                s->number++;
                access_file_open(s);
                timer_set(s->loop, &s->tickets_timer, loop_now(s->loop) + conf->gateway.ticket_rotation);
                watchdog_set(&s->watchdog, conf->gateway.watchdog);
                hand_over(s);
        }
        report_fini(&report);
}
