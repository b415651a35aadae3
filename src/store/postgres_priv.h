/*
 * store/postgres_priv.h - one connection to a PostgreSQL server, shared by the files that open it and use it.
 */
#pragma once

#include <libpq-fe.h>

#include "base/map.h"
#include "store/backend_priv.h"

struct pg_conn {
        struct store_conn conn;
        PGconn *db;
        struct map statements; /* prepared on the connection that is up now */
        unsigned statements_count;
        bool is_listening;       /* a writer: other controls' notices come on it */
        bool was_lost;           /* and may have been missed */
        bool is_leading;         /* this session has the leader's lock */
        mono_ms lost_at, ask_at; /* while it is lost: since when, and not to be tried before */
        char xid[32];            /* of the transaction under way that writes */
        char about[64];
};

/* ERR_OK, or what the result says; takes it. */
enum err store_pg_result(struct pg_conn *c, PGresult *result);

/* A statement of ours without arguments and without rows of interest. */
enum err store_pg_exec(struct pg_conn *c, const char *sql);

/* Connects anew after a loss, and forgets what was prepared. Waits for a server that is away, but for seconds and once. */
enum err store_pg_reconnect(struct pg_conn *c);

/* store/postgres.c */
enum err store_pg_open(const struct store_url *url, enum store_role role, bool must_exist, struct report *r,
                       struct store_conn **out);
void store_pg_close(struct store_conn *conn);
void store_pg_forget_statements(struct pg_conn *c);
