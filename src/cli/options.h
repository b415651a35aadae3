/*
 * cli/options.h - a command's options, from a table into a struct.
 *
 * "--name value", "--name=value", "-n value"; "--" ends the options. Options and arguments may be mixed. What is unknown is
 * an error that names the nearest known option.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"

enum option_kind {
        OPTION_FLAG,  /* bool: true when given */
        OPTION_TEXT,  /* struct str; the last one counts */
        OPTION_TEXTS, /* struct option_texts: each time it is given */
        OPTION_SECRET, /* struct str, a copy of the process' own; the argument is overwritten, so that `ps` has it no more */
};

struct option {
        const char *name; /* without dashes; NULL ends the table */
        char letter;      /* 0: none */
        enum option_kind kind;
        size_t offset;     /* of the member it fills */
        const char *value; /* what to call its value in the help: "PATH" */
        const char *doc;
};

/* The two usual kinds of row, for a member of struct `type`: a table's file makes macros of its own out of them. */
#define OPTION_TEXT_OF(type, name, letter, member, value, doc)                       \
        {                                                                            \
                name, letter, OPTION_TEXT, offsetof(struct type, member), value, doc \
        }
#define OPTION_FLAG_OF(type, name, member, doc)                                \
        {                                                                      \
                name, 0, OPTION_FLAG, offsetof(struct type, member), NULL, doc \
        }

enum { OPTIONS_ARGUMENTS_MAX = 64, OPTION_TEXTS_MAX = 64 };

struct option_texts {
        struct str items[OPTION_TEXTS_MAX];
        size_t count;
};

struct arguments {
        struct str items[OPTIONS_ARGUMENTS_MAX];
        size_t count;
};

enum options_result { OPTIONS_OK, OPTIONS_HELP, OPTIONS_WRONG };

/*
 * Reads argv[1] to the end into the struct at `out`, and what is no option into *arguments. OPTIONS_HELP: --help or -h is
 * among them. OPTIONS_WRONG: `problem` says what, in one sentence. Texts point into argv.
 */
enum options_result options_parse(const struct option *table, size_t arguments_max, int argc, char **argv,
                                  void *out, struct arguments *arguments, struct buf *problem);
