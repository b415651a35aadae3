#include "cli/load.h"

#include <time.h>

#include "cli/place.h"
#include "published/published.h"

static unix_ms wall_now(void)
{
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return (unix_ms)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static enum err lenient_read(struct conf_source *s, enum conf_read_kind kind, struct str name,
                             struct conf_text *out)
{
        struct conf_source system;

        conf_source_system(&system, s->file, s->now);
        enum err e = system.read(&system, kind, name, out);

        if (e != ERR_NOT_FOUND || kind != CONF_READ_ENV || str_eq(name, STR("HOME")))
                return e;
        buf_addf(&out->bytes, "the-value-of-%.*s", STR_FMT(name));
        return out->bytes.full ? ERR_TOO_LARGE : ERR_OK;
}

void source_lenient(struct conf_source *s, struct str file)
{
        *s = (struct conf_source){ .read = lenient_read, .file = file, .now = wall_now() };
}

static enum err load(struct loaded *l, struct str given, bool is_lenient)
{
        struct conf_source source;
        struct published published;
        char folder[NODE_PATH_MAX] = "";

        *l = (struct loaded){ 0 };
        enum err found = place_config_find(given, &l->path);

        report_init(&l->report, buf_str(&l->path));
        /* What a gateway of this machine and user is told by its control is in force there, too. */
        if (is_lenient || node_state_folder(folder) != ERR_OK || !node_state_exists(folder, WIRE_GATEWAY))
                folder[0] = '\0';
        if (found == ERR_NOT_FOUND && !folder[0]) {
                l->report.file = STR_NULL;
                report_error(&l->report, 0, 0,
                             "there is no sekisho.json, neither here nor below the home folder nor in "
                             "/etc/sekisho; 'sekisho setup' writes one");
        }
        if (found != ERR_OK && !(found == ERR_NOT_FOUND && folder[0]))
                return found;
        if (is_lenient)
                source_lenient(&source, buf_str(&l->path));
        else
                conf_source_system(&source, buf_str(&l->path), wall_now());
        published_over(&published, &source, str_of(folder), STR_NULL);
        enum err e = conf_load(&published.source, &l->report, &l->conf);
        published_fini(&published);
        return e;
}

enum err loaded_init(struct loaded *l, struct str given)
{
        return load(l, given, false);
}

enum err loaded_init_lenient(struct loaded *l, struct str given)
{
        return load(l, given, true);
}

void loaded_fini(struct loaded *l)
{
        conf_free(l->conf);
        report_fini(&l->report);
        buf_fini(&l->path);
}
