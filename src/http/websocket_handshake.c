#include "http/websocket_handshake.h"

#include <string.h>

#include "crypto/sha1.h"
#include "crypto/text.h"
#include "http/status.h"

enum {
        KEY_TEXT = 24,         /* 16 bytes in base64 */
        ANSWER_FIELDS_MAX = 16 /* ours, and what filters add */
};

static enum err refuse(struct http_refusal *refusal, uint16_t status, const char *reason)
{
        *refusal = (struct http_refusal){ status, reason };
        return status == 426 ? ERR_UNSUPPORTED : ERR_MALFORMED;
}

/* The value of a field that is there exactly once, else a slice without a pointer. */
static struct str only_value(const struct http_head *h, enum http_field_id id)
{
        const struct http_field *f = http_find(h, id);

        return f && !http_find_next(h, f) ? f->value : STR_NULL;
}

/* All fields of the name as one comma list would hold it. */
static bool lists_have(const struct http_head *h, struct str name, struct str token)
{
        for (const struct http_field *f = http_find_name(h, name); f; f = http_find_next(h, f))
                if (http_list_has(f->value, token))
                        return true;
        return false;
}

bool websocket_is_asked(const struct http_head *request)
{
        return lists_have(request, STR("Upgrade"), STR("websocket"));
}

static bool key_is_valid(struct str key)
{
        uint8_t bytes[WEBSOCKET_KEY_BYTES];
        size_t len = 0;

        return key.len == KEY_TEXT && crypto_base64_parse(key, bytes, sizeof(bytes), &len) == ERR_OK &&
               len == sizeof(bytes);
}

enum err websocket_request_check(const struct http_head *request, struct http_refusal *refusal)
{
        if (request->method != HTTP_GET)
                return refuse(refusal, 400, "websocket_method");
        if (!request->asks_upgrade)
                return refuse(refusal, 400, "websocket_upgrade");
        if (request->framing == HTTP_BODY_CHUNKED || request->content_length > 0)
                return refuse(refusal, 400, "websocket_body");
        if (!str_eq(only_value(request, HTTP_FIELD_SEC_WEBSOCKET_VERSION), WEBSOCKET_VERSION))
                return refuse(refusal, 426, "websocket_version");
        if (!key_is_valid(only_value(request, HTTP_FIELD_SEC_WEBSOCKET_KEY)))
                return refuse(refusal, 400, "websocket_key");
        return ERR_OK;
}

struct str websocket_accept_format(struct str key, char out[WEBSOCKET_ACCEPT_TEXT_MAX])
{
        static const struct str guid = STR_INIT("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
        char text[KEY_TEXT + 36];
        uint8_t hash[CRYPTO_SHA1_BYTES];
        size_t n = MIN(key.len, KEY_TEXT);

        if (n)
                memcpy(text, key.ptr, n);
        memcpy(text + n, guid.ptr, guid.len);
        crypto_sha1((struct str){ text, n + guid.len }, hash);
        return crypto_base64_format((struct str){ (const char *)hash, sizeof(hash) }, out);
}

enum err websocket_answer_make(const struct http_head *request, struct str protocol, struct arena *a,
                               struct http_head *out)
{
        struct str key = http_value(request, HTTP_FIELD_SEC_WEBSOCKET_KEY);
        char accept[WEBSOCKET_ACCEPT_TEXT_MAX];
        enum err e;

        *out = (struct http_head){ .status = 101,
                                   .reason = http_status_reason(101),
                                   .version_minor = 1,
                                   .framing = HTTP_BODY_UNTIL_CLOSE,
                                   .asks_upgrade = true,
                                   .fields = ARENA_ARRAY(a, struct http_field, ANSWER_FIELDS_MAX),
                                   .fields_max = ANSWER_FIELDS_MAX };
        struct str said = arena_copy(a, websocket_accept_format(key, accept));
        if (!out->fields || a->full)
                return ERR_NO_MEMORY;
        if ((e = http_add(out, STR("Connection"), STR("Upgrade"))) == ERR_OK &&
            (e = http_add(out, STR("Upgrade"), STR("websocket"))) == ERR_OK &&
            (e = http_add(out, STR("Sec-WebSocket-Accept"), said)) == ERR_OK && protocol.len)
                e = http_add(out, STR("Sec-WebSocket-Protocol"), protocol);
        return e;
}

/* Each element of the answer's field, parameters aside, was in the request's. */
static bool was_offered(const struct http_head *request, const struct http_head *answer, struct str name)
{
        for (const struct http_field *f = http_find_name(answer, name); f; f = http_find_next(answer, f)) {
                struct str rest = f->value, element;

                while (str_split(&rest, ',', &element)) {
                        element = str_trim(str_sub(element, 0, str_find_char(element, ';')));
                        if (element.len && !lists_have(request, name, element))
                                return false;
                }
        }
        return true;
}

enum err websocket_answer_check(const struct http_head *request, const struct http_head *answer,
                                struct http_refusal *refusal)
{
        static const struct str protocol = STR_INIT("Sec-WebSocket-Protocol");
        char expected[WEBSOCKET_ACCEPT_TEXT_MAX];
        const struct http_field *chosen;

        if (answer->status != 101 || !answer->asks_upgrade ||
            !str_eq_nocase(http_value(answer, HTTP_FIELD_UPGRADE), STR("websocket")))
                return refuse(refusal, 502, "websocket_upgrade");
        if (!str_eq(only_value(answer, HTTP_FIELD_SEC_WEBSOCKET_ACCEPT),
                    websocket_accept_format(http_value(request, HTTP_FIELD_SEC_WEBSOCKET_KEY), expected)))
                return refuse(refusal, 502, "websocket_accept");
        chosen = http_find_name(answer, protocol);
        if (chosen && (http_find_next(answer, chosen) || !http_name_is_valid(chosen->value) ||
                       !lists_have(request, protocol, chosen->value)))
                return refuse(refusal, 502, "websocket_protocol");
        if (!was_offered(request, answer, STR("Sec-WebSocket-Extensions")))
                return refuse(refusal, 502, "websocket_extension");
        return ERR_OK;
}
