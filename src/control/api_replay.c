#include "control/api_replay_priv.h"

#include <assert.h>

#include "control/control_priv.h"
#include "crypto/sha256.h"
#include "store/idempotency.h"

enum { IDEMPOTENCY_MS = 24 * 3600 * 1000 };

/* Of all that a route goes by. */
static struct str request_hash(struct api_call *c)
{
        uint8_t *hash = arena_alloc(&c->work, CRYPTO_SHA256_BYTES, 1);
        struct str parts[] = {
                str_of(c->route->path), STR("\n"), c->params[0], STR("\n"), c->params[1], STR("\n"),
                c->params[2],           STR("\n"), c->query,     STR("\n"), c->body
        };
        static_assert(API_PARAMS_MAX == 3, "each of them is here");
        struct str joined = arena_join(&c->work, parts, ARRAY_SIZE(parts));

        if (!hash || !joined.ptr)
                return STR_NULL;
        crypto_sha256(joined, hash);
        return (struct str){ (const char *)hash, CRYPTO_SHA256_BYTES };
}

enum err api_replay_find(struct api_call *c, struct store_txn *t, struct str *hash)
{
        struct store_answer kept;
        bool found;
        enum err e;

        if (!(*hash = request_hash(c)).ptr)
                return ERR_NO_MEMORY;
        e = store_idempotency_find(t, c->caller.org, c->caller.actor, c->idempotency_key, *hash,
                                   store_now(t) - IDEMPOTENCY_MS, &c->work, &found, &kept);
        if (e == ERR_EXISTS)
                return api_fail(c, 422, NULL, "This Idempotency-Key was used for another request.");
        if (e != ERR_OK || !found)
                return e;
        buf_clear(&c->answer);
        if ((e = certs_unseal(&c->control->secrets.seal, STR("answer"), kept.body, &c->answer)) != ERR_OK)
                return e;
        c->status = (uint16_t)kept.status;
        c->is_replayed = true;
        return ERR_OK;
}

enum err api_replay_keep(struct api_call *c, struct store_txn *t, struct str hash)
{
        struct store_answer kept = { .status = c->status };
        struct buf box;
        enum err e;

        buf_init(&box, STORE_IDEMPOTENCY_BODY_MAX);
        if ((e = certs_seal_close(&c->control->secrets.seal, STR("answer"), buf_str(&c->answer), &box)) ==
            ERR_OK) {
                kept.body = buf_str(&box);
                e = store_idempotency_keep(t, c->caller.org, c->caller.actor, c->idempotency_key, hash,
                                           &kept);
        }
        buf_fini(&box);
        return e;
}
