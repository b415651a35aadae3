/*
 * policy/wire.h - what each node is told: packet filter, SSH rules and capabilities, as tailcfg's JSON.
 *
 * Does:   the reduced form: only what begins or ends on that node's own addresses and approved routes.
 *         Source: captured answers of the hosted service (docs/policy.md lists what they settle).
 * Memory: a writer keeps texts that many nodes share; make one, write all nodes, free it.
 * Thread: one.
 */
#pragma once

#include "base/compiler.h"
#include "policy/tables.h"
#include "json/writer.h"

struct policy_writer;

/* Borrows the tables until policy_writer_free. NULL when memory runs out. */
MUST_USE struct policy_writer *policy_writer_new(const struct policy_tables *t);
void policy_writer_free(struct policy_writer *w);

/* Each writes one JSON array or object; index is of t->nodes. */
void policy_write_filter(struct policy_writer *w, size_t index, struct json_writer *out);
void policy_write_ssh(struct policy_writer *w, size_t index, struct json_writer *out);
void policy_write_caps(struct policy_writer *w, size_t index, struct json_writer *out);

/* {"packet_filter_rules": [...], "ssh_rules": [...], "cap_map": {...}} */
void policy_write_node(struct policy_writer *w, size_t index, struct json_writer *out);

/* Memory ran out while writing: what was written lacks rules and must not be used. */
bool policy_writer_failed(const struct policy_writer *w);
