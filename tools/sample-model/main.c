/*
 * sekisho-sample-model: a stand-in for an inference server, for tests, benchmarks and a first try of the gateway.
 *
 * It runs no model. Its words follow from the prompt by a fixed rule (answer.h) and come at a pace the options set. See
 * README.md beside this file.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "server.h"

static const char help[] =
        "Usage: sekisho-sample-model [OPTION]...\n"
        "A stand-in for an inference server: deterministic words at a set pace, in the OpenAI, Anthropic and\n"
        "Ollama forms, with vLLM-style metrics. It runs no model.\n"
        "\n"
        "  --listen ADDRESS:PORT  where to listen (127.0.0.1:18081); may be given often; port 0 picks one\n"
        "  --unix PATH            listen at a Unix socket too\n"
        "  --threads N            loops, each with its own listener (1)\n"
        "  --models NAMES         names it answers to, with commas; '*' matches anything (sample-1,sample-small)\n"
        "  --api-key KEY          ask for this key (Authorization: Bearer, or x-api-key)\n"
        "  --tokens N             words of an answer (32)\n"
        "  --delay-ms N           time to the first word (0)\n"
        "  --interval-ms N        time between words (0)\n"
        "  --slots N              answers at a time; more wait their turn (0: no limit)\n"
        "  --strict               insist on what a hosted API insists on: the anthropic-version header\n"
        "  --record               keep the last request, shown by GET /last\n"
        "  --fault SPEC           do this wrong from the start, as 'status=503;path=/v1/' (PUT /fault changes it)\n"
        "  --help                 this text\n"
        "\n"
        "One request may ask for another pace (x-sample-tokens, x-sample-delay-ms, x-sample-interval-ms) and for a\n"
        "fault (x-sample-fault: status=503, reset, close, stall, garbage, slow-head=MS, surplus, cut-after=N,\n"
        "reset-after=N, stall-after=N, garbage-after=N, error-after=N).\n"
        "\n"
        "Besides the APIs: /health /metrics /stats /headers /echo /sink /bytes/N /sse?events=N&interval_ms=M&size=B\n";

static bool number_option(const char *name, const char *text, uint64_t max, unsigned *out)
{
        uint64_t number;

        if (units_parse_u64(str_of(text), max, &number) != ERR_OK) {
                fprintf(stderr, "sekisho-sample-model: --%s %s: a number up to %llu is needed\n", name, text,
                        (unsigned long long)max);
                return false;
        }
        *out = (unsigned)number;
        return true;
}

static bool models_option(struct options *o, const char *text)
{
        struct str rest = str_of(text), name;

        o->models_count = 0;
        while (str_split(&rest, ',', &name)) {
                if (!name.len || o->models_count == MODELS_MAX || str_find_char(name, '"') != STR_NONE ||
                    str_find_char(name, '\\') != STR_NONE) {
                        fprintf(stderr, "sekisho-sample-model: --models %s: up to %d names, with commas\n",
                                text, MODELS_MAX);
                        return false;
                }
                o->models[o->models_count++] = name;
        }
        return true;
}

enum { LISTEN, UNIX, THREADS, MODELS, API_KEY, TOKENS, DELAY, INTERVAL, SLOTS, STRICT, RECORD, FAULT, HELP };

static const struct option names[] = {
        { "listen", required_argument, NULL, LISTEN },
        { "unix", required_argument, NULL, UNIX },
        { "threads", required_argument, NULL, THREADS },
        { "models", required_argument, NULL, MODELS },
        { "api-key", required_argument, NULL, API_KEY },
        { "tokens", required_argument, NULL, TOKENS },
        { "delay-ms", required_argument, NULL, DELAY },
        { "interval-ms", required_argument, NULL, INTERVAL },
        { "slots", required_argument, NULL, SLOTS },
        { "strict", no_argument, NULL, STRICT },
        { "record", no_argument, NULL, RECORD },
        { "fault", required_argument, NULL, FAULT },
        { "help", no_argument, NULL, HELP },
        { NULL, 0, NULL, 0 },
};

static bool take_option(struct options *o, int which)
{
        switch (which) {
        case LISTEN:
                if (o->listens_count == LISTENS_MAX)
                        return false;
                o->listens[o->listens_count++] = optarg;
                return true;
        case UNIX: o->unix_path = optarg; return true;
        case THREADS: return number_option("threads", optarg, 64, &o->threads) && o->threads;
        case MODELS: return models_option(o, optarg);
        case API_KEY: o->api_key = str_of(optarg); return true;
        case TOKENS: return number_option("tokens", optarg, 1000000, &o->tokens);
        case DELAY: return number_option("delay-ms", optarg, 3600000, &o->delay_ms);
        case INTERVAL: return number_option("interval-ms", optarg, 3600000, &o->interval_ms);
        case SLOTS: return number_option("slots", optarg, 1000000, &o->slots);
        case STRICT: o->is_strict = true; return true;
        case RECORD: o->is_recording = true; return true;
        case FAULT: o->fault = optarg; return true;
        default: return false;
        }
}

int main(int argc, char **argv)
{
        struct options o = { .threads = 1, .tokens = 32 };
        int which, signal_number;
        sigset_t signals;

        (void)models_option(&o, "sample-1,sample-small");
        while ((which = getopt_long(argc, argv, "", names, NULL)) != -1) {
                if (which == HELP) {
                        fputs(help, stdout);
                        return 0;
                }
                if (!take_option(&o, which)) {
                        fputs("sekisho-sample-model: see --help\n", stderr);
                        return 2;
                }
        }
        if (optind < argc) {
                fprintf(stderr, "sekisho-sample-model: %s: not an option; see --help\n", argv[optind]);
                return 2;
        }
        if (!o.listens_count && !o.unix_path)
                o.listens[o.listens_count++] = "127.0.0.1:18081";
        if (o.fault && !fault_set(str_of(o.fault))) {
                fprintf(stderr, "sekisho-sample-model: --fault %s: no such fault; see --help\n", o.fault);
                return 2;
        }
        sigemptyset(&signals); /* blocked before the threads begin, so that they inherit it */
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        sigprocmask(SIG_BLOCK, &signals, NULL);
        bool is_up = server_start(&o);
        if (is_up) {
                fflush(stdout);
                sigwait(&signals, &signal_number);
        }
        server_stop();
        return is_up ? 0 : 1;
}
