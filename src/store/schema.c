#include "store/schema_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "store/txn_priv.h"

enum { SCRIPT_BYTES_MAX = 64 * 1024 };

/* Puts the engine's own words in. */
static void respell(struct str sql, const struct store_backend *b, struct buf *out)
{
        const struct {
                struct str word;
                const char *spelled;
        } words[] = {
                { STR("{int}"), b->int_type },
                { STR("{bytes}"), b->bytes_type },
                { STR("{strict}"), b->table_end },
        };

        while (sql.len) {
                size_t at = str_find_char(sql, '{');
                buf_add(out, str_sub(sql, 0, at));
                sql = str_from(sql, at == STR_NONE ? sql.len : at);
                for (size_t i = 0; i < ARRAY_SIZE(words) && sql.len; i++) {
                        if (!str_has_prefix(sql, words[i].word))
                                continue;
                        buf_add(out, str_of(words[i].spelled));
                        sql = str_from(sql, words[i].word.len);
                        break;
                }
        }
}

enum err store_schema_version(struct store_conn *c, int *out)
{
        struct store_stmt *s;
        struct store_value v = VALUE_NULL;
        bool has = false;
        enum err e = c->backend->has_table(c, "schema_version", &has);

        *out = 0;
        if (e != ERR_OK || !has)
                return e;
        if ((e = c->backend->start(c, STR("SELECT version FROM schema_version"), NULL, 0, &s)) != ERR_OK)
                return e;
        e = c->backend->step(c, s, &has);
        if (e == ERR_OK && has)
                c->backend->column(s, 0, &v);
        c->backend->finish(c, s);
        *out = v.type == STORE_NUMBER && v.number > 0 && v.number < 1000000 ? (int)v.number : 0;
        if (e == ERR_OK && *out == 0)
                return store_conn_fail(c, ERR_MALFORMED, "the schema's version is missing");
        return e;
}

/* One step and its number, together or not at all. The version is read again inside: another control may have been faster. */
static enum err take_step(struct store_conn *c, int target, int *at)
{
        struct buf script;
        char number[64];
        enum err e = c->backend->begin(c, true);

        if (e != ERR_OK)
                return e;
        buf_init(&script, SCRIPT_BYTES_MAX);
        e = store_schema_version(c, at);
        if (e == ERR_OK && *at < target) {
                respell(str_of(store_steps[(size_t)*at].sql), c->backend, &script);
                buf_add_char(&script, '\0');
                snprintf(number, sizeof(number), "UPDATE schema_version SET version = %d", *at + 1);
                e = script.full ? ERR_NO_MEMORY : c->backend->script(c, script.ptr);
                if (e == ERR_OK)
                        e = c->backend->script(c, number);
        }
        buf_fini(&script);
        if (e == ERR_OK)
                e = c->backend->commit(c);
        else
                c->backend->rollback(c);
        return e;
}

enum err store_schema_migrate(struct store_conn *c, int version, struct report *r)
{
        int at, step;
        enum err e = store_schema_version(c, &at);

        if (e == ERR_OK && at > store_steps_count) {
                report_error(
                        r, 0, 0,
                        "the store was written by a newer sekisho (its schema is %d, this program knows %d): use that "
                        "program, or restore a backup made before",
                        at, store_steps_count);
                return ERR_UNSUPPORTED;
        }
        for (step = at; e == ERR_OK && at < version; step = ++at) {
                if ((e = take_step(c, version, &at)) == ERR_OK)
                        continue;
                report_error(r, 0, 0, "cannot bring the store to schema %d (%s): %s", step + 1,
                             store_steps[step].what, c->reason);
                return e;
        }
        if (e != ERR_OK)
                report_error(r, 0, 0, "cannot read the store's schema: %s", c->reason);
        return e;
}
