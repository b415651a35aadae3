#include "node/controls.h"

#include <string.h>

#include "node/connect_priv.h"
#include "json/reader.h"

enum { ARENA_BYTES = 64 * 1024 };

/* The text of one item, when it is an address that can be dialled and not the first one's. */
static bool item_read(const struct wire_item *item, const struct node_papers *p, char text[NODE_URL_MAX])
{
        struct node_url url;
        const struct json_value *root;
        struct arena a;
        bool is_good = false;

        arena_init(&a, NULL, 0, ARENA_BYTES);
        if (json_read_strict(&a, item->json, NULL, &root) == ERR_OK) {
                struct str found = json_str(json_find(root, STR("url")));

                is_good = found.len > 0 && found.len < NODE_URL_MAX && !str_eq(found, str_of(p->control)) &&
                          node_url_parse(found, &url) == ERR_OK;
                if (is_good) {
                        memcpy(text, found.ptr, found.len);
                        text[found.len] = '\0';
                }
        }
        arena_fini(&a);
        return is_good;
}

/* Up to the one of number `which`; gives how many there are before it, so that a `which` beyond all counts them. */
static size_t walk(const struct node_papers *p, const struct wire_document *d, size_t which,
                   char text[NODE_URL_MAX])
{
        size_t begin = 0, end = d ? wire_document_section(d, STR("controls"), &begin) : 0, n = 1;

        for (size_t i = begin; i < end && i - begin < WIRE_CONTROLS_MAX && n <= which; i++)
                n += item_read(wire_document_item(d, i), p, text);
        return n;
}

size_t node_controls_count(const struct node_papers *p, const struct wire_document *d)
{
        char text[NODE_URL_MAX];

        return walk(p, d, SIZE_MAX - 1, text);
}

void node_controls_get(const struct node_papers *p, const struct wire_document *d, size_t which,
                       char text[NODE_URL_MAX])
{
        memcpy(text, p->control, NODE_URL_MAX);
        if (which)
                walk(p, d, which, text);
}
