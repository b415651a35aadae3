#include "wire/join.h"

#include <string.h>

#include "crypto/secret.h"
#include "crypto/sha256.h"
#include "crypto/text.h"
#include "wire/fields_priv.h"

enum { VALUES_MAX = 64, PREFIX_LEN = 7, PEM_MAX = 16 * 1024 };

static const char prefix[] = "skauth-";

static enum err because(const char **why, const char *text, enum err e)
{
        *why = text;
        return e;
}

/* ---- the token ---- */

enum err wire_token_parse(struct str text, struct wire_token *out)
{
        uint8_t random[WIRE_TOKEN_RANDOM_BYTES], fingerprint[WIRE_FINGERPRINT_BYTES];
        struct str secret = str_sub(text, 0, WIRE_TOKEN_SECRET_LEN);
        size_t len;

        if (text.len != WIRE_TOKEN_SIZE - 1 || !str_has_prefix(text, str_of(prefix)) ||
            text.ptr[WIRE_TOKEN_SECRET_LEN] != '.' ||
            crypto_base64url_parse(str_from(secret, PREFIX_LEN), random, sizeof(random), &len) != ERR_OK ||
            len != sizeof(random) ||
            crypto_hex_parse(str_from(text, WIRE_TOKEN_SECRET_LEN + 1), fingerprint, sizeof(fingerprint)) !=
                    ERR_OK)
                return ERR_MALFORMED;
        crypto_wipe(random, sizeof(random));
        out->secret = secret;
        memcpy(out->fingerprint, fingerprint, sizeof(fingerprint));
        return ERR_OK;
}

enum err wire_token_url_parse(struct str text, struct wire_token *out, struct str *url)
{
        size_t at = str_find_char(text, '@');

        if (at == STR_NONE || at + 1 == text.len || wire_token_parse(str_sub(text, 0, at), out) != ERR_OK)
                return ERR_MALFORMED;
        *url = str_from(text, at + 1);
        return ERR_OK;
}

struct str wire_token_format(const uint8_t random[WIRE_TOKEN_RANDOM_BYTES],
                             const uint8_t authority_sha256[32], char out[WIRE_TOKEN_SIZE])
{
        memcpy(out, prefix, PREFIX_LEN);
        crypto_base64url_format((struct str){ (const char *)random, WIRE_TOKEN_RANDOM_BYTES },
                                out + PREFIX_LEN);
        out[WIRE_TOKEN_SECRET_LEN] = '.';
        crypto_hex_format((struct str){ (const char *)authority_sha256, WIRE_FINGERPRINT_BYTES },
                          out + WIRE_TOKEN_SECRET_LEN + 1);
        return (struct str){ out, WIRE_TOKEN_SIZE - 1 };
}

void wire_token_hash(struct str secret, uint8_t out[32])
{
        crypto_sha256(secret, out);
}

bool wire_token_names(const struct wire_token *token, const uint8_t authority_sha256[32])
{
        return crypto_eq(token->fingerprint, authority_sha256, WIRE_FINGERPRINT_BYTES);
}

void wire_proof_bytes(const uint8_t challenge[WIRE_CHALLENGE_BYTES], struct str body,
                      uint8_t out[WIRE_PROOF_BYTES])
{
        memcpy(out, "sekisho join 1\n", 15);
        memcpy(out + 15, challenge, WIRE_CHALLENGE_BYTES);
        crypto_sha256(body, out + 15 + WIRE_CHALLENGE_BYTES);
}

/* ---- the first request ---- */

static bool knows(const struct json_value *object, const struct str *names, size_t names_count)
{
        for (size_t i = 0; i < object->count; i++) {
                size_t n = 0;
                while (n < names_count && !str_eq(object->members[i].key, names[n]))
                        n++;
                if (n == names_count)
                        return false;
        }
        return true;
}

static enum err request_from(const struct json_value *root, struct wire_join_request *r, const char **why)
{
        static const struct str names[] = { STR_INIT("token"), STR_INIT("kind"), STR_INIT("name"),
                                            STR_INIT("keys"), STR_INIT("program") };
        static const struct str key_names[] = { STR_INIT("identity"), STR_INIT("seal"), STR_INIT("tunnel") };
        const struct json_value *keys = json_find(root, STR("keys"));
        struct str kind;

        if (!knows(root, names, ARRAY_SIZE(names)))
                return because(why, "there is a member that a join request does not have", ERR_MALFORMED);
        if (!wire_get_text(root, STR("token"), WIRE_TEXT_MAX, &r->token) || r->token.len == 0)
                return because(why, "token: the part of the join token before the dot", ERR_MALFORMED);
        if (!wire_get_text(root, STR("kind"), WIRE_TEXT_MAX, &kind) ||
            wire_kind_parse(kind, &r->kind) != ERR_OK || r->kind == WIRE_CONTROL)
                return because(why, "kind: \"gateway\" or \"agent\"", ERR_MALFORMED);
        if (!wire_get_text_maybe(root, STR("name"), WIRE_TEXT_MAX, &r->name) ||
            !wire_get_text_maybe(root, STR("program"), WIRE_TEXT_MAX, &r->program))
                return because(why, "name, program: texts of at most 256 bytes", ERR_MALFORMED);
        if (!json_is(keys, JSON_OBJECT) || !knows(keys, key_names, ARRAY_SIZE(key_names)) ||
            !wire_get_bytes(keys, STR("identity"), r->identity, sizeof(r->identity), &r->identity_len) ||
            r->identity_len == 0 || !wire_get_key(keys, STR("seal"), r->seal) ||
            !wire_get_key(keys, STR("tunnel"), r->tunnel))
                return because(why, "keys: identity (SPKI), seal and tunnel (32 bytes each), all in base64",
                               ERR_MALFORMED);
        return ERR_OK;
}

enum err wire_join_request_read(struct arena *arena, struct str body, struct wire_join_request *out,
                                const char **why)
{
        const struct json_value *root;
        struct wire_join_request r = { 0 };
        enum err e = wire_small_read(arena, body, WIRE_JOIN_BODY_MAX, VALUES_MAX, &root);

        if (e != ERR_OK)
                return because(why, "the body is no JSON object of a join request's size", e);
        if ((e = request_from(root, &r, why)) == ERR_OK)
                *out = r;
        return e;
}

void wire_join_request_write(const struct wire_join_request *r, struct buf *out)
{
        struct json_writer w;

        json_writer_init(&w, out, JSON_COMPACT);
        json_write_object_begin(&w);
        json_write_member_str(&w, STR("token"), r->token);
        json_write_member_str(&w, STR("kind"), wire_kind_text(r->kind));
        json_write_member_str(&w, STR("name"), r->name);
        json_write_key(&w, STR("keys"));
        json_write_object_begin(&w);
        wire_put_bytes(&w, STR("identity"), r->identity, r->identity_len);
        wire_put_bytes(&w, STR("seal"), r->seal, WIRE_KEY_BYTES);
        wire_put_bytes(&w, STR("tunnel"), r->tunnel, WIRE_KEY_BYTES);
        json_write_object_end(&w);
        json_write_member_str(&w, STR("program"), r->program);
        json_write_object_end(&w);
        json_writer_finish(&w);
}

/* ---- its answer ---- */

enum err wire_join_challenge_read(struct arena *arena, struct str body, struct wire_join_challenge *out)
{
        const struct json_value *root;
        struct wire_join_challenge c;
        enum err e = wire_small_read(arena, body, WIRE_JOIN_ANSWER_MAX, VALUES_MAX, &root);

        if (e != ERR_OK)
                return e;
        if (!wire_get_text(root, STR("join"), WIRE_ID_MAX, &c.join) || !wire_id_is_valid(c.join) ||
            !wire_get_key(root, STR("challenge"), c.challenge))
                return ERR_MALFORMED;
        *out = c;
        return ERR_OK;
}

void wire_join_challenge_write(const struct wire_join_challenge *c, struct buf *out)
{
        struct json_writer w;

        json_writer_init(&w, out, JSON_COMPACT);
        json_write_object_begin(&w);
        json_write_member_str(&w, STR("join"), c->join);
        wire_put_bytes(&w, STR("challenge"), c->challenge, WIRE_CHALLENGE_BYTES);
        json_write_object_end(&w);
        json_writer_finish(&w);
}

/* ---- the second request ---- */

enum err wire_join_proof_read(struct arena *arena, struct str body, struct wire_join_proof *out,
                              const char **why)
{
        static const struct str names[] = { STR_INIT("signature") };
        const struct json_value *root;
        struct wire_join_proof p = { 0 };
        enum err e = wire_small_read(arena, body, WIRE_JOIN_BODY_MAX, VALUES_MAX, &root);

        if (e != ERR_OK)
                return because(why, "the body is no JSON object of a proof's size", e);
        if (!knows(root, names, ARRAY_SIZE(names)) ||
            !wire_get_bytes(root, STR("signature"), p.signature, sizeof(p.signature), &p.signature_len) ||
            p.signature_len == 0)
                return because(why, "signature: that of the identity key, in base64, and nothing else",
                               ERR_MALFORMED);
        *out = p;
        return ERR_OK;
}

void wire_join_proof_write(const struct wire_join_proof *p, struct buf *out)
{
        struct json_writer w;

        json_writer_init(&w, out, JSON_COMPACT);
        json_write_object_begin(&w);
        wire_put_bytes(&w, STR("signature"), p->signature, p->signature_len);
        json_write_object_end(&w);
        json_writer_finish(&w);
}

/* ---- its answer ---- */

enum err wire_join_result_read(struct arena *arena, struct str body, struct wire_join_result *out)
{
        const struct json_value *root;
        struct wire_join_result r = { 0 };
        struct str state;
        enum err e = wire_small_read(arena, body, WIRE_JOIN_ANSWER_MAX, VALUES_MAX, &root);

        if (e != ERR_OK)
                return e;
        const struct json_value *node = json_find(root, STR("node"));
        if (!wire_get_text(node, STR("id"), WIRE_ID_MAX, &r.id) || !wire_id_is_valid(r.id) ||
            !wire_get_text(node, STR("name"), WIRE_TEXT_MAX, &r.name) ||
            !wire_get_text(node, STR("org"), WIRE_ID_MAX, &r.org) || !wire_id_is_valid(r.org) ||
            !wire_get_text(root, STR("state"), WIRE_TEXT_MAX, &state))
                return ERR_MALFORMED;
        r.is_pending = str_eq(state, STR("pending"));
        if (!r.is_pending &&
            (!str_eq(state, STR("active")) ||
             !wire_get_text(root, STR("certificate"), PEM_MAX, &r.certificate) ||
             !wire_get_text(root, STR("authority"), PEM_MAX, &r.authority) || r.certificate.len == 0 ||
             r.authority.len == 0 || !wire_get_key(root, STR("documentKey"), r.document_key)))
                return ERR_MALFORMED;
        *out = r;
        return ERR_OK;
}

void wire_join_result_write(const struct wire_join_result *r, struct buf *out)
{
        struct json_writer w;

        json_writer_init(&w, out, JSON_COMPACT);
        json_write_object_begin(&w);
        json_write_key(&w, STR("node"));
        json_write_object_begin(&w);
        json_write_member_str(&w, STR("id"), r->id);
        json_write_member_str(&w, STR("name"), r->name);
        json_write_member_str(&w, STR("org"), r->org);
        json_write_object_end(&w);
        json_write_member_str(&w, STR("state"), r->is_pending ? STR("pending") : STR("active"));
        if (!r->is_pending) {
                json_write_member_str(&w, STR("certificate"), r->certificate);
                json_write_member_str(&w, STR("authority"), r->authority);
                wire_put_bytes(&w, STR("documentKey"), r->document_key, 32);
        }
        json_write_object_end(&w);
        json_writer_finish(&w);
}
