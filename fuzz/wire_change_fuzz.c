/*
 * A change from anybody: what is read is written and read again as the same, and applied to a document of ours it gives
 * either nothing or what its hash says.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "wire/change.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct wire_document *ours(uint64_t version)
{
        struct wire_header h = { 1, WIRE_AGENT, STR("ag-a"), STR("o"), 1, version, 3, 4 };
        struct wire_document *d = NULL;
        struct wire_draft *draft;

        if (wire_draft_new(&h, &draft) != ERR_OK)
                return NULL;
        if (wire_draft_add_json(draft, STR("a"), STR("x"), STR("{}")) != ERR_OK ||
            wire_draft_add_json(draft, STR("b"), STR("y"), STR("{\"n\":1}")) != ERR_OK) {
                wire_draft_free(draft);
                return NULL;
        }
        return wire_draft_finish(&draft, NULL, &d) == ERR_OK ? d : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct wire_change *c, *again;
        struct wire_document *d, *got;
        const char *why = NULL;
        struct buf text, other;

        if (wire_change_read((struct str){ (const char *)data, size }, &c, &why) != ERR_OK) {
                assert(why);
                return 0;
        }
        buf_init(&text, 2 * WIRE_DOCUMENT_MAX);
        buf_init(&other, 2 * WIRE_DOCUMENT_MAX);
        wire_change_write(c, &text);
        enum err e = wire_change_read(buf_str(&text), &again, &why);
        assert(e == ERR_OK);
        wire_change_write(again, &other);
        assert(text.len == other.len && memcmp(text.ptr, other.ptr, text.len) == 0);
        d = ours(wire_change_from(c));
        assert(d);
        if (wire_change_apply(d, c, NULL, &got, &why) == ERR_OK)
                wire_document_put(got);
        wire_document_put(d);
        wire_change_free(c);
        wire_change_free(again);
        buf_fini(&text);
        buf_fini(&other);
        return 0;
}
