#include "agent/allow.h"

#include <stdio.h>

#include "../test.h"
#include "conf/source.h"

/* The list as an operator writes it: read by the configuration's own reader. */
static const char *the_list;

static enum err give(struct conf_source *s, enum conf_read_kind kind, struct str name, struct conf_text *out)
{
        out->mode = 0600;
        buf_addf(&out->bytes, "{\"agent\":{\"allow\":[%s]}}", the_list);
        return kind == CONF_READ_CONFIG ? ERR_OK : ERR_NOT_FOUND;
}

static struct conf *list_load(const char *list)
{
        struct conf_source source = { .read = give, .file = STR("test") };
        struct report report;
        struct conf *c = NULL;

        the_list = list;
        report_init(&report, STR("test"));
        if (conf_load(&source, &report, &c) != ERR_OK)
                c = NULL;
        report_fini(&report);
        return c;
}

static const struct {
        const char *why, *list, *host, *to;
        uint16_t port;
        bool is_own, want;
} cases[] = {
        { "no list, own file: anything", "", "localhost", "127.0.0.1", 80, true, true },
        { "no list, own file: also metadata, it wrote so", "", "x", "169.254.169.254", 80, true, true },
        { "no list, control: beyond this machine", "", "app.lan", "10.0.0.5", 80, false, true },
        { "no list, control: localhost by name", "", "localhost", "127.0.0.1", 80, false, true },
        { "no list, control: loopback by address", "", "127.0.0.1", "127.0.0.1", 80, false, true },
        { "no list, control: a name that means this machine", "", "evil.example", "127.0.0.1", 80, false,
          false },
        { "no list, control: a name that means ::1", "", "evil.example", "::1", 80, false, false },
        { "no list, control: mapped", "", "evil.example", "::ffff:127.0.0.1", 80, false, false },
        { "no list, control: metadata", "", "169.254.169.254", "169.254.169.254", 80, false, false },
        { "no list, control: metadata by a name", "", "evil.example", "169.254.169.254", 80, false, false },
        { "no list, control: metadata of IPv6", "", "evil.example", "fd00:ec2::254", 80, false, false },
        { "no list, control: link-local", "", "x", "fe80::1", 80, false, false },
        { "no list, control: any address is this machine", "", "x", "0.0.0.0", 80, false, false },
        { "no list, control: a Unix socket", "", "", NULL, 0, false, false },
        { "range", "\"10.0.0.0/8\"", "x", "10.1.2.3", 80, false, true },
        { "outside of it", "\"10.0.0.0/8\"", "x", "11.1.2.3", 80, false, false },
        { "a list counts for the own file, too", "\"10.0.0.0/8\"", "x", "11.1.2.3", 80, true, false },
        { "everything is not loopback", "\"0.0.0.0/0\", \"::/0\"", "x", "127.0.0.1", 80, false, false },
        { "everything is not ::1", "\"0.0.0.0/0\", \"::/0\"", "x", "::1", 80, false, false },
        { "everything is not metadata", "\"0.0.0.0/0\"", "x", "169.254.169.254", 80, false, false },
        { "everything else", "\"0.0.0.0/0\"", "x", "192.0.2.1", 80, false, true },
        { "loopback where it is named", "\"127.0.0.1:8080\"", "x", "127.0.0.1", 8080, false, true },
        { "another port", "\"127.0.0.1:8080\"", "x", "127.0.0.1", 8081, false, false },
        { "a range of ports", "\"localhost:3000-3999\"", "localhost", "127.0.0.1", 3999, false, true },
        { "past it", "\"localhost:3000-3999\"", "localhost", "127.0.0.1", 4000, false, false },
        { "localhost that is elsewhere", "\"localhost:80\"", "localhost", "192.0.2.1", 80, false, true },
        { "metadata where it is named", "\"169.254.169.254\"", "x", "169.254.169.254", 80, false, true },
        { "a name", "\"*.lan\"", "app.lan", "10.0.0.5", 80, false, true },
        { "another name", "\"*.lan\"", "app.wan", "10.0.0.5", 80, false, false },
        { "a name that means this machine", "\"*.lan\"", "app.lan", "127.0.0.1", 80, false, false },
        { "a name that means metadata", "\"*.lan\"", "app.lan", "169.254.169.254", 80, false, false },
        { "IPv6 with a port", "\"[2001:db8::1]:443\"", "x", "2001:db8::1", 443, false, true },
        { "a Unix socket that is named", "\"unix:/run/app.sock\"", "", NULL, 0, false, true },
        { "another Unix socket", "\"unix:/run/other.sock\"", "", NULL, 0, false, false },
};

static void judges_the_address_that_is_dialled(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct conf *c = list_load(cases[i].list);
                struct dial_target to = { .port = cases[i].port };
                struct allow_ask ask = { str_of(cases[i].host), &to, cases[i].is_own };

                assert_non_null(c);
                if (cases[i].to)
                        assert_err(ip_parse(str_of(cases[i].to), &to.ip), ERR_OK);
                else
                        to.path = STR("/run/app.sock");
                if (allow_may_dial(c->agent.allow, c->agent.allow_count, &ask) != cases[i].want)
                        fail_msg("%s", cases[i].why);
                conf_free(c);
        }
}

static void refuses_what_is_no_rule(void **state)
{
        static const char *const wrong[] = { "\"\"",      "\"a b\"",  "\"x:0\"",     "\"x:70000\"",
                                             "\"x:9-3\"", "\"[::1\"", "\"[::1]80\"", "\"10.0.0.0/8:\"",
                                             "\"x:80-\"", "\"x/y\"",  "\"tcp://x\"", "\"x:8 0\"" };

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                struct conf *c = list_load(wrong[i]);

                if (c)
                        fail_msg("%s was taken", wrong[i]);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(judges_the_address_that_is_dialled),
                cmocka_unit_test(refuses_what_is_no_rule),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
