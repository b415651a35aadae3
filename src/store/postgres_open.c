#include "store/postgres_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/random.h"

enum {
        STATEMENTS_MAX = 512,
        SERVER_VERSION_MIN = 130000,
        RECONNECT_PATIENCE_MS =
                5000, /* a server that restarts, or another that takes its place, is waited for */
        RECONNECT_PAUSE_MS = 100,
        RECONNECT_EVERY_MS = 1000 /* after that jobs fail at once, but for one try a second */
};

#define CA_BUNDLE "/etc/ssl/certs/ca-certificates.crt"

/*
 * A writer waits for others' changes only so long; nobody else holds a lock of ours for longer than a statement. The server looks
 * after a session whose machine is gone: its lead would else last for hours.
 */
#define SESSION                                                                                             \
        "SET client_encoding = 'UTF8'; SET standard_conforming_strings = on; SET synchronous_commit = on; " \
        "SET statement_timeout = '60s'; SET lock_timeout = '20s'; "                                         \
        "SET idle_in_transaction_session_timeout = '60s'; SET bytea_output = 'hex'; "                       \
        "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3"

static void ignore_notice(void *context, const PGresult *result) {}

static bool is_near(const char *host)
{
        return !host || host[0] == '\0' || host[0] == '/' || host[0] == '@' ||
               strcmp(host, "localhost") == 0 || strcmp(host, "127.0.0.1") == 0 || strcmp(host, "::1") == 0;
}

/* Over a network nothing less than a verified name is good enough, unless the URL says otherwise. */
static const char *ssl_mode(const char *url)
{
        PQconninfoOption *options = PQconninfoParse(url, NULL);
        const char *mode = NULL;

        for (const PQconninfoOption *o = options; o && o->keyword; o++)
                if (strcmp(o->keyword, "host") == 0 && !is_near(o->val))
                        mode = "verify-full";
        PQconninfoFree(options);
        return mode;
}

/* What comes before the URL it may overrule. */
static PGconn *connect_to(const char *url)
{
        const char *mode = ssl_mode(url);
        const char *const names[] = { "connect_timeout",           "keepalives_idle",
                                      "tcp_user_timeout",          "fallback_application_name",
                                      mode ? "sslmode" : "dbname", mode ? "sslrootcert" : NULL,
                                      mode ? "dbname" : NULL,      NULL };
        const char *const values[] = {
                "5", "10", "15000", "sekisho", mode ? mode : url, mode ? CA_BUNDLE : NULL, mode ? url : NULL,
                NULL
        };

        return PQconnectdbParams(names, values, 1);
}

static enum err greet(struct pg_conn *c)
{
        enum err e = store_pg_exec(c, SESSION);

        return e == ERR_OK && c->is_listening ? store_pg_exec(c, "LISTEN sekisho_store") : e;
}

/* libpq's texts are lines; one is enough. */
static int line_length(const char *text)
{
        return (int)strcspn(text, "\n");
}

static mono_ms now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (mono_ms)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static enum err try_once(struct pg_conn *c)
{
        enum err e;

        PQreset(c->db);
        if (PQstatus(c->db) != CONNECTION_OK)
                return store_conn_fail(&c->conn, ERR_UNREACHABLE, "%.*s", line_length(PQerrorMessage(c->db)),
                                       PQerrorMessage(c->db));
        e = greet(c);
        if (e != ERR_OK && PQstatus(c->db) != CONNECTION_OK)
                return ERR_UNREACHABLE; /* gone again before it was of use */
        c->lost_at = 0;
        return e;
}

enum err store_pg_reconnect(struct pg_conn *c)
{
        const struct timespec pause = { 0, RECONNECT_PAUSE_MS * 1000000L };
        mono_ms now = now_ms();
        enum err e;

        store_pg_forget_statements(c);
        c->was_lost = true;
        c->is_leading = false;
        c->lost_at = c->lost_at ? c->lost_at : now;
        if (now < c->ask_at)
                return store_conn_fail(&c->conn, ERR_UNREACHABLE, "the database cannot be reached");
        while ((e = try_once(c)) == ERR_UNREACHABLE && now_ms() - c->lost_at < RECONNECT_PATIENCE_MS)
                nanosleep(&pause, NULL);
        c->ask_at = e == ERR_OK ? 0 : now_ms() + RECONNECT_EVERY_MS;
        return e;
}

static enum err check_server(struct pg_conn *c, struct report *r)
{
        const char *encoding = PQparameterStatus(c->db, "server_encoding");
        int version = PQserverVersion(c->db);

        snprintf(c->about, sizeof(c->about), "PostgreSQL %d.%d", version / 10000, version % 10000);
        if (version < SERVER_VERSION_MIN) {
                report_error(r, 0, 0, "the server is %s; a store needs PostgreSQL 13 or newer", c->about);
                return ERR_UNSUPPORTED;
        }
        if (!encoding || strcmp(encoding, "UTF8") != 0) {
                report_error(r, 0, 0, "the database's encoding is %s: create it with ENCODING 'UTF8'",
                             encoding ? encoding : "unknown");
                return ERR_UNSUPPORTED;
        }
        return ERR_OK;
}

enum err store_pg_open(const struct store_url *url, enum store_role role, bool must_exist, struct report *r,
                       struct store_conn **out)
{
        struct hash_key key = { crypto_random_u64(), crypto_random_u64() };
        char text[STORE_URL_BYTES_MAX + 1];
        struct pg_conn *c = calloc(1, sizeof(*c));
        enum err e;

        if (!c)
                return ERR_NO_MEMORY;
        memcpy(text, url->text.ptr, url->text.len);
        text[url->text.len] = '\0';
        c->conn.backend = &store_postgres;
        c->is_listening = role == STORE_WRITER;
        map_init(&c->statements, key, STATEMENTS_MAX);
        c->db = connect_to(text);
        explicit_bzero(text, sizeof(text)); /* it may hold a password */
        if (PQstatus(c->db) != CONNECTION_OK) {
                const char *why = c->db ? PQerrorMessage(c->db) : "out of memory";
                report_error(r, 0, 0, "cannot open the store: %.*s", line_length(why), why);
                store_pg_close(&c->conn);
                return ERR_UNREACHABLE;
        }
        PQsetNoticeReceiver(c->db, ignore_notice, NULL);
        if ((e = check_server(c, r)) == ERR_OK && (e = greet(c)) != ERR_OK)
                report_error(r, 0, 0, "cannot open the store: %s", c->conn.reason);
        if (e != ERR_OK) {
                store_pg_close(&c->conn);
                return e;
        }
        *out = &c->conn;
        return ERR_OK;
}
