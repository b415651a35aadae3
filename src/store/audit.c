#include "store/audit.h"

#include <string.h>

#include "crypto/sha256.h"
#include "store/audit_priv.h"
#include "store/txn_priv.h"

enum { HASHED_BYTES_MAX = 1024 * 1024, VERIFY_PAGE = 500 };

#define COLUMNS "seq, org, time, actor, source, action, object, detail, hash"

static void add_number(struct buf *b, int64_t number)
{
        char bytes[8];

        for (int i = 0; i < 8; i++)
                bytes[i] = (char)((uint64_t)number >> (56 - 8 * i));
        buf_add(b, (struct str){ bytes, sizeof(bytes) });
}

static void add_text(struct buf *b, struct str text)
{
        add_number(b, (int64_t)text.len);
        buf_add(b, text);
}

static enum err hash_of(const struct store_audit *r, const uint8_t before[STORE_HASH_BYTES],
                        uint8_t out[STORE_HASH_BYTES])
{
        const struct str texts[] = { r->actor, r->source, r->action, r->object, r->detail };
        struct buf b;
        bool fits;

        buf_init(&b, HASHED_BYTES_MAX);
        buf_add(&b, (struct str){ (const char *)before, STORE_HASH_BYTES });
        add_number(&b, r->seq);
        add_number(&b, r->org);
        add_number(&b, r->time);
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                add_text(&b, texts[i]);
        fits = !b.full;
        if (fits)
                crypto_sha256(buf_str(&b), out);
        buf_fini(&b);
        return fits ? ERR_OK : ERR_TOO_LARGE;
}

enum err store_audit_last(struct store_txn *t, int64_t *seq, uint8_t hash[STORE_HASH_BYTES])
{
        struct store_rows rows;
        bool has_row = false;
        enum err e = STORE_ROWS_BEGIN(t, &rows,
                                      "SELECT seq, hash FROM audit WHERE seq > $1 ORDER BY seq DESC LIMIT 1",
                                      VALUE_INT(0));

        *seq = 0;
        memset(hash, 0, STORE_HASH_BYTES);
        if (e != ERR_OK || (e = store_rows_next(&rows, &has_row)) != ERR_OK || !has_row)
                return e;
        struct str bytes = store_rows_text(&rows, 1);
        *seq = store_rows_number(&rows, 0);
        if (bytes.len == STORE_HASH_BYTES)
                memcpy(hash, bytes.ptr, STORE_HASH_BYTES);
        else
                e = store_conn_fail(t->conn, ERR_MALFORMED, "audit/%lld has no hash", (long long)*seq);
        store_rows_end(&rows);
        return e;
}

enum err store_audit_write(struct store_txn *t, struct store_audit *r)
{
        uint8_t before[STORE_HASH_BYTES], hash[STORE_HASH_BYTES];
        int64_t last;
        enum err e = store_audit_last(t, &last, before);

        if (e == ERR_OK)
                e = store_counter_next(t, STR("audit"), &r->seq);
        if (e == ERR_OK && r->seq != last + 1)
                e = store_conn_fail(t->conn, ERR_MALFORMED,
                                    "the audit trail ends at %lld, its counter at %lld: verify the store",
                                    (long long)last, (long long)r->seq - 1);
        if (e == ERR_OK)
                e = hash_of(r, before, hash);
        if (e != ERR_OK)
                return e;
        return STORE_EXEC(t, "INSERT INTO audit (" COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                          NULL, VALUE_INT(r->seq), VALUE_INT(r->org), VALUE_INT(r->time),
                          VALUE_TEXT(r->actor), VALUE_TEXT(r->source), VALUE_TEXT(r->action),
                          VALUE_TEXT(r->object), VALUE_TEXT(r->detail),
                          VALUE_BYTES(((struct str){ (const char *)hash, sizeof(hash) })));
}

/* Texts as they lie in the row. */
static void read_row(struct store_rows *rows, struct store_audit *r)
{
        *r = (struct store_audit){
                .seq = store_rows_number(rows, 0),
                .org = store_rows_number(rows, 1),
                .time = store_rows_number(rows, 2),
                .actor = store_rows_text(rows, 3),
                .source = store_rows_text(rows, 4),
                .action = store_rows_text(rows, 5),
                .object = store_rows_text(rows, 6),
                .detail = store_rows_text(rows, 7),
                .hash = store_rows_text(rows, 8),
        };
}

static void keep(struct store_audit *r, struct arena *a)
{
        struct str *texts[] = { &r->actor, &r->source, &r->action, &r->object, &r->detail, &r->hash };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                *texts[i] = arena_copy(a, *texts[i]);
}

enum err store_audit_list(struct store_txn *t, const struct store_audit_filter *f, struct arena *a,
                          struct store_audit **out, size_t *count)
{
        size_t limit = f->limit == 0 || f->limit > STORE_AUDIT_PAGE_MAX ? STORE_AUDIT_PAGE_MAX : f->limit;
        bool is_prefix = str_has_suffix(f->action, STR("*"));
        struct str action = is_prefix ? str_sub(f->action, 0, f->action.len - 1) : f->action;
        struct store_rows rows;
        bool has_row = true;
        enum err e;

        *count = 0;
        *out = arena_calloc(a, limit, sizeof(**out), _Alignof(struct store_audit));
        if (!*out)
                return ERR_NO_MEMORY;
        e = STORE_ROWS_BEGIN(
                t, &rows,
                "SELECT " COLUMNS " FROM audit WHERE seq < $1 AND (org = $2 OR $2 = 0)"
                " AND (actor = $3 OR length($3) = 0) AND (object = $4 OR length($4) = 0)"
                " AND substr(action, 1, length($5)) = $5 AND (length(action) = length($5) OR $6 = 1)"
                " AND time >= $7 AND time <= $8 ORDER BY seq DESC LIMIT $9",
                VALUE_INT(f->before_seq > 0 ? f->before_seq : INT64_MAX), VALUE_INT(f->org),
                VALUE_TEXT(f->actor), VALUE_TEXT(f->object), VALUE_TEXT(action),
                VALUE_INT(is_prefix || action.len == 0), VALUE_INT(f->since),
                VALUE_INT(f->until > 0 ? f->until : INT64_MAX), VALUE_INT((int64_t)limit));
        while (e == ERR_OK && (e = store_rows_next(&rows, &has_row)) == ERR_OK && has_row) {
                read_row(&rows, *out + *count);
                keep(*out + *count, a);
                *count += 1;
        }
        return a->full ? ERR_NO_MEMORY : e;
}

static enum err verify_page(struct store_txn *t, struct report *r, int64_t *last,
                            uint8_t hash[STORE_HASH_BYTES])
{
        struct store_rows rows;
        struct store_audit record;
        uint8_t expected[STORE_HASH_BYTES];
        bool has_row = true;
        enum err e = STORE_ROWS_BEGIN(t, &rows,
                                      "SELECT " COLUMNS " FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2",
                                      VALUE_INT(*last), VALUE_INT(VERIFY_PAGE));

        while (e == ERR_OK && (e = store_rows_next(&rows, &has_row)) == ERR_OK && has_row) {
                read_row(&rows, &record);
                if (record.seq != *last + 1) {
                        report_error(r, 0, 0, "the audit trail lacks record %lld", (long long)*last + 1);
                        e = ERR_MALFORMED;
                } else if (hash_of(&record, hash, expected) != ERR_OK ||
                           record.hash.len != STORE_HASH_BYTES ||
                           memcmp(record.hash.ptr, expected, STORE_HASH_BYTES) != 0) {
                        report_error(r, 0, 0, "the audit record %lld, or the one before it, was altered",
                                     (long long)record.seq);
                        e = ERR_MALFORMED;
                }
                memcpy(hash, expected, STORE_HASH_BYTES);
                *last = record.seq;
        }
        store_rows_end(&rows);
        return e;
}

enum err store_audit_verify(struct store_txn *t, struct report *r, int64_t *records_count)
{
        uint8_t hash[STORE_HASH_BYTES] = { 0 };
        int64_t last = 0, seen = -1, counter = 0;
        enum err e = ERR_OK;

        while (e == ERR_OK && seen != last) {
                seen = last;
                e = verify_page(t, r, &last, hash);
        }
        *records_count = last;
        if (e == ERR_OK)
                e = STORE_NUMBER_OF(t, "SELECT value FROM counters WHERE name = $1", &counter,
                                    VALUE_TEXT(STR("audit")));
        if (e == ERR_OK && counter != last) {
                report_error(
                        r, 0, 0,
                        "the audit trail ends at record %lld, but %lld were written: its end was cut off",
                        (long long)last, (long long)counter);
                e = ERR_MALFORMED;
        }
        return e;
}
