#include "cli/options.h"

#include <stdlib.h>
#include <string.h>

#include "base/escape.h"
#include "base/report.h"

enum { SHOWN_BYTES_MAX = 80, OPTIONS_MAX = 64 };

struct parse {
        const struct option *table;
        int argc, at;
        char **argv;
        void *out;
        struct buf *problem;
};

static void say(struct buf *problem, const char *before, struct str word, const char *after)
{
        buf_add(problem, str_of(before));
        escape_text(problem, str_sub(word, 0, SHOWN_BYTES_MAX));
        buf_add(problem, str_of(after));
}

static const struct option *option_find(const struct option *table, struct str name, char letter)
{
        for (const struct option *o = table; o && o->name; o++)
                if (letter ? o->letter == letter : str_eq(str_of(o->name), name))
                        return o;
        return NULL;
}

static enum options_result unknown(struct parse *p, struct str name)
{
        struct str names[OPTIONS_MAX];
        size_t count = 0;

        for (const struct option *o = p->table; o && o->name && count < OPTIONS_MAX; o++)
                names[count++] = str_of(o->name);
        struct str nearest = report_nearest(name, names, count);

        say(p->problem, "there is no option --", name, "");
        if (nearest.ptr)
                say(p->problem, "; did you mean --", nearest, "?");
        return OPTIONS_WRONG;
}

static struct str secret_take(char *text)
{
        char *copy = strdup(text);

        if (!copy)
                return STR_NULL;
        memset(text, 'x',
               strlen(text)); /* it stays one argument, for a program that is started with ours again */
        return str_of(copy);
}

static enum options_result texts_add(struct parse *p, const struct option *o, struct option_texts *texts,
                                     struct str value)
{
        if (texts->count == OPTION_TEXTS_MAX) {
                say(p->problem, "--", str_of(o->name), " is given too often");
                return OPTIONS_WRONG;
        }
        texts->items[texts->count++] = value;
        return OPTIONS_OK;
}

/* `value`: behind a '=', or NULL: the next argument, where one is wanted. */
static enum options_result option_take(struct parse *p, const struct option *o, char *value)
{
        void *at = (char *)p->out + o->offset;

        if (o->kind == OPTION_FLAG) {
                *(bool *)at = !value;
                if (value)
                        say(p->problem, "--", str_of(o->name), " takes no value");
                return value ? OPTIONS_WRONG : OPTIONS_OK;
        }
        if (!value && p->at + 1 < p->argc)
                value = p->argv[++p->at];
        if (!value) {
                say(p->problem, "--", str_of(o->name), " wants a value: ");
                say(p->problem, "", str_of(o->value), "");
                return OPTIONS_WRONG;
        }
        if (o->kind == OPTION_TEXTS)
                return texts_add(p, o, at, str_of(value));
        *(struct str *)at = o->kind == OPTION_SECRET ? secret_take(value) : str_of(value);
        return OPTIONS_OK;
}

static enum options_result long_take(struct parse *p, char *text)
{
        struct str whole = str_of(text), name = str_sub(whole, 0, str_find_char(whole, '='));
        char *value = name.len < whole.len ? text + name.len + 1 : NULL;
        const struct option *o = option_find(p->table, name, 0);

        if (!o && str_eq(whole, STR("help")))
                return OPTIONS_HELP;
        return o ? option_take(p, o, value) : unknown(p, name);
}

static enum options_result short_take(struct parse *p, const char *text)
{
        const struct option *o = text[1] ? NULL : option_find(p->table, STR_NULL, text[0]);

        if (!o && text[0] == 'h' && !text[1])
                return OPTIONS_HELP;
        if (o)
                return option_take(p, o, NULL);
        say(p->problem, "there is no option -", str_of(text), "");
        return OPTIONS_WRONG;
}

static enum options_result argument_take(struct parse *p, struct arguments *arguments, size_t arguments_max,
                                         const char *text)
{
        if (arguments->count >= arguments_max || arguments->count >= OPTIONS_ARGUMENTS_MAX) {
                say(p->problem, "there is an argument too many: ", str_of(text), "");
                return OPTIONS_WRONG;
        }
        arguments->items[arguments->count++] = str_of(text);
        return OPTIONS_OK;
}

enum options_result options_parse(const struct option *table, size_t arguments_max, int argc, char **argv,
                                  void *out, struct arguments *arguments, struct buf *problem)
{
        struct parse p = { .table = table, .argc = argc, .argv = argv, .out = out, .problem = problem };
        bool only_arguments = false;

        *arguments = (struct arguments){ 0 };
        for (p.at = 1; p.at < argc; p.at++) {
                char *text = argv[p.at];
                enum options_result r = OPTIONS_OK;

                if (only_arguments || text[0] != '-' || !text[1])
                        r = argument_take(&p, arguments, arguments_max, text);
                else if (text[1] != '-')
                        r = short_take(&p, text + 1);
                else if (text[2])
                        r = long_take(&p, text + 2);
                else
                        only_arguments = true;
                if (r != OPTIONS_OK)
                        return r;
        }
        return OPTIONS_OK;
}
