/*
 * http/h2_frame_priv.h - the size of the DATA frames we send: each with its header as much as one TLS record holds, so that a
 * reader has a frame with each record and not two halves. Source: RFC 9113 4.1, RFC 8446 5.1.
 */
#pragma once

#include <nghttp2/nghttp2.h>

#include "base/compiler.h"

enum { H2_FRAME_HEADER_BYTES = 9, H2_FRAME_PAYLOAD_BYTES = 16 * 1024 - H2_FRAME_HEADER_BYTES };

/* For nghttp2_session_callbacks_set_data_source_read_length_callback. */
static inline ssize_t h2_frame_on_length(nghttp2_session *ng, uint8_t type, int32_t id,
                                         int32_t session_window, int32_t stream_window, uint32_t frame_max,
                                         void *context)
{
        int32_t window = MIN(session_window, stream_window);

        return MIN(MIN(window, (int32_t)H2_FRAME_PAYLOAD_BYTES), (int32_t)frame_max);
}
