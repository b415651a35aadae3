/*
 * published/published.h - what control published to this gateway, as a source of configuration below the operator's file.
 *
 * Does:   reads the stored document (node/state.h), checks it again, and makes of its items what a file would have said:
 *         services → upstreams with targets `link://AGENT/TARGET`, or control's addresses, and routes or listeners, or providers of models, tokens, certificates (opened with our seal key),
 *         agents → gateway.links. Names of files in it begin with PUBLISHED_FOLDER and are read from here.
 *         Where its lease is over, routes answer 503 `lease_expired`.
 * Not:    the channel it comes over (gateway/nodeproc.h). Blocks; holds private keys: for the process that reads the configuration.
 */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "conf/source.h"
#include "node/state.h"
#include "wire/document.h"

#define PUBLISHED_FOLDER "/sekisho.published/"

struct published {
        struct conf_source source; /* give this to conf_load, or to the next layer */
        /* private */
        struct conf_source *inner;
        bool is_on;
        struct node_state state;
        struct str listen;
        struct wire_document *document;
        struct buf text;
};

/*
 * Over `inner`, which is kept. `folder`: the state folder; empty: nothing is published. Where there is no document, or one that cannot
 * be used (said in the log), the source is as `inner`. Where there is one and no file of the operator,
 * `listen` is what is listened on with TLS; empty: port 443, and 80 for redirects.
 */
void published_over(struct published *p, struct conf_source *inner, struct str folder, struct str listen);
bool published_is_on(const struct published *p);
void published_off(struct published *p); /* from here on as `inner`: when it was the reason of a refusal */
void published_fini(struct published *p);

/* Appends the text: for a document, at a time. Where no certificate is published, the one in `papers` is presented, if there is one. In
 * `unusable` the count of services that this gateway cannot serve yet. */
MUST_USE enum err published_text(const struct wire_document *d, const struct node_papers *papers, unix_ms now,
                                 struct buf *out, size_t *unusable);
