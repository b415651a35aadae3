/*
 * store/audit_priv.h - how a finished change reaches the trail and the outbox.
 */
#pragma once

#include "store/audit.h"
#include "store/outbox.h"

MUST_USE enum err store_audit_write(struct store_txn *t, struct store_audit *record);
MUST_USE enum err store_outbox_write(struct store_txn *t, int64_t org, const char *table, int64_t row,
                                     enum store_operation operation);
