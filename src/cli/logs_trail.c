/* Control's audit trail, the newest last. */
#include <stdio.h>

#include "cli/fleet.h"
#include "cli/logs_priv.h"
#include "cli/out.h"

enum { PAGE = 500, TURNS_BETWEEN = 4, TURNS_AWAY = 20, RECORDS_MAX = LOGS_LINES_MAX };

static void record_say(const struct logs_options *o, const struct json_value *v)
{
        static const char *const parts[] = { "actor", "source", "action", "object" };

        if (o->json) {
                out_str(v->raw);
        } else {
                out_foreign(fleet_text(v, "time"));
                for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
                        struct str text = fleet_text(v, parts[i]);

                        out_print("  ");
                        out_foreign(text.len ? text : STR("-"));
                }
        }
        out_print("\n");
}

/*
 * Pages come newest first: gathered until there are enough or one is known (`last`), then said from the oldest. Gives
 * the newest's number, or `last`.
 */
static enum exit_code records_say(const struct logs_options *o, uint64_t lines, int64_t *last)
{
        struct remote r;
        enum exit_code code = remote_open(&r, o->server, o->token);
        const struct json_value **found =
                code == EXIT_OK ? ARENA_ARRAY(&r.arena, const struct json_value *, RECORDS_MAX) : NULL;
        size_t count = 0;
        bool is_more = found != NULL && lines > 0;
        int64_t before = 0;

        while (code == EXIT_OK && is_more) {
                struct str place = before ? arena_format(&r.arena, "/audit?limit=%d&before=%lld", PAGE,
                                                         (long long)before)
                                          : arena_format(&r.arena, "/audit?limit=%d", PAGE);

                if ((code = remote_ask(&r, "GET", place.ptr, STR(""))) != EXIT_OK)
                        break;
                const struct json_value *items = json_find(r.root, STR("items"));
                is_more = json_is(items, JSON_ARRAY) && items->count == PAGE;
                for (size_t i = 0; json_is(items, JSON_ARRAY) && i < items->count; i++) {
                        int64_t seq = fleet_number(json_item(items, i), "seq");

                        if (count == lines || seq <= *last) {
                                is_more = false;
                                break;
                        }
                        found[count++] = json_item(items, i);
                        before = seq;
                }
        }
        for (size_t i = count; i > 0; i--)
                record_say(o, found[i - 1]);
        if (count)
                *last = fleet_number(found[0], "seq");
        fflush(stdout);
        remote_close(&r);
        return code;
}

enum exit_code logs_trail(const struct logs_options *o, uint64_t lines)
{
        int64_t last = 0;
        enum exit_code code = records_say(o, lines, &last);

        /* One that is away comes back; what was done meanwhile is in the trail. */
        while (o->follow && (code == EXIT_OK || code == EXIT_UNAVAILABLE)) {
                for (int i = 0; i < (code == EXIT_OK ? TURNS_BETWEEN : TURNS_AWAY); i++)
                        logs_wait();
                code = records_say(o, RECORDS_MAX, &last);
        }
        return code;
}
