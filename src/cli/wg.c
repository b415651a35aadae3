#include "cli/wg_priv.h"

#include "cli/out.h"

static const struct option run_options[] = {
        { "foreground", 'f', OPTION_FLAG, offsetof(struct wg_options, foreground), NULL,
          "stay in the foreground" },
        { "relay", 0, OPTION_TEXT, offsetof(struct wg_options, relay), "URL",
          "where UDP does not pass, go through this relay: https://HOST[:PORT], wss:// for WebSocket" },
        { "relay-ca", 0, OPTION_TEXT, offsetof(struct wg_options, relay_ca), "FILE",
          "authorities that may have signed the relay's certificate (else the system's)" },
        { NULL },
};

static const struct option show_options[] = {
        { "json", 0, OPTION_FLAG, offsetof(struct wg_options, json), NULL, "as JSON" },
        { "counters", 0, OPTION_FLAG, offsetof(struct wg_options, counters), NULL,
          "what was dropped and why, and which way each peer is reached" },
        { NULL },
};

static const struct option relay_options[] = {
        { "listen", 'l', OPTION_TEXT, offsetof(struct wg_options, listen), "ADDRESS",
          "where to listen (:443)" },
        { "certificate", 0, OPTION_TEXT, offsetof(struct wg_options, certificate), "FILE",
          "the certificate and its chain, PEM" },
        { "key", 0, OPTION_TEXT, offsetof(struct wg_options, key), "FILE",
          "the certificate's private key, PEM" },
        { "peers", 0, OPTION_TEXT, offsetof(struct wg_options, peers), "FILE",
          "who may talk to whom: public keys, those of one line with each other; read again on SIGHUP" },
        { "stun", 0, OPTION_TEXT, offsetof(struct wg_options, stun), "PORT",
          "answer STUN on this UDP port too (3478 is usual)" },
        { NULL },
};

static const struct command subcommands[] = {
        {
                .name = "up",
                .summary = "bring a tunnel up from a wg-quick file",
                .usage = "FILE|NAME [--foreground] [--relay URL] [--relay-ca FILE]",
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
                .usage = "[NAME] [--json] | NAME --counters",
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
                .usage = "NAME [--foreground] [--relay URL] [--relay-ca FILE]",
                .text = "What `up` starts. By itself it takes the place of other WireGuards in userspace.",
                .examples = (const char *const[]){ "sekisho wg run wg0 --foreground", NULL },
                .options = run_options,
                .options_bytes = sizeof(struct wg_options),
                .arguments_max = 1,
                .run = wg_run_run,
        },
        {
                .name = "relay",
                .summary = "serve as a relay for tunnels where UDP does not pass",
                .usage = "--certificate FILE --key FILE --peers FILE [--listen ADDRESS] [--stun PORT]",
                .text = "Carries sealed packets between the keys it was told of, over TLS 1.3; it cannot read them. SIGHUP reads "
                        "the peers again, SIGUSR1 prints the counters.",
                .examples =
                        (const char *const[]){
                                "sekisho wg relay --certificate relay.pem --key relay.key --peers peers.txt",
                                NULL },
                .options = relay_options,
                .options_bytes = sizeof(struct wg_options),
                .run = wg_relay_run,
        },
        {
                .name = "rootless",
                .summary = "run a command in a tunnel, without any privilege",
                .usage = "FILE|NAME [--relay URL] [--relay-ca FILE] -- COMMAND [ARGUMENT]...",
                .text = "The tunnel ends in a private network, in which the command runs and nothing else; this host is not changed, "
                        "and all of it ends with the command. DNS, Table and hooks of the file are not used.",
                .examples = (const char *const[]){ "sekisho wg rootless wg0.conf -- curl http://10.0.0.1/",
                                                   NULL },
                .options = run_options,
                .options_bytes = sizeof(struct wg_options),
                .arguments_max = OPTIONS_ARGUMENTS_MAX,
                .run = wg_rootless_run,
        },
        {
                .name = "address",
                .summary = "ask a STUN server from which address it sees us",
                .usage = "SERVER[:PORT]",
                .examples = (const char *const[]){ "sekisho wg address stun.example", NULL },
                .options_bytes = sizeof(struct wg_options),
                .arguments_max = 1,
                .run = wg_address_run,
        },
        { NULL },
};

const struct command command_wg = {
        .name = "wg",
        .summary = "WireGuard tunnels in userspace",
        .usage = "up|down|show|set|syncconf|run|rootless|relay|address",
        .text = "The standard `wg` works on these tunnels too.",
        .examples = (const char *const[]){ "sekisho wg up wg0.conf", "sekisho wg show", NULL },
        .subcommands = subcommands,
};
