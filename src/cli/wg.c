#include "cli/wg_priv.h"

#include "cli/out.h"

static const struct option run_options[] = {
        { "foreground", 'f', OPTION_FLAG, offsetof(struct wg_options, foreground), NULL,
          "stay in the foreground" },
        { NULL },
};

static const struct option show_options[] = {
        { "json", 0, OPTION_FLAG, offsetof(struct wg_options, json), NULL, "as JSON" },
        { NULL },
};

static const struct command subcommands[] = {
        {
                .name = "up",
                .summary = "bring a tunnel up from a wg-quick file",
                .usage = "FILE|NAME [--foreground]",
                .text = "NAME stands for /etc/wireguard/NAME.conf. PreUp and PostUp commands are run by /bin/sh.",
                .examples = (const char *const[]){ "sekisho wg up wg0.conf", NULL },
                .options = run_options,
                .options_bytes = sizeof(struct wg_options),
                .arguments_max = 1,
                .run = wg_up_run,
        },
        {
                .name = "down",
                .summary = "take a tunnel down",
                .usage = "FILE|NAME",
                .text = "Runs PreDown and PostDown of its file, where there is one.",
                .examples = (const char *const[]){ "sekisho wg down wg0", NULL },
                .options_bytes = sizeof(struct wg_options),
                .arguments_max = 1,
                .run = wg_down_run,
        },
        {
                .name = "show",
                .summary = "show tunnels and their peers",
                .usage = "[NAME] [--json]",
                .examples = (const char *const[]){ "sekisho wg show", "sekisho wg show wg0 --json", NULL },
                .options = show_options,
                .options_bytes = sizeof(struct wg_options),
                .arguments_max = 1,
                .run = wg_show_run,
        },
        {
                .name = "set",
                .summary = "change a tunnel",
                .usage =
                        "NAME [listen-port PORT] [fwmark MARK] [private-key FILE] [peer KEY [remove] [preshared-key FILE]\n"
                        "         [endpoint HOST:PORT] [persistent-keepalive SECONDS] [allowed-ips LIST]]...",
                .examples =
                        (const char *const[]){ "sekisho wg set wg0 peer KEY allowed-ips 10.0.0.2/32", NULL },
                .options_bytes = sizeof(struct wg_options),
                .arguments_max = OPTIONS_ARGUMENTS_MAX,
                .run = wg_set_run,
        },
        {
                .name = "syncconf",
                .summary = "make a tunnel like a file, leaving sessions that stay alone",
                .usage = "NAME FILE",
                .examples = (const char *const[]){ "sekisho wg syncconf wg0 wg0.conf", NULL },
                .options_bytes = sizeof(struct wg_options),
                .arguments_max = 2,
                .run = wg_sync_run,
        },
        {
                .name = "run",
                .summary = "carry an interface, to be set up by `wg` and `ip`",
                .usage = "NAME [--foreground]",
                .text = "What `up` starts. By itself it takes the place of other WireGuards in userspace.",
                .examples = (const char *const[]){ "sekisho wg run wg0 --foreground", NULL },
                .options = run_options,
                .options_bytes = sizeof(struct wg_options),
                .arguments_max = 1,
                .run = wg_run_run,
        },
        { NULL },
};

const struct command command_wg = {
        .name = "wg",
        .summary = "WireGuard tunnels in userspace",
        .usage = "up|down|show|set|syncconf|run",
        .text = "The standard `wg` works on these tunnels too.",
        .examples = (const char *const[]){ "sekisho wg up wg0.conf", "sekisho wg show", NULL },
        .subcommands = subcommands,
};
