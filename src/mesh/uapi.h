/*
 * mesh/uapi.h - the text protocol by which `wg` speaks to a WireGuard in userspace. Source: wireguard.com/xplatform,
 * "Cross-platform Userspace Implementation".
 *
 * A request is lines of key=value and an empty line: "get=1", or "set=1" and what to change. So is the answer, which ends with
 * errno=N. "get=counters" is ours: why packets were dropped, and which way peers are reached. A set is checked as a whole before anything of it is done.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "wg/device.h"

enum { MESH_UAPI_REQUEST_MAX = 16 << 20, MESH_UAPI_ANSWER_MAX = 64 << 20 };

/* What is read and changed besides the device. */
struct mesh_uapi_target {
        struct wg_device *device;
        mono_ms now;
        uint16_t port;
        uint32_t fwmark;
        enum err (*listen)(void *context, uint16_t port);
        enum err (*set_fwmark)(void *context, uint32_t fwmark);
        void (*add_counters)(void *context, struct buf *out); /* lines of its own; may be NULL */
        void *context;
};

/* The length of the first whole request in `text`, 0 while it is not whole. */
size_t mesh_uapi_request_len(struct str text);

/* Carries out one request and appends the answer. True when something was changed. */
bool mesh_uapi_answer(const struct mesh_uapi_target *t, struct str request, struct buf *answer);
