#include "conf/table_priv.h"

#include "conf/check_priv.h"
#include "conf/draft_priv.h"

#define AT(type, member) .offset = offsetof(struct type, member)

static const struct conf_key admin_keys[] = {
        { "listen", CONF_TYPE_TEXT, 0, AT(draft_admin, listen), "\"127.0.0.1:9400\"",
          .doc = "Where `/metrics`, `/debug/config` and `/ready` are served, in plain HTTP; `off`: nowhere." },
        { "allowedIps", CONF_TYPE_PREFIXES, 0, AT(draft_admin, admin.allowed_ips), "[\"127.0.0.1\", \"::1\"]",
          .doc = "Addresses that may ask." },
};
const struct conf_table conf_table_admin = {
        "admin",
        CONF_KEYS(admin_keys),
        .short_key = "listen",
        .doc = "The listener for operators. It asks for no token.",
};

static const struct conf_word levels[] = {
        { "debug", LOG_DEBUG, NULL },
        { "info", LOG_INFO, NULL },
        { "warning", LOG_WARNING, NULL },
        { "error", LOG_ERROR, NULL },
        { NULL },
};
static const struct conf_word formats[] = {
        { "json", LOG_JSON, "one object a line" },
        { "plain", LOG_PLAIN, "for reading along" },
        { NULL },
};

static const struct conf_word access_formats[] = {
        { "json", CONF_ACCESS_JSON, "one object a line" },
        { "combined", CONF_ACCESS_COMBINED, "as nginx and Apache write it" },
        { NULL },
};

static const struct conf_key log_keys[] = {
        { "level", CONF_TYPE_WORD, 0, AT(draft_log, log.level), "\"info\"", .words = levels,
          .doc = "The least important events that are written." },
        { "format", CONF_TYPE_WORD, 0, AT(draft_log, log.format), "\"json\"", .words = formats,
          .doc = "Their form." },
        { "access", CONF_TYPE_TEXT, 0, AT(draft_log, access), "\"stdout\"", .check = conf_check_not_empty,
          .doc = "Where one line a request goes: `stdout`, `stderr`, `off`, `journal` (systemd's; `journal:/path` names "
                 "another socket) or a file's path. SIGUSR1 opens the file anew, for log rotation." },
        { "accessFormat", CONF_TYPE_WORD, 0, AT(draft_log, log.access_format), "\"json\"",
          .words = access_formats,
          .doc = "Their form. Neither has queries, field values, tokens or bodies in it." },
        { "refusedLines", CONF_TYPE_RATE, 0, AT(draft_log, log.refused_lines), "\"200/s\"",
          .doc = "Of requests refused without a valid token, how many each worker writes a line of; the rest are counted "
                 "only." },
};
const struct conf_table conf_table_log = {
        "log",
        CONF_KEYS(log_keys),
        .doc = "What is written down. Never a secret.",
};

static const struct conf_key trace_keys[] = {
        { "upstream", CONF_TYPE_TEXT, 0, AT(draft_trace, upstream), .unless = "nothing is exported",
          .doc = "The collector, one of `upstreams`: sampled requests go there as OTLP/HTTP in JSON." },
        { "path", CONF_TYPE_TEXT, 0, AT(draft_trace, path), "\"\"",
          .doc = "What comes before `/v1/traces` and `/v1/logs` there, as `/otlp`." },
        { "headers", CONF_TYPE_HEADERS, 0, AT(draft_trace, headers), "{}",
          .doc = "Fields sent along; a value may be `{\"env\": …}` or `{\"file\": …}`." },
        { "service", CONF_TYPE_TEXT, 0, AT(draft_trace, service), "\"sekisho\"",
          .check = conf_check_not_empty, .doc = "The collector's name for this gateway (`service.name`)." },
        { "oneIn", CONF_TYPE_NUMBER, 0, AT(draft_trace, trace.one_in), "100", 0, 1000000000,
          .doc = "Of so many requests one begins a sampled trace; 1: each, 0: none. Traces taken over (`trustTrace` of "
                 "a route) bring their own decision." },
        { "logs", CONF_TYPE_BOOL, 0, AT(draft_trace, trace.sends_logs), "false",
          .doc = "The lines of the access log go to the collector, too." },
        { "propagate", CONF_TYPE_BOOL, 0, AT(draft_trace, trace.propagates), "false",
          .doc = "Requests get a `traceparent` also where nothing is exported. Without it and without `upstream` a client's "
                 "passes like any other field." },
};
const struct conf_table conf_table_trace = {
        "trace",
        CONF_KEYS(trace_keys),
        .doc = "Which trace a request belongs to (W3C Trace Context), and where traces go.",
};

static const struct conf_key root_keys[] = {
        { "$schema", CONF_TYPE_UNUSED, CONF_HIDDEN, .doc = "For editors." },
        { "gateway", CONF_TYPE_TABLE, 0, AT(draft, gateway), .table = &conf_table_gateway,
          .doc = "Where to listen, and whom to admit." },
        { "providers", CONF_TYPE_MAP, 0, AT(draft, providers), "{}", .table = &conf_table_provider,
          .doc = "Servers of models, by name." },
        { "models", CONF_TYPE_MAP, 0, AT(draft, models), "{}", .table = &conf_table_model,
          .doc = "Models that callers may name." },
        { "upstreams", CONF_TYPE_MAP, 0, AT(draft, upstreams), "{}", .table = &conf_table_upstream,
          .doc = "Web services, by name." },
        { "routes", CONF_TYPE_LIST, 0, AT(draft, routes), "[]", .table = &conf_table_route,
          .doc = "Which host and path goes where." },
        { "admin", CONF_TYPE_TABLE, 0, AT(draft, admin), .table = &conf_table_admin,
          .doc = "The operators' listener." },
        { "log", CONF_TYPE_TABLE, 0, AT(draft, log), .table = &conf_table_log,
          .doc = "Events and accesses." },
        { "trace", CONF_TYPE_TABLE, 0, AT(draft, trace), .table = &conf_table_trace, .doc = "Traces." },
        { "agent", CONF_TYPE_TABLE, 0, AT(draft, agent), .table = &conf_table_agent,
          .doc = "The role of an agent." },
        { "control", CONF_TYPE_TABLE, 0, AT(draft, control), .table = &conf_table_control,
          .doc = "`sekisho control`." },
        { "agents", CONF_TYPE_UNUSED, 0, .doc = "The predecessor's; not used." },
        { "tools", CONF_TYPE_UNUSED, 0, .doc = "The predecessor's; not used." },
        { "channels", CONF_TYPE_UNUSED, 0, .doc = "The predecessor's; not used." },
};
const struct conf_table conf_table_root = {
        "",
        CONF_KEYS(root_keys),
        .doc = "The whole file.",
};

const struct conf_key *conf_table_find(const struct conf_table *t, struct str name)
{
        for (size_t i = 0; i < t->keys_count; i++)
                if (str_eq(str_of(t->keys[i].name), name))
                        return &t->keys[i];
        return NULL;
}
