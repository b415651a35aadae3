/*
 * fuzz/mesh_tailnet_fuzz.c - any text as a status, as the answer to "who is that" and as a certificate with its key. Whoever is let through is
 * somebody, in words without controls, and a user is never mistaken for a tag; a chain never has a private key in it.
 */
#include <stdlib.h>

#include "mesh/tailnet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void word_check(struct str s)
{
        if (s.len > MESH_TAILNET_NAME_BYTES_MAX)
                abort();
        for (size_t i = 0; i < s.len; i++)
                if ((unsigned char)s.ptr[i] < 0x20)
                        abort();
}

static void owner_check(struct str in, struct arena *a)
{
        struct mesh_tailnet_owner who;

        if (mesh_tailnet_owner_read(in, a, &who) != ERR_OK)
                return;
        word_check(who.login);
        word_check(who.node);
        if (!who.login.len == !who.tags.count)
                abort();
        if (str_has_prefix(who.login, STR("tag:")))
                abort();
        for (size_t i = 0; i < who.tags.count; i++) {
                word_check(who.tags.items[i]);
                if (!str_has_prefix(who.tags.items[i], STR("tag:")))
                        abort();
        }
}

static void pair_check(struct str in)
{
        struct str key, chain;

        if (mesh_tailnet_pair_split(in, &key, &chain) != ERR_OK)
                return;
        if (key.len + chain.len != in.len || key.ptr != in.ptr ||
            !str_has_prefix(chain, STR("-----BEGIN CERTIFICATE-----")) ||
            str_find(chain, STR("PRIVATE KEY-----")) != STR_NONE)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str in = { (const char *)data, size };
        struct mesh_tailnet_status status;
        struct arena a;

        arena_init(&a, NULL, 0, 4 << 20);
        if (mesh_tailnet_status_read(in, &a, &status) == ERR_OK) {
                word_check(status.state);
                word_check(status.self.name);
                for (size_t i = 0; i < status.peers_count; i++)
                        word_check(status.peers[i].name);
                for (size_t i = 0; i < status.certificates_count; i++)
                        if (status.certificates[i].len == 0)
                                abort();
        }
        arena_fini(&a);
        arena_init(&a, NULL, 0, 4 << 20);
        owner_check(in, &a);
        pair_check(in);
        arena_fini(&a);
        return 0;
}
