#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/out.h"
#include "cli/wg_priv.h"

/*
 * Programs an operator named in a file that only they may write, run by their own command: PreUp and the like, and resolvconf.
 * Nothing that serves others ever gets here.
 */

enum { COMMAND_MAX = 64 * 1024 };

/* Waits; the exit code, or -1. `input` is given on standard input when it is not empty. */
static int run(char *const *argv, struct str input)
{
        posix_spawn_file_actions_t actions;
        int fds[2] = { -1, -1 }, status = -1;
        pid_t child;

        if (posix_spawn_file_actions_init(&actions) != 0)
                return -1;
        if (input.len > 0) {
                if (pipe(fds) < 0 || posix_spawn_file_actions_adddup2(&actions, fds[0], 0) != 0 ||
                    posix_spawn_file_actions_addclose(&actions, fds[1]) != 0)
                        goto out;
        }
        if (posix_spawnp(&child, argv[0], &actions, NULL, argv, environ) != 0)
                goto out;
        /* Short enough for a pipe to hold without a reader. */
        if (input.len > 0)
                (void)!write(fds[1], input.ptr, input.len);
        if (fds[1] >= 0) {
                close(fds[1]);
                fds[1] = -1;
        }
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
                continue;
        status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
out:
        for (size_t i = 0; i < 2; i++)
                if (fds[i] >= 0)
                        close(fds[i]);
        posix_spawn_file_actions_destroy(&actions);
        return status;
}

static void replace_name(struct str command, struct str name, struct buf *out)
{
        size_t at;

        while ((at = str_find(command, STR("%i"))) != STR_NONE) {
                buf_add(out, str_sub(command, 0, at));
                buf_add(out, name);
                command = str_from(command, at + 2);
        }
        buf_add(out, command);
        buf_add_char(out, '\0');
}

bool wg_hooks_run(const struct mesh_quick_list *hooks, struct str name)
{
        for (size_t i = 0; i < hooks->count; i++) {
                char shell[] = "/bin/sh", option[] = "-c";
                struct buf command;

                buf_init(&command, COMMAND_MAX);
                replace_name(hooks->items[i], name, &command);
                char *const argv[] = { shell, option, command.ptr, NULL };
                int code = command.full ? -1 : run(argv, STR_NULL);
                buf_fini(&command);
                if (code != 0) {
                        out_problem("this command failed (%d): %.*s", code, STR_FMT(hooks->items[i]));
                        return false;
                }
        }
        return true;
}

bool wg_dns_set(const struct mesh_quick *q, struct str name)
{
        char program[] = "resolvconf", a[] = "-a", m[] = "-m", zero[] = "0", x[] = "-x", interface[32];
        char *const argv[] = { program, a, interface, m, zero, x, NULL };
        struct buf text;

        if (q->dns_servers.count == 0 && q->dns_domains.count == 0)
                return true;
        snprintf(interface, sizeof(interface), "tun.%.*s", STR_FMT(name));
        buf_init(&text, 4096);
        for (size_t i = 0; i < q->dns_servers.count; i++)
                buf_addf(&text, "nameserver %.*s\n", STR_FMT(q->dns_servers.items[i]));
        for (size_t i = 0; i < q->dns_domains.count; i++)
                buf_addf(&text, "%s%.*s", i ? " " : "search ", STR_FMT(q->dns_domains.items[i]));
        if (q->dns_domains.count)
                buf_add_char(&text, '\n');
        int code = text.full ? -1 : run(argv, buf_str(&text));
        buf_fini(&text);
        if (code != 0)
                out_problem(
                        "DNS is set through resolvconf, which failed (%d); is openresolv or systemd-resolved installed?",
                        code);
        return code == 0;
}

void wg_dns_unset(struct str name)
{
        char program[] = "resolvconf", d[] = "-d", f[] = "-f", interface[32];
        char *const argv[] = { program, d, interface, f, NULL };

        snprintf(interface, sizeof(interface), "tun.%.*s", STR_FMT(name));
        (void)run(argv, STR_NULL);
}
