/*
 * control/callers.h - calls that people make at a gateway: control as a service's target.
 *
 * Does:   which of control's calls are there under the name that gateways ask for (WIRE_HOST_CALLERS): those marked API_AT_GATEWAYS and
 *         nothing else; whose address a gateway tells; what a service may be that leads here.
 * Not:    who the caller is: his key says that, as in every call.
 * Source: docs/protocol/dispatch.md 5, docs/decisions/0092-control-at-gateways.md.
 * Thread: the loop's, but for what is marked.
 */
#pragma once

#include "control/objects.h"
#include "proxy/route.h"
#include "store/services.h"

struct api_call;
struct api_route;
struct exchange;
struct secrets;
struct worker;

enum { CALLERS_KEY_BYTES = 32, CALLERS_VOUCHER_SIZE = 2 * CALLERS_KEY_BYTES + 1 };

/* The key of vouchers, from control's own. */
void callers_key_make(const struct secrets *s, uint8_t key[CALLERS_KEY_BYTES]);
/* What the gateway of this id shows beside a request, so that the address it tells is believed. With a NUL. Any thread. */
struct str callers_voucher_make(const uint8_t key[CALLERS_KEY_BYTES], struct str gateway,
                                char out[CALLERS_VOUCHER_SIZE]);

/* Under that name: copies of the marked ones, and for the rest an end of its own. The table has room. */
void callers_routes_add(struct route_table *t, const struct api_route *routes, size_t count, struct arena *a);

/* Whether a gateway that is one now vouches for the client's address: "ID:VOUCHER" in WIRE_FIELD_VOUCHER, under that name. A worker's
 * is_vouched. */
bool callers_is_vouched(const struct worker *w, const struct exchange *x);

/* {"url": "control"}, without an agent: asked for, and as it is kept. Any thread. */
bool callers_is_asked(const struct object_target *t);
bool callers_is_target(const struct store_target *t);
/*
 * A service with such a target, and one that might have: 400 with what is wrong. `path` is set where none was given. `targets` are all it
 * has or is to have. In the store's thread.
 */
MUST_USE enum err callers_service_check(struct api_call *c, struct object_service *o,
                                        enum store_service_kind kind);
