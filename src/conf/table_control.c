#include "conf/check_priv.h"
#include "conf/draft_priv.h"
#include "conf/table_priv.h"

#define AT(type, member) .offset = offsetof(struct type, member)

static const struct conf_key store_keys[] = {
        { "url", CONF_TYPE_TEXT, 0, AT(draft_control, store_url), .unless = "`control.db` in `control.state`",
          .check = conf_check_not_empty,
          .doc = "Where the database is: `sqlite:/var/lib/sekisho/control.db`, or a server, "
                 "`postgresql://user@host/name`." },
};
static const struct conf_table conf_table_store = {
        "control.store",
        .keys = store_keys,
        .keys_count = ARRAY_SIZE(store_keys),
        .short_key = "url",
        .doc = "What control must not lose.",
};

static const struct conf_key pool_keys[] = {
        { "ipv4", CONF_TYPE_TEXT, 0, AT(draft_control, pool4), "\"100.64.0.0/10\"",
          .doc = "The prefix that nodes get IPv4 addresses of." },
        { "ipv6", CONF_TYPE_TEXT, 0, AT(draft_control, pool6),
          .unless = "a random `fd…/48`, made at the first start",
          .doc = "The prefix that nodes get IPv6 addresses of." },
};
static const struct conf_table conf_table_pools = {
        "control.addresses",
        .keys = pool_keys,
        .keys_count = ARRAY_SIZE(pool_keys),
        .doc = "Pools of nodes' addresses. Addresses given out stay with their nodes.",
};

static const struct conf_key dispatch_keys[] = {
        { "allow", CONF_TYPE_TEXTS, 0, AT(draft_control, dispatch_allow), "[]",
          .doc = "Destinations, in the form of `agent.dispatch.allow`; an agent's own list has the last word. Empty: "
                 "`/api/execute` is off." },
        { "agentRequests", CONF_TYPE_NUMBER, 0, AT(draft_control, control.dispatch.agent_requests), "100", 1,
          10000, .doc = "Requests one agent has at a time; others wait for their turn." },
        { "agentRate", CONF_TYPE_RATE, 0, AT(draft_control, control.dispatch.agent_rate),
          .unless = "no limit",
          .doc = "Requests one agent begins in a time, as `600/min`; others wait for their turn." },
        { "callerRequests", CONF_TYPE_NUMBER, 0, AT(draft_control, control.dispatch.caller_requests), "1000",
          1, 100000, .doc = "Requests one key has at a time, waiting ones included. Above: 429." },
        { "callerRate", CONF_TYPE_RATE, 0, AT(draft_control, control.dispatch.caller_rate),
          .unless = "no limit",
          .doc = "Requests one key begins in a time, as `600/min`. Above: 429 with Retry-After." },
        { "waiting", CONF_TYPE_NUMBER, 0, AT(draft_control, control.dispatch.waiting), "10000", 0, 1000000,
          .doc = "Requests that may wait for a turn, of all callers. Above: 503." },
        { "waitingTimeout", CONF_TYPE_DURATION, 0, AT(draft_control, control.dispatch.waiting_ms), "\"10s\"",
          1, 300 * 1000,
          .doc = "How long one waits for a turn, where its own time is not over before. After: 503, `queue_timeout`." },
        { "history", CONF_TYPE_NUMBER, 0, AT(draft_control, control.dispatch.history_rows), "100000", 0,
          10000000, .doc = "Requests that `/api/history` keeps, the newest ones; 0: none." },
        { "historyAge", CONF_TYPE_DURATION, 0, AT(draft_control, control.dispatch.history_ms), "\"30d\"",
          60 * 1000, INT64_C(3660) * 86400 * 1000, .doc = "How long they are kept." },
        { "historyBodies", CONF_TYPE_BYTES, 0, AT(draft_control, control.dispatch.history_body_bytes), "0", 0,
          64 << 10,
          .doc = "How much of each request's body and of each answer's is kept with them, from its beginning; 0: nothing. They "
                 "lie sealed under control.key." },
        { "historyBodiesTotal", CONF_TYPE_BYTES, 0, AT(draft_control, control.dispatch.history_bodies_bytes),
          "\"256MiB\"", 0, INT64_C(1) << 40, .doc = "How much of all bodies is kept, the newest ones." },
        { "historyBodiesAge", CONF_TYPE_DURATION, 0, AT(draft_control, control.dispatch.history_bodies_ms),
          "\"1d\"", 60 * 1000, INT64_C(3660) * 86400 * 1000,
          .doc = "How long bodies are kept, where their requests are." },
        { "answerBytes", CONF_TYPE_BYTES, 0, AT(draft_control, control.dispatch.answer_bytes), "\"8MiB\"",
          1024, 256 << 20, .doc = "The longest body of an answer in JSON; raw answers have no bound." },
};
static const struct conf_table conf_table_control_dispatch = {
        "control.dispatch",
        .keys = dispatch_keys,
        .keys_count = ARRAY_SIZE(dispatch_keys),
        .short_key = "allow",
        .doc = "Requests sent out by agents, for callers with the scope `dispatch`.",
};

static const struct conf_key control_keys[] = {
        { "listen", CONF_TYPE_TEXT, 0, AT(draft_control, listen), "\":8000\"",
          .doc = "Where control listens, always with TLS: people and nodes come here." },
        { "publicUrl", CONF_TYPE_TEXT, 0, AT(draft_control, public_url),
          .unless = "the machine's name and the port",
          .doc = "How others reach it, as `https://control.example.com:8000`: what stands in join tokens and links." },
        { "organisation", CONF_TYPE_TEXT, 0, AT(draft_control, organisation), "\"home\"",
          .check = conf_check_name,
          .doc = "The organisation's short name in certificates: lower-case letters, digits, `-`, `_`, `.`. It counts at the "
                 "first start only." },
        { "state", CONF_TYPE_TEXT, 0, AT(draft_control, state),
          .unless = "`$SEKISHO_STATE`, `$XDG_STATE_HOME/sekisho` (not root), or `/var/lib/sekisho`",
          .check = conf_check_not_empty,
          .doc = "The folder of the database and of `control.key`, without which the database opens nothing." },
        { "store", CONF_TYPE_TABLE, 0, .table = &conf_table_store, .doc = "The database." },
        { "addresses", CONF_TYPE_TABLE, 0, .table = &conf_table_pools, .doc = "Pools of nodes' addresses." },
        { "certificates", CONF_TYPE_LIST, 0, AT(draft_control, certificates), "[]",
          .table = &conf_table_certificate,
          .doc = "Certificates for the names people use; without one control's own authority makes them." },
        { "dispatch", CONF_TYPE_TABLE, 0, .table = &conf_table_control_dispatch,
          .doc = "Requests sent out by agents." },
};
const struct conf_table conf_table_control = {
        "control",
        .has_place = true,
        .is_optional = true,
        .keys = control_keys,
        .keys_count = ARRAY_SIZE(control_keys),
        .doc = "The control server, `sekisho control`. A file with this and without `gateway` is control's alone.",
};
