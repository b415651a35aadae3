#include "llm/conversation.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

/*
 * Theory of operation. Sessions stand in an open-addressed table by their key, which is a SHA-256 and so spread already.
 * Their messages are records {role, length, text} in a chain of blocks from one pool. A change reads the chain out,
 * trims it and writes it back, so that there is no partial state to mend; if the process dies in between, the robust
 * lock tells the next owner, who empties the whole table.
 */

enum { BLOCK_BYTES = 1020, PROBES_MAX = 16, RECORD_HEAD_BYTES = 5 };
#define NO_BLOCK UINT32_MAX

struct block {
        uint32_t next;
        char bytes[BLOCK_BYTES];
};

struct session {
        uint8_t key[CONVERSATION_KEY_BYTES];
        bool is_used;
        mono_ms used_at;
        uint32_t first; /* block */
        uint32_t len;   /* bytes of all records */
};

struct conversations {
        size_t mapping_bytes;
        struct conversation_limits limits;
        pthread_mutex_t lock; /* guards all below */
        uint32_t free;        /* blocks given back */
        uint32_t fresh;       /* from here on no block was ever used: their pages cost nothing yet */
        uint32_t sessions_count, sessions_cap, blocks_count;
        struct session *sessions;
        struct block *blocks;
};

/* ---- the table ---- */

static void empty_all(struct conversations *c)
{
        memset(c->sessions, 0, c->sessions_cap * sizeof(*c->sessions));
        c->sessions_count = c->fresh = 0;
        c->free = NO_BLOCK;
}

static bool block_is_there(const struct conversations *c)
{
        return c->free != NO_BLOCK || c->fresh < c->blocks_count;
}

static uint32_t block_take(struct conversations *c)
{
        uint32_t at = c->free;

        if (at == NO_BLOCK)
                return c->fresh++;
        c->free = c->blocks[at].next;
        return at;
}

static bool lock_enter(struct conversations *c)
{
        int e = pthread_mutex_lock(&c->lock);

        if (e == EOWNERDEAD) { /* its owner died in the middle of a change */
                empty_all(c);
                e = pthread_mutex_consistent(&c->lock);
        }
        return e == 0;
}

static void lock_leave(struct conversations *c)
{
        pthread_mutex_unlock(&c->lock);
}

static bool lock_make(pthread_mutex_t *lock)
{
        pthread_mutexattr_t attributes;
        bool is_made = pthread_mutexattr_init(&attributes) == 0 &&
                       pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0 &&
                       pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0 &&
                       pthread_mutex_init(lock, &attributes) == 0;

        pthread_mutexattr_destroy(&attributes);
        return is_made;
}

static size_t aligned(size_t bytes)
{
        return (bytes + 63) & ~(size_t)63;
}

struct conversations *conversations_new(const struct conversation_limits *limits)
{
        size_t head = aligned(sizeof(struct conversations)), sessions = PROBES_MAX;
        size_t blocks = limits->total_bytes_max / sizeof(struct block) + 1;

        while (sessions < limits->sessions_max)
                sessions *= 2;
        size_t table = aligned(sessions * sizeof(struct session));
        size_t bytes = head + table + blocks * sizeof(struct block);
        char *mapping =
                mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (mapping == MAP_FAILED)
                return NULL;
        struct conversations *c = (struct conversations *)(void *)mapping;
        *c = (struct conversations){ .mapping_bytes = bytes,
                                     .limits = *limits,
                                     .sessions_cap = (uint32_t)sessions,
                                     .blocks_count = (uint32_t)blocks,
                                     .free = NO_BLOCK,
                                     .sessions = (struct session *)(void *)(mapping + head),
                                     .blocks = (struct block *)(void *)(mapping + head + table) };
        if (!lock_make(&c->lock)) {
                munmap(mapping, bytes);
                return NULL;
        }
        return c; /* the mapping is zeros: no session is used, and no page of theirs is touched */
}

void conversations_free(struct conversations *c)
{
        if (!c)
                return;
        pthread_mutex_destroy(&c->lock);
        munmap(c, c->mapping_bytes);
}

/* ---- under the lock ---- */

static void content_drop(struct conversations *c, struct session *s)
{
        uint32_t at = s->first;

        while (s->len && at != NO_BLOCK) {
                uint32_t next = c->blocks[at].next;
                c->blocks[at].next = c->free;
                c->free = at;
                at = next;
                s->len -= MIN(s->len, (uint32_t)BLOCK_BYTES);
        }
        s->len = 0;
        s->first = NO_BLOCK;
}

static void session_drop(struct conversations *c, struct session *s)
{
        content_drop(c, s);
        s->is_used = false;
        c->sessions_count--;
}

static bool is_aged(const struct conversations *c, const struct session *s, mono_ms now)
{
        return now - s->used_at > c->limits.age_ms;
}

static uint64_t key_start(const uint8_t key[CONVERSATION_KEY_BYTES])
{
        uint64_t start;

        memcpy(&start, key, sizeof(start));
        return start;
}

static struct session *session_find(struct conversations *c, const uint8_t key[CONVERSATION_KEY_BYTES],
                                    mono_ms now)
{
        for (uint64_t i = 0, at = key_start(key); i < PROBES_MAX; i++) {
                struct session *s = &c->sessions[(at + i) & (c->sessions_cap - 1)];

                if (!s->is_used || memcmp(s->key, key, CONVERSATION_KEY_BYTES) != 0)
                        continue;
                if (!is_aged(c, s, now))
                        return s;
                session_drop(c, s);
        }
        return NULL;
}

static void oldest_drop(struct conversations *c, const struct session *but)
{
        struct session *oldest = NULL;

        for (uint32_t i = 0; i < c->sessions_cap; i++) {
                struct session *s = &c->sessions[i];
                if (s->is_used && s != but && (!oldest || s->used_at < oldest->used_at))
                        oldest = s;
        }
        if (oldest)
                session_drop(c, oldest);
}

/* A free place among the key's, or the one used longest ago. */
static struct session *session_make(struct conversations *c, const uint8_t key[CONVERSATION_KEY_BYTES])
{
        struct session *best = NULL;

        if (c->sessions_count >= c->limits.sessions_max)
                oldest_drop(c, NULL);
        for (uint64_t i = 0, at = key_start(key); i < PROBES_MAX && (!best || best->is_used); i++) {
                struct session *s = &c->sessions[(at + i) & (c->sessions_cap - 1)];
                if (!s->is_used || !best || s->used_at < best->used_at)
                        best = s;
        }
        if (best->is_used)
                session_drop(c, best);
        *best = (struct session){ .is_used = true, .first = NO_BLOCK };
        memcpy(best->key, key, CONVERSATION_KEY_BYTES);
        c->sessions_count++;
        return best;
}

static void content_read(const struct conversations *c, const struct session *s, struct buf *out)
{
        uint32_t left = s->len;

        for (uint32_t at = s->first; left && at != NO_BLOCK; at = c->blocks[at].next) {
                uint32_t n = MIN(left, (uint32_t)BLOCK_BYTES);
                buf_add(out, (struct str){ c->blocks[at].bytes, n });
                left -= n;
        }
}

/* Replaces what the session holds; makes room by dropping other sessions. False when even that is not enough. */
static bool content_write(struct conversations *c, struct session *s, struct str content)
{
        uint32_t *link = &s->first;

        content_drop(c, s);
        while (content.len) {
                size_t n = MIN(content.len, (size_t)BLOCK_BYTES);

                if (!block_is_there(c))
                        oldest_drop(c, s);
                if (!block_is_there(c))
                        return false;
                uint32_t at = block_take(c);
                c->blocks[at].next = NO_BLOCK;
                memcpy(c->blocks[at].bytes, content.ptr, n);
                *link = at;
                link = &c->blocks[at].next;
                s->len += (uint32_t)n;
                content = str_from(content, n);
        }
        return true;
}

/* ---- records ---- */

static void record_add(struct buf *out, enum conversation_role role, struct str text)
{
        uint32_t len = (uint32_t)text.len;

        buf_add_char(out, (char)role);
        buf_add(out, (struct str){ (const char *)&len, sizeof(len) });
        buf_add(out, text);
}

bool conversation_next(struct str *records, enum conversation_role *role, struct str *text)
{
        uint32_t len;

        if (records->len < RECORD_HEAD_BYTES)
                return false;
        memcpy(&len, records->ptr + 1, sizeof(len));
        if (len > records->len - RECORD_HEAD_BYTES)
                return false;
        *role = (enum conversation_role)records->ptr[0];
        *text = str_sub(*records, RECORD_HEAD_BYTES, len);
        *records = str_from(*records, RECORD_HEAD_BYTES + len);
        return true;
}

/* The newest messages that are within the bounds; a question and its answer go together. */
static struct str trim(const struct conversations *c, struct str records)
{
        enum conversation_role role;
        struct str rest = records, text;
        size_t count = 0;

        while (conversation_next(&rest, &role, &text))
                count++;
        while (count > c->limits.messages_max || records.len > c->limits.bytes_max) {
                for (int pair = 0; pair < 2; pair++)
                        if (!conversation_next(&records, &role, &text))
                                return STR("");
                count -= 2;
        }
        return records;
}

void conversation_read(struct conversations *c, const uint8_t key[CONVERSATION_KEY_BYTES], mono_ms now,
                       struct buf *out)
{
        if (!lock_enter(c))
                return;
        const struct session *s = session_find(c, key, now);
        if (s)
                content_read(c, s, out);
        lock_leave(c);
}

void conversation_add(struct conversations *c, const uint8_t key[CONVERSATION_KEY_BYTES], mono_ms now,
                      struct str question, struct str answer)
{
        struct buf records;

        buf_init(&records, c->limits.bytes_max + question.len + answer.len + 2 * RECORD_HEAD_BYTES);
        if (!lock_enter(c))
                return;
        struct session *s = session_find(c, key, now);
        if (!s)
                s = session_make(c, key);
        s->used_at = now;
        content_read(c, s, &records);
        record_add(&records, CONVERSATION_USER, question);
        record_add(&records, CONVERSATION_ASSISTANT, answer);
        if (records.full || !content_write(c, s, trim(c, buf_str(&records))))
                session_drop(c, s);
        lock_leave(c);
        buf_fini(&records);
}

size_t conversations_count(struct conversations *c)
{
        size_t count = 0;

        if (lock_enter(c)) {
                count = c->sessions_count;
                lock_leave(c);
        }
        return count;
}
