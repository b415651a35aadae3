#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "cli/logs_priv.h"
#include "cli/out.h"
#include "cli/place.h"
#include "node/state.h"

enum { PATH_BYTES = NODE_PATH_MAX + 64 };

static bool file_try(const char *folder, struct str role, char path[PATH_BYTES])
{
        int n = snprintf(path, PATH_BYTES, "%s/log/%.*s.log", folder, STR_FMT(role));

        return n > 0 && n < PATH_BYTES && access(path, F_OK) == 0;
}

/* FOLDER/log/ROLE.log of the folder that was named, or of where state is usually kept, or of `make run`. */
static bool file_find(struct str given, struct str role, char path[PATH_BYTES])
{
        char folder[NODE_PATH_MAX];

        if (given.len >= sizeof(folder))
                return false;
        if (given.len) {
                snprintf(folder, sizeof(folder), "%.*s", STR_FMT(given));
                return file_try(folder, role, path);
        }
        return (node_state_folder(folder) == ERR_OK && file_try(folder, role, path)) ||
               (place_run_state(folder, sizeof(folder)) == ERR_OK && file_try(folder, role, path));
}

static enum exit_code role_run(const struct logs_options *o, struct str role, uint64_t lines)
{
        static const struct str roles[] = { STR_INIT("control"), STR_INIT("gateway"), STR_INIT("agent"),
                                            STR_INIT("model") };
        char path[PATH_BYTES];
        bool is_known = false;

        for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
                is_known |= str_eq(role, roles[i]);
        if (!is_known) {
                out_problem(
                        "\"%.*s\" is no role: write control, gateway or agent, or nothing for what was done at control",
                        STR_FMT(role));
                return EXIT_WRONG;
        }
        if (file_find(o->state, role, path))
                return logs_file(o, path, lines);
        out_problem(
                "there is no log file of a %.*s here; one that runs as a unit: sekisho daemon logs %.*s; another folder: --state",
                STR_FMT(role), STR_FMT(role));
        return EXIT_NOT_FOUND;
}

static enum exit_code logs_run(const struct command_call *call)
{
        const struct logs_options *o = call->options;
        uint64_t lines = LOGS_LINES_DEFAULT;

        if (o->lines.len && (units_parse_u64(o->lines, LOGS_LINES_MAX, &lines) != ERR_OK || lines == 0)) {
                out_problem("--lines must be a number from 1 to %d", LOGS_LINES_MAX);
                return EXIT_WRONG;
        }
        return call->arguments->count ? role_run(o, call->arguments->items[0], lines) : logs_trail(o, lines);
}

const struct command command_logs = {
        .name = "logs",
        .summary = "what was done at control, or what a role of this machine wrote",
        .usage = "[control|gateway|agent] [--follow] [--lines N] [--json]",
        .text = "Without a role: control's audit trail, who did what, the newest last (scope audit). With one: the log that `make run` "
                "keeps in its state folder, each line made readable; --json leaves it as it was written. The log of a role "
                "that runs as a unit is in the journal: sekisho daemon logs ROLE.",
        .examples = (const char *const[]){ "sekisho logs --follow", "sekisho logs gateway -n 200",
                                           "sekisho logs agent --follow --json", NULL },
        .options =
                (const struct option[]){
                        { "follow", 'f', OPTION_FLAG, offsetof(struct logs_options, follow), NULL,
                          "go on with what comes, until Ctrl-C" },
                        { "lines", 'n', OPTION_TEXT, offsetof(struct logs_options, lines), "N",
                          "how many of the last (50)" },
                        { "state", 0, OPTION_TEXT, offsetof(struct logs_options, state), "FOLDER",
                          "the state folder (else $SEKISHO_STATE, or the user's)" },
                        { "server", 0, OPTION_TEXT, offsetof(struct logs_options, server), "URL",
                          "where control is (else $SEKISHO_SERVER, or where `sekisho login` was)" },
                        { "token", 0, OPTION_SECRET, offsetof(struct logs_options, token), "KEY",
                          "the API key (else $SEKISHO_TOKEN)" },
                        { "json", 0, OPTION_FLAG, offsetof(struct logs_options, json), NULL,
                          "a JSON object a line, as it was written" },
                        { NULL },
                },
        .options_bytes = sizeof(struct logs_options),
        .arguments_max = 1,
        .run = logs_run,
};
