/* `sekisho daemon`: the roles as units of systemd, through systemctl and journalctl. No shell is run, and no word of ours is one. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "cli/command.h"
#include "cli/daemon_show.h"
#include "cli/out.h"
#include "json/writer.h"

enum {
        SHOW_BYTES_MAX = 64 << 10,
        START_MS = 30 * 1000,
        LOOK_MS = 200,
        LINES_USUAL = 50,
        LINES_MAX = 1000000,
        ARGV_MAX = 12
};

struct daemon_options {
        struct str lines;
        bool follow, json;
};

static const struct role {
        const char *name, *unit, *by_hand;
} roles[] = {
        { "control", "sekisho-control.service", "sekisho control --config /etc/sekisho/control.json" },
        { "gateway", "sekisho-gateway.service", "sekisho gateway --config /etc/sekisho/sekisho.json" },
        { "agent", "sekisho-agent.service", "sekisho agent --config /etc/sekisho/agent.json" },
};

static const struct role *role_find(struct str name)
{
        for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
                if (str_eq(name, str_of(roles[i].name)))
                        return &roles[i];
        return NULL;
}

/* ---- running a program ---- */

static void pipe_read(int fd, struct buf *out)
{
        char bytes[4096];
        ssize_t n;

        while ((n = read(fd, bytes, sizeof(bytes))) > 0 || (n < 0 && errno == EINTR))
                if (n > 0)
                        buf_add(out, (struct str){ bytes, (size_t)n });
}

/*
 * Its exit code, or -1 where it could not be run; what it prints goes into `out`, or where ours goes. posix_spawn wants
 * pointers to char that it does not write through.
 */
static int run(const char *const *words, struct buf *out)
{
        posix_spawn_file_actions_t actions;
        char *argv[ARGV_MAX + 1] = { NULL };
        int fds[2] = { -1, -1 }, status = -1;
        pid_t child = 0;

        for (size_t i = 0; i < ARGV_MAX && words[i]; i++)
                memcpy(&argv[i], &words[i], sizeof(argv[i]));
        if (posix_spawn_file_actions_init(&actions) != 0)
                return -1;
        if (out && (pipe2(fds, O_CLOEXEC) != 0 || posix_spawn_file_actions_adddup2(&actions, fds[1], 1) != 0))
                goto end;
        fflush(stdout);
        if (posix_spawnp(&child, argv[0], &actions, NULL, argv, environ) != 0)
                goto end;
        if (out) {
                close(fds[1]);
                fds[1] = -1;
                pipe_read(fds[0], out);
        }
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
                continue;
        status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
end:
        for (size_t i = 0; i < 2; i++)
                if (fds[i] >= 0)
                        close(fds[i]);
        posix_spawn_file_actions_destroy(&actions);
        return status;
}

/* ---- what systemd says of a unit ---- */

static enum exit_code no_systemd(const struct role *r)
{
        out_problem(
                "this machine is not run by systemd; run the role in the foreground, or by what runs the machine: %s",
                r->by_hand);
        return EXIT_UNAVAILABLE;
}

static const char properties[] = "--property=" DAEMON_SHOW_PROPERTIES;

/* The texts point into `text`. */
static enum exit_code show(const struct role *r, struct buf *text, struct daemon_unit *out)
{
        const char *words[] = { "systemctl", "show", "--no-pager", properties, r->unit, NULL };

        if (access("/run/systemd/system", F_OK) != 0)
                return no_systemd(r);
        buf_clear(text);
        int code = run(words, text);
        if (code < 0)
                return no_systemd(r);
        if (code != 0 || text->full || daemon_show_parse(buf_str(text), out) != ERR_OK) {
                out_problem("systemctl does not say how %s is (it gave %d)", r->unit, code);
                return EXIT_FAILED;
        }
        return EXIT_OK;
}

static enum exit_code show_installed(const struct role *r, struct buf *text, struct daemon_unit *out)
{
        enum exit_code code = show(r, text, out);

        if (code != EXIT_OK || out->is_installed)
                return code;
        out_problem("there is no %s on this machine; run: install.sh %s, or install the Debian package",
                    r->unit, r->name);
        return EXIT_NOT_FOUND;
}

/* ---- saying it ---- */

static void unit_write(struct json_writer *w, const struct role *r, const struct daemon_unit *u)
{
        json_write_object_begin(w);
        json_write_member_str(w, STR("role"), str_of(r->name));
        json_write_member_str(w, STR("unit"), str_of(r->unit));
        json_write_member_bool(w, STR("installed"), u->is_installed);
        json_write_member_bool(w, STR("enabled"), u->is_enabled);
        json_write_member_bool(w, STR("active"), u->is_active);
        json_write_member_str(w, STR("state"), u->state);
        json_write_member_str(w, STR("sub_state"), u->sub_state);
        json_write_member_str(w, STR("result"), u->result);
        json_write_member_int(w, STR("pid"), (int64_t)u->pid);
        json_write_member_int(w, STR("restarts"), (int64_t)u->restarts);
        json_write_member_str(w, STR("since"), u->since);
        json_write_member_str(w, STR("status"), u->status);
        json_write_object_end(w);
}

static void unit_print(const struct role *r, const struct daemon_unit *u)
{
        out_print("%-8s ", r->name);
        if (!u->is_installed) {
                out_print("not installed\n");
                return;
        }
        out_coloured(u->is_active            ? OUT_GREEN
                     : daemon_unit_failed(u) ? OUT_RED
                                             : OUT_YELLOW,
                     "%.*s (%.*s)", STR_FMT(u->state), STR_FMT(u->sub_state));
        if (u->pid)
                out_print(", pid %llu", (unsigned long long)u->pid);
        if (u->since.len)
                out_print(", since %.*s", STR_FMT(u->since));
        if (u->restarts)
                out_print(", restarted %llu times", (unsigned long long)u->restarts);
        out_print(u->is_enabled ? ", starts at boot\n" : ", does not start at boot\n");
        if (u->status.len) {
                out_print("         ");
                out_foreign(u->status);
                out_print("\n");
        }
}

static enum exit_code unit_code(const struct daemon_unit *u)
{
        return !u->is_installed        ? EXIT_NOT_FOUND
               : u->is_active          ? EXIT_OK
               : daemon_unit_failed(u) ? EXIT_FAILED
                                       : EXIT_UNAVAILABLE;
}

static enum exit_code unit_tell(const struct role *r, const struct daemon_unit *u, bool json)
{
        struct json_writer w;
        struct buf out;

        if (!json) {
                unit_print(r, u);
                return unit_code(u);
        }
        buf_init(&out, SHOW_BYTES_MAX);
        json_writer_init(&w, &out, JSON_COMPACT);
        unit_write(&w, r, u);
        json_writer_finish(&w);
        out_print("%.*s\n", STR_FMT(buf_str(&out)));
        buf_fini(&out);
        return unit_code(u);
}

/* ---- the commands ---- */

/* Which role the command line names; NULL: said. */
static const struct role *role_named(const struct command_call *call)
{
        const struct role *r = call->arguments->count ? role_find(call->arguments->items[0]) : NULL;

        if (!r)
                out_problem("say which role: control, gateway or agent");
        return r;
}

static bool is_root(const struct command_call *call, const struct role *r)
{
        if (geteuid() == 0)
                return true;
        out_problem("this needs root; run: sudo sekisho daemon %s %s", call->command->name, r->name);
        return false;
}

static enum exit_code systemctl(const struct role *r, const char *verb, const char *option)
{
        const char *words[] = { "systemctl", "--quiet", option, verb, r->unit, NULL };
        int code = run(words, NULL);

        if (code == 0)
                return EXIT_OK;
        out_problem("systemctl %s %s gave %d; sekisho daemon logs %s says more", verb, r->unit, code,
                    r->name);
        return EXIT_FAILED;
}

/*
 * Waits until it serves or has failed. A gateway that joins is ready when control has told it what to serve, which somebody may
 * have to approve first: what still starts after a while is left starting.
 */
static enum exit_code settle(const struct role *r, struct buf *text, struct daemon_unit *u)
{
        enum exit_code code = EXIT_OK;

        for (int waited = 0; waited <= START_MS && code == EXIT_OK; waited += LOOK_MS) {
                if ((code = show(r, text, u)) != EXIT_OK || (u->is_active && !u->has_job))
                        return code;
                if (daemon_unit_failed(u)) {
                        out_problem("%s does not stay up (%.*s); its last lines:", r->unit,
                                    STR_FMT(u->result));
                        const char *words[] = { "journalctl", "--no-pager", "--quiet", "--output=cat",
                                                "--lines=10", "--unit",     r->unit,   NULL };
                        struct buf last;

                        buf_init(&last, SHOW_BYTES_MAX);
                        if (run(words, &last) == 0)
                                out_note("%.*s", STR_FMT(buf_str(&last)));
                        buf_fini(&last);
                        return EXIT_FAILED;
                }
                poll(NULL, 0, LOOK_MS);
        }
        if (code == EXIT_OK)
                out_note("sekisho: %s is still starting; sekisho daemon logs %s says what it waits for\n",
                         r->unit, r->name);
        return code;
}

enum change { CHANGE_START, CHANGE_STOP, CHANGE_RESTART };

static enum exit_code change_ask(const struct role *r, const struct daemon_unit *u, enum change what)
{
        enum exit_code code;

        switch (what) {
        case CHANGE_START:
                /* One that waits for its next try is not hurried by being started. */
                code = systemctl(r, "enable", "--no-pager");
                return code != EXIT_OK
                               ? code
                               : systemctl(r, daemon_unit_failed(u) ? "restart" : "start", "--no-block");
        case CHANGE_STOP: return systemctl(r, "disable", "--now");
        case CHANGE_RESTART: return systemctl(r, "restart", "--no-block");
        }
        return EXIT_FAILED;
}

static enum exit_code change(const struct command_call *call, enum change what)
{
        const struct daemon_options *o = call->options;
        const struct role *r = role_named(call);
        struct daemon_unit u;
        enum exit_code code;
        struct buf text;

        if (!r)
                return EXIT_WRONG;
        if (!is_root(call, r))
                return EXIT_DENIED;
        buf_init(&text, SHOW_BYTES_MAX);
        code = show_installed(r, &text, &u);
        if (code == EXIT_OK)
                code = change_ask(r, &u, what);
        if (code == EXIT_OK)
                code = what == CHANGE_STOP ? show(r, &text, &u) : settle(r, &text, &u);
        if (code == EXIT_OK)
                unit_tell(r, &u, o->json);
        buf_fini(&text);
        return code;
}

static enum exit_code start_run(const struct command_call *call)
{
        return change(call, CHANGE_START);
}

static enum exit_code stop_run(const struct command_call *call)
{
        return change(call, CHANGE_STOP);
}

static enum exit_code restart_run(const struct command_call *call)
{
        return change(call, CHANGE_RESTART);
}

/* Of all roles: those that are there must serve. */
static enum exit_code status_all(bool json)
{
        enum exit_code code = EXIT_OK, worst = EXIT_OK;
        struct buf text, out;
        struct json_writer w;

        buf_init(&text, SHOW_BYTES_MAX);
        buf_init(&out, SHOW_BYTES_MAX);
        json_writer_init(&w, &out, JSON_COMPACT);
        json_write_array_begin(&w);
        for (size_t i = 0; i < ARRAY_SIZE(roles) && code == EXIT_OK; i++) {
                struct daemon_unit u;

                if ((code = show(&roles[i], &text, &u)) != EXIT_OK)
                        break;
                if (json)
                        unit_write(&w, &roles[i], &u);
                else
                        unit_print(&roles[i], &u);
                if (u.is_installed && worst == EXIT_OK)
                        worst = unit_code(&u);
        }
        json_write_array_end(&w);
        json_writer_finish(&w);
        if (json && code == EXIT_OK)
                out_print("%.*s\n", STR_FMT(buf_str(&out)));
        buf_fini(&out);
        buf_fini(&text);
        return code == EXIT_OK ? worst : code;
}

static enum exit_code status_run(const struct command_call *call)
{
        const struct daemon_options *o = call->options;
        const struct role *r;
        struct daemon_unit u;
        struct buf text;

        if (!call->arguments->count)
                return status_all(o->json);
        if (!(r = role_named(call)))
                return EXIT_WRONG;
        buf_init(&text, SHOW_BYTES_MAX);
        enum exit_code code = show_installed(r, &text, &u);
        if (code == EXIT_OK)
                code = unit_tell(r, &u, o->json);
        buf_fini(&text);
        return code;
}

static enum exit_code logs_run(const struct command_call *call)
{
        const struct daemon_options *o = call->options;
        const struct role *r = role_named(call);
        uint64_t lines = LINES_USUAL;
        char option[32];
        const char *words[ARGV_MAX] = { "journalctl", "--no-pager", "--quiet" };
        size_t n = 3;

        if (!r)
                return EXIT_WRONG;
        if (o->lines.len && units_parse_u64(o->lines, LINES_MAX, &lines) != ERR_OK) {
                out_problem("--lines: \"%.*s\" is no number up to %d", STR_FMT(o->lines), LINES_MAX);
                return EXIT_WRONG;
        }
        if (access("/run/systemd/system", F_OK) != 0)
                return no_systemd(r);
        snprintf(option, sizeof(option), "--lines=%llu", (unsigned long long)lines);
        words[n++] = option;
        words[n++] = o->json ? "--output=json" : "--output=cat";
        if (o->follow)
                words[n++] = "--follow";
        words[n++] = "--unit";
        words[n] = r->unit;
        int code = run(words, NULL);
        if (code == 0)
                return EXIT_OK;
        out_problem(
                "journalctl gave %d; the journal of %s is read by root and the groups adm and systemd-journal",
                code, r->unit);
        return EXIT_FAILED;
}

#define JSON_OPTION(doc_)                                                                 \
        {                                                                                 \
                "json", 0, OPTION_FLAG, offsetof(struct daemon_options, json), NULL, doc_ \
        }
#define DAEMON_COMMAND(name_, run_) \
        .name = name_, .options_bytes = sizeof(struct daemon_options), .arguments_max = 1, .run = run_

static const struct option state_options[] = { JSON_OPTION("print how it is as JSON"), { NULL } };

static const struct command commands[] = {
        { DAEMON_COMMAND("start", start_run), .summary = "start a role, now and at each boot",
          .usage = "control|gateway|agent [--json]",
          .text = "Waits until it serves, and says its last lines when it does not.",
          .examples = (const char *const[]){ "sekisho daemon start agent", NULL }, .options = state_options },
        { DAEMON_COMMAND("stop", stop_run), .summary = "stop a role, now and for later boots",
          .usage = "control|gateway|agent [--json]",
          .text = "What is under way is let finish first, for as long as the role's drain time.",
          .examples = (const char *const[]){ "sekisho daemon stop gateway", NULL },
          .options = state_options },
        { DAEMON_COMMAND("restart", restart_run), .summary = "stop a role and start it again",
          .usage = "control|gateway|agent [--json]",
          .text = "A changed configuration needs less: systemctl reload sekisho-gateway.",
          .examples = (const char *const[]){ "sekisho daemon restart control", NULL },
          .options = state_options },
        { DAEMON_COMMAND("status", status_run), .summary = "say how the roles of this machine are",
          .usage = "[control|gateway|agent] [--json]",
          .text = "Exit code 0: it is up (without a role: each that is installed); 1: it failed; 4: it is not installed; 6: it "
                  "does not run.",
          .examples = (const char *const[]){ "sekisho daemon status", "sekisho daemon status gateway --json",
                                             NULL },
          .options = state_options },
        { DAEMON_COMMAND("logs", logs_run), .summary = "print what a role wrote to the journal",
          .usage = "control|gateway|agent [--lines N] [--follow] [--json]",
          .examples = (const char *const[]){ "sekisho daemon logs agent --follow",
                                             "sekisho daemon logs control -n 500", NULL },
          .options =
                  (const struct option[]){
                          { "lines", 'n', OPTION_TEXT, offsetof(struct daemon_options, lines), "N",
                            "how many, counted from the last (50)" },
                          { "follow", 'f', OPTION_FLAG, offsetof(struct daemon_options, follow), NULL,
                            "go on with what is written from now on" },
                          JSON_OPTION("as the journal's JSON, with times and fields"),
                          { NULL },
                  } },
        { NULL },
};

const struct command command_daemon = {
        .name = "daemon",
        .summary = "the roles of this machine as services of systemd",
        .usage = "start|stop|restart|status|logs [control|gateway|agent]",
        .text = "Units, users and folders come from install.sh or the Debian package.",
        .subcommands = commands,
};
