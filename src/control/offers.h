/*
 * control/offers.h - what agents found on their machines, and what of it is published without a person's hand.
 *
 * Does:   reads an agent's report; judges each thing found by what the owner granted that agent (`publish` of its settings) and by what is
 *         published already; makes and ends the services that follow from it.
 *         An agent says what it would like; what it may is the owner's word, and a service of anybody else is never touched: those made here
 *         have "node/N/offers" as their owner.
 * Not:    how agents find (find/), what a service becomes at gateways (control/desired.h).
 * Thread: a store job's.
 */
#pragma once

#include "control/objects.h"
#include "store/change.h"
#include "store/nodes.h"

enum { OFFERS_MAX = 256 };

enum offer_state {
        OFFER_WAITING,   /* nobody has said that it may be published */
        OFFER_PUBLISHED, /* it is a service's target */
        OFFER_REFUSED    /* it asks for what it may not have; `why` */
};

struct offer {
        bool is_models;  /* a server of models; else a container */
        struct str name; /* of the service, as it is or would be */
        struct str url, path, access;
        struct schema_texts hosts, models;
        enum offer_state state;
        const char *why; /* a sentence, or empty */
        int64_t service; /* published: its row */
};

/* `publish` of a node's settings. */
struct offer_grants {
        bool models;
        struct schema_texts hosts,
                access; /* patterns; kinds, of which the first is meant where none is asked for */
};
void offer_grants_read(struct str settings, bool all_models, struct arena *a, struct offer_grants *out);

/* All that this agent offers at the moment, judged. Texts are in `a`. */
MUST_USE enum err offers_look(struct store_txn *t, const struct store_node *agent, struct arena *a,
                              struct offer **out, size_t *count);

/* Makes services of what may be published, ends those whose reason is gone. Changes nothing where nothing follows. */
MUST_USE enum err offers_apply(struct store_txn *t, const struct store_node *agent, struct arena *a);

/* Of all agents: what is granted changed. */
MUST_USE enum err offers_apply_all(struct store_txn *t, int64_t org, struct arena *a);

/* Ends all that was published of its offers. */
MUST_USE enum err offers_end(struct store_txn *t, const struct store_node *agent, struct arena *a);

/* What an agent's report says is served at this url; none where it says nothing. */
struct schema_texts offers_models_at(struct str report, struct str url, struct arena *a);

/* Whether two reports offer the same. */
bool offers_are_same(struct str report, struct str other, struct arena *a);
