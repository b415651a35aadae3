/* Embeddings: eight numbers (or `dimensions`) that follow from the bytes of each input. */
#include "dialect.h"

#include <string.h>

#include "base/hash.h"
#include "walk.h"

enum { DIMENSIONS = 8, DIMENSIONS_MAX = 4096 };

/* The n-th number of an input: a multiple of 1/128, so that float32 and its text are equal. */
static int number_at(struct str input, unsigned n)
{
        return (int)(hash_str((struct hash_key){ n, 0 }, input) & 0xff) - 128;
}

static void add_floats(struct str input, unsigned dimensions, struct buf *out)
{
        buf_add_char(out, '[');
        for (unsigned n = 0; n < dimensions; n++)
                buf_addf(out, "%s%.7f", n ? "," : "", number_at(input, n) / 128.0);
        buf_add_char(out, ']');
}

static void add_base64(struct buf *out, const unsigned char *bytes, size_t len)
{
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

        for (size_t i = 0; i < len; i += 3) {
                size_t have = MIN(len - i, (size_t)3);
                unsigned b = (unsigned)bytes[i] << 16;

                if (have > 1)
                        b |= (unsigned)bytes[i + 1] << 8;
                if (have > 2)
                        b |= bytes[i + 2];
                buf_add_char(out, digits[b >> 18]);
                buf_add_char(out, digits[b >> 12 & 63]);
                buf_add_char(out, have > 1 ? digits[b >> 6 & 63] : '=');
                buf_add_char(out, have > 2 ? digits[b & 63] : '=');
        }
}

static void add_floats_base64(struct str input, unsigned dimensions, struct buf *out)
{
        unsigned char bytes[DIMENSIONS_MAX * 4];

        for (unsigned n = 0; n < dimensions; n++) {
                float value = (float)number_at(input, n) / 128.0f;
                uint32_t bits;

                memcpy(&bits, &value, sizeof(bits));
                for (unsigned b = 0; b < 4; b++)
                        bytes[n * 4 + b] = (unsigned char)(bits >> 8 * b); /* little-endian */
        }
        buf_add_char(out, '"');
        add_base64(out, bytes, (size_t)dimensions * 4);
        buf_add_char(out, '"');
}

static void add_entry(const struct ask *ask, struct str input, unsigned index, struct buf *out)
{
        unsigned dimensions = ask->dimensions ? MIN(ask->dimensions, (unsigned)DIMENSIONS_MAX) : DIMENSIONS;

        buf_addf(out, "%s{\"object\":\"embedding\",\"index\":%u,\"embedding\":", index ? "," : "", index);
        (ask->base64 ? add_floats_base64 : add_floats)(input, dimensions, out);
        buf_add_char(out, '}');
}

/* One entry for a string, for a list of numbers, and for each of a list of strings or of lists. */
static unsigned add_entries(const struct ask *ask, struct str body, struct buf *out)
{
        struct walk w;
        unsigned count = 0;
        bool has_numbers = false;

        walk_init(&w, body);
        for (;;) {
                enum walk_kind kind = walk_next(&w);

                if (kind == WALK_BAD || kind == WALK_END)
                        return count;
                if (!walk_is(&w, 1, STR("input")))
                        continue;
                has_numbers |= kind == WALK_NUMBER && w.depth == 2;
                bool is_whole =
                        w.depth == 1 && (kind == WALK_STRING || (kind == WALK_ARRAY_END && has_numbers));
                bool is_element = w.depth == 2 && (kind == WALK_STRING || kind == WALK_ARRAY_END);
                if (is_whole || is_element)
                        add_entry(ask, w.text, count++, out);
        }
}

bool embeddings_write(const struct ask *ask, struct str body, struct str model, struct buf *out)
{
        unsigned tokens = MAX(ask->prompt_tokens, 1u);

        ADD(out, "{\"object\":\"list\",\"data\":[");
        if (add_entries(ask, body, out) == 0)
                return false;
        ADD(out, "],");
        add_member(out, "model", model);
        buf_addf(out, "\"usage\":{\"prompt_tokens\":%u,\"total_tokens\":%u}}", tokens, tokens);
        return true;
}
