/*
 * fuzz/mesh_quick_fuzz.c - any text as a wg-quick file. What is accepted makes a request that is whole.
 */
#include <stdlib.h>

#include "mesh/quick.h"
#include "mesh/uapi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct arena arena;
        struct report report;
        struct mesh_quick quick;
        struct buf request;

        arena_init(&arena, NULL, 0, 1 << 20);
        report_init(&report, STR("fuzz.conf"));
        buf_init(&request, 4 << 20);
        enum err e = mesh_quick_parse((struct str){ (const char *)data, size }, &arena, &report, &quick);
        if ((e == ERR_CONFIG) != (report.errors_count > 0))
                abort();
        if (e == ERR_OK) {
                mesh_quick_request(&quick, MESH_QUICK_REPLACE, &request);
                if (!request.full && mesh_uapi_request_len(buf_str(&request)) != request.len)
                        abort();
                buf_clear(&request);
                if (mesh_quick_sync_request(&quick, (struct str){ (const char *)data, size }, &request) ==
                            ERR_OK &&
                    !request.full && mesh_uapi_request_len(buf_str(&request)) != request.len)
                        abort();
        }
        buf_wipe(&request);
        report_fini(&report);
        arena_fini(&arena);
        return 0;
}
