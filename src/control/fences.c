#include "control/fences.h"

#include <stdio.h>
#include <stdlib.h>

#include "conf/conf.h"

static void named(struct sandbox_paths *p, const char *variable)
{
        const char *value = getenv(variable);

        if (value)
                sandbox_paths_add_folder_of(p, str_of(value), false);
}

/* "…?sslrootcert=/srv/ca.pem&…" */
static void url_files(struct sandbox_paths *p, struct str url)
{
        struct str rest = str_from(url, MIN(str_find_char(url, '?'), url.len)), part;

        while (rest.len) {
                if (!str_split(&rest, '&', &part)) {
                        part = rest;
                        rest = STR_NULL;
                }
                size_t at = str_find_char(part, '=');

                if (at != STR_NONE && at + 1 < part.len && part.ptr[at + 1] == '/')
                        sandbox_paths_add_folder_of(p, str_from(part, at + 1), false);
        }
}

static void postgres_files(struct sandbox_paths *p, struct str url)
{
        static const char *const libraries[] = { "/usr", "/lib", "/lib64" };
        static const char *const variables[] = { "PGSSLROOTCERT", "PGSSLCERT",  "PGSSLKEY",
                                                 "PGSSLCRL",      "PGPASSFILE", "PGSERVICEFILE" };
        const char *home = getenv("HOME");
        char own[SANDBOX_PATH_BYTES_MAX];

        for (size_t i = 0; i < ARRAY_SIZE(libraries); i++)
                sandbox_paths_add(p, str_of(libraries[i]), false);
        for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
                named(p, variables[i]);
        for (size_t i = 0; home && i < 2; i++)
                if ((size_t)snprintf(own, sizeof(own), "%s/%s", home, i ? ".pgpass" : ".postgresql") <
                    sizeof(own))
                        sandbox_paths_add(p, str_of(own), false);
        url_files(p, url);
}

enum err fences_raise(struct control *c)
{
        static const struct sandbox_user same = { 0 };
        struct str url = c->conf->control.store_url;

        sandbox_paths_add_system(&c->reach);
        sandbox_paths_add(&c->reach, str_of(c->state), true);
        if (str_has_prefix(url, STR("sqlite:")))
                sandbox_paths_add_folder_of(&c->reach, str_from(url, sizeof("sqlite:") - 1), true);
        else if (url.len)
                postgres_files(&c->reach, url);
        if (c->conf->log.access == CONF_LOG_FILE)
                sandbox_paths_add_folder_of(&c->reach, c->conf->log.access_path, true);
        return sandbox_fence(SANDBOX_CONTROL, &same, &c->reach, &c->sandbox);
}

void fences_close(struct control *c)
{
        sandbox_filter(SANDBOX_CONTROL, &c->sandbox);
        sandbox_log(&c->sandbox, "control");
}
