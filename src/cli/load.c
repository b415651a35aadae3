#include "cli/load.h"

#include <time.h>

#include "cli/place.h"

static unix_ms wall_now(void)
{
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return (unix_ms)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

enum err loaded_init(struct loaded *l, struct str given)
{
        struct conf_source source;

        *l = (struct loaded){ 0 };
        enum err found = place_config_find(given, &l->path);

        report_init(&l->report, buf_str(&l->path));
        if (found == ERR_NOT_FOUND) {
                l->report.file = STR_NULL;
                report_error(&l->report, 0, 0,
                             "there is no sekisho.json, neither here nor below the home folder nor in "
                             "/etc/sekisho; 'sekisho setup' writes one");
        }
        if (found != ERR_OK)
                return found;
        conf_source_system(&source, buf_str(&l->path), wall_now());
        return conf_load(&source, &l->report, &l->conf);
}

void loaded_fini(struct loaded *l)
{
        conf_free(l->conf);
        report_fini(&l->report);
        buf_fini(&l->path);
}
