#include "base/err.h"

#include <assert.h>
#include <errno.h>

static const struct {
        const char *name;
        const char *text;
} errs[ERR_COUNT] = {
#define X(name, text) { #name, text },
        ERR_LIST(X)
#undef X
};

const char *err_name(enum err e)
{
        assert(e < ERR_COUNT);
        return errs[e].name;
}

const char *err_text(enum err e)
{
        assert(e < ERR_COUNT);
        return errs[e].text;
}

enum err err_from_errno(int number)
{
        switch (number) {
        case 0: return ERR_OK;
        case EAGAIN:
        case EINPROGRESS:
        case EINTR: return ERR_AGAIN;
        case EPIPE:
        case ECONNRESET:
        case ESHUTDOWN:
        case ENOTCONN: return ERR_CLOSED;
        case ENOMEM:
        case ENOBUFS:
        case EMFILE:
        case ENFILE: return ERR_NO_MEMORY;
        case ECONNREFUSED: return ERR_REFUSED;
        case ETIMEDOUT: return ERR_TIMED_OUT;
        case EHOSTUNREACH:
        case ENETUNREACH:
        case EADDRNOTAVAIL: return ERR_UNREACHABLE;
        case ENOENT: return ERR_NOT_FOUND;
        case EEXIST:
        case EADDRINUSE: return ERR_EXISTS;
        case EACCES:
        case EPERM: return ERR_DENIED;
        case EFBIG:
        case E2BIG:
        case ENOSPC: return ERR_TOO_LARGE;
        default: return ERR_IO;
        }
}
