/*
 * published/service.h - one service of the document as the configuration has it: a route or listeners, and an upstream.
 *
 * Does:   kind `http` with a host → a route; kind `tcp` that is public → an entry of `gateway.listen` an address;
 *         kind `llm` → a provider of models a target;
 *         kind `passthrough` that is public → one of `gateway.passThrough`. Pure.
 * Not:    what is wrong in the values themselves; the loader of the configuration says that.
 */
#pragma once

#include "json/reader.h"
#include "json/writer.h"

bool service_is_route(const struct json_value *service);
bool service_is_stream(const struct json_value *service); /* all of its addresses can be listened on */
bool service_is_models(const struct json_value *service); /* kind `llm`: open to keys of models alone */
bool service_has_targets(const struct json_value *service);

/* Members of `upstreams`, one, or of a range of ports one a port; only with targets. */
void service_upstreams_write(struct json_writer *w, struct str id, const struct json_value *service);
/* It leads to control: a member of `upstreams` in place of the above, with control's URLs. */
bool service_is_control(const struct json_value *service);
void service_control_upstream_write(struct json_writer *w, struct str id, const struct str *urls,
                                    size_t count);
/* An item of `routes`, for what is a route. `is_over`: the lease; it answers 503 then. */
void service_route_write(struct json_writer *w, struct str id, const struct json_value *service,
                         bool is_over);
/* Members of `providers`, one a target, for what is of models (kind `llm`). */
void service_providers_write(struct json_writer *w, const struct json_value *service);
bool service_is_pass(const struct json_value *service); /* TLS that is passed on by its name */
/* An item of `gateway.passThrough`, for what is one and has targets. */
void service_pass_write(struct json_writer *w, struct str id, const struct json_value *service);
/* Items of `gateway.listen`, for what is a stream with targets. */
void service_listens_write(struct json_writer *w, struct str id, const struct json_value *service);
