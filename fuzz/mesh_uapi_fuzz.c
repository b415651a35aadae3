/*
 * fuzz/mesh_uapi_fuzz.c - any text as a request of wg's protocol, twice, and then the state is read: the answers are whole.
 */
#include <stdlib.h>
#include <string.h>

#include "mesh/uapi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fill(void *context, void *out, size_t len)
{
        memset(out, 7, len);
}

static enum err listen_fake(void *context, uint16_t port)
{
        return port == 1 ? ERR_EXISTS : ERR_OK;
}

static enum err fwmark_fake(void *context, uint32_t fwmark)
{
        return ERR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct wg_device_conf conf = { .peers_max = 16, .mtu = 1420, .random = { fill, NULL } };
        struct mesh_uapi_target target = { .device = wg_device_new(&conf),
                                           .now = 1000,
                                           .port = 5,
                                           .fwmark = 6,
                                           .listen = listen_fake,
                                           .set_fwmark = fwmark_fake };
        struct str text = { (const char *)data, size };
        struct buf answer;

        if (!target.device)
                return 0;
        for (int i = 0; i < 3; i++) {
                buf_init(&answer, 1 << 20);
                (void)mesh_uapi_answer(&target, i < 2 ? text : STR("get=1\n\n"), &answer);
                if (answer.full || mesh_uapi_request_len(buf_str(&answer)) != answer.len)
                        abort();
                buf_wipe(&answer);
        }
        wg_device_free(target.device);
        return 0;
}
