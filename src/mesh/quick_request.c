#include "base/map.h"
#include "crypto/random.h"
#include "crypto/secret.h"
#include "crypto/text.h"
#include "mesh/quick.h"

static void add_key(struct buf *out, const char *name, const uint8_t key[WG_KEY_BYTES])
{
        char text[CRYPTO_HEX_SIZE(WG_KEY_BYTES)];

        crypto_hex_format((struct str){ (const char *)key, WG_KEY_BYTES }, text);
        buf_addf(out, "%s=%s\n", name, text);
        crypto_wipe(text, sizeof(text));
}

static void add_interface(const struct mesh_quick *q, struct buf *out)
{
        if (q->has_private_key)
                add_key(out, "private_key", q->private_key);
        if (q->has_port)
                buf_addf(out, "listen_port=%u\n", q->port);
        if (q->has_fwmark)
                buf_addf(out, "fwmark=%u\n", q->fwmark);
}

static void add_peer(const struct mesh_quick_peer *p, bool is_change, struct buf *out)
{
        char text[IP_PREFIX_TEXT_MAX];

        add_key(out, "public_key", p->public_key);
        if (p->is_removed) {
                buf_add(out, STR("remove=true\n"));
                return;
        }
        if (!is_change || p->has_preshared_key)
                add_key(out, "preshared_key", p->preshared_key); /* all zero takes one away */
        if (p->endpoint_ip.family) {
                ip_format(p->endpoint_ip, text);
                buf_addf(out, p->endpoint_ip.family == 4 ? "endpoint=%s:%u\n" : "endpoint=[%s]:%u\n", text,
                         p->endpoint_port);
        }
        if (!is_change || p->has_keepalive)
                buf_addf(out, "persistent_keepalive_interval=%u\n", p->keepalive);
        if (!is_change || p->has_allowed_ips)
                buf_add(out, STR("replace_allowed_ips=true\n"));
        for (size_t i = 0; i < p->allowed_ips.count; i++) {
                ip_prefix_format(&p->allowed_ips.items[i], text);
                buf_addf(out, "allowed_ip=%s\n", text);
        }
}

void mesh_quick_request(const struct mesh_quick *q, enum mesh_quick_how how, struct buf *out)
{
        buf_add(out, STR("set=1\n"));
        add_interface(q, out);
        if (how == MESH_QUICK_REPLACE)
                buf_add(out, STR("replace_peers=true\n"));
        for (size_t i = 0; i < q->peers_count; i++)
                add_peer(&q->peers[i], how == MESH_QUICK_CHANGE, out);
        buf_add_char(out, '\n');
}

/* The peers that are there and not in the file go; the others are set, which leaves their sessions alone. */
enum err mesh_quick_sync_request(const struct mesh_quick *q, struct str now, struct buf *out)
{
        struct hash_key hash_key;
        struct map wanted;
        struct str line;
        enum err e = ERR_OK;

        crypto_random(&hash_key, sizeof(hash_key));
        map_init(&wanted, hash_key, MESH_QUICK_PEERS_MAX);
        for (size_t i = 0; i < q->peers_count && e == ERR_OK; i++) {
                struct str key = { (const char *)q->peers[i].public_key, WG_KEY_BYTES };
                e = map_add(&wanted, key, &q->peers[i]);
                if (e == ERR_EXISTS) /* the same peer twice: the later lines are added to it */
                        e = ERR_OK;
        }
        buf_add(out, STR("set=1\n"));
        add_interface(q, out);
        while (e == ERR_OK && str_split(&now, '\n', &line)) {
                uint8_t key[WG_KEY_BYTES];
                if (!str_has_prefix(line, STR("public_key=")) ||
                    crypto_hex_parse(str_from(line, 11), key, sizeof(key)) != ERR_OK)
                        continue;
                if (!map_find(&wanted, (struct str){ (const char *)key, WG_KEY_BYTES })) {
                        add_key(out, "public_key", key);
                        buf_add(out, STR("remove=true\n"));
                }
        }
        for (size_t i = 0; i < q->peers_count; i++)
                add_peer(&q->peers[i], false, out);
        buf_add_char(out, '\n');
        map_fini(&wanted);
        return e;
}
