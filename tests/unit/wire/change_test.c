#include "lab.h"

#include "wire/message.h"

static struct wire_change *through_text(struct wire_change *c)
{
        struct wire_change *again;
        const char *why = "";
        struct buf text;

        buf_init(&text, WIRE_MESSAGE_MAX);
        wire_change_write(c, &text);
        assert_false(text.full);
        assert_int_equal(wire_message_type(buf_str(&text)), WIRE_CHANGE);
        if (wire_change_read(buf_str(&text), &again, &why) != ERR_OK)
                fail_msg("%s: %.*s", why, STR_FMT(buf_str(&text)));
        buf_fini(&text);
        wire_change_free(c);
        return again;
}

/* apply(a, between(a, b)) is b, whatever a and b are, through the text, too. */
static void what_is_applied_is_what_was_meant(void **state)
{
        uint64_t random = 1;
        (void)state;

        for (size_t round = 0; round < 400; round++) {
                struct wire_document *a, *b, *got;
                struct wire_change *c;
                const char *why = "";
                a = lab_document(lab_header(1, round), &random, round % 60);
                b = lab_document(lab_header(1 + round % 3, round + 1), &random, lab_random(&random) % 60);
                assert_err(wire_change_between(a, b, &c), ERR_OK);
                c = through_text(c);
                if (wire_change_apply(a, c, lab_key(), &got, &why) != ERR_OK)
                        fail_msg("round %zu: %s", round, why);
                assert_memory_equal(wire_document_hash(got), wire_document_hash(b), WIRE_HASH_BYTES);
                assert_int_equal(wire_document_items_count(got), wire_document_items_count(b));
                for (size_t i = 0; i < wire_document_items_count(b); i++)
                        assert_str(wire_document_item(got, i)->json, wire_document_item(b, i)->json);
                wire_change_free(c);
                wire_document_put(a);
                wire_document_put(b);
                wire_document_put(got);
        }
}

static void a_change_is_as_small_as_the_edit(void **state)
{
        struct wire_document *a, *b;
        struct wire_header next = lab_header(1, 2);
        struct wire_draft *draft;
        struct wire_change *c;
        struct str section, id;
        uint64_t random = 7;
        struct buf text;
        (void)state;

        a = lab_document(lab_header(1, 1), &random, 1000);
        assert_err(wire_draft_new(&next, &draft), ERR_OK);
        for (size_t i = 1; i < wire_document_items_count(a); i++)
                assert_err(wire_draft_add(draft, wire_document_item(a, i)), ERR_OK);
        assert_err(wire_draft_add_json(draft, STR("services"), STR("sv-new"), STR("{}")), ERR_OK);
        assert_err(wire_draft_finish(&draft, lab_seed, &b), ERR_OK);

        assert_err(wire_change_between(a, b, &c), ERR_OK);
        assert_int_equal(wire_change_set_count(c), 1);
        assert_int_equal(wire_change_removed_count(c), 1);
        wire_change_removed(c, 0, &section, &id);
        assert_str(id, wire_document_item(a, 0)->id);
        buf_init(&text, WIRE_MESSAGE_MAX);
        wire_change_write(c, &text);
        assert_true(text.len < 700);
        buf_fini(&text);
        wire_change_free(c);
        wire_document_put(a);
        wire_document_put(b);
}

static void a_change_from_elsewhere_asks_for_the_whole(void **state)
{
        struct wire_document *a, *b, *other, *got = NULL;
        struct wire_change *c;
        const char *why = "";
        uint64_t random = 3;
        uint8_t wrong[WIRE_PUBLIC_BYTES];
        (void)state;

        a = lab_document(lab_header(1, 1), &random, 40);
        other = lab_document(lab_header(1, 1), &random, 40);
        b = lab_document(lab_header(1, 2), &random, 40);
        assert_err(wire_change_between(a, b, &c), ERR_OK);
        assert_err(wire_change_apply(other, c, lab_key(), &got, &why), ERR_NOT_FOUND);
        assert_err(wire_change_apply(b, c, lab_key(), &got, &why), ERR_NOT_FOUND);
        memcpy(wrong, lab_key(), sizeof(wrong));
        crypto_ed25519_public((const uint8_t *)"another seed of thirty-two bytes", wrong);
        assert_err(wire_change_apply(a, c, wrong, &got, &why), ERR_DENIED);
        assert_null(got);
        wire_change_free(c);
        wire_document_put(a);
        wire_document_put(b);
        wire_document_put(other);
}

/* After a new leader took over: the same items under another epoch need no items. */
static void a_new_epoch_alone_is_a_small_change(void **state)
{
        struct wire_header later = lab_header(2, 9);
        struct wire_document *a, *b, *got;
        struct wire_change *c;
        const char *why = "";
        uint64_t random = 5;
        (void)state;

        a = lab_document(lab_header(1, 8), &random, 50);
        assert_err(wire_document_reissue(a, &later, lab_seed, &b), ERR_OK);
        assert_memory_equal(wire_document_items_hash(a), wire_document_items_hash(b), WIRE_HASH_BYTES);
        /* Control does not know a any more, only its number and the hash of its items. */
        assert_err(wire_change_between(b, b, &c), ERR_OK);
        wire_change_set_from(c, 8);
        c = through_text(c);
        assert_err(wire_change_apply(a, c, lab_key(), &got, &why), ERR_OK);
        assert_memory_equal(wire_document_hash(got), wire_document_hash(b), WIRE_HASH_BYTES);
        assert_err(wire_document_follows(a, got, &why), ERR_OK);
        wire_change_free(c);
        wire_document_put(a);
        wire_document_put(b);
        wire_document_put(got);
}

#define HASH "\"0000000000000000000000000000000000000000000000000000000000000000\""
#define SIGNATURE \
        "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\""
#define HEADER                                                                                        \
        "{\"format\":1,\"kind\":\"agent\",\"node\":\"ag-a\",\"org\":\"o\",\"epoch\":1,\"version\":2," \
        "\"issued\":3,\"lease\":4}"
#define CHANGE(header, set, remove)                                                                        \
        "{\"type\":\"change\",\"from\":1,\"header\":" header ",\"hash\":" HASH ",\"signature\":" SIGNATURE \
        ",\"set\":" set ",\"remove\":" remove "}"

static void hostile_texts(void **state)
{
        static const struct {
                const char *why, *text;
                enum err err;
        } cases[] = {
                { "nothing set", CHANGE(HEADER, "{}", "{}"), ERR_OK },
                { "something removed", CHANGE(HEADER, "{}", "{\"a\":[\"x\",\"y\"]}"), ERR_OK },
                { "unknown members of the header",
                  CHANGE("{\"format\":1,\"kind\":\"agent\",\"node\":\"ag-a\",\"org\":\"o\",\"epoch\":1,"
                         "\"version\":2,\"issued\":3,\"lease\":4,\"colour\":[]}",
                         "{}", "{}"),
                  ERR_OK },
                { "empty", "", ERR_MALFORMED },
                { "no object", "[]", ERR_MALFORMED },
                { "nothing in it", "{}", ERR_MALFORMED },
                { "a newer format", CHANGE("{\"format\":2}", "{}", "{}"), ERR_UNSUPPORTED },
                { "format zero",
                  CHANGE("{\"format\":0,\"kind\":\"agent\",\"node\":\"ag-a\",\"org\":\"o\",\"epoch\":1,"
                         "\"version\":2,\"issued\":3,\"lease\":4}",
                         "{}", "{}"),
                  ERR_MALFORMED },
                { "no version", CHANGE("{\"format\":1}", "{}", "{}"), ERR_MALFORMED },
                { "a negative version", CHANGE("{\"format\":1,\"version\":-1}", "{}", "{}"), ERR_MALFORMED },
                { "a number as text", CHANGE("{\"format\":\"1\"}", "{}", "{}"), ERR_MALFORMED },
                { "twice the format", CHANGE("{\"format\":1,\"format\":1}", "{}", "{}"), ERR_MALFORMED },
                { "an item twice", CHANGE(HEADER, "{\"a\":{\"x\":{},\"x\":{}}}", "{}"), ERR_MALFORMED },
                { "an item that is no object", CHANGE(HEADER, "{\"a\":{\"x\":1}}", "{}"), ERR_MALFORMED },
                { "a section that is none", CHANGE(HEADER, "{\"A B\":{}}", "{}"), ERR_MALFORMED },
                { "an id that is none", CHANGE(HEADER, "{\"a\":{\"\\n\":{}}}", "{}"), ERR_MALFORMED },
                { "a removal twice", CHANGE(HEADER, "{}", "{\"a\":[\"x\",\"x\"]}"), ERR_MALFORMED },
                { "a removal that is no list", CHANGE(HEADER, "{}", "{\"a\":{}}"), ERR_MALFORMED },
                { "a removal that is no text", CHANGE(HEADER, "{}", "{\"a\":[1]}"), ERR_MALFORMED },
                { "a removal inside of another", CHANGE(HEADER, "{}", "{\"a\":[[]]}"), ERR_MALFORMED },
                { "set twice", CHANGE(HEADER, "{},\"set\":{}", "{}"), ERR_MALFORMED },
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct wire_change *c;
                const char *why = "";
                enum err e = wire_change_read(str_of(cases[i].text), &c, &why);
                if (e != cases[i].err)
                        fail_msg("%s: %s (%s)", cases[i].why, err_name(e), why);
                if (e == ERR_OK)
                        wire_change_free(c);
                else
                        assert_true(why[0] != '\0');
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_applied_is_what_was_meant),
                cmocka_unit_test(a_change_is_as_small_as_the_edit),
                cmocka_unit_test(a_change_from_elsewhere_asks_for_the_whole),
                cmocka_unit_test(a_new_epoch_alone_is_a_small_change),
                cmocka_unit_test(hostile_texts),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
