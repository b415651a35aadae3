#include "json/patch.h"

#include <stdio.h>

#include "../dice.h"
#include "../test.h"
#include "json/pointer.h"

enum kind { SET, ADD, REPLACE, REMOVE };

static enum err run(enum kind kind, struct str text, const struct json_options *options, struct str pointer,
                    struct str value, struct buf *out, struct report *report)
{
        switch (kind) {
        case SET: return json_patch_set(text, options, pointer, value, out, report);
        case ADD: return json_patch_add(text, options, pointer, value, out, report);
        case REPLACE: return json_patch_replace(text, options, pointer, value, out, report);
        case REMOVE: break;
        }
        return json_patch_remove(text, options, pointer, out, report);
}

static const struct json_options hujson = { .mode = JSON_HUJSON };

static const struct {
        const char *why;
        enum kind kind;
        struct str text, pointer, value, out;
} edits[] = {
        { "a value keeps what is around it", REPLACE, STR_INIT("{ \"a\" : /*x*/ 1 , // y\n}"), STR_INIT("/a"),
          STR_INIT(" [2] // z\n"), STR_INIT("{ \"a\" : /*x*/ [2] , // y\n}") },
        { "the whole text", REPLACE, STR_INIT("//x\n[1]//y\n"), STR_INIT(""), STR_INIT("{}"),
          STR_INIT("//x\n{}//y\n") },
        { "escapes in the pointer", REPLACE, STR_INIT("{\"a/b\":{\"~\":1}}"), STR_INIT("/a~1b/~0"),
          STR_INIT("2"), STR_INIT("{\"a/b\":{\"~\":2}}") },
        { "lines move to where they stand", REPLACE, STR_INIT("{\n\t\"a\": {\n\t\t\"b\": 1,\n\t},\n}"),
          STR_INIT("/a/b"), STR_INIT("  {\n    // c\n    \"d\": 2\n  }"),
          STR_INIT("{\n\t\"a\": {\n\t\t\"b\": {\n\t\t  // c\n\t\t  \"d\": 2\n\t\t},\n\t},\n}") },

        { "into an empty object", ADD, STR_INIT("{}"), STR_INIT("/a"), STR_INIT("1"),
          STR_INIT("{\"a\": 1}") },
        { "into a spacious one", ADD, STR_INIT("[  ]"), STR_INIT("/0"), STR_INIT("1"), STR_INIT("[1]") },
        { "into an open one", ADD, STR_INIT("{\n}"), STR_INIT("/a"), STR_INIT("1"),
          STR_INIT("{\n\t\"a\": 1\n}") },
        { "after its comments", ADD, STR_INIT("{\n  \"x\": [\n    // none\n  ]\n}"), STR_INIT("/x/-"),
          STR_INIT("1"), STR_INIT("{\n  \"x\": [\n    // none\n    1\n  ]\n}") },
        { "beside a comment", ADD, STR_INIT("[/*none*/]"), STR_INIT("/-"), STR_INIT("1"),
          STR_INIT("[/*none*/ 1]") },
        { "a member there already is replaced", ADD, STR_INIT("{\"a\":1}"), STR_INIT("/a"), STR_INIT("2"),
          STR_INIT("{\"a\":2}") },
        { "as compact as its neighbours", ADD, STR_INIT("{\"a\":1,\"b\":2}"), STR_INIT("/c"), STR_INIT("3"),
          STR_INIT("{\"a\":1,\"b\":2,\"c\":3}") },
        { "or as spacious", ADD, STR_INIT("{\"a\": 1,  \"b\": 2}"), STR_INIT("/c"), STR_INIT("3"),
          STR_INIT("{\"a\": 1,  \"b\": 2,  \"c\": 3}") },
        { "after one element", ADD, STR_INIT("[1]"), STR_INIT("/-"), STR_INIT("2"), STR_INIT("[1, 2]") },
        { "with a trailing comma where there was one", ADD, STR_INIT("[1, 2,]"), STR_INIT("/2"),
          STR_INIT("3"), STR_INIT("[1, 2, 3,]") },
        { "the last comment stays with its element", ADD, STR_INIT("[1, 2 /*two*/]"), STR_INIT("/-"),
          STR_INIT("3"), STR_INIT("[1, 2 /*two*/, 3]") },
        { "a line of its own", ADD, STR_INIT("{\n\t\"a\": 1\n}"), STR_INIT("/b"), STR_INIT("2"),
          STR_INIT("{\n\t\"a\": 1,\n\t\"b\": 2\n}") },
        { "after the comment on the line", ADD, STR_INIT("{\n\t\"a\": 1, // one\n}"), STR_INIT("/b"),
          STR_INIT("2"), STR_INIT("{\n\t\"a\": 1, // one\n\t\"b\": 2,\n}") },
        { "a comma before that comment", ADD, STR_INIT("[\n  1 // one\n]"), STR_INIT("/-"), STR_INIT("2"),
          STR_INIT("[\n  1, // one\n  2\n]") },
        { "after comments at the end", ADD, STR_INIT("[\n  1,\n  // 3,\n]"), STR_INIT("/-"), STR_INIT("2"),
          STR_INIT("[\n  1,\n  // 3,\n  2,\n]") },
        { "line ends as the text has them", ADD, STR_INIT("{\r\n  \"a\": 1,\r\n}\r\n"), STR_INIT("/b"),
          STR_INIT("2"), STR_INIT("{\r\n  \"a\": 1,\r\n  \"b\": 2,\r\n}\r\n") },
        { "brackets that hug", ADD, STR_INIT("[{\n\t\"a\": 1\n}]"), STR_INIT("/-"), STR_INIT("2"),
          STR_INIT("[{\n\t\"a\": 1\n}, 2]") },
        { "a bracket on a line of its own", ADD, STR_INIT("{\"a\": 1\n}"), STR_INIT("/b"), STR_INIT("2"),
          STR_INIT("{\"a\": 1,\n\t\"b\": 2\n}") },
        { "before an element", ADD, STR_INIT("[1, 3]"), STR_INIT("/1"), STR_INIT("2"),
          STR_INIT("[1, 2, 3]") },
        { "before the first", ADD, STR_INIT("[2, 3]"), STR_INIT("/0"), STR_INIT("1"), STR_INIT("[1, 2, 3]") },
        { "before the first, compact", ADD, STR_INIT("[2,3]"), STR_INIT("/0"), STR_INIT("1"),
          STR_INIT("[1,2,3]") },
        { "above a line and its comments", ADD, STR_INIT("[ // list\n\n\t// three\n\t// or so\n\t3, // c\n]"),
          STR_INIT("/0"), STR_INIT("1"),
          STR_INIT("[ // list\n\n\t1,\n\t// three\n\t// or so\n\t3, // c\n]") },
        { "below the comment of the line before", ADD, STR_INIT("[\n\t1, // one\n\t// three\n\t3,\n]"),
          STR_INIT("/1"), STR_INIT("2"), STR_INIT("[\n\t1, // one\n\t2,\n\t// three\n\t3,\n]") },
        { "a key that needs escapes", ADD, STR_INIT("{}"), STR_INIT("/a\"~1\n"), STR_INIT("1"),
          STR_INIT("{\"a\\\"/\\n\": 1}") },
        { "the whole text, added", ADD, STR_INIT("1"), STR_INIT(""), STR_INIT("2"), STR_INIT("2") },

        { "the only one", REMOVE, STR_INIT("{ \"a\": 1 }"), STR_INIT("/a"), STR_INIT(""), STR_INIT("{}") },
        { "the first", REMOVE, STR_INIT("[1, 2, 3]"), STR_INIT("/0"), STR_INIT(""), STR_INIT("[2, 3]") },
        { "one in the middle", REMOVE, STR_INIT("[1, 2, 3]"), STR_INIT("/1"), STR_INIT(""),
          STR_INIT("[1, 3]") },
        { "the last, and the comma before it", REMOVE, STR_INIT("[1, 2]"), STR_INIT("/1"), STR_INIT(""),
          STR_INIT("[1]") },
        { "the last of a list with a trailing comma", REMOVE, STR_INIT("[1, 2,]"), STR_INIT("/1"),
          STR_INIT(""), STR_INIT("[1,]") },
        { "comments on its line go with it", REMOVE, STR_INIT("[1, /*two*/ 2, 3]"), STR_INIT("/1"),
          STR_INIT(""), STR_INIT("[1, 3]") },
        { "those of its neighbours stay", REMOVE, STR_INIT("[1, 2, /*three*/ 3]"), STR_INIT("/1"),
          STR_INIT(""), STR_INIT("[1, /*three*/ 3]") },
        { "a line, its comment, and the comment lines above", REMOVE,
          STR_INIT(
                  "{\n\t// head\n\n\t\"a\": 1, // a\n\t// b\n\t/* b */\n\t\"b\": 2, // b\n\t// c\n\t\"c\": 3,\n}"),
          STR_INIT("/b"), STR_INIT(""),
          STR_INIT("{\n\t// head\n\n\t\"a\": 1, // a\n\t// c\n\t\"c\": 3,\n}") },
        { "comments above an empty line stay", REMOVE, STR_INIT("{\n\t// head\n\n\t\"a\": 1,\n}"),
          STR_INIT("/a"), STR_INIT(""), STR_INIT("{\n\t// head\n\n}") },
        { "the last line without a trailing comma", REMOVE, STR_INIT("[\n  1, // one\n  2 // two\n]"),
          STR_INIT("/1"), STR_INIT(""), STR_INIT("[\n  1 // one\n]") },
        { "one of two on a line", REMOVE, STR_INIT("[\n  1, 2,\n  3\n]"), STR_INIT("/0"), STR_INIT(""),
          STR_INIT("[\n  2,\n  3\n]") },
        { "the other of them", REMOVE, STR_INIT("[\n  1, 2, // two\n  3\n]"), STR_INIT("/1"), STR_INIT(""),
          STR_INIT("[\n  1,\n  3\n]") },
        { "the last before a bracket on its line", REMOVE, STR_INIT("[\n  1,\n  2 ]"), STR_INIT("/1"),
          STR_INIT(""), STR_INIT("[\n  1 ]") },
        { "with its carriage return", REMOVE, STR_INIT("[\r\n  1,\r\n  2\r\n]"), STR_INIT("/0"), STR_INIT(""),
          STR_INIT("[\r\n  2\r\n]") },

        { "set what is there", SET, STR_INIT("{\"a\":1}"), STR_INIT("/a"), STR_INIT("2"),
          STR_INIT("{\"a\":2}") },
        { "set what is not", SET, STR_INIT("{\"a\":1}"), STR_INIT("/b"), STR_INIT("2"),
          STR_INIT("{\"a\":1,\"b\":2}") },
        { "set with objects above", SET, STR_INIT("{\n  \"a\": 1\n}"), STR_INIT("/b/c/d~1"), STR_INIT("2"),
          STR_INIT("{\n  \"a\": 1,\n  \"b\": {\"c\": {\"d/\": 2}}\n}") },
        { "set an element", SET, STR_INIT("[[1]]"), STR_INIT("/0/0"), STR_INIT("2"), STR_INIT("[[2]]") },
        { "set one more element", SET, STR_INIT("{\"a\": [1]}"), STR_INIT("/a/-/b"), STR_INIT("2"),
          STR_INIT("{\"a\": [1, {\"b\": 2}]}") },
        { "set the whole text", SET, STR_INIT("[]"), STR_INIT(""), STR_INIT("2"), STR_INIT("2") },
};

static void test_edits(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(edits); i++) {
                struct report report;
                struct buf b;

                buf_init(&b, 4096);
                report_init(&report, STR("t"));
                if (run(edits[i].kind, edits[i].text, &hujson, edits[i].pointer, edits[i].value, &b,
                        &report) != ERR_OK)
                        fail_msg("%s: %s", edits[i].why, report.entries[0].text.ptr);
                if (!str_eq(buf_str(&b), edits[i].out))
                        fail_msg("%s: got\n%.*s\nwanted\n%s", edits[i].why, STR_FMT(buf_str(&b)),
                                 edits[i].out.ptr);
                buf_fini(&b);
                report_fini(&report);
        }
}

static void test_edits_refused(void **state)
{
        static const struct json_options few = { .mode = JSON_HUJSON, .depth_max = 2, .bytes_max = 16 };
        static const struct {
                const char *why;
                enum kind kind;
                const struct json_options *options;
                struct str text, pointer, value;
                enum err err;
        } cases[] = {
                { "nothing there", REPLACE, &hujson, STR_INIT("{}"), STR_INIT("/a"), STR_INIT("1"),
                  ERR_NOT_FOUND },
                { "nothing there", REMOVE, &hujson, STR_INIT("[1]"), STR_INIT("/1"), STR_INIT(""),
                  ERR_NOT_FOUND },
                { "the end is no element", REMOVE, &hujson, STR_INIT("[1]"), STR_INIT("/-"), STR_INIT(""),
                  ERR_NOT_FOUND },
                { "the whole text", REMOVE, &hujson, STR_INIT("[1]"), STR_INIT(""), STR_INIT(""),
                  ERR_NOT_FOUND },
                { "no parent", ADD, &hujson, STR_INIT("{}"), STR_INIT("/a/b"), STR_INIT("1"), ERR_NOT_FOUND },
                { "the parent is a number", ADD, &hujson, STR_INIT("{\"a\":1}"), STR_INIT("/a/b"),
                  STR_INIT("1"), ERR_NOT_FOUND },
                { "beyond the end", ADD, &hujson, STR_INIT("[1]"), STR_INIT("/2"), STR_INIT("1"),
                  ERR_NOT_FOUND },
                { "no index", ADD, &hujson, STR_INIT("[1]"), STR_INIT("/01"), STR_INIT("1"), ERR_NOT_FOUND },
                { "no index to set", SET, &hujson, STR_INIT("[1]"), STR_INIT("/x/y"), STR_INIT("1"),
                  ERR_NOT_FOUND },
                { "no object to set in", SET, &hujson, STR_INIT("{\"a\":1}"), STR_INIT("/a/b/c"),
                  STR_INIT("1"), ERR_NOT_FOUND },
                { "no pointer", ADD, &hujson, STR_INIT("{}"), STR_INIT("a"), STR_INIT("1"), ERR_MALFORMED },
                { "no pointer", ADD, &hujson, STR_INIT("{}"), STR_INIT("/~a"), STR_INIT("1"), ERR_MALFORMED },
                { "bytes that are no text", ADD, &hujson, STR_INIT("{}"), STR_INIT("/\xff"), STR_INIT("1"),
                  ERR_MALFORMED },
                { "no text", ADD, &hujson, STR_INIT("{"), STR_INIT("/a"), STR_INIT("1"), ERR_MALFORMED },
                { "no value", ADD, &hujson, STR_INIT("{}"), STR_INIT("/a"), STR_INIT("1,2"), ERR_MALFORMED },
                { "a comment in strict JSON", ADD, NULL, STR_INIT("{}"), STR_INIT("/a"), STR_INIT("[/**/]"),
                  ERR_MALFORMED },
                { "too deep afterwards", ADD, &few, STR_INIT("[[]]"), STR_INIT("/0/0"), STR_INIT("[]"),
                  ERR_TOO_LARGE },
                { "too long afterwards", ADD, &few, STR_INIT("[1111111]"), STR_INIT("/0"),
                  STR_INIT("1111111"), ERR_TOO_LARGE },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct report report;
                struct buf b;

                buf_init(&b, 4096);
                buf_add(&b, STR("kept"));
                report_init(&report, STR("t"));
                enum err e = run(cases[i].kind, cases[i].text, cases[i].options, cases[i].pointer,
                                 cases[i].value, &b, &report);
                if (e != cases[i].err)
                        fail_msg("%s: got ERR_%s", cases[i].why, err_name(e));
                assert_int_equal(report.errors_count, 1);
                assert_str(buf_str(&b), STR("kept"));
                buf_fini(&b);
                report_fini(&report);
        }
}

/* RFC 6902: the cases of its appendix A, and what they leave out. */
static const struct {
        const char *why;
        struct str text, patch, out; /* out empty: refused */
        enum err err;
} patches[] = {
        { "A.1", STR_INIT("{\"foo\":\"bar\"}"),
          STR_INIT("[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\"}]"),
          STR_INIT("{\"foo\":\"bar\",\"baz\":\"qux\"}"), ERR_OK },
        { "A.2", STR_INIT("{\"foo\":[\"bar\",\"baz\"]}"),
          STR_INIT("[{\"op\":\"add\",\"path\":\"/foo/1\",\"value\":\"qux\"}]"),
          STR_INIT("{\"foo\":[\"bar\",\"qux\",\"baz\"]}"), ERR_OK },
        { "A.3", STR_INIT("{\"baz\":\"qux\",\"foo\":\"bar\"}"),
          STR_INIT("[{\"op\":\"remove\",\"path\":\"/baz\"}]"), STR_INIT("{\"foo\":\"bar\"}"), ERR_OK },
        { "A.4", STR_INIT("{\"foo\":[\"bar\",\"qux\",\"baz\"]}"),
          STR_INIT("[{\"op\":\"remove\",\"path\":\"/foo/1\"}]"), STR_INIT("{\"foo\":[\"bar\",\"baz\"]}"),
          ERR_OK },
        { "A.5", STR_INIT("{\"baz\":\"qux\",\"foo\":\"bar\"}"),
          STR_INIT("[{\"op\":\"replace\",\"path\":\"/baz\",\"value\":\"boo\"}]"),
          STR_INIT("{\"baz\":\"boo\",\"foo\":\"bar\"}"), ERR_OK },
        { "A.6", STR_INIT("{\"foo\":{\"bar\":\"baz\",\"waldo\":\"fred\"},\"qux\":{\"corge\":\"grault\"}}"),
          STR_INIT("[{\"op\":\"move\",\"from\":\"/foo/waldo\",\"path\":\"/qux/thud\"}]"),
          STR_INIT("{\"foo\":{\"bar\":\"baz\"},\"qux\":{\"corge\":\"grault\",\"thud\":\"fred\"}}"), ERR_OK },
        { "A.7", STR_INIT("{\"foo\":[\"all\",\"grass\",\"cows\",\"eat\"]}"),
          STR_INIT("[{\"op\":\"move\",\"from\":\"/foo/1\",\"path\":\"/foo/3\"}]"),
          STR_INIT("{\"foo\":[\"all\",\"cows\",\"eat\",\"grass\"]}"), ERR_OK },
        { "A.8", STR_INIT("{\"baz\":\"qux\",\"foo\":[\"a\",2,\"c\"]}"),
          STR_INIT(
                  "[{\"op\":\"test\",\"path\":\"/baz\",\"value\":\"qux\"},{\"op\":\"test\",\"path\":\"/foo/1\",\"value\":2.0}]"),
          STR_INIT("{\"baz\":\"qux\",\"foo\":[\"a\",2,\"c\"]}"), ERR_OK },
        { "A.9", STR_INIT("{\"baz\":\"qux\"}"),
          STR_INIT("[{\"op\":\"test\",\"path\":\"/baz\",\"value\":\"bar\"}]"), STR_INIT(""), ERR_DENIED },
        { "A.10", STR_INIT("{\"foo\":\"bar\"}"),
          STR_INIT("[{\"op\":\"add\",\"path\":\"/child\",\"value\":{\"grandchild\":{}}}]"),
          STR_INIT("{\"foo\":\"bar\",\"child\":{\"grandchild\":{}}}"), ERR_OK },
        { "A.11", STR_INIT("{\"foo\":\"bar\"}"),
          STR_INIT("[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\",\"xyz\":123}]"),
          STR_INIT("{\"foo\":\"bar\",\"baz\":\"qux\"}"), ERR_OK },
        { "A.12", STR_INIT("{\"foo\":\"bar\"}"),
          STR_INIT("[{\"op\":\"add\",\"path\":\"/baz/bat\",\"value\":\"qux\"}]"), STR_INIT(""),
          ERR_NOT_FOUND },
        { "A.13", STR_INIT("{}"),
          STR_INIT("[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\",\"op\":\"remove\"}]"), STR_INIT(""),
          ERR_MALFORMED },
        { "A.14", STR_INIT("{\"/\":9,\"~1\":10}"),
          STR_INIT("[{\"op\":\"test\",\"path\":\"/~01\",\"value\":10}]"), STR_INIT("{\"/\":9,\"~1\":10}"),
          ERR_OK },
        { "A.15", STR_INIT("{\"/\":9,\"~1\":10}"),
          STR_INIT("[{\"op\":\"test\",\"path\":\"/~01\",\"value\":\"10\"}]"), STR_INIT(""), ERR_DENIED },
        { "A.16", STR_INIT("{\"foo\":[\"bar\"]}"),
          STR_INIT("[{\"op\":\"add\",\"path\":\"/foo/-\",\"value\":[\"abc\",\"def\"]}]"),
          STR_INIT("{\"foo\":[\"bar\", [\"abc\",\"def\"]]}"), ERR_OK },
        { "nothing to do", STR_INIT("{ } // x"), STR_INIT("[]"), STR_INIT("{ } // x"), ERR_OK },
        { "copy", STR_INIT("{\"a\":{\"b\":1},\"c\":[]}"),
          STR_INIT("[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/c/0\"}]"),
          STR_INIT("{\"a\":{\"b\":1},\"c\":[{\"b\":1}]}"), ERR_OK },
        { "copy into itself", STR_INIT("{\"a\":{}}"),
          STR_INIT("[{\"op\":\"copy\",\"from\":\"\",\"path\":\"/a/b\"}]"),
          STR_INIT("{\"a\":{\"b\": {\"a\":{}}}}"), ERR_OK },
        { "a move within its object is a new name, in its place",
          STR_INIT("{\n\t// one\n\t\"a\": 1, // x\n\t\"b\": 2,\n}"),
          STR_INIT("[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/c\"}]"),
          STR_INIT("{\n\t// one\n\t\"c\": 1, // x\n\t\"b\": 2,\n}"), ERR_OK },
        { "a move over another member", STR_INIT("{\"a\":1,\"b\":2}"),
          STR_INIT("[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/b\"}]"), STR_INIT("{\"b\":1}"), ERR_OK },
        { "a move takes its lines along",
          STR_INIT("{\n\t\"a\": {\n\t\t\"x\": {\n\t\t\t\"y\": 1,\n\t\t},\n\t},\n\t\"b\": {},\n}"),
          STR_INIT("[{\"op\":\"move\",\"from\":\"/a/x\",\"path\":\"/x\"}]"),
          STR_INIT("{\n\t\"a\": {\n\t},\n\t\"b\": {},\n\t\"x\": {\n\t\t\"y\": 1,\n\t},\n}"), ERR_OK },
        { "a move to where it is", STR_INIT("[1]"),
          STR_INIT("[{\"op\":\"move\",\"from\":\"/0\",\"path\":\"/0\"}]"), STR_INIT("[1]"), ERR_OK },
        { "a move into itself", STR_INIT("{\"a\":{}}"),
          STR_INIT("[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a/b\"}]"), STR_INIT(""), ERR_MALFORMED },
        { "a move of the whole text over itself", STR_INIT("1"),
          STR_INIT("[{\"op\":\"move\",\"from\":\"\",\"path\":\"\"}]"), STR_INIT("1"), ERR_OK },
        { "a move up to the whole text", STR_INIT("[[1]]"),
          STR_INIT("[{\"op\":\"move\",\"from\":\"/0\",\"path\":\"\"}]"), STR_INIT("[1]"), ERR_OK },
        { "a move of nothing", STR_INIT("{}"),
          STR_INIT("[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/b\"}]"), STR_INIT(""), ERR_NOT_FOUND },
        { "all or nothing", STR_INIT("[1]"),
          STR_INIT("[{\"op\":\"add\",\"path\":\"/-\",\"value\":2},{\"op\":\"remove\",\"path\":\"/7\"}]"),
          STR_INIT(""), ERR_NOT_FOUND },
        { "one after the other", STR_INIT("[]"),
          STR_INIT(
                  "[{\"op\":\"add\",\"path\":\"/-\",\"value\":1},{\"op\":\"add\",\"path\":\"/-\",\"value\":2},{\"op\":\"remove\",\"path\":\"/0\"}]"),
          STR_INIT("[2]"), ERR_OK },
        { "a patch in huJSON, whose comments come along", STR_INIT("{}"),
          STR_INIT("[ // add\n{\"op\": \"add\", \"path\": \"/a\", \"value\": [1, /* one */],},]"),
          STR_INIT("{\"a\": [1, /* one */]}"), ERR_OK },
        { "no array", STR_INIT("{}"), STR_INIT("{}"), STR_INIT(""), ERR_MALFORMED },
        { "no operation", STR_INIT("{}"), STR_INIT("[1]"), STR_INIT(""), ERR_MALFORMED },
        { "unknown operation", STR_INIT("{}"), STR_INIT("[{\"op\":\"put\",\"path\":\"\",\"value\":1}]"),
          STR_INIT(""), ERR_MALFORMED },
        { "no path", STR_INIT("{}"), STR_INIT("[{\"op\":\"add\",\"value\":1}]"), STR_INIT(""),
          ERR_MALFORMED },
        { "no value", STR_INIT("{}"), STR_INIT("[{\"op\":\"add\",\"path\":\"/a\"}]"), STR_INIT(""),
          ERR_MALFORMED },
        { "no from", STR_INIT("{}"), STR_INIT("[{\"op\":\"copy\",\"path\":\"/a\"}]"), STR_INIT(""),
          ERR_MALFORMED },
        { "from is no pointer", STR_INIT("{}"),
          STR_INIT("[{\"op\":\"copy\",\"path\":\"/a\",\"from\":\"x\"}]"), STR_INIT(""), ERR_MALFORMED },
        { "null is a value", STR_INIT("{}"), STR_INIT("[{\"op\":\"add\",\"path\":\"/a\",\"value\":null}]"),
          STR_INIT("{\"a\": null}"), ERR_OK },
};

static void test_patches(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(patches); i++) {
                struct report report;
                struct buf b;

                buf_init(&b, 4096);
                report_init(&report, STR("t"));
                enum err e = json_patch_apply(patches[i].text, &hujson, patches[i].patch, &b, &report);
                if (e != patches[i].err)
                        fail_msg("%s: got ERR_%s", patches[i].why, err_name(e));
                if (!str_eq(buf_str(&b), patches[i].out))
                        fail_msg("%s: got\n%.*s", patches[i].why, STR_FMT(buf_str(&b)));
                assert_int_equal(report.errors_count, e == ERR_OK ? 0 : 1);
                buf_fini(&b);
                report_fini(&report);
        }
}

static void test_patch_says_which_operation(void **state)
{
        struct report report;
        struct buf b;

        buf_init(&b, 4096);
        report_init(&report, STR("t"));
        assert_err(
                json_patch_apply(
                        STR("{}"), NULL,
                        STR("[{\"op\":\"test\",\"path\":\"\",\"value\":{}},{\"op\":\"remove\",\"path\":\"/a\"}]"),
                        &b, &report),
                ERR_NOT_FOUND);
        assert_str(report.entries[0].text, STR("operation 2: there is nothing at \"/a\""));
        report_fini(&report);
        buf_fini(&b);
}

static void test_too_many_operations(void **state)
{
        for (size_t count = JSON_PATCH_OPERATIONS_MAX; count <= JSON_PATCH_OPERATIONS_MAX + 1; count++) {
                struct buf patch, b;

                buf_init(&patch, 1024 * 1024);
                buf_init(&b, 64);
                buf_add_char(&patch, '[');
                for (size_t i = 0; i < count; i++)
                        buf_addf(&patch, "%s{\"op\":\"test\",\"path\":\"\",\"value\":1}", i ? "," : "");
                buf_add_char(&patch, ']');
                assert_err(json_patch_apply(STR("1"), NULL, buf_str(&patch), &b, NULL),
                           count > JSON_PATCH_OPERATIONS_MAX ? ERR_TOO_LARGE : ERR_OK);
                buf_fini(&patch);
                buf_fini(&b);
        }
}

static void test_no_room(void **state)
{
        struct str text = STR("{\"a\": [1, 2]}");

        for (size_t bytes_max = 4; bytes_max <= 4 + text.len; bytes_max++) {
                struct buf b;

                buf_init(&b, bytes_max);
                buf_add(&b, STR("kept"));
                assert_err(json_patch_add(text, NULL, STR("/a/-"), STR("3"), &b, NULL), ERR_NO_MEMORY);
                assert_str(buf_str(&b), STR("kept"));
                buf_fini(&b);
        }
}

/* ---- texts with comments in every gap, changed at every place ---- */

static void gap_make(struct buf *b)
{
        static const char *const gaps[] = { "",           "",       "",       " ",       "\n",
                                            "\n\n  ",     "\r\n\t", "// c\n", "/* d */", "\n\t// e\n\t",
                                            "/* f\n g */" };

        buf_add(b, str_of(gaps[dice(ARRAY_SIZE(gaps))]));
}

static void value_make(struct buf *b, unsigned depth)
{
        static const char *const scalars[] = { "1", "-2.5e7", "null", "\"\"", "\"x//,]\"" };
        unsigned kind = dice(depth ? 3 : 1), count = dice(4);

        if (kind == 0) {
                buf_add(b, str_of(scalars[dice(ARRAY_SIZE(scalars))]));
                return;
        }
        buf_add_char(b, kind == 1 ? '{' : '[');
        for (unsigned i = 0; i < count; i++) {
                gap_make(b);
                if (kind == 1) {
                        buf_addf(b, "\"%c\"", 'a' + (int)i);
                        gap_make(b);
                        buf_add_char(b, ':');
                        gap_make(b);
                }
                value_make(b, depth - 1);
                gap_make(b);
                if (i + 1 < count || !dice(3))
                        buf_add_char(b, ',');
        }
        gap_make(b);
        buf_add_char(b, kind == 1 ? '}' : ']');
}

static void assert_same(struct str a, struct str b, const char *what, struct str pointer)
{
        const struct json_value *x, *y;
        struct arena arena;

        arena_init(&arena, NULL, 0, 1024 * 1024);
        assert_err(json_read_hujson(&arena, a, NULL, &x), ERR_OK);
        assert_err(json_read_hujson(&arena, b, NULL, &y), ERR_OK);
        if (!json_eq(x, y))
                fail_msg("%s %.*s:\n%.*s\n--- is not\n%.*s", what, STR_FMT(pointer), STR_FMT(a), STR_FMT(b));
        arena_fini(&arena);
}

/* Put in and taken out again, the text means what it meant; and the tree is what the same change of a tree would be. */
static void check_insert(struct str text, struct str pointer)
{
        struct str value = STR("[\n \"new\", // n\n]");
        struct buf with, without;

        buf_init(&with, 64 * 1024);
        buf_init(&without, 64 * 1024);
        if (json_patch_add(text, &hujson, pointer, value, &with, NULL) != ERR_OK)
                fail_msg("add %.*s to\n%.*s", STR_FMT(pointer), STR_FMT(text));
        if (json_patch_remove(buf_str(&with), &hujson, pointer, &without, NULL) != ERR_OK)
                fail_msg("remove %.*s from\n%.*s", STR_FMT(pointer), STR_FMT(buf_str(&with)));
        assert_same(buf_str(&without), text, "added and removed", pointer);
        buf_fini(&with);
        buf_fini(&without);
}

static void check_remove(struct str text, struct str pointer, const struct json_value *v, bool in_array)
{
        struct buf without, again;

        buf_init(&without, 64 * 1024);
        buf_init(&again, 64 * 1024);
        if (json_patch_remove(text, &hujson, pointer, &without, NULL) != ERR_OK)
                fail_msg("remove %.*s from\n%.*s", STR_FMT(pointer), STR_FMT(text));
        if (json_patch_add(buf_str(&without), &hujson, pointer, v->raw, &again, NULL) != ERR_OK)
                fail_msg("add %.*s to\n%.*s", STR_FMT(pointer), STR_FMT(buf_str(&without)));
        assert_same(buf_str(&again), text,
                    in_array ? "element removed and added" : "member removed and added", pointer);

        buf_clear(&again);
        assert_err(json_patch_replace(text, &hujson, pointer, STR("0"), &again, NULL), ERR_OK);
        assert_str(str_sub(buf_str(&again), 0, v->offset), str_sub(text, 0, v->offset));
        assert_str(str_from(buf_str(&again), v->offset + 1), str_from(text, v->offset + v->raw.len));
        buf_fini(&without);
        buf_fini(&again);
}

static void check_below(struct str text, const struct json_value *v, struct buf *pointer)
{
        size_t len = pointer->len;

        for (size_t i = 0; i <= v->count && v->type == JSON_ARRAY; i++) {
                buf_addf(pointer, "/%zu", i);
                check_insert(text, buf_str(pointer));
                if (i < v->count) {
                        check_remove(text, buf_str(pointer), &v->items[i], true);
                        check_below(text, &v->items[i], pointer);
                }
                pointer->len = len;
        }
        for (size_t i = 0; i <= v->count && v->type == JSON_OBJECT; i++) {
                json_pointer_encode(pointer, i < v->count ? v->members[i].key : STR("new"));
                if (i < v->count) {
                        check_remove(text, buf_str(pointer), &v->members[i].value, false);
                        check_below(text, &v->members[i].value, pointer);
                } else {
                        check_insert(text, buf_str(pointer));
                }
                pointer->len = len;
        }
}

static void test_every_place(void **state)
{
        struct buf text, pointer;

        buf_init(&text, 64 * 1024);
        buf_init(&pointer, 1024);
        for (uint32_t i = 0; i < 1500; i++) {
                const struct json_value *root;
                struct arena arena;

                seed = i;
                buf_clear(&text);
                gap_make(&text);
                value_make(&text, 3);
                gap_make(&text);
                arena_init(&arena, NULL, 0, 1024 * 1024);
                assert_err(json_read_hujson(&arena, buf_str(&text), NULL, &root), ERR_OK);
                buf_clear(&pointer);
                check_below(buf_str(&text), root, &pointer);
                arena_fini(&arena);
        }
        buf_fini(&text);
        buf_fini(&pointer);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_edits),
                cmocka_unit_test(test_edits_refused),
                cmocka_unit_test(test_patches),
                cmocka_unit_test(test_patch_says_which_operation),
                cmocka_unit_test(test_too_many_operations),
                cmocka_unit_test(test_no_room),
                cmocka_unit_test(test_every_place),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
