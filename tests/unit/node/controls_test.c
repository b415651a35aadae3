/* Which controls a node may go to: the one it joined at, then those of its document. */
#include "../test.h"
#include "node/connect_priv.h"
#include "node/controls.h"

static const struct node_papers papers = { .control = "https://one:8000" };

static struct wire_document *document(const char *const *items, size_t count)
{
        struct wire_header header = { .format = WIRE_FORMAT,
                                      .kind = WIRE_AGENT,
                                      .node = STR("ag-abcdefghijklmnop"),
                                      .org = STR("home"),
                                      .epoch = 1,
                                      .version = 1 };
        struct wire_document *d;
        struct wire_draft *draft;

        assert_err(wire_draft_new(&header, &draft), ERR_OK);
        for (size_t i = 0; i < count; i++) {
                char id[32];
                snprintf(id, sizeof(id), "ct-%02zu", i);
                assert_err(wire_draft_add_json(draft, STR("controls"), str_of(id), str_of(items[i])), ERR_OK);
        }
        assert_err(
                wire_draft_add_json(draft, STR("gateways"), STR("gw-one"), STR("{\"url\":\"https://no:1\"}")),
                ERR_OK);
        assert_err(wire_draft_finish(&draft, NULL, &d), ERR_OK);
        return d;
}

#define ITEMS 4
static const struct {
        const char *why;
        const char *items[ITEMS];
        const char *found[ITEMS]; /* after the first */
} cases[] = {
        { "none", { NULL }, { NULL } },
        { "two more",
          { "{\"url\":\"https://two:8000\"}", "{\"url\":\"https://three\"}" },
          { "https://two:8000", "https://three" } },
        { "our own is not a second one",
          { "{\"url\":\"https://one:8000\"}", "{\"url\":\"https://two\"}" },
          { "https://two" } },
        { "what is no address is passed over",
          { "{\"url\":\"http://plain\"}", "{\"url\":7}", "{}", "{\"url\":\"https://two\",\"more\":1}" },
          { "https://two" } },
};

static void test_controls_of_a_document(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                size_t items_count = 0, count = 1;
                struct wire_document *d;
                struct node_url url;
                char text[NODE_URL_MAX];

                while (items_count < ITEMS && cases[i].items[items_count])
                        items_count++;
                d = document(cases[i].items, items_count);
                while (count <= ITEMS && cases[i].found[count - 1])
                        count++;
                if (node_controls_count(&papers, d) != count)
                        fail_msg("%s: %zu", cases[i].why, node_controls_count(&papers, d));
                node_controls_get(&papers, d, 0, text);
                assert_err(node_url_parse(str_of(text), &url), ERR_OK);
                assert_string_equal(text, papers.control);
                assert_string_equal(url.host, "one");
                for (size_t j = 1; j < count; j++) {
                        node_controls_get(&papers, d, j, text);
                        assert_err(node_url_parse(str_of(text), &url), ERR_OK);
                        assert_string_equal(text, cases[i].found[j - 1]);
                        assert_int_equal(strncmp(text + strlen("https://"), url.host, strlen(url.host)), 0);
                }
                wire_document_put(d);
        }
        assert_int_equal(node_controls_count(&papers, NULL), 1);
}

static void test_many_are_bounded(void **state)
{
        char texts[WIRE_CONTROLS_MAX + 4][64];
        const char *items[WIRE_CONTROLS_MAX + 4];
        struct wire_document *d;

        for (size_t i = 0; i < ARRAY_SIZE(items); i++) {
                snprintf(texts[i], sizeof(texts[i]), "{\"url\":\"https://c%zu\"}", i);
                items[i] = texts[i];
        }
        d = document(items, ARRAY_SIZE(items));
        assert_int_equal(node_controls_count(&papers, d), 1 + WIRE_CONTROLS_MAX);
        wire_document_put(d);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_controls_of_a_document),
                                            cmocka_unit_test(test_many_are_bounded) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
