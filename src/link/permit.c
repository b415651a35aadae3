#include "link/permit.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/text.h"

/* Sorted by key, then line: the lines of a key lie together, in order. */
struct pairing {
        uint8_t key[LINK_KEY_BYTES];
        uint32_t line;
};

struct link_permit {
        size_t count, cap, lines_count;
        struct pairing *pairings;
};

static int compare(const void *a, const void *b)
{
        const struct pairing *x = a, *y = b;
        int order = memcmp(x->key, y->key, LINK_KEY_BYTES);

        return order ? order : (x->line > y->line) - (x->line < y->line);
}

static enum err add(struct link_permit *p, const uint8_t key[LINK_KEY_BYTES], uint32_t line)
{
        if (p->count == p->cap) {
                size_t cap = p->cap ? 2 * p->cap : 64;
                struct pairing *bigger = realloc(p->pairings, cap * sizeof(*bigger));
                if (!bigger)
                        return ERR_NO_MEMORY;
                p->pairings = bigger;
                p->cap = cap;
        }
        memcpy(p->pairings[p->count].key, key, LINK_KEY_BYTES);
        p->pairings[p->count++].line = line;
        return ERR_OK;
}

static bool next_word(struct str *line, struct str *word)
{
        size_t begin = 0, end;

        while (begin < line->len &&
               (line->ptr[begin] == ' ' || line->ptr[begin] == '\t' || line->ptr[begin] == '\r'))
                begin++;
        for (end = begin;
             end < line->len && line->ptr[end] != ' ' && line->ptr[end] != '\t' && line->ptr[end] != '\r';)
                end++;
        *word = str_sub(*line, begin, end - begin);
        *line = str_from(*line, end);
        return word->len > 0;
}

static enum err parse_line(struct link_permit *p, struct str line, uint32_t number, struct report *r)
{
        size_t comment = str_find_char(line, '#'), keys_count = 0, len;
        uint8_t key[LINK_KEY_BYTES];
        struct str word;
        enum err e;

        if (comment != STR_NONE)
                line = str_sub(line, 0, comment);
        for (; next_word(&line, &word); keys_count++) {
                if (crypto_base64_parse(word, key, sizeof(key), &len) != ERR_OK || len != sizeof(key)) {
                        report_error(
                                r, number, 0,
                                "\"%.*s\" is not a key: expected 44 letters of base64, as `wg pubkey` prints",
                                (int)MIN(word.len, (size_t)60), word.ptr);
                        continue;
                }
                if (p->count == LINK_PERMIT_PAIRINGS_MAX) {
                        report_error(r, number, 0, "more than %d keys", LINK_PERMIT_PAIRINGS_MAX);
                        return ERR_OK;
                }
                if ((e = add(p, key, number)) != ERR_OK)
                        return e;
        }
        if (keys_count == 1)
                report_error(r, number, 0, "one key alone has nobody to talk to: a line is two keys or more");
        p->lines_count += keys_count > 0;
        return ERR_OK;
}

enum err link_permit_parse(struct str text, struct report *r, struct link_permit **out)
{
        struct link_permit *p = calloc(1, sizeof(*p));
        uint32_t number = 0;
        struct str line;
        enum err e = ERR_OK;

        if (!p)
                return ERR_NO_MEMORY;
        while (e == ERR_OK && str_split(&text, '\n', &line))
                e = parse_line(p, line, ++number, r);
        if (e == ERR_OK && r->errors_count > 0)
                e = ERR_CONFIG;
        if (e != ERR_OK) {
                link_permit_free(p);
                return e;
        }
        if (p->count)
                qsort(p->pairings, p->count, sizeof(*p->pairings), compare);
        *out = p;
        return ERR_OK;
}

void link_permit_free(struct link_permit *p)
{
        if (!p)
                return;
        free(p->pairings);
        free(p);
}

/* The first pairing of the key, or where it would be. */
static size_t find(const struct link_permit *p, const uint8_t key[LINK_KEY_BYTES])
{
        size_t low = 0, high = p->count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (memcmp(p->pairings[middle].key, key, LINK_KEY_BYTES) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static bool is_of(const struct link_permit *p, size_t at, const uint8_t key[LINK_KEY_BYTES])
{
        return at < p->count && memcmp(p->pairings[at].key, key, LINK_KEY_BYTES) == 0;
}

bool link_permit_knows(const struct link_permit *p, const uint8_t key[LINK_KEY_BYTES])
{
        return is_of(p, find(p, key), key);
}

bool link_permit_allows(const struct link_permit *p, const uint8_t a[LINK_KEY_BYTES],
                        const uint8_t b[LINK_KEY_BYTES])
{
        size_t i = find(p, a), j = find(p, b);

        if (memcmp(a, b, LINK_KEY_BYTES) == 0)
                return false;
        while (is_of(p, i, a) && is_of(p, j, b)) {
                if (p->pairings[i].line == p->pairings[j].line)
                        return true;
                if (p->pairings[i].line < p->pairings[j].line)
                        i++;
                else
                        j++;
        }
        return false;
}

size_t link_permit_lines_count(const struct link_permit *p)
{
        return p->lines_count;
}
