/* sekisho audit: who did what at control. */
#include "cli/control_priv.h"

static const struct column audit_columns[] = { { "TIME", "time" },     { "ACTOR", "actor" },
                                               { "SOURCE", "source" }, { "ACTION", "action" },
                                               { "OBJECT", "object" }, { NULL } };

static enum exit_code audit_run(const struct command_call *call)
{
        return control_list(call->options, "/audit", audit_columns);
}

const struct command command_audit = {
        .name = "audit",
        .summary = "who did what at control: the newest hundred records",
        .usage = "[--json]",
        .examples = (const char *const[]){ "sekisho audit", NULL },
        .options = (const struct option[]){ SERVER_OPTIONS, { NULL } },
        .options_bytes = sizeof(struct control_options),
        .run = audit_run,
};
