#include "dispatch/result.h"

#include <stdlib.h>

#include "base/units.h"
#include "crypto/text.h"
#include "json/reader.h"
#include "json/writer.h"

enum { JSON_ARENA_BYTES = 64 << 20 };

static struct str content_type(const struct dispatch_result *r)
{
        for (size_t i = 0; i < r->fields_count; i++)
                if (!r->fields[i].is_removed && str_eq_nocase(r->fields[i].name, STR("Content-Type")))
                        return str_trim(
                                str_sub(r->fields[i].value, 0, str_find_char(r->fields[i].value, ';')));
        return STR("");
}

/* It says so, and it is. */
static bool is_json(const struct dispatch_result *r)
{
        struct str type = content_type(r);
        const struct json_value *root;
        struct arena arena;

        if (!str_eq_nocase(type, STR("application/json")) && !str_has_suffix(type, STR("+json")))
                return false;
        arena_init(&arena, NULL, 0, JSON_ARENA_BYTES);
        enum err e =
                json_read(&arena, r->body, &(struct json_options){ .duplicates_allowed = true }, NULL, &root);
        arena_fini(&arena);
        return e == ERR_OK;
}

static void body_write(const struct dispatch_result *r, struct json_writer *w)
{
        bool is_text = str_is_utf8(r->body), is_value = r->is_success && r->body.len && is_json(r);

        json_write_key(w, STR("body"));
        if (!r->is_success) {
                json_write_null(w);
        } else if (is_value) {
                json_write_raw(w, str_trim(r->body));
        } else if (is_text) {
                json_write_str(w, r->body);
        } else {
                char *text = malloc(CRYPTO_BASE64_SIZE(r->body.len));

                if (text)
                        json_write_str(w, crypto_base64_format(r->body, text));
                else
                        json_write_null(w);
                free(text);
        }
        json_write_member_str(w, STR("body_encoding"),
                              is_value  ? STR("json")
                              : is_text ? STR("text")
                                        : STR("base64"));
        json_write_member_bool(w, STR("is_json"), is_value);
}

static bool is_first_of_name(const struct dispatch_result *r, size_t at)
{
        for (size_t i = 0; i < at; i++)
                if (!r->fields[i].is_removed && str_eq_nocase(r->fields[i].name, r->fields[at].name))
                        return false;
        return true;
}

static void joined_write(const struct dispatch_result *r, size_t at, struct json_writer *w)
{
        struct buf value;

        buf_init(&value, 1 << 20);
        for (size_t i = at; i < r->fields_count; i++)
                if (!r->fields[i].is_removed && str_eq_nocase(r->fields[i].name, r->fields[at].name)) {
                        if (i > at)
                                buf_add(&value, STR(", "));
                        buf_add(&value, r->fields[i].value);
                }
        json_write_member_str(w, r->fields[at].name, buf_str(&value));
        buf_fini(&value);
}

static void fields_write(const struct dispatch_result *r, struct json_writer *w)
{
        json_write_key(w, STR("headers"));
        json_write_object_begin(w);
        for (size_t i = 0; i < r->fields_count; i++)
                if (!r->fields[i].is_removed && is_first_of_name(r, i))
                        joined_write(r, i, w);
        json_write_object_end(w);
        json_write_key(w, STR("headers_list"));
        json_write_array_begin(w);
        for (size_t i = 0; i < r->fields_count; i++) {
                if (r->fields[i].is_removed)
                        continue;
                json_write_array_begin(w);
                json_write_str(w, r->fields[i].name);
                json_write_str(w, r->fields[i].value);
                json_write_array_end(w);
        }
        json_write_array_end(w);
}

static void metadata_write(const struct dispatch_result *r, struct json_writer *w)
{
        char time[UNITS_TIME_TEXT_MAX];

        json_write_key(w, STR("metadata"));
        json_write_object_begin(w);
        json_write_member_str(w, STR("agent_id"), r->agent_id);
        json_write_member_str(w, STR("agent"), r->agent);
        json_write_member_str(w, STR("source_ip"), r->source_ip);
        json_write_member_str(w, STR("timestamp"), units_format_time(r->begun, time));
        json_write_member_int(w, STR("duration_ms"), r->duration_ms);
        json_write_member_uint(w, STR("attempts"), r->attempts);
        json_write_member_str(w, STR("url"), r->url);
        json_write_object_end(w);
}

void dispatch_result_write(const struct dispatch_result *r, struct buf *out)
{
        struct json_writer w;

        json_writer_init(&w, out, JSON_COMPACT);
        json_write_object_begin(&w);
        json_write_member_str(&w, STR("request_id"), r->request_id);
        json_write_member_bool(&w, STR("success"), r->is_success);
        json_write_key(&w, STR("status_code"));
        if (r->status)
                json_write_uint(&w, r->status);
        else
                json_write_null(&w);
        fields_write(r, &w);
        body_write(r, &w);
        json_write_key(&w, STR("error"));
        if (r->error.len)
                json_write_str(&w, r->error);
        else
                json_write_null(&w);
        metadata_write(r, &w);
        json_write_object_end(&w);
        json_writer_finish(&w);
        buf_add_char(out, '\n');
}
