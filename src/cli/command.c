#include "cli/command.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"
#include "cli/out.h"
#include "crypto/secret.h"

enum { COMMAND_DEPTH_MAX = 3, COMMANDS_MAX = 32, OPTIONS_BYTES_MAX = 2048 };

static const struct command *the_table;

const struct command *commands_table(void)
{
        return the_table;
}

static const struct command *command_find(const struct command *table, struct str name)
{
        for (const struct command *c = table; c && c->name; c++)
                if (str_eq(str_of(c->name), name))
                        return c;
        return NULL;
}

static void unknown_say(const struct command *table, struct str name)
{
        struct str names[COMMANDS_MAX];
        size_t count = 0;

        for (const struct command *c = table; c->name && count < COMMANDS_MAX; c++)
                names[count++] = str_of(c->name);
        struct str nearest = report_nearest(name, names, count);
        struct buf text;

        buf_init(&text, 4096);
        escape_text(&text, str_sub(name, 0, 80));
        if (nearest.ptr)
                out_problem("there is no command \"%.*s\"; did you mean \"%.*s\"?", STR_FMT(buf_str(&text)),
                            STR_FMT(nearest));
        else
                out_problem("there is no command \"%.*s\"; 'sekisho help' lists them",
                            STR_FMT(buf_str(&text)));
        buf_fini(&text);
}

/* ---- help ---- */

void commands_help_print(const struct command *table)
{
        out_print("usage: sekisho COMMAND [options]\n\n");
        for (const struct command *c = table; c->name; c++)
                out_print("  %-12s %s\n", c->name, c->summary);
        out_print(
                "\n'sekisho help COMMAND' says more about one.\n\n"
                "exit codes: 0 done, 1 failed, 2 wrong command line or configuration, 3 token refused, 4 not found,\n"
                "            5 there already, 6 nobody answers, 7 not admitted\n");
}

static void options_print(const struct option *table)
{
        out_print("\noptions:\n");
        for (const struct option *o = table; o && o->name; o++) {
                char left[64];

                snprintf(left, sizeof(left), "%s%c%s--%s%s%s", o->letter ? "-" : " ",
                         o->letter ? o->letter : ' ', o->letter ? ", " : "  ", o->name, o->value ? " " : "",
                         o->value ? o->value : "");
                out_print("  %-32s %s\n", left, o->doc);
        }
        out_print("  %-32s %s\n", "-h, --help", "print this");
}

void command_help_print(const struct command *const *path, size_t path_len)
{
        const struct command *c = path[path_len - 1];

        out_print("usage: sekisho");
        for (size_t i = 0; i < path_len; i++)
                out_print(" %s", path[i]->name);
        out_print("%s%s\n\n%s\n", c->usage && c->usage[0] ? " " : "", c->usage ? c->usage : "", c->summary);
        if (c->text)
                out_print("\n%s\n", c->text);
        if (c->subcommands) {
                out_print("\ncommands:\n");
                for (const struct command *s = c->subcommands; s->name; s++)
                        out_print("  %-12s %s\n", s->name, s->summary);
        }
        options_print(c->options);
        if (c->examples)
                out_print("\nexamples:\n");
        for (const char *const *e = c->examples; e && *e; e++)
                out_print("  %s\n", *e);
}

/* ---- running ---- */

static void secrets_wipe(const struct option *table, char *options)
{
        for (const struct option *o = table; o && o->name; o++) {
                struct str *secret = (struct str *)(void *)(options + o->offset);

                if (o->kind != OPTION_SECRET || !secret->ptr)
                        continue;
                crypto_wipe((char *)(uintptr_t)secret->ptr, secret->len);
                free((char *)(uintptr_t)secret->ptr);
        }
}

static enum exit_code command_call(const struct command *const *path, size_t path_len, int argc, char **argv)
{
        const struct command *c = path[path_len - 1];
        _Alignas(max_align_t) char options[OPTIONS_BYTES_MAX] = { 0 };
        struct arguments arguments;
        struct buf problem;
        enum exit_code code = EXIT_WRONG;

        assert(c->options_bytes <= sizeof(options));
        buf_init(&problem, 4096);
        switch (options_parse(c->options, c->arguments_max, argc, argv, options, &arguments, &problem)) {
        case OPTIONS_OK: code = c->run(&(struct command_call){ c, &arguments, options }); break;
        case OPTIONS_HELP:
                command_help_print(path, path_len);
                code = EXIT_OK;
                break;
        case OPTIONS_WRONG:
                out_problem("%.*s", STR_FMT(buf_str(&problem)));
                out_note("usage: sekisho");
                for (size_t i = 0; i < path_len; i++)
                        out_note(" %s", path[i]->name);
                out_note(" %s\n", c->usage ? c->usage : "");
                break;
        }
        secrets_wipe(c->options, options);
        buf_fini(&problem);
        return code;
}

static bool asks_for_help(const char *word)
{
        return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static enum exit_code command_descend(const struct command *table, int argc, char **argv)
{
        const struct command *path[COMMAND_DEPTH_MAX];

        for (size_t depth = 0; depth < COMMAND_DEPTH_MAX; depth++) {
                const struct command *c = command_find(table, str_of(argv[0]));

                if (!c) {
                        unknown_say(table, str_of(argv[0]));
                        return EXIT_WRONG;
                }
                path[depth] = c;
                if (!c->subcommands)
                        return command_call(path, depth + 1, argc, argv);
                if (argc < 2 || asks_for_help(argv[1])) {
                        command_help_print(path, depth + 1);
                        return argc < 2 ? EXIT_WRONG : EXIT_OK;
                }
                table = c->subcommands;
                argc--;
                argv++;
        }
        return EXIT_WRONG;
}

int commands_run(const struct command *table, int argc, char **argv)
{
        static char version[] = "version";
        const struct sigaction ignore = { .sa_handler = SIG_IGN };

        sigaction(SIGPIPE, &ignore, NULL);
        the_table = table;
        if (argc < 2 || asks_for_help(argv[1])) {
                commands_help_print(table);
                return out_finish(argc < 2 ? EXIT_WRONG : EXIT_OK);
        }
        if (strcmp(argv[1], "--version") == 0)
                argv[1] = version;
        return out_finish((int)command_descend(table, argc - 1, argv + 1));
}
