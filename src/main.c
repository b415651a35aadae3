/*
 * main.c - picks a role or a command from argv, nothing else.
 */
#include "agent/agent.h"
#include "base/buf.h"
#include "cli/command.h"
#include "cli/discover.h"
#include "cli/join_file.h"
#include "cli/place.h"
#include "control/control.h"
#include "gateway/gateway.h"
#include "node/state.h"

enum { JOIN_BYTES_MAX = 4096 };

/* What may stand behind a role's name; each role's table has those it knows. */
struct role_arguments {
        struct str config, state, join, join_file, name, listen;
        bool auth, no_auth;
};

#define ROLE_OPTION(name_, letter_, type_, member_, value_, doc_)                                      \
        {                                                                                              \
                name_, letter_, OPTION_##type_, offsetof(struct role_arguments, member_), value_, doc_ \
        }

#define CONFIG_OPTION                                \
        ROLE_OPTION(                                 \
                "config", 'c', TEXT, config, "PATH", \
                "the configuration file (else $SEKISHO_CONFIG, ./sekisho.json, the user's, /etc/sekisho)")

#define JOIN_OPTION                                       \
        ROLE_OPTION("join", 0, SECRET, join, "TOKEN@URL", \
                    "belong to the control at URL from now on; once, the state folder remembers it")

#define JOIN_FILE_OPTION                                     \
        ROLE_OPTION("join-file", 0, TEXT, join_file, "PATH", \
                    "the same from a file; it may go away once it was used")

#define ROLE_COMMAND(role_) .name = role_, .options_bytes = sizeof(struct role_arguments)

/* Runs a role until it ends. `file` is the configuration's name, with a NUL; whether it is there is the role's to say. */
typedef int role_fn(const struct role_arguments *a, struct str file, bool is_found);

/* Then a token means nothing any more, and its control is not looked for. */
static bool has_joined(const struct command *role)
{
        char folder[NODE_PATH_MAX];
        bool is_gateway = str_eq(str_of(role->name), STR("gateway"));

        return node_state_folder(folder) == ERR_OK &&
               node_state_exists(folder, is_gateway ? WIRE_GATEWAY : WIRE_AGENT);
}

static enum exit_code role_run(const struct command_call *call, role_fn *run)
{
        struct role_arguments a = *(const struct role_arguments *)call->options;
        enum exit_code code = EXIT_FAILED;
        struct buf path, join, found;
        enum err e = place_config_find(a.config, &path);

        buf_init(&join, JOIN_BYTES_MAX);
        buf_init(&found, JOIN_BYTES_MAX + 256);
        bool is_said = a.join.len || !a.join_file.len;
        if (!is_said && !join_file_read(a.join_file, &join))
                e = ERR_CONFIG;
        if (!is_said)
                a.join = buf_str(&join);
        if (e != ERR_CONFIG && !has_joined(call->command) && !discover_join(a.join, &found))
                e = ERR_CONFIG;
        if (found.len)
                a.join = buf_str(&found);
        if (e == ERR_CONFIG)
                code = EXIT_WRONG;
        else if (e == ERR_OK || e == ERR_NOT_FOUND)
                code = (enum exit_code)run(&a, buf_str(&path), e == ERR_OK);
        buf_wipe(&join);
        buf_wipe(&found);
        buf_fini(&path);
        return code;
}

/* A file that is not there is reported by who reads it, by the name it should have. */
static int gateway_role(const struct role_arguments *a, struct str file, bool is_found)
{
        const struct gateway_options options = { .config_file = file,
                                                 .auth = a->auth,
                                                 .no_auth = a->no_auth,
                                                 .join = a->join,
                                                 .name = a->name,
                                                 .listen = a->listen };

        return gateway_run(&options);
}

static enum exit_code gateway_command(const struct command_call *call)
{
        return role_run(call, gateway_role);
}

static const struct command command_gateway = {
        ROLE_COMMAND("gateway"),
        .summary = "serve: stand in front of the configured services and models",
        .usage =
                "[--config PATH] [--auth|--no-auth] [--join TOKEN@URL|--join-file PATH] [--name NAME] [--listen ADDRESS]",
        .text = "Runs in the foreground until SIGTERM or Ctrl-C, then lets what is under way finish. SIGHUP reads the "
                "configuration again; one with a mistake is refused and the old one stays in force. SIGUSR2 starts the program that "
                "stands in its place now: it takes over the sockets, the old one finishes what is under way. SIGUSR1 "
                "opens the access log's file anew.",
        .examples = (const char *const[]){ "sekisho gateway",
                                           "sekisho gateway --config /etc/sekisho/sekisho.json",
                                           "sekisho gateway --join skauth-…@https://control.example.com:8000",
                                           NULL },
        .options =
                (const struct option[]){
                        CONFIG_OPTION,
                        JOIN_OPTION,
                        JOIN_FILE_OPTION,
                        ROLE_OPTION(
                                "name", 0, TEXT, name, "NAME",
                                "with --join: what control is to call this gateway (else the host's name)"),
                        ROLE_OPTION(
                                "listen", 0, TEXT, listen, "ADDRESS",
                                "of a control: where to listen with TLS for agents and what is published, beside what the file says (without "
                                "a file, else: :443 and :80)"),
                        ROLE_OPTION("auth", 0, FLAG, auth, NULL, "insist on tokens, whatever the file says"),
                        ROLE_OPTION("no-auth", 0, FLAG, no_auth, NULL,
                                    "ask for no token: whoever reaches the gateway may use it"),
                        { NULL },
                },
        .run = gateway_command,
};

static int agent_role(const struct role_arguments *a, struct str file, bool is_found)
{
        const struct agent_options options = { .config_file = file, .join = a->join, .name = a->name };

        return agent_run(&options);
}

static enum exit_code agent_command(const struct command_call *call)
{
        return role_run(call, agent_role);
}

static const struct command command_agent = {
        ROLE_COMMAND("agent"),
        .summary = "serve what stands beside this machine through gateways, by dialling out",
        .usage = "[--config PATH] [--join TOKEN@URL|--join-file PATH] [--name NAME]",
        .text = "Runs in the foreground until SIGTERM or Ctrl-C, then lets what is under way finish. It listens nowhere: it keeps "
                "links to the gateways of `agent.gateways` and answers what they ask for of `agent.services`. SIGHUP reads the "
                "configuration again; one with a mistake is refused and the old one stays in force. SIGUSR2 starts the program that "
                "stands in its place now: it dials links of its own, the old one finishes what is under way.",
        .examples = (const char *const[]){ "sekisho agent --config /etc/sekisho/agent.json", NULL },
        .options =
                (const struct option[]){
                        CONFIG_OPTION,
                        JOIN_OPTION,
                        JOIN_FILE_OPTION,
                        ROLE_OPTION("name", 0, TEXT, name, "NAME",
                                    "with --join: what control is to call this agent (else the host's name)"),
                        { NULL },
                },
        .run = agent_command,
};

/* Without a file the defaults hold. */
static int control_role(const struct role_arguments *a, struct str file, bool is_found)
{
        const struct control_options options = { .config_file = is_found ? file : STR(""),
                                                 .state = a->state };

        return control_run(&options);
}

static enum exit_code control_command(const struct command_call *call)
{
        return role_run(call, control_role);
}

static const struct command command_control = {
        ROLE_COMMAND("control"),
        .summary = "serve: tell gateways and agents what they should be",
        .usage = "[--config PATH] [--state FOLDER]",
        .text = "Runs in the foreground until SIGTERM or Ctrl-C. The first start prints a one-time link for the owner; nothing is "
                "open before it is used. Without a configuration file the defaults hold: port 8000, SQLite in the state folder.",
        .examples =
                (const char *const[]){ "sekisho control", "sekisho control --state /var/lib/sekisho", NULL },
        .options =
                (const struct option[]){
                        CONFIG_OPTION,
                        ROLE_OPTION("state", 0, TEXT, state, "FOLDER",
                                    "where the database and control.key are, over the file's control.state"),
                        { NULL },
                },
        .run = control_command,
};

int main(int argc, char **argv)
{
        const struct command table[] = {
                command_control,  command_gateway, command_agent,   command_setup,       command_connect,
                command_config,   command_token,   command_policy,  command_wg,          command_status,
                command_backup,   command_restore, command_store,   command_version,     command_completion,
                command_login,    command_node,    command_service, command_share,       command_domain,
                command_key,      command_audit,   command_daemon,  command_owner,       command_doctor,
                command_discover, command_logs,    command_execute, command_certificate, command_help,
                { NULL },
        };

        return commands_run(table, argc, argv);
}
