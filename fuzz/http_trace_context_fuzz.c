/*
 * One line as traceparent and as tracestate: what is taken is written back as something that is taken again and means the
 * same; nothing that could end a field is ever taken.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "http/trace_context.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str in = { (const char *)data, size };
        struct trace_parent p, again;
        char text[TRACE_PARENT_LEN + 1];

        if (trace_parent_parse(in, &p) == ERR_OK) {
                struct str out = trace_parent_format(&p, text);

                assert(trace_parent_parse(out, &again) == ERR_OK);
                assert(memcmp(p.trace_id, again.trace_id, sizeof(p.trace_id)) == 0 &&
                       memcmp(p.span_id, again.span_id, sizeof(p.span_id)) == 0 &&
                       p.is_sampled == again.is_sampled);
        }
        if (trace_state_check(in) == ERR_OK) {
                assert(size <= TRACE_STATE_BYTES_MAX);
                for (size_t i = 0; i < size; i++)
                        assert(data[i] == '\t' || (data[i] >= 0x20 && data[i] <= 0x7e));
        }
        return 0;
}
