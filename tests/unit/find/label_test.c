#include "find/label.h"

#include "../test.h"

#define ITEM(state, labels, more) \
        "{\"Names\":[\"/My_App.1\"],\"State\":\"" state "\",\"Labels\":{" labels "}," more "\"Mounts\":[]}"
#define HOST    "\"sekisho.host\":\"a.example.com\""
#define BRIDGED "\"NetworkSettings\":{\"Networks\":{\"bridge\":{\"IPAddress\":\"172.17.0.2\"}}},"
#define SHARED  "\"HostConfig\":{\"NetworkMode\":\"host\"},"
#define PORT(ip, private, public, type) \
        "{\"IP\":\"" ip "\",\"PrivatePort\":" private ",\"PublicPort\":" public ",\"Type\":\"" type "\"}"

static const struct {
        const char *why, *item;
        enum label_answer answer;
        const char *url; /* of an offer; else a part of the reason */
} rows[] = {
        { "none of ours", ITEM("running", "\"a\":\"b\"", BRIDGED), LABEL_NONE, "" },
        { "not running", ITEM("exited", HOST, BRIDGED), LABEL_NONE, "" },
        { "no labels", "{\"State\":\"running\"}", LABEL_NONE, "" },
        { "no object", "7", LABEL_NONE, "" },
        { "its own address", ITEM("running", HOST ",\"sekisho.port\":\"80\"", BRIDGED), LABEL_OFFER,
          "http://172.17.0.2:80" },
        { "published to all",
          ITEM("running", HOST ",\"sekisho.port\":\"80\"",
               "\"Ports\":[" PORT("0.0.0.0", "80", "8080", "tcp") "],"),
          LABEL_OFFER, "http://127.0.0.1:8080" },
        { "published at one",
          ITEM("running", HOST ",\"sekisho.port\":\"80\"",
               "\"Ports\":[" PORT("192.0.2.7", "80", "8080", "tcp") "],"),
          LABEL_OFFER, "http://192.0.2.7:8080" },
        { "this machine's network", ITEM("running", HOST ",\"sekisho.port\":\"3000\"", SHARED), LABEL_OFFER,
          "http://127.0.0.1:3000" },
        { "its only port",
          ITEM("running", HOST, BRIDGED "\"Ports\":[{\"PrivatePort\":9000,\"Type\":\"tcp\"}],"), LABEL_OFFER,
          "http://172.17.0.2:9000" },
        { "which of two?",
          ITEM("running", HOST,
               BRIDGED
               "\"Ports\":[{\"PrivatePort\":1,\"Type\":\"tcp\"},{\"PrivatePort\":2,\"Type\":\"tcp\"}],"),
          LABEL_REFUSED, "sekisho.port" },
        { "datagrams are none",
          ITEM("running", HOST, BRIDGED "\"Ports\":[{\"PrivatePort\":53,\"Type\":\"udp\"}],"), LABEL_REFUSED,
          "sekisho.port" },
        { "no address", ITEM("running", HOST ",\"sekisho.port\":\"80\"", ""), LABEL_REFUSED, "no address" },
        { "an address that is none",
          ITEM("running", HOST ",\"sekisho.port\":\"80\"",
               "\"NetworkSettings\":{\"Networks\":{\"x\":{\"IPAddress\":\"evil\"}}},"),
          LABEL_REFUSED, "no address" },
        { "port 0", ITEM("running", HOST ",\"sekisho.port\":\"0\"", BRIDGED), LABEL_REFUSED, "port" },
        { "no number", ITEM("running", HOST ",\"sekisho.port\":\"http\"", BRIDGED), LABEL_REFUSED, "port" },
        { "a label nobody knows", ITEM("running", HOST ",\"sekisho.url\":\"http://x\"", BRIDGED),
          LABEL_REFUSED, "label" },
        { "a wildcard", ITEM("running", "\"sekisho.host\":\"*.example.com\"", BRIDGED), LABEL_REFUSED,
          "host" },
        { "upper case", ITEM("running", "\"sekisho.host\":\"A.example.com\"", BRIDGED), LABEL_REFUSED,
          "host" },
        { "a line of its own",
          ITEM("running", "\"sekisho.host\":\"a.example.com\\n\"",
               BRIDGED "\"Ports\":[{\"PrivatePort\":1,\"Type\":\"tcp\"}],"),
          LABEL_REFUSED, "host" },
        { "nobody", ITEM("running", "\"sekisho.host\":\"\"", BRIDGED), LABEL_REFUSED, "host" },
        { "too many", ITEM("running", "\"sekisho.host\":\"a,b,c,d,e,f,g,h,i\"", BRIDGED), LABEL_REFUSED,
          "host" },
        { "a path up", ITEM("running", HOST ",\"sekisho.path\":\"x\"", BRIDGED), LABEL_REFUSED, "path" },
        { "a pattern", ITEM("running", HOST ",\"sekisho.path\":\"/{id}\"", BRIDGED), LABEL_REFUSED, "path" },
        { "an access there is not", ITEM("running", HOST ",\"sekisho.access\":\"all\"", BRIDGED),
          LABEL_REFUSED, "access" },
        { "a name that is none", ITEM("running", HOST ",\"sekisho.name\":\"a b\"", BRIDGED), LABEL_REFUSED,
          "name" },
        { "version 6",
          ITEM("running", HOST ",\"sekisho.port\":\"80\"",
               "\"NetworkSettings\":{\"Networks\":{\"x\":{\"IPAddress\":\"fd00::2\"}}},"),
          LABEL_OFFER, "http://[fd00::2]:80" },
};

static void labels_are_judged(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const struct json_value *item;
                struct label_offer o;
                struct arena a;
                const char *why = "";

                arena_init(&a, NULL, 0, 1 << 20);
                assert_err(json_read_strict(&a, str_of(rows[i].item), NULL, &item), ERR_OK);
                enum label_answer answer = label_read(item, &a, &o, &why);
                bool good = answer == rows[i].answer;

                if (good && answer == LABEL_OFFER)
                        good = str_eq(o.url, str_of(rows[i].url)) && str_eq(o.name, STR("my-app-1"));
                if (good && answer == LABEL_REFUSED)
                        good = str_find(str_of(why), str_of(rows[i].url)) != STR_NONE;
                if (!good)
                        fail_msg("%s: %d, %.*s, %s", rows[i].why, answer, STR_FMT(o.url), why);
                arena_fini(&a);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(labels_are_judged) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
