#include "find/engine_events.h"

#include "base/arena.h"
#include "json/reader.h"

enum { TREE_BYTES_MAX = 1 << 20 };

void engine_events_init(struct engine_events *e)
{
        buf_init(&e->line, ENGINE_EVENT_BYTES_MAX);
        e->is_skipping = false;
}

void engine_events_fini(struct engine_events *e)
{
        buf_fini(&e->line);
}

/* What is done inside of a container, and asked of it, changes nothing of its place. */
static bool is_idle(struct str action)
{
        static const struct str idle[] = { STR_INIT("exec_"),        STR_INIT("health_status"),
                                           STR_INIT("top"),          STR_INIT("attach"),
                                           STR_INIT("resize"),       STR_INIT("copy"),
                                           STR_INIT("archive-path"), STR_INIT("export"),
                                           STR_INIT("commit") };

        for (size_t i = 0; i < ARRAY_SIZE(idle); i++)
                if (str_has_prefix(action, idle[i]))
                        return true;
        return false;
}

static bool line_is_news(struct str line)
{
        const struct json_value *root;
        struct arena arena;
        bool news = true;

        while (line.len && line.ptr[line.len - 1] == '\r')
                line.len--;
        line = str_trim(line);
        if (line.len == 0)
                return false;
        arena_init(&arena, NULL, 0, TREE_BYTES_MAX);
        if (json_read_strict(&arena, line, NULL, &root) == ERR_OK && json_is(root, JSON_OBJECT)) {
                struct str type = json_str(json_find(root, STR("Type")));
                news = (type.len == 0 || str_eq(type, STR("container")) || str_eq(type, STR("network"))) &&
                       !is_idle(json_str(json_find(root, STR("Action"))));
        }
        arena_fini(&arena);
        return news;
}

bool engine_events_feed(struct engine_events *e, struct str bytes)
{
        bool news = false;

        while (bytes.len) {
                size_t end = str_find_char(bytes, '\n');

                if (!e->is_skipping)
                        buf_add(&e->line, str_sub(bytes, 0, end));
                if (e->line.full) {
                        news = e->is_skipping = true;
                        engine_events_fini(e);
                        buf_init(&e->line, ENGINE_EVENT_BYTES_MAX);
                }
                if (end == STR_NONE)
                        return news;
                if (!e->is_skipping)
                        news |= line_is_news(buf_str(&e->line));
                buf_clear(&e->line);
                e->is_skipping = false;
                bytes = str_from(bytes, end + 1);
        }
        return news;
}
