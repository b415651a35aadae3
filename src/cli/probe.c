#include "cli/probe.h"

static enum err ask(struct client *c, uint16_t port, struct str path, int64_t wait_ms, struct arena *a,
                    struct client_answer *out)
{
        struct dial_target target = { .port = port };
        struct str host = arena_format(a, "127.0.0.1:%u", port);
        const struct client_request request = { .method = STR("GET"), .path = path, .host = host };
        enum err e = ip_parse(STR("127.0.0.1"), &target.ip);

        if (e == ERR_OK)
                e = client_dial(c, &target, wait_ms);
        if (e == ERR_OK)
                e = client_ask(c, &request, wait_ms, out);
        return e;
}

/* Asks one place. False: no server of models stands there. */
static bool place_ask(struct client *c, const struct server_place *place, int64_t wait_ms, struct arena *a,
                      struct server *out)
{
        struct client_answer answer;
        bool is_one = ask(c, place->port, server_path(place), wait_ms, a, &answer) == ERR_OK;

        if (is_one) {
                const struct server_answer read = { answer.status, answer.body, answer.server };
                is_one = server_read(place, &read, a, out);
        }
        client_close(c);
        return is_one;
}

size_t probe_find(struct client *c, const struct server_list *list, int64_t wait_ms, struct arena *a,
                  struct server out[SERVER_PLACES_MAX])
{
        size_t count = 0;

        for (size_t i = 0; i < list->count; i++)
                count += place_ask(c, &list->places[i], wait_ms, a, &out[count]);
        return count;
}

struct str probe_first_model(struct client *c, uint16_t port, int64_t wait_ms, struct arena *a)
{
        const struct server_place place = { server_any.kind, port };
        struct server found;

        return place_ask(c, &place, wait_ms, a, &found) && found.models_count ? found.models[0] : STR_NULL;
}
