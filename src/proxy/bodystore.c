#include "proxy/bodystore.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES_MIN = 4 * 1024, CHUNK_BYTES_MAX = 256 * 1024 };

struct bodystore_chunk {
        struct bodystore_chunk *next;
        size_t len, cap;
        char bytes[];
};

void bodystore_init(struct bodystore *b)
{
        *b = (struct bodystore){ 0 };
}

void bodystore_fini(struct bodystore *b)
{
        while (b->first) {
                struct bodystore_chunk *chunk = b->first;
                b->first = chunk->next;
                free(chunk);
        }
        bodystore_init(b);
}

void bodystore_drop(struct bodystore *b)
{
        bodystore_fini(b);
        b->is_dropped = true;
}

static struct bodystore_chunk *chunk_add(struct bodystore *b, size_t wanted)
{
        /* Each chunk as large as all before it: few of them, and at most twice the bytes. */
        size_t cap = MAX(MIN(MAX(b->len, (size_t)CHUNK_BYTES_MIN), (size_t)CHUNK_BYTES_MAX), wanted);
        struct bodystore_chunk *chunk = malloc(sizeof(*chunk) + cap);

        if (!chunk)
                return NULL;
        *chunk = (struct bodystore_chunk){ .cap = cap };
        if (b->last)
                b->last->next = chunk;
        else
                b->first = chunk;
        b->last = chunk;
        return chunk;
}

enum err bodystore_add(struct bodystore *b, struct str s, size_t bytes_max)
{
        if (b->is_dropped || s.len == 0)
                return ERR_OK;
        if (s.len > bytes_max || b->len > bytes_max - s.len)
                return ERR_TOO_LARGE;
        size_t room = b->last ? b->last->cap - b->last->len : 0;
        size_t here = MIN(room, s.len);
        struct bodystore_chunk *filling = b->last;

        if (s.len > here) {
                struct bodystore_chunk *chunk = chunk_add(b, s.len - here);
                if (!chunk)
                        return ERR_NO_MEMORY;
                memcpy(chunk->bytes, s.ptr + here, s.len - here);
                chunk->len = s.len - here;
        }
        if (here) {
                memcpy(filling->bytes + filling->len, s.ptr, here);
                filling->len += here;
        }
        b->len += s.len;
        return ERR_OK;
}

void bodystore_replace(struct bodystore *b, size_t start, size_t len, struct str text)
{
        b->is_edited = true;
        b->edit_start = start;
        b->edit_len = len;
        b->edit_text = text;
}

size_t bodystore_read_len(const struct bodystore *b)
{
        return b->is_edited ? b->len - b->edit_len + b->edit_text.len : b->len;
}

/* Slices of the stored range [from, to). */
static size_t stored_slices(const struct bodystore *b, size_t from, size_t to, struct str *slices, size_t max)
{
        size_t count = 0, start = 0;

        for (const struct bodystore_chunk *c = b->first; c && start < to && count < max; c = c->next) {
                size_t low = MAX(from, start), high = MIN(to, start + c->len);

                if (low < high)
                        slices[count++] = (struct str){ c->bytes + (low - start), high - low };
                start += c->len;
        }
        return count;
}

size_t bodystore_read(const struct bodystore *b, size_t offset, struct str *slices, size_t slices_max)
{
        size_t count = 0;

        if (!b->is_edited)
                return stored_slices(b, offset, b->len, slices, slices_max);
        size_t edit_end = b->edit_start + b->edit_text.len; /* in what is read out */
        if (offset < b->edit_start)
                count = stored_slices(b, offset, b->edit_start, slices, slices_max);
        if (offset < edit_end && count < slices_max && b->edit_text.len)
                slices[count++] = str_from(b->edit_text, offset > b->edit_start ? offset - b->edit_start : 0);
        size_t after = b->edit_start + b->edit_len + (offset > edit_end ? offset - edit_end : 0);
        return count + stored_slices(b, after, b->len, slices + count, slices_max - count);
}

void bodystore_copy(const struct bodystore *b, char *out)
{
        for (const struct bodystore_chunk *c = b->first; c; c = c->next) {
                memcpy(out, c->bytes, c->len);
                out += c->len;
        }
}
