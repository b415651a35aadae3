#include "cli/edit.h"

#include <string.h>

#include "cli/load.h"
#include "conf/conf.h"
#include "conf/source.h"
#include "io/file.h"
#include "json/patch.h"
#include "json/pointer.h"
#include "json/reader.h"

enum { ARENA_BYTES_MAX = 128 << 20, PATH_BYTES_MAX = 4096 };

static const struct json_options options = { .mode = JSON_HUJSON, .nul_refused = true };

static enum err tree_read(struct edit *e)
{
        arena_reset(&e->arena);
        return json_read(&e->arena, buf_str(&e->text), &options, &e->report, &e->root);
}

enum err edit_begin(struct edit *e, struct str text)
{
        buf_clear(&e->text);
        buf_add(&e->text, text);
        return e->text.full ? ERR_NO_MEMORY : tree_read(e);
}

enum err edit_init(struct edit *e, struct str path)
{
        *e = (struct edit){ .path = path };
        buf_init(&e->before, CONF_TEXT_BYTES_MAX);
        buf_init(&e->text, CONF_TEXT_BYTES_MAX);
        report_init(&e->report, path);
        arena_init(&e->arena, NULL, 0, ARENA_BYTES_MAX);
        enum err r = file_read(path.ptr, &e->before);

        e->exists = r == ERR_OK;
        if (r == ERR_NOT_FOUND)
                return edit_begin(e, STR("{}\n"));
        if (r != ERR_OK)
                return r;
        r = edit_begin(e, buf_str(&e->before));
        if (r == ERR_OK && e->root->type != JSON_OBJECT) {
                report_error(&e->report, e->root->line, e->root->column, "is %s; write an object",
                             json_type_text(e->root->type));
                return ERR_CONFIG;
        }
        return r == ERR_MALFORMED || r == ERR_TOO_LARGE ? ERR_CONFIG : r;
}

void edit_fini(struct edit *e)
{
        arena_fini(&e->arena);
        report_fini(&e->report);
        buf_wipe(&e->text);
        buf_wipe(&e->before);
}

/* The new text in place of the old one. */
static enum err text_take(struct edit *e, struct buf *text, enum err result)
{
        if (result != ERR_OK) {
                buf_wipe(text);
                return result;
        }
        buf_wipe(&e->text);
        e->text = *text;
        return tree_read(e);
}

enum err edit_set(struct edit *e, const char *pointer, struct str value)
{
        struct buf text;

        buf_init(&text, CONF_TEXT_BYTES_MAX);
        return text_take(
                e, &text,
                json_patch_set(buf_str(&e->text), &options, str_of(pointer), value, &text, &e->report));
}

enum err edit_remove(struct edit *e, const char *pointer)
{
        struct buf text;

        buf_init(&text, CONF_TEXT_BYTES_MAX);
        return text_take(e, &text,
                         json_patch_remove(buf_str(&e->text), &options, str_of(pointer), &text, &e->report));
}

enum err edit_append(struct edit *e, const char *pointer, struct str value)
{
        struct buf text;
        enum err r;

        buf_init(&text, CONF_TEXT_BYTES_MAX);
        if (json_is(edit_find(e, pointer), JSON_ARRAY)) {
                buf_addf(&text, "%s/-", pointer);
                buf_add_char(&text, '\0');
                r = text.full ? ERR_NO_MEMORY : edit_set(e, text.ptr, value);
        } else {
                buf_addf(&text, "[%.*s]", STR_FMT(value));
                r = text.full ? ERR_NO_MEMORY : edit_set(e, pointer, buf_str(&text));
        }
        buf_fini(&text);
        return r;
}

const struct json_value *edit_find(const struct edit *e, const char *pointer)
{
        return json_pointer_find(e->root, str_of(pointer));
}

bool edit_is_changed(const struct edit *e)
{
        return !e->exists || !str_eq(buf_str(&e->before), buf_str(&e->text));
}

/* ---- checking ---- */

/* Files and variables as they are, the configuration as it would be. */
struct draft_source {
        struct conf_source source, system;
        struct str text;
};

static enum err draft_read(struct conf_source *s, enum conf_read_kind kind, struct str name,
                           struct conf_text *out)
{
        struct draft_source *d = CONTAINER_OF(s, struct draft_source, source);

        if (kind != CONF_READ_CONFIG)
                return d->system.read(&d->system, kind, name, out);
        out->mode = 0600;
        buf_add(&out->bytes, d->text);
        return out->bytes.full ? ERR_TOO_LARGE : ERR_OK;
}

enum err edit_check(struct edit *e, struct conf **out)
{
        struct draft_source d = { .text = buf_str(&e->text) };
        struct conf *conf;

        source_lenient(&d.system, e->path);
        d.source = d.system;
        d.source.read = draft_read;
        enum err r = conf_load(&d.source, &e->report, &conf);

        if (out)
                *out = conf;
        else
                conf_free(conf);
        return r;
}

/* ---- writing ---- */

static enum err folder_make(struct str path)
{
        char folder[PATH_BYTES_MAX];
        size_t len = path.len;

        while (len && path.ptr[len - 1] != '/')
                len--;
        if (len <= 1)
                return ERR_OK;
        if (len > sizeof(folder))
                return ERR_TOO_LARGE;
        memcpy(folder, path.ptr, len - 1);
        folder[len - 1] = '\0';
        return file_make_folders(folder, 0700);
}

enum err edit_save(struct edit *e)
{
        if (!edit_is_changed(e))
                return ERR_OK;
        enum err r = folder_make(e->path);

        return r == ERR_OK ? file_write_atomic(e->path.ptr, buf_str(&e->text), 0600, e->exists) : r;
}
