/* policy/facts_read_priv.h - the parts of reading facts. Only for facts_read*.c. */
#pragma once

#include "policy/facts_priv.h"

/* facts_read.c. What is kept lies in the draft's batch, not with the JSON tree; NULL when memory runs out. */
struct policy_facts_draft *policy_draft_of(struct policy_reader *r);
struct str policy_fact_kept(struct policy_reader *r, struct str text);
void policy_fact_text(struct policy_reader *r, const struct json_value *v, const char *what, struct str *out);
void policy_fact_id(struct policy_reader *r, const struct json_value *v, const char *what, struct str *out);
void policy_fact_addresses(struct policy_reader *r, const struct json_value *v, const struct ip **out,
                           size_t *count);
void *policy_fact_alloc(struct policy_reader *r, size_t count, size_t size, size_t align);

/* facts_read_service.c. */
void policy_read_fact_services(struct policy_reader *r, void *into, const struct json_value *v);
void policy_read_fact_models(struct policy_reader *r, void *into, const struct json_value *v);
void policy_read_fact_providers(struct policy_reader *r, void *into, const struct json_value *v);
void policy_read_fact_tools(struct policy_reader *r, void *into, const struct json_value *v);
