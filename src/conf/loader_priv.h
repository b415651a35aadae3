/*
 * conf/loader_priv.h - one reading of a configuration: what its steps share.
 *
 * Steps, in order: the text to a tree (json), the tree to a draft by the table (read.c, types.c), the draft to the structs
 * (resolve_*.c). Each step reports all it finds; the next runs only where the one before found nothing.
 */
#pragma once

#include "conf/draft_priv.h"
#include "conf/source.h"
#include "conf/table_priv.h"
#include "crypto/sha256.h"
#include "json/value.h"

/* A secret's place in memory, to be wiped. */
struct conf_secret {
        struct conf_secret *next;
        struct str value;
};

enum { LOADER_TABLES_MAX = 32, LOADER_PATH_BYTES_MAX = 1024 };

struct loader {
        struct conf_source *source;
        struct report *report;
        struct conf *conf;
        struct arena *arena;              /* the configuration's */
        struct arena scratch;             /* ends with the loading */
        struct crypto_sha256_stream hash; /* of all that is read */
        struct buf path;                  /* the key in work: "gateway.listen[1].address" */
        bool is_default;                  /* a fallback of the table is read: it has no place */
        bool has_plain_secret;
        bool is_agents;       /* the file is an agent's: nobody is let in by it */
        bool is_published;    /* control says what is served, too: without a token nobody is let in */
        bool is_control_only; /* the file is about `control`, and says nothing of a gateway */
        struct {
                const struct conf_table *table;
                void *item; /* all defaults: what a new item is copied from */
        } blanks[LOADER_TABLES_MAX];
        size_t blanks_count;
};

/* "path: text", at a place. */
void loader_error(struct loader *l, const struct json_value *v, const char *format, ...) PRINTF_LIKE(3, 4);
void loader_warning(struct loader *l, const struct json_value *v, const char *format, ...) PRINTF_LIKE(3, 4);
/* As written, at a draft's place. */
void loader_error_at(struct loader *l, struct draft_place at, const char *format, ...) PRINTF_LIKE(3, 4);
void loader_warning_at(struct loader *l, struct draft_place at, const char *format, ...) PRINTF_LIKE(3, 4);

/* Goes one key or index down; give the result to loader_leave. */
size_t loader_enter_key(struct loader *l, struct str name);
size_t loader_enter_index(struct loader *l, size_t index);
void loader_leave(struct loader *l, size_t len);

/* " (did you mean …?)", or "". For the end of a message; valid until the next call. */
const char *loader_hint(struct loader *l, struct str word, const struct str *candidates,
                        size_t candidates_count);

struct draft_place loader_place(const struct loader *l, const struct json_value *v);

/* ---- merge.c ---- */

/* The operator's tree with what control published below it; in l->scratch. */
const struct json_value *loader_merge(struct loader *l, const struct json_value *own,
                                      const struct json_value *other);

/* ---- read.c ---- */

/* The whole tree into a new draft; problems are reported. NULL: memory ran out. */
struct draft *loader_read(struct loader *l, const struct json_value *root);

/* Sets one key of the struct at `base` from a value. */
void loader_set(struct loader *l, const struct conf_key *key, const struct json_value *v, char *base);

/* The keys of `table` in an object (or its short form), into the struct at `base`. */
void loader_table(struct loader *l, const struct conf_table *table, const struct json_value *v, char *base);
void loader_list(struct loader *l, const struct conf_table *table, const struct json_value *v,
                 struct draft_list *out);
void loader_map(struct loader *l, const struct conf_table *table, const struct json_value *v,
                struct draft_list *out);

/* ---- secret.c ---- */

/* A copy in the configuration's arena that is wiped with it. STR_NULL when it does not fit. */
struct str loader_secret_copy(struct loader *l, struct str value);

enum secret_rules {
        SECRET_ANY,     /* "text" (with a warning), {"env": name} or {"file": name} */
        SECRET_PLAIN,   /* "text" (with a warning) */
        SECRET_PERHAPS, /* all three; a "text" may well be no secret: no warning */
};
void loader_secret(struct loader *l, const struct json_value *v, enum secret_rules rules,
                   struct draft_secret *out);

/* What the variable or file holds, without a line end: one line of visible characters. False: reported, at `at`. */
bool loader_secret_read(struct loader *l, enum conf_read_kind kind, struct str name, struct draft_place at,
                        struct str *out);

/* The name of a file as the source is asked for it: "~/" and relative names resolved. */
struct str loader_file_name(struct loader *l, struct str name);

/* A whole file of text, 1 MiB at most. False: reported. */
bool loader_pem_read(struct loader *l, enum conf_read_kind kind, const struct draft_text *name,
                     struct str *out);
/* The same of what may not be there: nothing is reported. */
bool loader_pem_find(struct loader *l, enum conf_read_kind kind, struct str name, struct str *out);

/* ---- resolve_*.c: the draft's texts to values and pointers, with the checks that need more than one key ---- */

void resolve_gateway(struct loader *l, struct draft_gateway *d);
void resolve_providers(struct loader *l, struct draft_list *list);
void resolve_models(struct loader *l, struct draft_list *list);
void resolve_upstreams(struct loader *l, struct draft_list *list);
void resolve_routes(struct loader *l, struct draft_list *list);
void resolve_admin(struct loader *l, struct draft_admin *d);
void resolve_log(struct loader *l, struct draft_log *d);
void resolve_links(struct loader *l,
                   struct draft_gateway *d); /* after the gateway's certificates and listeners */
void resolve_raw_listens(struct loader *l, struct draft_gateway *d);       /* after the upstreams */
void resolve_published_listens(struct loader *l, struct draft_gateway *d); /* after all other listeners */
void resolve_pass_through(struct loader *l, struct draft_gateway *d);      /* after routes and listeners */
void resolve_agent(struct loader *l, struct draft_agent *d);               /* after the upstreams */
void resolve_trace(struct loader *l, struct draft_trace *d);               /* after the upstreams */
void resolve_control(struct loader *l, struct draft_control *d);

/* A certificate and its key, both or a report; read, and found to fit and to be in date. The key's kind is CONF_READ_KEY
 * for a listener's, CONF_READ_SECRET for one that workers have. */
bool resolve_pair(struct loader *l, const char *what, const struct draft_text *cert,
                  const struct draft_text *key, enum conf_read_kind key_kind, struct conf_certificate *out);
void resolve_client_tls(struct loader *l, const struct draft_item *item, const struct draft_client_tls *d,
                        struct conf_client_tls *out);
/* "200" or "200-399", within 100 and 599. */
bool resolve_status_range(struct str text, uint16_t *least, uint16_t *most);
void resolve_headers(struct loader *l, const struct draft_headers *d, struct conf_header **items,
                     size_t *count);

/* ---- url.c ---- */

enum url_rules { URL_BASE_PATH = 1, URL_UNIX = 2, URL_LINK = 4, URL_TCP = 8 };
/* False: reported, with `what` ("upstreams.app.targets[0].url") in front. */
bool resolve_url(struct loader *l, const char *what, const struct draft_text *text, unsigned rules,
                 struct conf_url *out);

/* Entries of an allow-list, one a text; what is none is said under `key`. */
void resolve_allow(struct loader *l, const char *key, struct draft_place at, const struct conf_strs *texts,
                   struct conf_allow **out, size_t *count);

/* An address to listen on. False: reported. */
bool resolve_listen(struct loader *l, const char *what, const struct draft_text *text,
                    struct listen_address *out);
/* The same where it may be one for datagrams. */
bool resolve_listen_any(struct loader *l, const char *what, const struct draft_text *text,
                        struct listen_address *out);
