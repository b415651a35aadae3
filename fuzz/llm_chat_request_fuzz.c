/*
 * A chat's body: what is taken is within the bounds, and becomes a body for a provider that is JSON and says the same.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "llm/chat_request.h"
#include "json/reader.h"

enum { MESSAGE_MAX = 200, MEMORY_MAX = 16 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void body_check(const struct chat_request *r, enum conf_dialect dialect, bool streams)
{
        const struct json_value *root, *messages;
        struct arena arena;
        struct buf out;

        arena_init(&arena, NULL, 0, MEMORY_MAX);
        buf_init(&out, MEMORY_MAX);
        chat_body_write(r, STR("name"), STR(""), dialect, streams, &out);
        assert(!out.full && json_read_strict(&arena, buf_str(&out), NULL, &root) == ERR_OK);
        assert(str_eq(json_str(json_find(root, STR("model"))), STR("name")));
        messages = json_find(root, STR("messages"));
        assert(json_is(messages, JSON_ARRAY) && messages->count >= 1);
        assert(str_eq(json_str(json_find(json_item(messages, messages->count - 1), STR("content"))),
                      r->message));
        assert(json_bool(json_find(root, STR("stream")), !streams) == streams);
        buf_fini(&out);
        arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct chat_fault fault = { 0 };
        struct chat_request r;
        struct arena a;

        arena_init(&a, NULL, 0, MEMORY_MAX);
        enum err e =
                chat_request_parse((struct str){ (const char *)data, size }, MESSAGE_MAX, &a, &r, &fault);
        if (e == ERR_OK) {
                assert(r.message.len > 0 && r.message.len <= MESSAGE_MAX);
                assert(r.session_id.len <= CHAT_SESSION_ID_MAX);
                body_check(&r, CONF_OPENAI, true);
                body_check(&r, CONF_ANTHROPIC, false);
        } else {
                assert((fault.status == 400 || fault.status == 413) && fault.refused && fault.message);
        }
        arena_fini(&a);
        return 0;
}
