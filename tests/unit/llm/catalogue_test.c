#include "llm/catalogue.h"

#include "../test.h"

enum { HOME, CLOUD, NEW, PROVIDERS, BOX = PROVIDERS, BOX2, WITH_BOXES };

static const struct str home_names[] = { STR_INIT("small"), STR_INIT("large"), STR_INIT("qwen/3:8b") };
static const struct str cloud_names[] = { STR_INIT("claude-a"), STR_INIT("large") };

static const struct str box_names[] = { STR_INIT("large"), STR_INIT("phi:latest") };

static struct conf_provider conf_providers[WITH_BOXES] = { { .name = STR_INIT("home") },
                                                           { .name = STR_INIT("cloud") },
                                                           { .name = STR_INIT("new") },
                                                           { .name = STR_INIT("tg-1"), .is_published = true },
                                                           { .name = STR_INIT("tg-2"),
                                                             .is_published = true } };
static struct provider providers[WITH_BOXES] = {
        { .conf = &conf_providers[HOME],
          .name = STR_INIT("home"),
          .listing = { .dialects = CONF_OPENAI,
                       .names = home_names,
                       .names_count = ARRAY_SIZE(home_names),
                       .is_known = true } },
        { .conf = &conf_providers[CLOUD],
          .name = STR_INIT("cloud"),
          .listing = { .dialects = CONF_ANTHROPIC | CONF_OPENAI,
                       .names = cloud_names,
                       .names_count = ARRAY_SIZE(cloud_names),
                       .is_known = true } },
        { .conf = &conf_providers[NEW], .name = STR_INIT("new"), .listing = { .dialects = CONF_OPENAI } },
        { .conf = &conf_providers[BOX],
          .name = STR_INIT("tg-1"),
          .listing = { .dialects = CONF_OPENAI | CONF_OLLAMA,
                       .names = box_names,
                       .names_count = 2,
                       .is_known = true } },
        { .conf = &conf_providers[BOX2],
          .name = STR_INIT("tg-2"),
          .listing = { .dialects = CONF_OPENAI, .names = box_names, .names_count = 2, .is_known = true } },
};

static struct conf_model_target fast_targets[] = { { &conf_providers[HOME], STR_INIT("small"), 1, 0 },
                                                   { &conf_providers[CLOUD], STR_INIT("claude-a"), 1, 1 } };
static struct conf_model_target any_claude[] = { { &conf_providers[CLOUD], STR_INIT(""), 1, 0 } };
static struct conf_model models[] = {
        { STR_INIT("fast"), false, fast_targets, ARRAY_SIZE(fast_targets) },
        { STR_INIT("claude-*"), true, any_claude, ARRAY_SIZE(any_claude) },
};

static struct conf written = { .providers = conf_providers,
                               .providers_count = PROVIDERS,
                               .models = models,
                               .models_count = ARRAY_SIZE(models) };
static struct conf listed = { .providers = conf_providers, .providers_count = PROVIDERS };

static struct conf written_and_boxes = { .providers = conf_providers,
                                         .providers_count = WITH_BOXES,
                                         .models = models,
                                         .models_count = ARRAY_SIZE(models) };

static struct catalogue catalogue_of(const struct conf *conf, size_t providers_count)
{
        return (struct catalogue){ conf, providers, providers_count };
}

static void finds(void **state)
{
        static const struct {
                const char *why;
                const struct conf *conf;
                size_t providers_count;
                const char *model;
                enum conf_dialect dialect;
                bool is_known;
                const char *found; /* provider=name, … */
        } rows[] = {
                { "an alias, in order", &written, PROVIDERS, "fast", CONF_OPENAI, true,
                  "home=small cloud=claude-a " },
                { "only who understands it", &written, PROVIDERS, "fast", CONF_ANTHROPIC, true,
                  "cloud=claude-a " },
                { "a pattern keeps the name", &written, PROVIDERS, "claude-x", CONF_OPENAI, true,
                  "cloud=claude-x " },
                { "not written down", &written, PROVIDERS, "small", CONF_OPENAI, false, "" },
                { "a name is not a pattern", &written, PROVIDERS, "fast*", CONF_OPENAI, false, "" },
                { "empty", &written, PROVIDERS, "", CONF_OPENAI, false, "" },
                { "listed by one", &listed, 2, "small", CONF_OPENAI, true, "home=small " },
                { "listed by two", &listed, 2, "large", CONF_OPENAI, true, "home=large cloud=large " },
                { "listed, in another dialect", &listed, 2, "small", CONF_ANTHROPIC, true, "" },
                { "with odd characters", &listed, 2, "qwen/3:8b", CONF_OPENAI, true, "home=qwen/3:8b " },
                { "listed by nobody", &listed, 2, "nobody", CONF_OPENAI, false, "" },
                { "case counts", &listed, 2, "Small", CONF_OPENAI, false, "" },
                { "who could not be asked may have it", &listed, PROVIDERS, "nobody", CONF_OPENAI, true,
                  "new=nobody " },
                { "a box's, beside what is written", &written_and_boxes, WITH_BOXES, "large", CONF_OPENAI,
                  true, "tg-1=large tg-2=large " },
                { "what is written stands before it", &written_and_boxes, WITH_BOXES, "fast", CONF_OPENAI,
                  true, "home=small cloud=claude-a " },
                { "Ollama's short name", &written_and_boxes, WITH_BOXES, "phi", CONF_OLLAMA, true,
                  "tg-1=phi " },
                { "whom nobody has", &written_and_boxes, WITH_BOXES, "nobody", CONF_OPENAI, false, "" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct catalogue c = catalogue_of(rows[i].conf, rows[i].providers_count);
                struct candidate out[CANDIDATES_MAX];
                bool is_known;
                struct buf text;

                buf_init(&text, 1000);
                size_t count = catalogue_find(&c, str_of(rows[i].model), rows[i].dialect, out, &is_known);
                for (size_t j = 0; j < count; j++)
                        buf_addf(&text, "%.*s=%.*s ", STR_FMT(out[j].provider->name), STR_FMT(out[j].model));
                if (!str_eq(buf_str(&text), str_of(rows[i].found)) || is_known != rows[i].is_known)
                        fail_msg("%s: known %d, \"%.*s\"", rows[i].why, is_known, STR_FMT(buf_str(&text)));
                buf_fini(&text);
        }
}

static void note(void *context, struct str name, const struct provider *provider)
{
        buf_addf(context, "%.*s:%.*s ", STR_FMT(name), STR_FMT(provider->name));
}

static void each_shows_what_may_be_named(void **state)
{
        struct catalogue a = catalogue_of(&written, PROVIDERS), b = catalogue_of(&listed, PROVIDERS);
        struct buf text;

        buf_init(&text, 1000);
        catalogue_each(&a, note, &text);
        assert_str(buf_str(&text), STR("fast:home claude-a:cloud "));
        buf_clear(&text);
        catalogue_each(&b, note, &text);
        assert_str(buf_str(&text), STR("small:home large:home qwen/3:8b:home claude-a:cloud large:cloud "));
        buf_fini(&text);
}

/* Boxes share what they have in common, behind the operator's own. */
static void boxes_are_equals(void **state)
{
        static const struct conf all = { .providers = conf_providers, .providers_count = WITH_BOXES };
        struct catalogue c = catalogue_of(&all, WITH_BOXES);
        struct candidate out[CANDIDATES_MAX];
        bool is_known;

        providers[NEW].listing.is_known = true;
        assert_int_equal(catalogue_find(&c, STR("large"), CONF_OPENAI, out, &is_known), 4);
        providers[NEW].listing.is_known = false;
        assert_true(out[0].priority < out[1].priority && out[1].priority < out[2].priority);
        assert_int_equal(out[2].priority, out[3].priority);
}

/* What strangers name must not become a label. */
static void labels_are_of_the_operator(void **state)
{
        struct catalogue a = catalogue_of(&written, PROVIDERS), b = catalogue_of(&listed, PROVIDERS);

        assert_str(catalogue_label(&a, STR("fast"), NULL), STR("fast"));
        assert_str(catalogue_label(&a, STR("claude-a"), &providers[CLOUD]), STR("claude-a"));
        assert_str(catalogue_label(&a, STR("claude-made-up"), &providers[CLOUD]), STR("claude-*"));
        assert_str(catalogue_label(&a, STR("made-up"), NULL), STR("other"));
        assert_str(catalogue_label(&b, STR("small"), &providers[HOME]), STR("small"));
        assert_str(catalogue_label(&b, STR("made-up"), &providers[NEW]), STR("other"));
        assert_str(catalogue_label(&b, STR(""), NULL), STR("other"));
}

static void weights_share_within_a_priority(void **state)
{
        size_t first[3] = { 0 };

        for (uint64_t draw = 0; draw < 4000; draw++) {
                struct candidate c[4] = { { &providers[0], STR("a"), 3, 0 },
                                          { &providers[1], STR("b"), 1, 0 },
                                          { &providers[2], STR("c"), 9, 1 },
                                          { &providers[2], STR("d"), 9, 2 } };

                candidates_spread(c, 4, draw);
                assert_str(c[2].model, STR("c")); /* a later priority never moves forward */
                assert_str(c[3].model, STR("d"));
                assert_true(c[0].provider != c[1].provider);
                first[c[0].provider - providers]++;
        }
        assert_in_range(first[0], 2850, 3150);
        assert_int_equal(first[0] + first[1], 4000);
        struct candidate none[1] = { { &providers[0], STR("a"), 0, 0 } };
        candidates_spread(none, 1, 7);
        candidates_spread(none, 0, 7);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(finds),
                cmocka_unit_test(each_shows_what_may_be_named),
                cmocka_unit_test(boxes_are_equals),
                cmocka_unit_test(labels_are_of_the_operator),
                cmocka_unit_test(weights_share_within_a_priority),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
