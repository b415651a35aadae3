#include "cli/secret_ask.h"

#include <signal.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "base/compiler.h"

enum { SECRET_BYTES_MAX = 8 << 10 };

/* What ends a program at the terminal must not leave it without its echo. */
static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
static volatile sig_atomic_t ended_by;

static void on_end(int number)
{
        ended_by = number;
}

struct hidden {
        struct termios kept;
        struct sigaction actions[ARRAY_SIZE(ending)];
};

static bool echo_stop(struct hidden *h)
{
        struct sigaction action = { .sa_handler = on_end }; /* no SA_RESTART: the read ends */
        struct termios now;

        if (tcgetattr(STDIN_FILENO, &h->kept) != 0)
                return false;
        ended_by = 0;
        for (size_t i = 0; i < ARRAY_SIZE(ending); i++)
                sigaction(ending[i], &action, &h->actions[i]);
        now = h->kept;
        now.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
        return tcsetattr(STDIN_FILENO, TCSAFLUSH, &now) == 0;
}

static void echo_start(const struct hidden *h)
{
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &h->kept);
        fputc('\n', stderr);
        for (size_t i = 0; i < ARRAY_SIZE(ending); i++)
                sigaction(ending[i], &h->actions[i], NULL);
        if (ended_by)
                raise(ended_by);
}

/* Byte by byte: nothing beyond the line may be taken from a pipe, nor stay in a buffer of the C library. */
static enum err line_read(struct buf *out)
{
        char c;

        while (!ended_by && read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
                buf_add_char(out, c);
        if (out->full)
                return ERR_TOO_LARGE;
        if (out->len && out->ptr[out->len - 1] == '\r')
                out->len--;
        for (size_t i = 0; i < out->len; i++)
                if (out->ptr[i] <= ' ' || out->ptr[i] > '~')
                        return ERR_MALFORMED;
        return out->len ? ERR_OK : ERR_NOT_FOUND;
}

enum err secret_ask(const char *prompt, struct buf *out)
{
        struct hidden hidden;
        bool is_hidden = isatty(STDIN_FILENO) && echo_stop(&hidden);

        buf_init(out, SECRET_BYTES_MAX);
        if (is_hidden)
                fputs(prompt, stderr);
        enum err e = line_read(out);

        if (is_hidden)
                echo_start(&hidden);
        return e;
}
