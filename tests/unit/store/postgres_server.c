#include "postgres_server.h"

#include <fcntl.h>
#include <ftw.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../test.h"

#define PROGRAMS "/usr/lib/postgresql/15/bin/"

static char folder[64], data[80];
static pid_t server;

/* PostgreSQL does not run as root: then it is its own user's. */
static void become_plain(void)
{
        const struct passwd *user = geteuid() == 0 ? getpwnam("postgres") : NULL;

        if (user && (setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0))
                _exit(126);
}

static pid_t run(const char *const *arguments)
{
        pid_t pid = fork();

        if (pid == 0) {
                int fd = open("/dev/null", O_RDWR);
                dup2(fd, 0);
                dup2(fd, 1);
                dup2(fd, 2);
                become_plain();
                execv(arguments[0], (char *const *)(const void *)arguments);
                _exit(127);
        }
        return pid;
}

static void launch(void)
{
        char conninfo[160];
        const char *const arguments[] = { PROGRAMS "postgres",
                                          "-D",
                                          data,
                                          "-k",
                                          folder,
                                          "-c",
                                          "listen_addresses=",
                                          "-c",
                                          "fsync=off",
                                          "-c",
                                          "max_connections=60",
                                          "-c",
                                          "shared_buffers=16MB",
                                          "-c",
                                          "log_min_messages=fatal",
                                          NULL };
        const struct timespec pause = { 0, 20 * 1000 * 1000 };
        PGPing ping = PQPING_NO_RESPONSE;

        server = run(arguments);
        assert_true(server > 0);
        snprintf(conninfo, sizeof(conninfo), "host=%s user=postgres dbname=postgres connect_timeout=5",
                 folder);
        for (int i = 0; i < 1500 && ping != PQPING_OK; i++) {
                ping = PQping(conninfo);
                if (ping != PQPING_OK)
                        nanosleep(&pause, NULL);
        }
        assert_int_equal(ping, PQPING_OK);
}

bool postgres_start(void)
{
        const struct passwd *user = geteuid() == 0 ? getpwnam("postgres") : NULL;
        const char *const arguments[] = { PROGRAMS "initdb",
                                          "-D",
                                          data,
                                          "-U",
                                          "postgres",
                                          "-A",
                                          "trust",
                                          "-E",
                                          "UTF8",
                                          "--locale=C",
                                          "--no-sync",
                                          "--no-instructions",
                                          NULL };
        int status;

        if (access(PROGRAMS "initdb", X_OK) != 0 || (geteuid() == 0 && !user)) {
                printf("PostgreSQL (Debian: postgresql) is not installed: not tested with it\n");
                return false;
        }
        snprintf(folder, sizeof(folder), "/tmp/sekisho-pg-XXXXXX");
        assert_non_null(mkdtemp(folder));
        if (user)
                assert_int_equal(chown(folder, user->pw_uid, user->pw_gid), 0);
        snprintf(data, sizeof(data), "%s/data", folder);
        assert_int_equal(waitpid(run(arguments), &status, 0) > 0 ? status : -1, 0);
        launch();
        return true;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
        return remove(path);
}

void postgres_stop(void)
{
        if (server <= 0)
                return;
        kill(server, SIGQUIT);
        waitpid(server, NULL, 0);
        server = 0;
        nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

void postgres_crash(void)
{
        kill(server, SIGQUIT);
        waitpid(server, NULL, 0);
        launch();
}

void postgres_place(unsigned number, char *url, size_t url_size)
{
        char conninfo[160], sql[64];
        PGconn *c;
        PGresult *result;

        snprintf(conninfo, sizeof(conninfo), "host=%s user=postgres dbname=postgres", folder);
        snprintf(sql, sizeof(sql), "CREATE SCHEMA place%u", number);
        c = PQconnectdb(conninfo);
        result = PQexec(c, sql);
        assert_int_equal(PQresultStatus(result), PGRES_COMMAND_OK);
        PQclear(result);
        PQfinish(c);
        snprintf(url, url_size, "postgresql://postgres@/postgres?host=%s&options=-csearch_path%%3Dplace%u",
                 folder, number);
}
