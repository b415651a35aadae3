#include "store/backend_priv.h"

#include <stdarg.h>
#include <stdio.h>

enum err store_conn_open(const struct store_url *url, enum store_role role, bool must_exist, struct report *r,
                         struct store_conn **out)
{
        const struct store_backend *backend = url->kind == STORE_SQLITE ? &store_sqlite : &store_postgres;

        return backend->open(url, role, must_exist, r, out);
}

void store_conn_close(struct store_conn *c)
{
        if (c)
                c->backend->close(c);
}

void store_conn_say(struct store_conn *c, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        vsnprintf(c->reason, sizeof(c->reason), format, args);
        va_end(args);
}
