#include "wg/allowedips.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/*
 * Theory of operation: a node stands for a prefix. Its children are prefixes that continue it with a 0 or a 1 bit, at
 * any distance. A node either has an owner, or has two children and only parts them ("fork"); a node that is neither is
 * taken out at once. Addresses are kept as two big-endian words so that comparing prefixes is a shift.
 */
struct bits {
        uint64_t high, low; /* IPv4 uses the first 32 of high */
};

struct wg_allowedips_node {
        struct wg_allowedips_node *child[2], *parent;
        struct wg_allowedips_owner *owner; /* NULL: a fork */
        struct bits bits;
        uint8_t len; /* of the prefix */
        bool is_v6;
        struct list of_owner;
};
typedef struct wg_allowedips_node node;

static uint64_t get_be64(const uint8_t *p)
{
        uint64_t value;

        memcpy(&value, p, sizeof(value));
        return __builtin_bswap64(value);
}

static uint64_t get_be32(const uint8_t *p)
{
        uint32_t value;

        memcpy(&value, p, sizeof(value));
        return __builtin_bswap32(value);
}

static struct bits bits_v4(const uint8_t *p)
{
        return (struct bits){ get_be32(p) << 32, 0 };
}

static struct bits bits_v6(const uint8_t *p)
{
        return (struct bits){ get_be64(p), get_be64(p + 8) };
}

static unsigned bit_at(struct bits b, unsigned at)
{
        assert(at < 128);
        return (unsigned)(at < 64 ? b.high >> (63 - at) : b.low >> (127 - at)) & 1;
}

/* How many leading bits are the same, up to 128. */
static unsigned common(struct bits a, struct bits b)
{
        if (a.high != b.high)
                return (unsigned)__builtin_clzll(a.high ^ b.high);
        return a.low == b.low ? 128 : 64 + (unsigned)__builtin_clzll(a.low ^ b.low);
}

static struct bits masked(struct bits b, unsigned len)
{
        if (len < 64)
                return (struct bits){ len ? b.high & ~UINT64_C(0) << (64 - len) : 0, 0 };
        return (struct bits){ b.high, len == 64 ? 0 : b.low & ~UINT64_C(0) << (128 - len) };
}

void wg_allowedips_init(struct wg_allowedips *a)
{
        memset(a, 0, sizeof(*a));
}

void wg_allowedips_owner_init(struct wg_allowedips_owner *o)
{
        list_init(&o->prefixes);
}

/* Children first, going up by the parent, so that depth costs no stack. */
static void free_all(node *n)
{
        while (n) {
                node *down = n->child[0] ? n->child[0] : n->child[1];
                if (down) {
                        n = down;
                        continue;
                }
                node *up = n->parent;
                if (up)
                        up->child[up->child[1] == n] = NULL;
                list_remove(&n->of_owner);
                free(n);
                n = up;
        }
}

void wg_allowedips_fini(struct wg_allowedips *a)
{
        free_all(a->roots[0]);
        free_all(a->roots[1]);
        wg_allowedips_init(a);
}

/* The node for exactly this prefix, or NULL; *above is the last node on the way whose prefix covers it. */
static node *descend(node *root, struct bits bits, unsigned len, node **above)
{
        node *n = root;

        *above = NULL;
        while (n && n->len <= len && common(n->bits, bits) >= n->len) {
                if (n->len == len)
                        return n;
                *above = n;
                n = n->child[bit_at(bits, n->len)];
        }
        return NULL;
}

static node *node_new(struct bits bits, unsigned len, bool is_v6)
{
        node *n = calloc(1, sizeof(*n));

        if (!n)
                return NULL;
        n->bits = masked(bits, len);
        n->len = (uint8_t)len;
        n->is_v6 = is_v6;
        list_init(&n->of_owner);
        return n;
}

static node **link_of(struct wg_allowedips *a, node *parent, node *n, struct bits bits, bool is_v6)
{
        if (!parent)
                return &a->roots[is_v6];
        return &parent->child[n ? parent->child[1] == n : bit_at(bits, parent->len)];
}

static void adopt(node *parent, node *child)
{
        parent->child[bit_at(child->bits, parent->len)] = child;
        child->parent = parent;
}

static void own(struct wg_allowedips *a, node *n, struct wg_allowedips_owner *o)
{
        if (!n->owner)
                a->prefixes_count++;
        n->owner = o;
        list_remove(&n->of_owner);
        list_add_last(&o->prefixes, &n->of_owner);
}

enum err wg_allowedips_add(struct wg_allowedips *a, const struct ip_prefix *p, struct wg_allowedips_owner *o)
{
        bool is_v6 = p->ip.family == 6;
        struct bits bits = is_v6 ? bits_v6(p->ip.bytes) : bits_v4(p->ip.bytes);
        node *parent, *n = descend(a->roots[is_v6], bits, p->bits, &parent);

        if (n) {
                own(a, n, o);
                return ERR_OK;
        }
        if (!(n = node_new(bits, p->bits, is_v6)))
                return ERR_NO_MEMORY;
        node **link = link_of(a, parent, NULL, bits, is_v6), *below = *link;
        if (!below) {
                *link = n;
                n->parent = parent;
        } else {
                unsigned same = MIN(common(below->bits, n->bits), (unsigned)n->len);
                if (same == n->len) { /* the new prefix covers what is there */
                        *link = n;
                        n->parent = parent;
                        adopt(n, below);
                } else { /* they part on the way */
                        node *fork = node_new(bits, same, is_v6);
                        if (!fork) {
                                free(n);
                                return ERR_NO_MEMORY;
                        }
                        *link = fork;
                        fork->parent = parent;
                        adopt(fork, below);
                        adopt(fork, n);
                }
        }
        own(a, n, o);
        return ERR_OK;
}

/* Takes out a node without owner that parts nothing, and then its parent where that has become such a one. */
static void prune(struct wg_allowedips *a, node *n)
{
        while (n && !n->owner && !(n->child[0] && n->child[1])) {
                node *only = n->child[0] ? n->child[0] : n->child[1], *up = n->parent;
                *link_of(a, up, n, n->bits, n->is_v6) = only;
                if (only)
                        only->parent = up;
                free(n);
                n = up;
        }
}

static void disown(struct wg_allowedips *a, node *n)
{
        list_remove(&n->of_owner);
        n->owner = NULL;
        a->prefixes_count--;
        prune(a, n);
}

enum err wg_allowedips_remove(struct wg_allowedips *a, const struct ip_prefix *p,
                              struct wg_allowedips_owner *o)
{
        bool is_v6 = p->ip.family == 6;
        struct bits bits = is_v6 ? bits_v6(p->ip.bytes) : bits_v4(p->ip.bytes);
        node *parent, *n = descend(a->roots[is_v6], masked(bits, p->bits), p->bits, &parent);

        if (!n || n->owner != o)
                return ERR_NOT_FOUND;
        disown(a, n);
        return ERR_OK;
}

void wg_allowedips_remove_all(struct wg_allowedips *a, struct wg_allowedips_owner *o)
{
        while (!list_is_empty(&o->prefixes))
                disown(a, CONTAINER_OF(o->prefixes.next, node, of_owner));
}

static struct wg_allowedips_owner *find(const node *n, struct bits bits, unsigned len)
{
        struct wg_allowedips_owner *best = NULL;

        while (n && common(n->bits, bits) >= n->len) {
                if (n->owner)
                        best = n->owner;
                if (n->len == len)
                        break;
                n = n->child[bit_at(bits, n->len)];
        }
        return best;
}

struct wg_allowedips_owner *wg_allowedips_find4(const struct wg_allowedips *a, const uint8_t *bytes)
{
        return find(a->roots[0], bits_v4(bytes), 32);
}

struct wg_allowedips_owner *wg_allowedips_find6(const struct wg_allowedips *a, const uint8_t *bytes)
{
        return find(a->roots[1], bits_v6(bytes), 128);
}

bool wg_allowedips_next(const struct wg_allowedips_owner *o, const struct list **at, struct ip_prefix *out)
{
        *at = *at ? (*at)->next : o->prefixes.next;
        if (*at == &o->prefixes)
                return false;

        const node *n = CONTAINER_OF(*at, node, of_owner);
        uint64_t words[2] = { __builtin_bswap64(n->bits.high), __builtin_bswap64(n->bits.low) };
        memset(out, 0, sizeof(*out));
        out->ip.family = n->is_v6 ? 6 : 4;
        memcpy(out->ip.bytes, words, n->is_v6 ? 16 : 4);
        out->bits = n->len;
        return true;
}
