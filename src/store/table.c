#include "store/table_priv.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"

/* SQL is made of the families' static tables and nothing else; values are always parameters. */
static void sql_init(struct buf *b)
{
        buf_init(b, STORE_SQL_BYTES_MAX - 1);
}

void store_table_columns(const struct store_table *table, struct buf *out)
{
        buf_add(out, STR("id, org, revision"));
        for (size_t i = 0; i < table->fields_count; i++)
                buf_addf(out, ", %s", table->fields[i].name);
}

static const void *member(const struct store_field *f, const void *row)
{
        return (const char *)row + f->offset;
}

static struct store_value text_value(struct str s)
{
        return VALUE_TEXT(s.len ? s : STR(""));
}

struct store_value store_field_get(const struct store_field *f, const void *row)
{
        const void *at = member(f, row);
        const struct ip *ip;
        int64_t number;
        int word;

        switch (f->type) {
        case STORE_INT: memcpy(&number, at, sizeof(number)); return VALUE_INT(number);
        case STORE_REF: memcpy(&number, at, sizeof(number)); return number ? VALUE_INT(number) : VALUE_NULL;
        case STORE_BOOL: return VALUE_INT(*(const bool *)at);
        case STORE_CHOICE:
                memcpy(&word, at, sizeof(word));
                assert(word >= 0 && (size_t)word < f->words_count);
                return VALUE_TEXT(str_of(f->words[word]));
        case STORE_TEXT: return text_value(*(const struct str *)at);
        case STORE_BYTES:
                return ((const struct str *)at)->len ? VALUE_BYTES(*(const struct str *)at) : VALUE_NULL;
        case STORE_IP:
                ip = at;
                if (ip->family)
                        return VALUE_BYTES(
                                ((struct str){ (const char *)ip->bytes, ip->family == 4 ? 4 : 16 }));
                break;
        }
        return VALUE_NULL;
}

static enum err set_word(const struct store_field *f, struct str text, void *at)
{
        for (int i = 0; (size_t)i < f->words_count; i++) {
                if (str_eq(text, str_of(f->words[i]))) {
                        memcpy(at, &i, sizeof(i));
                        return ERR_OK;
                }
        }
        return ERR_MALFORMED;
}

enum err store_field_set(const struct store_field *f, const struct store_value *v, struct arena *a, void *row)
{
        void *at = (char *)row + f->offset;
        int64_t number = v->type == STORE_NUMBER ? v->number : 0;
        bool is_text = v->type == STORE_STRING || v->type == STORE_BLOB;
        struct str *text = at;

        switch (f->type) {
        case STORE_INT:
        case STORE_REF: memcpy(at, &number, sizeof(number)); break;
        case STORE_BOOL: *(bool *)at = number != 0; break;
        case STORE_CHOICE: return set_word(f, is_text ? v->text : STR_NULL, at);
        case STORE_TEXT:
        case STORE_BYTES:
                *text = is_text && v->text.len ? arena_copy(a, v->text) : STR_NULL;
                return a->full ? ERR_NO_MEMORY : ERR_OK;
        case STORE_IP:
                memset(at, 0, sizeof(struct ip));
                if (v->type == STORE_BLOB && (v->text.len == 4 || v->text.len == 16))
                        *(struct ip *)at =
                                ip_from_bytes(v->text.len == 4 ? 4 : 6, (const uint8_t *)v->text.ptr);
                break;
        }
        return ERR_OK;
}

static enum err read_row(struct store_rows *rows, const struct store_table *table, struct arena *a, void *row)
{
        struct store_row_head *head = row;
        struct store_value v;
        enum err e = ERR_OK;

        memset(row, 0, table->row_bytes);
        head->id = store_rows_number(rows, 0);
        head->org = store_rows_number(rows, 1);
        head->revision = store_rows_number(rows, 2);
        for (size_t i = 0; i < table->fields_count && e == ERR_OK; i++) {
                store_rows_value(rows, (unsigned)i + 3, &v);
                e = store_field_set(&table->fields[i], &v, a, row);
        }
        if (e == ERR_MALFORMED)
                store_conn_say(rows->txn->conn, "%s/%lld holds a word this program does not know",
                               table->name, (long long)head->id);
        return e;
}

enum err store_table_find(struct store_txn *t, const struct store_table *table, const char *where,
                          const struct store_value *args, size_t args_count, struct arena *a, void *out)
{
        struct store_rows rows;
        struct buf sql;
        bool has_row = false;
        enum err e;

        sql_init(&sql);
        buf_add(&sql, STR("SELECT "));
        store_table_columns(table, &sql);
        buf_addf(&sql, " FROM %s WHERE %s ORDER BY id LIMIT 1", table->name, where);
        e = sql.full ? ERR_NO_MEMORY : store_rows_begin(t, &rows, buf_str(&sql), args, args_count);
        buf_fini(&sql);
        if (e != ERR_OK || (e = store_rows_next(&rows, &has_row)) != ERR_OK)
                return e;
        if (!has_row)
                return ERR_NOT_FOUND;
        e = read_row(&rows, table, a, out);
        store_rows_end(&rows);
        return e;
}

enum err store_table_get(struct store_txn *t, const struct store_table *table, int64_t org, int64_t id,
                         struct arena *a, void *out)
{
        struct store_value args[] = { VALUE_INT(id), VALUE_INT(org) };

        return store_table_find(t, table, "id = $1 AND (org = $2 OR $2 = 0)", args, 2, a, out);
}

/* The rows of a page side by side: as many as come, since most pages have few, and thousands are read in one arena. */
struct page_rows {
        char *rows;
        size_t row_bytes, count, cap;
};

static enum err page_row_add(struct page_rows *p, struct arena *a, size_t limit, void **row)
{
        if (p->count == p->cap) {
                size_t cap = MIN(p->cap ? 2 * p->cap : (size_t)4, limit);
                char *grown = arena_array(a, cap, p->row_bytes, _Alignof(max_align_t));

                if (!grown)
                        return ERR_NO_MEMORY;
                if (p->count)
                        memcpy(grown, p->rows, p->count * p->row_bytes);
                p->rows = grown;
                p->cap = cap;
        }
        *row = p->rows + p->count++ * p->row_bytes;
        return ERR_OK;
}

enum err store_table_list(struct store_txn *t, const struct store_table *table, const char *where,
                          const struct store_value *args, size_t args_count, struct store_page *page,
                          struct arena *a, void **out)
{
        size_t limit = page->limit == 0 || page->limit > STORE_PAGE_MAX ? STORE_PAGE_MAX : page->limit;
        struct store_value all[STORE_ARGS_MAX] = { VALUE_INT(page->org), VALUE_INT(page->after),
                                                   VALUE_INT((int64_t)limit + 1) };
        struct page_rows found = { .row_bytes = table->row_bytes };
        struct store_rows rows;
        struct buf sql;
        bool has_row = true;
        enum err e;

        *out = NULL;
        page->count = 0;
        page->has_more = false;
        assert(args_count + 3 <= STORE_ARGS_MAX);
        if (args_count)
                memcpy(all + 3, args, args_count * sizeof(*args));
        sql_init(&sql);
        buf_add(&sql, STR("SELECT "));
        store_table_columns(table, &sql);
        buf_addf(&sql, " FROM %s WHERE (org = $1 OR $1 = 0) AND id > $2%s%s ORDER BY id LIMIT $3",
                 table->name, where ? " AND " : "", where ? where : "");
        e = sql.full ? ERR_NO_MEMORY : store_rows_begin(t, &rows, buf_str(&sql), all, args_count + 3);
        buf_fini(&sql);
        if (e != ERR_OK)
                return e;
        while ((e = store_rows_next(&rows, &has_row)) == ERR_OK && has_row) {
                void *row;

                page->has_more = page->count == limit;
                if (page->has_more || (e = page_row_add(&found, a, limit, &row)) != ERR_OK ||
                    (e = read_row(&rows, table, a, row)) != ERR_OK)
                        break;
                page->count++;
        }
        store_rows_end(&rows);
        *out = found.rows;
        return e;
}

enum err store_table_add(struct store_change *c, const struct store_table *table, void *row)
{
        struct store_row_head *head = row;
        struct store_value args[STORE_ARGS_MAX];
        struct store_txn *t = c->txn;
        struct buf sql;
        size_t count = 3;
        enum err e = store_counter_next(t, STR("id"), &head->id);

        if (e != ERR_OK)
                return e;
        head->org = table->is_org ? head->id : head->org;
        head->revision = 1;
        assert(head->org > 0);
        args[0] = VALUE_INT(head->id);
        args[1] = VALUE_INT(head->org);
        args[2] = VALUE_INT(head->revision);
        for (size_t i = 0; i < table->fields_count; i++)
                args[count++] = store_field_get(&table->fields[i], row);
        sql_init(&sql);
        buf_addf(&sql, "INSERT INTO %s (", table->name);
        store_table_columns(table, &sql);
        buf_add(&sql, STR(") VALUES ($1"));
        for (size_t i = 1; i < count; i++)
                buf_addf(&sql, ", $%zu", i + 1);
        buf_add_char(&sql, ')');
        e = sql.full ? ERR_NO_MEMORY : store_exec(t, buf_str(&sql), args, count, NULL);
        buf_fini(&sql);
        return e == ERR_OK ? store_change_row(c, table, NULL, row) : e;
}

enum { BEFORE_BYTES_MAX = 20 * 1024 * 1024 };

/* The row as it is, for the record and the revision's check. */
static enum err read_before(struct store_txn *t, const struct store_table *table, int64_t org, int64_t id,
                            int64_t revision, struct arena *a, void **out)
{
        void *before = arena_zalloc(a, table->row_bytes, _Alignof(max_align_t));
        enum err e = before ? store_table_get(t, table, org, id, a, before) : ERR_NO_MEMORY;

        *out = before;
        if (e == ERR_OK && revision && ((struct store_row_head *)before)->revision != revision)
                return ERR_STALE;
        return e;
}

static enum err write_update(struct store_txn *t, const struct store_table *table, const void *row)
{
        const struct store_row_head *head = row;
        struct store_value args[STORE_ARGS_MAX] = { VALUE_INT(head->id) };
        struct buf sql;
        size_t count = 1;
        enum err e;

        sql_init(&sql);
        buf_addf(&sql, "UPDATE %s SET revision = revision + 1", table->name);
        for (size_t i = 0; i < table->fields_count; i++) {
                const struct store_field *f = &table->fields[i];
                if (f->flags & (FIELD_FIXED | FIELD_QUIET))
                        continue;
                args[count++] = store_field_get(f, row);
                buf_addf(&sql, ", %s = $%zu", f->name, count);
        }
        buf_add(&sql, STR(" WHERE id = $1"));
        e = sql.full ? ERR_NO_MEMORY : store_exec(t, buf_str(&sql), args, count, NULL);
        buf_fini(&sql);
        return e;
}

enum err store_table_update(struct store_change *c, const struct store_table *table, void *row)
{
        struct store_row_head *head = row;
        struct arena a;
        void *before;
        enum err e;

        arena_init(&a, NULL, 0, BEFORE_BYTES_MAX);
        e = read_before(c->txn, table, head->org, head->id, head->revision, &a, &before);
        if (e == ERR_OK)
                e = write_update(c->txn, table, row);
        if (e == ERR_OK) {
                head->revision = ((struct store_row_head *)before)->revision + 1;
                e = store_change_row(c, table, before, row);
        }
        arena_fini(&a);
        return e;
}

enum err store_table_remove(struct store_change *c, const struct store_table *table, int64_t org, int64_t id,
                            int64_t revision)
{
        struct store_value args[] = { VALUE_INT(id) };
        struct arena a;
        struct buf sql;
        void *before;
        enum err e;

        arena_init(&a, NULL, 0, BEFORE_BYTES_MAX);
        sql_init(&sql);
        buf_addf(&sql, "DELETE FROM %s WHERE id = $1", table->name);
        e = read_before(c->txn, table, org, id, revision, &a, &before);
        if (e == ERR_OK)
                e = sql.full ? ERR_NO_MEMORY : store_exec(c->txn, buf_str(&sql), args, 1, NULL);
        /* Here the missing row is ours: others still point to it. */
        if (e == ERR_NOT_FOUND && c->txn->failed == ERR_NOT_FOUND)
                e = c->txn->failed = ERR_EXISTS;
        if (e == ERR_OK)
                e = store_change_row(c, table, before, NULL);
        buf_fini(&sql);
        arena_fini(&a);
        return e;
}

enum err store_table_remove_all(struct store_change *c, const struct store_table *table, const char *where,
                                const struct store_value *args, size_t args_count)
{
        enum err e;

        do {
                struct arena a;
                struct store_row_head *head;
                arena_init(&a, NULL, 0, BEFORE_BYTES_MAX);
                head = arena_zalloc(&a, table->row_bytes, _Alignof(max_align_t));
                e = head ? store_table_find(c->txn, table, where, args, args_count, &a, head) : ERR_NO_MEMORY;
                if (e == ERR_OK)
                        e = store_table_remove(c, table, head->org, head->id, 0);
                arena_fini(&a);
        } while (e == ERR_OK);
        return e == ERR_NOT_FOUND && c->txn->failed == ERR_OK ? ERR_OK : e;
}

enum err store_cursor_parse(struct str text, int64_t *out)
{
        uint64_t number;

        if (text.len == 0 || text.ptr[0] == '0' || units_parse_u64(text, INT64_MAX, &number) != ERR_OK)
                return ERR_MALFORMED;
        *out = (int64_t)number;
        return ERR_OK;
}

struct str store_cursor_format(int64_t after, char out[STORE_CURSOR_BYTES])
{
        int n = snprintf(out, STORE_CURSOR_BYTES, "%lld", (long long)after);

        return (struct str){ out, (size_t)n };
}
