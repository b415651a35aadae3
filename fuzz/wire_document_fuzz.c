/*
 * A document without its signature looked at: what is read is written and read again as the same; and a change between it
 * and nothing, and itself, is applied to what it says.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "wire/change.h"
#include "wire/document.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void change_round(const struct wire_document *d)
{
        struct wire_document *got;
        struct wire_change *c, *again;
        const char *why;
        struct buf text;

        buf_init(&text, 2 * WIRE_DOCUMENT_MAX);
        enum err e = wire_change_between(d, d, &c);
        assert(e == ERR_OK && wire_change_set_count(c) == 0 && wire_change_removed_count(c) == 0);
        wire_change_write(c, &text);
        e = wire_change_read(buf_str(&text), &again, &why);
        assert(e == ERR_OK);
        e = wire_change_apply(d, again, NULL, &got, &why);
        assert(e == ERR_OK && memcmp(wire_document_hash(d), wire_document_hash(got), WIRE_HASH_BYTES) == 0);
        wire_document_put(got);
        wire_change_free(c);
        wire_change_free(again);
        buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct wire_document *d, *again;
        const char *why = NULL;
        struct buf text;

        if (wire_document_read((struct str){ (const char *)data, size }, NULL, &d, &why) != ERR_OK) {
                assert(why);
                return 0;
        }
        buf_init(&text, 2 * WIRE_DOCUMENT_MAX);
        wire_document_write(d, &text);
        enum err e = wire_document_read(buf_str(&text), NULL, &again, &why);
        assert(e == ERR_OK);
        assert(memcmp(wire_document_hash(d), wire_document_hash(again), WIRE_HASH_BYTES) == 0);
        assert(wire_document_follows(d, again, &why) == ERR_EXISTS);
        change_round(d);
        wire_document_put(d);
        wire_document_put(again);
        buf_fini(&text);
        return 0;
}
