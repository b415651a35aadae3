#include "cli/join_file.h"

#include "cli/out.h"
#include "io/file.h"

enum { JOIN_BYTES_MAX = 4096 };

bool join_file_read(struct str path, struct buf *out)
{
        struct buf name, text;
        enum err e = ERR_TOO_LARGE;

        buf_init(&name, JOIN_BYTES_MAX);
        buf_init(&text, JOIN_BYTES_MAX);
        buf_add(&name, path);
        buf_add_char(&name, '\0');
        if (!name.full)
                e = file_read(name.ptr, &text);
        if (e == ERR_OK) {
                struct str line = buf_str(&text);
                size_t end = str_find_char(line, '\n');

                buf_add(out, str_trim(str_sub(line, 0, end == STR_NONE ? line.len : end)));
                if (out->full)
                        e = ERR_TOO_LARGE;
        }
        if (e == ERR_NOT_FOUND)
                out_note("sekisho: there is no join file %.*s: nothing new is joined\n", STR_FMT(path));
        else if (e != ERR_OK)
                out_problem("the join file %.*s cannot be read: %s", STR_FMT(path), err_text(e));
        buf_wipe(&text);
        buf_fini(&name);
        return e == ERR_OK || e == ERR_NOT_FOUND;
}
