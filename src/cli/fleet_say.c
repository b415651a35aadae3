/* The fleet for a terminal, and as JSON. */
#include "base/buf.h"
#include "cli/fleet.h"
#include "cli/out.h"

enum { JSON_BYTES_MAX = 128 << 20 };

static void foreign(const char *before, struct str text)
{
        out_print("%s", before);
        out_foreign(text);
}

static void control_say(const struct fleet *f)
{
        const struct json_value *counts = json_find(f->status, STR("counts"));

        foreign("control    ", fleet_text(f->status, "url"));
        foreign("  sekisho ", fleet_text(f->status, "version"));
        foreign(", organisation ", fleet_text(f->status, "organisation"));
        foreign(", ", fleet_text(f->status, "store"));
        out_print(", epoch %lld", (long long)fleet_number(f->status, "epoch"));
        foreign(", since ", fleet_text(f->status, "started"));
        out_print("\n           %lld of %lld nodes connected, %lld behind, %lld waiting for approval\n",
                  (long long)fleet_number(counts, "connected"), (long long)f->nodes.count,
                  (long long)fleet_number(counts, "behind"), (long long)fleet_number(counts, "pending"));
}

static void standing_say(const struct json_value *n)
{
        int64_t behind = fleet_number(n, "wanted_version") - fleet_number(n, "version");
        struct str state = fleet_text(n, "state");

        if (!str_eq(state, STR("active"))) {
                foreign("  ", state);
                return;
        }
        if (!fleet_is(n, "connected")) {
                out_coloured(OUT_RED, "  NOT CONNECTED");
                foreign(", last seen ", fleet_text(n, "last_seen"));
                return;
        }
        foreign("  connected from ", fleet_text(n, "connected_from"));
        out_print(", version %lld", (long long)fleet_number(n, "version"));
        if (behind > 0)
                out_coloured(OUT_YELLOW, ", %lld BEHIND", (long long)behind);
}

static void links_say(const struct fleet *f, const struct json_value *agent)
{
        const struct json_value *links = json_find(json_find(agent, STR("report")), STR("links"));

        for (size_t i = 0; json_is(links, JSON_ARRAY) && i < links->count; i++) {
                const struct json_value *link = json_item(links, i);
                const struct json_value *gateway = fleet_node_find(f, fleet_text(link, "peer"));
                long long up = fleet_number(link, "up"), asked = fleet_number(link, "wanted");

                foreign("  link     ", fleet_text(agent, "name"));
                foreign(" → ", gateway ? fleet_text(gateway, "name") : fleet_text(link, "peer"));
                out_coloured(up == 0      ? OUT_RED
                             : up < asked ? OUT_YELLOW
                                          : OUT_GREEN,
                             "  %lld of %lld up", up, asked);
                if (fleet_text(link, "detail").len)
                        foreign(": ", fleet_text(link, "detail"));
                out_print("\n");
        }
}

static void node_say(const struct fleet *f, const struct json_value *n)
{
        const struct json_value *addresses = json_find(json_find(n, STR("report")), STR("addresses"));

        out_print("%-9.*s  ", STR_FMT(fleet_text(n, "kind")));
        out_foreign(fleet_text(n, "name"));
        standing_say(n);
        if (fleet_text(n, "program").len)
                foreign(", ", fleet_text(n, "program"));
        if (fleet_text(n, "certificate_expires").len)
                foreign(", certificate until ", fleet_text(n, "certificate_expires"));
        out_print("\n");
        for (size_t i = 0; json_is(addresses, JSON_ARRAY) && i < addresses->count; i++) {
                foreign("  reached  ", json_str(json_item(addresses, i)));
                out_print("\n");
        }
        links_say(f, n);
}

static void target_say(const struct fleet *f, const struct json_value *t)
{
        const struct json_value *agent = fleet_node_find(f, fleet_text(t, "agent"));
        const struct json_value *health = fleet_health_find(f, t);

        if (fleet_is_control(t)) {
                out_print("  target   control  %s\n",
                          fleet_is(t, "enabled") ? "asked by each gateway itself" : "disabled");
                return;
        }
        foreign("  target   ", agent ? fleet_text(agent, "name") : fleet_text(t, "agent"));
        foreign("  ", fleet_text(t, "url"));
        if (!fleet_is(t, "enabled"))
                out_print("  disabled");
        else if (!fleet_is(agent, "connected"))
                out_coloured(OUT_RED, "  AGENT AWAY");
        else if (!health)
                out_print("  not reported yet");
        else if (fleet_is(health, "up"))
                out_coloured(OUT_GREEN, "  up");
        else
                out_coloured(OUT_RED, "  DOWN");
        if (health && !fleet_is(health, "up"))
                foreign(": ", fleet_text(health, "detail"));
        out_print("\n");
}

static void texts_say(const char *before, const struct json_value *list)
{
        for (size_t i = 0; json_is(list, JSON_ARRAY) && i < list->count; i++)
                foreign(i ? "," : before, json_str(json_item(list, i)));
}

static void service_say(const struct fleet *f, const struct json_value *s)
{
        const struct json_value *targets = json_find(s, STR("targets"));

        foreign("service    ", fleet_text(s, "name"));
        foreign("  ", fleet_text(s, "kind"));
        texts_say("  ", json_find(s, STR("hosts")));
        texts_say("  ", json_find(s, STR("listen")));
        foreign("  ", fleet_text(json_find(s, STR("access")), "kind"));
        out_print(fleet_is(s, "enabled") ? "\n" : "  disabled\n");
        for (size_t i = 0; json_is(targets, JSON_ARRAY) && i < targets->count; i++)
                target_say(f, json_item(targets, i));
}

void fleet_say(const struct fleet *f)
{
        static const struct str kinds[] = { STR_INIT("gateway"), STR_INIT("agent") };

        control_say(f);
        for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
                for (size_t i = 0; i < f->nodes.count; i++)
                        if (str_eq(fleet_text(f->nodes.items[i], "kind"), kinds[k]))
                                node_say(f, f->nodes.items[i]);
        for (size_t i = 0; i < f->services.count; i++)
                service_say(f, f->services.items[i]);
}

static void list_write(struct json_writer *w, const char *name, const struct fleet_list *list)
{
        json_write_key(w, str_of(name));
        json_write_array_begin(w);
        for (size_t i = 0; i < list->count; i++)
                json_write_raw(w, list->items[i]->raw);
        json_write_array_end(w);
}

void fleet_say_json(const struct fleet *f, const struct findings *problems)
{
        struct json_writer w;
        struct buf out;

        buf_init(&out, JSON_BYTES_MAX);
        json_writer_init(&w, &out, JSON_COMPACT);
        json_write_object_begin(&w);
        json_write_member_raw(&w, STR("control"), f->status->raw);
        list_write(&w, "nodes", &f->nodes);
        list_write(&w, "services", &f->services);
        json_write_key(&w, STR("problems"));
        findings_write(&w, problems, FINDING_WARNING);
        json_write_object_end(&w);
        json_writer_finish(&w);
        out_str(buf_str(&out));
        out_print("\n");
        buf_fini(&out);
}
