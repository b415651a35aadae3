/*
 * main.c - picks a role or a command from argv, nothing else.
 */
#include "agent/agent.h"
#include "base/buf.h"
#include "cli/command.h"
#include "cli/place.h"
#include "control/control.h"
#include "gateway/gateway.h"

enum { PATH_BYTES_MAX = 4096 };

struct gateway_arguments {
        struct str config;
        struct str join, name, listen;
        bool auth, no_auth;
};

static enum exit_code gateway_command(const struct command_call *call)
{
        const struct gateway_arguments *a = call->options;
        struct gateway_options options = {
                .auth = a->auth, .no_auth = a->no_auth, .join = a->join, .name = a->name, .listen = a->listen
        };
        struct buf path;

        buf_init(&path, PATH_BYTES_MAX);
        /* A file that is not there is reported by who reads it, by the name it should have. */
        enum err e = place_config_find(a->config, &path);
        if (e != ERR_OK && e != ERR_NOT_FOUND)
                return EXIT_FAILED;
        options.config_file = buf_str(&path);
        int status = gateway_run(&options);
        buf_fini(&path);
        return (enum exit_code)status;
}

static const struct command command_gateway = {
        .name = "gateway",
        .summary = "serve: stand in front of the configured services and models",
        .usage = "[--config PATH] [--auth|--no-auth] [--join TOKEN@URL] [--name NAME] [--listen ADDRESS]",
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
                        { "config", 'c', OPTION_TEXT, offsetof(struct gateway_arguments, config), "PATH",
                          "the configuration file (else $SEKISHO_CONFIG, ./sekisho.json, the user's, /etc/sekisho)" },
                        { "join", 0, OPTION_SECRET, offsetof(struct gateway_arguments, join), "TOKEN@URL",
                          "belong to the control at URL from now on; once, the state folder remembers it" },
                        { "name", 0, OPTION_TEXT, offsetof(struct gateway_arguments, name), "NAME",
                          "with --join: what control is to call this gateway (else the host's name)" },
                        { "listen", 0, OPTION_TEXT, offsetof(struct gateway_arguments, listen), "ADDRESS",
                          "of a control, without a configuration file: where to listen with TLS (else :443 and :80)" },
                        { "auth", 0, OPTION_FLAG, offsetof(struct gateway_arguments, auth), NULL,
                          "insist on tokens, whatever the file says" },
                        { "no-auth", 0, OPTION_FLAG, offsetof(struct gateway_arguments, no_auth), NULL,
                          "ask for no token: whoever reaches the gateway may use it" },
                        { NULL },
                },
        .options_bytes = sizeof(struct gateway_arguments),
        .run = gateway_command,
};

struct agent_arguments {
        struct str config, join, name;
};

static enum exit_code agent_command(const struct command_call *call)
{
        const struct agent_arguments *a = call->options;
        struct agent_options options = { .join = a->join, .name = a->name };
        struct buf path;

        buf_init(&path, PATH_BYTES_MAX);
        enum err e = place_config_find(a->config, &path);
        if (e != ERR_OK && e != ERR_NOT_FOUND)
                return EXIT_FAILED;
        options.config_file = buf_str(&path);
        int status = agent_run(&options);
        buf_fini(&path);
        return (enum exit_code)status;
}

static const struct command command_agent = {
        .name = "agent",
        .summary = "serve what stands beside this machine through gateways, by dialling out",
        .usage = "[--config PATH] [--join TOKEN@URL] [--name NAME]",
        .text = "Runs in the foreground until SIGTERM or Ctrl-C, then lets what is under way finish. It listens nowhere: it keeps "
                "links to the gateways of `agent.gateways` and answers what they ask for of `agent.services`. SIGHUP reads the "
                "configuration again; one with a mistake is refused and the old one stays in force. SIGUSR2 starts the program that "
                "stands in its place now: it dials links of its own, the old one finishes what is under way.",
        .examples = (const char *const[]){ "sekisho agent --config /etc/sekisho/agent.json", NULL },
        .options =
                (const struct option[]){
                        { "config", 'c', OPTION_TEXT, offsetof(struct agent_arguments, config), "PATH",
                          "the configuration file (else $SEKISHO_CONFIG, ./sekisho.json, the user's, /etc/sekisho)" },
                        { "join", 0, OPTION_SECRET, offsetof(struct agent_arguments, join), "TOKEN@URL",
                          "belong to the control at URL from now on; once, the state folder remembers it" },
                        { "name", 0, OPTION_TEXT, offsetof(struct agent_arguments, name), "NAME",
                          "with --join: what control is to call this agent (else the host's name)" },
                        { NULL },
                },
        .options_bytes = sizeof(struct agent_arguments),
        .run = agent_command,
};

struct control_arguments {
        struct str config, state;
};

static enum exit_code control_command(const struct command_call *call)
{
        const struct control_arguments *a = call->options;
        struct control_options options = { .state = a->state };
        struct buf path;

        buf_init(&path, PATH_BYTES_MAX);
        enum err e = place_config_find(a->config, &path);
        if (e != ERR_OK && e != ERR_NOT_FOUND)
                return EXIT_FAILED;
        if (e == ERR_OK) /* without a file the defaults hold */
                options.config_file = buf_str(&path);
        int status = control_run(&options);
        buf_fini(&path);
        return (enum exit_code)status;
}

static const struct command command_control = {
        .name = "control",
        .summary = "serve: tell gateways and agents what they should be",
        .usage = "[--config PATH] [--state FOLDER]",
        .text = "Runs in the foreground until SIGTERM or Ctrl-C. The first start prints a one-time link for the owner; nothing is "
                "open before it is used. Without a configuration file the defaults hold: port 8000, SQLite in the state folder.",
        .examples =
                (const char *const[]){ "sekisho control", "sekisho control --state /var/lib/sekisho", NULL },
        .options =
                (const struct option[]){
                        { "config", 'c', OPTION_TEXT, offsetof(struct control_arguments, config), "PATH",
                          "the configuration file (else $SEKISHO_CONFIG, ./sekisho.json, the user's, /etc/sekisho)" },
                        { "state", 0, OPTION_TEXT, offsetof(struct control_arguments, state), "FOLDER",
                          "where the database and control.key are, over the file's control.state" },
                        { NULL },
                },
        .options_bytes = sizeof(struct control_arguments),
        .run = control_command,
};

int main(int argc, char **argv)
{
        const struct command table[] = {
                command_control, command_gateway, command_agent,   command_setup,   command_connect,
                command_config,  command_token,   command_policy,  command_wg,      command_status,
                command_backup,  command_restore, command_store,   command_version, command_completion,
                command_login,   command_node,    command_service, command_share,   command_domain,
                command_key,     command_audit,   command_help,    { NULL },
        };

        return commands_run(table, argc, argv);
}
