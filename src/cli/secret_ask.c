#include "cli/secret_ask.h"

#include <stdio.h>
#include <termios.h>
#include <unistd.h>

enum { SECRET_BYTES_MAX = 8 << 10 };

static bool echo_set(bool is_on, struct termios *kept)
{
        struct termios now;

        if (is_on)
                return tcsetattr(STDIN_FILENO, TCSAFLUSH, kept) == 0;
        if (tcgetattr(STDIN_FILENO, kept) != 0)
                return false;
        now = *kept;
        now.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
        return tcsetattr(STDIN_FILENO, TCSAFLUSH, &now) == 0;
}

/* Byte by byte: nothing beyond the line may be taken from a pipe, nor stay in a buffer of the C library. */
static enum err line_read(struct buf *out)
{
        char c;

        while (read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
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
        struct termios kept;
        bool is_hidden = isatty(STDIN_FILENO) && echo_set(false, &kept);

        buf_init(out, SECRET_BYTES_MAX);
        if (is_hidden)
                fputs(prompt, stderr);
        enum err e = line_read(out);

        if (is_hidden) {
                echo_set(true, &kept);
                fputc('\n', stderr);
        }
        return e;
}
