#include "cli/tailnet.h"

#include "mesh/localapi.h"

enum { ANSWER_MS = 5000 };

enum err tailnet_find(struct str socket, bool with_peers, struct arena *a, struct mesh_tailnet_status *out)
{
        const struct mesh_localapi_request r = { .socket = socket,
                                                 .method = STR("GET"),
                                                 .path = with_peers ? STR("/localapi/v0/status")
                                                                    : STR("/localapi/v0/status?peers=false"),
                                                 .bytes_max = MESH_TAILNET_STATUS_BYTES_MAX,
                                                 .timeout_ms = ANSWER_MS };
        struct mesh_localapi c;
        enum err e = mesh_localapi_ask(&c, &r);

        *out = (struct mesh_tailnet_status){ 0 };
        if (e == ERR_OK && (e = mesh_localapi_err(c.status)) == ERR_OK)
                e = mesh_tailnet_status_read(buf_str(&c.body), a, out);
        mesh_localapi_fini(&c);
        return e;
}
