#include "cli/command.h"
#include "cli/out.h"

/* Words that may follow the commands so far: subcommands and options. */
static void words_print(const struct command *c)
{
        const char *space = "";

        for (const struct command *s = c->subcommands; s && s->name; s++, space = " ")
                out_print("%s%s", space, s->name);
        for (const struct option *o = c->options; o && o->name; o++, space = " ")
                out_print("%s--%s", space, o->name);
        out_print("%s--help", space);
}

static void bash_print(const struct command *table)
{
        out_print(
                "# bash completion for sekisho; put it into /etc/bash_completion.d, or: source <(sekisho completion bash)\n"
                "_sekisho()\n"
                "{\n"
                "        local words\n"
                "        COMPREPLY=()\n"
                "        case ${COMP_WORDS[COMP_CWORD-1]} in\n"
                "        --config|-c|--file) mapfile -t COMPREPLY < <(compgen -f -- \"${COMP_WORDS[COMP_CWORD]}\"); return ;;\n"
                "        esac\n"
                "        if ((COMP_CWORD == 1)); then\n"
                "                words=\"");
        for (const struct command *c = table; c->name; c++)
                out_print("%s%s", c == table ? "" : " ", c->name);
        out_print("\"\n        else\n                case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n");
        for (const struct command *c = table; c->name; c++)
                for (const struct command *s = c->subcommands; s && s->name; s++) {
                        out_print("                \"%s %s\") words=\"", c->name, s->name);
                        words_print(s);
                        out_print("\" ;;\n");
                }
        for (const struct command *c = table; c->name; c++) {
                out_print("                \"%s \"*) words=\"", c->name);
                words_print(c);
                out_print("\" ;;\n");
        }
        out_print("                esac\n"
                  "        fi\n"
                  "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\")\n"
                  "}\n"
                  "complete -F _sekisho sekisho\n");
}

/* In zsh's descriptions ' ends the word, and ':' and ']' the field. */
static void zsh_text_print(const char *text)
{
        for (; *text; text++)
                if (*text == '\'')
                        out_print("'\\''");
                else if (*text == ':' || *text == '[' || *text == ']')
                        out_print("\\%c", *text);
                else
                        out_print("%c", *text);
}

static void zsh_commands_print(const struct command *table, const char *indent)
{
        for (const struct command *c = table; c && c->name; c++) {
                out_print("%s'%s:", indent, c->name);
                zsh_text_print(c->summary);
                out_print("'\n");
        }
}

static void zsh_options_print(const struct command *c, const char *indent)
{
        out_print("%s_arguments", indent);
        for (const struct option *o = c->options; o && o->name; o++) {
                out_print(" \\\n%s        '--%s[", indent, o->name);
                zsh_text_print(o->doc);
                out_print("]%s%s'", o->value ? ":" : "", o->value ? o->value : "");
                if (o->value)
                        out_print("':%s'", str_eq(str_of(o->value), STR("PATH")) ? "_files" : " ");
        }
        out_print(" \\\n%s        '--help[print what it does]'\n", indent);
}

static void zsh_print(const struct command *table)
{
        out_print("#compdef sekisho\n"
                  "# zsh completion for sekisho; put it into a folder of $fpath as _sekisho\n"
                  "_sekisho() {\n"
                  "        local -a commands\n"
                  "        if ((CURRENT == 2)); then\n"
                  "                commands=(\n");
        zsh_commands_print(table, "                        ");
        out_print("                )\n"
                  "                _describe command commands\n"
                  "                return\n"
                  "        fi\n"
                  "        case $words[2] in\n");
        for (const struct command *c = table; c->name; c++) {
                out_print("        %s)\n", c->name);
                if (c->subcommands) {
                        out_print(
                                "                if ((CURRENT == 3)); then\n                        commands=(\n");
                        zsh_commands_print(c->subcommands, "                                ");
                        out_print(
                                "                        )\n                        _describe command commands\n"
                                "                        return\n                fi\n                case $words[3] in\n");
                        for (const struct command *s = c->subcommands; s->name; s++) {
                                out_print("                %s)\n", s->name);
                                zsh_options_print(s, "                        ");
                                out_print("                        ;;\n");
                        }
                        out_print("                esac\n");
                } else {
                        zsh_options_print(c, "                ");
                }
                out_print("                ;;\n");
        }
        out_print("        esac\n}\n_sekisho \"$@\"\n");
}

static enum exit_code completion_run(const struct command_call *call)
{
        struct str shell = call->arguments->items[0];

        if (call->arguments->count == 1 && str_eq(shell, STR("bash")))
                bash_print(commands_table());
        else if (call->arguments->count == 1 && str_eq(shell, STR("zsh")))
                zsh_print(commands_table());
        else {
                out_problem("name the shell: bash or zsh");
                return EXIT_WRONG;
        }
        return EXIT_OK;
}

const struct command command_completion = {
        .name = "completion",
        .summary = "print the completion of commands and options for a shell",
        .usage = "bash|zsh",
        .examples = (const char *const[]){ "source <(sekisho completion bash)",
                                           "sekisho completion zsh > ~/.zfunc/_sekisho", NULL },
        .arguments_max = 1,
        .run = completion_run,
};
