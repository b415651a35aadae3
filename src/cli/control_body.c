#include "cli/control_priv.h"

#include "base/units.h"

void control_body_begin(struct json_writer *w, struct buf *body)
{
        buf_init_secret(body, CONTROL_CALL_BYTES_MAX);
        json_writer_init(w, body, JSON_COMPACT);
        json_write_object_begin(w);
}

void control_body_end(struct json_writer *w)
{
        json_write_object_end(w);
        json_writer_finish(w);
}

void control_write_text(struct json_writer *w, const char *name, struct str value)
{
        if (value.len)
                json_write_member_str(w, str_of(name), value);
}

/* "1h" as seconds, into the body. False: said. */
bool control_write_seconds(struct json_writer *w, const char *name, struct str text)
{
        int64_t ms;

        if (text.len == 0)
                return true;
        if (units_parse_duration(text, &ms) != ERR_OK || ms < 1000) {
                out_problem("\"%.*s\" is no time: write 30m, 12h or 30d", STR_FMT(text));
                return false;
        }
        json_write_member_int(w, str_of(name), ms / 1000);
        return true;
}

void control_write_list(struct json_writer *w, const char *name, struct str commas)
{
        struct str rest = commas, part;

        if (commas.len == 0)
                return;
        json_write_member_array_begin(w, str_of(name));
        while (str_split(&rest, ',', &part))
                json_write_str(w, str_trim(part));
        json_write_array_end(w);
}
