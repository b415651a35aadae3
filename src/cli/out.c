#include "cli/out.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/escape.h"
#include "cli/command.h"

bool out_is_terminal(FILE *f)
{
        const char *term = getenv("TERM");

        return isatty(fileno(f)) && term && strcmp(term, "dumb") != 0;
}

static int first_error; /* errno of the first write that failed */

static void error_keep(void)
{
        if (!first_error && ferror(stdout))
                first_error = errno ? errno : EIO;
}

static bool has_colours(void)
{
        const char *no_colour = getenv("NO_COLOR");

        return out_is_terminal(stdout) && !(no_colour && no_colour[0]);
}

void out_print(const char *format, ...)
{
        va_list args;

        va_start(args, format);
        vprintf(format, args);
        va_end(args);
        error_keep();
}

void out_str(struct str text)
{
        if (text.len)
                (void)fwrite(text.ptr, 1, text.len, stdout); /* error_keep sees what became of it */
        error_keep();
}

void out_coloured(enum out_colour colour, const char *format, ...)
{
        static const char *const codes[] = { "", "\x1b[1m", "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[2m" };
        bool is_coloured = colour != OUT_PLAIN && has_colours();
        va_list args;

        if (is_coloured)
                fputs(codes[colour], stdout);
        va_start(args, format);
        vprintf(format, args);
        va_end(args);
        if (is_coloured)
                fputs("\x1b[0m", stdout);
}

void out_foreign(struct str text)
{
        struct buf safe;
        struct str line;

        buf_init(&safe, 16 << 20);
        while (str_split(&text, '\n', &line)) {
                escape_text(&safe, line);
                if (text.ptr)
                        buf_add_char(&safe, '\n');
        }
        out_str(buf_str(&safe));
        buf_fini(&safe);
}

void out_problem(const char *format, ...)
{
        va_list args;

        fflush(stdout);
        fputs("sekisho: ", stderr);
        va_start(args, format);
        vfprintf(stderr, format, args);
        va_end(args);
        fputc('\n', stderr);
}

void out_note(const char *format, ...)
{
        va_list args;

        fflush(stdout);
        va_start(args, format);
        vfprintf(stderr, format, args);
        va_end(args);
}

void out_report(const struct report *r)
{
        struct buf text;

        buf_init(&text, 1 << 20);
        report_format(r, &text);
        out_note("%.*s", STR_FMT(buf_str(&text)));
        buf_fini(&text);
}

int out_finish(int code)
{
        if (fflush(stdout) != 0)
                error_keep();
        if (!first_error || first_error == EPIPE)
                return code;
        out_problem("standard output cannot be written: %s", strerror(first_error));
        return EXIT_FAILED;
}
