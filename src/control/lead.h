/*
 * control/lead.h - this control among those that share its store: that it is there, and whether it leads.
 *
 * Does:   says every two seconds that this control is there, and takes the lead where nobody has it (store/leader.h). Whoever takes
 *         it raises the epoch, so that nodes know the later word. On SQLite there is one control: it leads from its start on.
 * Not:    what the leader alone does: chores.c asks lead_check inside its own transaction, so that one whose session is lost
 *         commits nothing. Changes need no leader: the store puts writers of all controls in line.
 * Thread: the loop's, but for lead_check and lead_row.
 */
#pragma once

#include "base/compiler.h"
#include "base/err.h"
#include "control/control_priv.h"
#include "store/store.h"

struct lead;

enum {
        LEAD_EVERY_MS = 2000,
        LEAD_SILENCE_MS = 10 * 1000, /* one not heard of for so long is taken for gone */
        LEAD_FAILURES_MAX = 2        /* then nodes are sent to other controls */
};

/* Waits for its first job: for the start. Makes the owner's link where nobody owns the store yet and this control leads. */
MUST_USE enum err lead_new(struct control *control, struct lead **out);
void lead_start(struct lead *l);     /* from now on by itself */
void lead_link_show(struct lead *l); /* the owner's link, if there is one to show */
/* Before the store is closed: another need not wait for the session's end. */
void lead_end(struct lead *l);
void lead_free(struct lead *l); /* after the store is closed; NULL is fine */

/* In the store's thread, in a job that changes: whether what it commits is the leader's. */
MUST_USE enum err lead_check(const struct control *control, struct store_txn *t, bool *is_us);

/* Our row of `controls`; 0 where the store is ours alone. Fixed after lead_new. */
int64_t lead_row(const struct lead *l);
/* Whether the leader's name (store/leader.h) is of the control of that row. */
bool lead_name_is_of(struct str name, int64_t row);
