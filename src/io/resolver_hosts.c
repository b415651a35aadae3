#include <stdlib.h>
#include <string.h>

#include "io/resolver_priv.h"

/* hosts(5): an address and the names it has, a line; '#' begins a comment. */

enum { NAMES_MAX = 100 * 1000 };

void hosts_init(struct hosts *h, struct hash_key key)
{
        map_init(&h->names, key, NAMES_MAX);
        h->entries = NULL;
}

void hosts_fini(struct hosts *h)
{
        while (h->entries) {
                struct hosts_entry *next = h->entries->next;
                free(h->entries);
                h->entries = next;
        }
        map_fini(&h->names);
}

static struct hosts_entry *entry_of(struct hosts *h, struct str name)
{
        char lower[RESOLVER_NAME_BYTES_MAX];
        struct hosts_entry *e;

        if (str_has_suffix(name, STR(".")))
                name.len--;
        if (name.len == 0 || name.len > sizeof(lower))
                return NULL;
        for (size_t i = 0; i < name.len; i++)
                lower[i] = ascii_lower(name.ptr[i]);
        if ((e = map_find(&h->names, (struct str){ lower, name.len })))
                return e;
        if (!(e = calloc(1, sizeof(*e) + name.len)))
                return NULL;
        memcpy(e->name, lower, name.len);
        e->len = name.len;
        if (map_add(&h->names, (struct str){ e->name, e->len }, e) != ERR_OK) {
                free(e);
                return NULL;
        }
        e->answer.ttl_ms = INT64_MAX;
        e->next = h->entries;
        h->entries = e;
        return e;
}

/* IPv4 before IPv6, each in the order of the file. */
static void add_address(struct answer *a, struct ip ip)
{
        size_t at = a->addresses_count;

        if (at == RESOLVER_ADDRESSES_MAX)
                return;
        if (ip.family == 4)
                for (; at > 0 && a->addresses[at - 1].family == 6; at--)
                        a->addresses[at] = a->addresses[at - 1];
        a->addresses[at] = ip;
        a->addresses_count++;
}

static bool take_word(struct str *line, struct str *word)
{
        size_t n = 0;

        *line = str_trim(*line);
        while (n < line->len && line->ptr[n] != ' ' && line->ptr[n] != '\t')
                n++;
        *word = str_sub(*line, 0, n);
        *line = str_from(*line, n);
        return n > 0;
}

void hosts_parse(struct hosts *h, struct str text)
{
        struct str line, word;
        struct ip ip;

        while (str_split(&text, '\n', &line)) {
                line = str_sub(line, 0, MIN(str_find_char(line, '#'), line.len));
                if (str_has_suffix(line, STR("\r")))
                        line.len--;
                if (!take_word(&line, &word) || ip_parse(word, &ip) != ERR_OK)
                        continue;
                while (take_word(&line, &word)) {
                        struct hosts_entry *e = entry_of(h, word);
                        if (e)
                                add_address(&e->answer, ip);
                }
        }
}

const struct answer *hosts_find(const struct hosts *h, struct str name)
{
        const struct hosts_entry *e = map_find(&h->names, name);

        return e ? &e->answer : NULL;
}
