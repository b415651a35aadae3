#include "cli/tailnet.h"

#include <unistd.h>

#include "json/reader.h"

enum { ANSWER_MS = 2000 };

static void addresses_take(const struct json_value *list, struct tailnet *out)
{
        struct ip ip;

        for (size_t i = 0; list && list->type == JSON_ARRAY && i < list->count; i++) {
                if (ip_parse(json_str(&list->items[i]), &ip) != ERR_OK)
                        continue;
                if (ip.family == 4 && !out->v4.family)
                        out->v4 = ip;
                if (ip.family == 6 && !out->v6.family)
                        out->v6 = ip;
        }
}

/* Unknown members are passed over and missing ones put up with: the interface is not a promised one. */
static enum err status_read(struct str body, struct arena *a, struct tailnet *out)
{
        static const struct json_options options = { .duplicates_allowed = true };
        const struct json_value *root, *self;

        *out = (struct tailnet){ 0 };
        if (json_read(a, body, &options, NULL, &root) != ERR_OK)
                return ERR_MALFORMED;
        out->state = arena_copy(a, json_str(json_find(root, STR("BackendState"))));
        if (out->state.len == 0)
                return ERR_MALFORMED;
        out->is_running = str_eq(out->state, STR("Running"));
        self = json_find(root, STR("Self"));
        addresses_take(json_find(self, STR("TailscaleIPs")), out);
        addresses_take(json_find(root, STR("TailscaleIPs")), out);
        struct str name = json_str(json_find(self, STR("DNSName")));

        if (name.len && name.ptr[name.len - 1] == '.')
                name.len--;
        out->name = arena_copy(a, name);
        return ERR_OK;
}

enum err tailnet_find(struct client *c, struct str socket, struct arena *a, struct tailnet *out)
{
        const struct dial_target target = { .path = socket };
        const struct client_request request = {
                .method = STR("GET"),
                .path = STR("/localapi/v0/status?peers=false"),
                .host = STR("local-tailscaled.sock"),
        };
        struct client_answer answer;
        struct str name = arena_copy(a, socket);
        enum err e;

        *out = (struct tailnet){ 0 };
        if (!name.ptr)
                return ERR_NO_MEMORY;
        if (access(name.ptr, F_OK) != 0)
                return ERR_NOT_FOUND;
        if ((e = client_dial(c, &target, ANSWER_MS)) == ERR_OK)
                e = client_ask(c, &request, ANSWER_MS, &answer);
        if (e == ERR_OK && answer.status != 200)
                e = answer.status == 403 || answer.status == 401 ? ERR_DENIED : ERR_MALFORMED;
        if (e == ERR_OK)
                e = status_read(answer.body, a, out);
        client_close(c);
        return e;
}
