#include "cli/command.h"
#include "cli/load.h"
#include "cli/out.h"
#include "cli/place.h"
#include "conf/schema.h"
#include "io/file.h"
#include "json/format.h"
#include "json/writer.h"

struct config_options {
        struct str config;
        bool json, markdown, check, print;
};

enum { TEXT_BYTES_MAX = 16 << 20, SCHEMA_BYTES_MAX = 1 << 20 };

#define CONFIG_OPTION                                                                        \
        {                                                                                    \
                "config", 'c', OPTION_TEXT, offsetof(struct config_options, config), "PATH", \
                        "the file, instead of the one that is found"                         \
        }
#define JSON_OPTION(doc)                                                                 \
        {                                                                                \
                "json", 0, OPTION_FLAG, offsetof(struct config_options, json), NULL, doc \
        }

/* ---- check ---- */

static void entries_write(struct json_writer *w, const struct report *r, enum report_severity severity)
{
        json_write_key(w, severity == REPORT_ERROR ? STR("errors") : STR("warnings"));
        json_write_array_begin(w);
        for (size_t i = 0; i < r->entries_count; i++) {
                const struct report_entry *e = &r->entries[i];

                if (e->severity != severity)
                        continue;
                json_write_object_begin(w);
                json_write_member_uint(w, STR("line"), e->line);
                json_write_member_uint(w, STR("column"), e->column);
                json_write_member_str(w, STR("text"), e->text);
                json_write_object_end(w);
        }
        json_write_array_end(w);
}

static void check_json_print(const struct loaded *l)
{
        struct json_writer w;
        struct buf out;

        buf_init(&out, TEXT_BYTES_MAX);
        json_writer_init(&w, &out, 2);
        json_write_object_begin(&w);
        json_write_member_str(&w, STR("file"), buf_str(&l->path));
        json_write_member_bool(&w, STR("ok"), l->conf != NULL);
        entries_write(&w, &l->report, REPORT_ERROR);
        entries_write(&w, &l->report, REPORT_WARNING);
        json_write_object_end(&w);
        json_writer_finish(&w);
        out_print("%.*s\n", STR_FMT(buf_str(&out)));
        buf_fini(&out);
}

static enum exit_code load_code(enum err e)
{
        return e == ERR_OK          ? EXIT_OK
               : e == ERR_NOT_FOUND ? EXIT_NOT_FOUND
               : e == ERR_CONFIG    ? EXIT_WRONG
                                    : EXIT_FAILED;
}

static enum exit_code check_run(const struct command_call *call)
{
        const struct config_options *o = call->options;
        struct loaded l;
        enum err e = loaded_init(&l, o->config);

        if (o->json)
                check_json_print(&l);
        else
                out_report(&l.report);
        if (!o->json && e == ERR_OK)
                out_print("%.*s: good%s\n", STR_FMT(buf_str(&l.path)),
                          l.report.warnings_count ? ", with warnings" : "");
        if (e != ERR_OK && e != ERR_CONFIG && e != ERR_NOT_FOUND)
                out_problem("%s", err_text(e));
        loaded_fini(&l);
        return load_code(e);
}

/* ---- show ---- */

static enum exit_code show_run(const struct command_call *call)
{
        const struct config_options *o = call->options;
        struct loaded l;
        struct buf text;
        enum err e = loaded_init(&l, o->config);

        out_report(&l.report);
        if (e == ERR_OK) {
                buf_init(&text, TEXT_BYTES_MAX);
                conf_show(l.conf, &text);
                out_str(buf_str(&text));
                buf_fini(&text);
        }
        loaded_fini(&l);
        return load_code(e);
}

/* ---- schema ---- */

static enum exit_code schema_run(const struct command_call *call)
{
        const struct config_options *o = call->options;
        struct buf text;

        if (o->json && o->markdown) {
                out_problem("one of --json and --markdown, please");
                return EXIT_WRONG;
        }
        buf_init(&text, SCHEMA_BYTES_MAX);
        (o->markdown ? conf_schema_markdown : conf_schema_json)(&text);
        out_str(buf_str(&text));
        buf_fini(&text);
        return EXIT_OK;
}

/* ---- format ---- */

static enum exit_code format_write(const struct config_options *o, const struct buf *path, struct str before,
                                   struct str after)
{
        unsigned mode = 0600;
        bool is_ours;

        if (o->print) {
                out_str(after);
                return EXIT_OK;
        }
        if (str_eq(before, after)) {
                out_print("%.*s: laid out already\n", STR_FMT(buf_str(path)));
                return EXIT_OK;
        }
        if (o->check) {
                out_print("%.*s: not laid out; run: sekisho config format\n", STR_FMT(buf_str(path)));
                return EXIT_FAILED;
        }
        enum err e = file_mode(path->ptr, &mode, &is_ours);

        if (e == ERR_OK)
                e = file_write_atomic(path->ptr, after, mode & 0777, true);
        if (e != ERR_OK) {
                out_problem("%.*s cannot be written: %s", STR_FMT(buf_str(path)), err_text(e));
                return EXIT_FAILED;
        }
        out_print("%.*s: laid out; the old one is %.*s.bak\n", STR_FMT(buf_str(path)),
                  STR_FMT(buf_str(path)));
        return EXIT_OK;
}

static enum exit_code format_run(const struct command_call *call)
{
        const struct config_options *o = call->options;
        struct buf path, before, after;
        struct report report;
        enum exit_code code = EXIT_FAILED;
        enum err e = place_config_find(o->config, &path);

        buf_init(&before, TEXT_BYTES_MAX);
        buf_init(&after, TEXT_BYTES_MAX);
        report_init(&report, buf_str(&path));
        if (e == ERR_OK)
                e = file_read(path.ptr, &before);
        if (e != ERR_OK) {
                out_problem("%.*s cannot be read: %s", STR_FMT(buf_str(&path)), err_text(e));
                code = e == ERR_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_FAILED;
        } else if (json_format(buf_str(&before), 2, &after, &report) != ERR_OK) {
                out_report(&report);
                code = EXIT_WRONG;
        } else {
                code = format_write(o, &path, buf_str(&before), buf_str(&after));
        }
        report_fini(&report);
        buf_wipe(&after);
        buf_wipe(&before);
        buf_fini(&path);
        return code;
}

static const struct command subcommands[] = {
        {
                .name = "check",
                .summary = "read and check it, as the gateway would",
                .usage = "[--config PATH] [--json]",
                .examples = (const char *const[]){ "sekisho config check",
                                                   "sekisho config check --config new.json --json", NULL },
                .options = (const struct option[]){ CONFIG_OPTION,
                                                    JSON_OPTION("what was found, as JSON"),
                                                    { NULL } },
                .options_bytes = sizeof(struct config_options),
                .run = check_run,
        },
        {
                .name = "show",
                .summary = "print what is in force, defaults and all, secrets masked",
                .usage = "[--config PATH]",
                .examples = (const char *const[]){ "sekisho config show", NULL },
                .options = (const struct option[]){ CONFIG_OPTION,
                                                    JSON_OPTION("always so: it is JSON"),
                                                    { NULL } },
                .options_bytes = sizeof(struct config_options),
                .run = show_run,
        },
        {
                .name = "schema",
                .summary = "print the keys there are: as a JSON Schema for editors, or as the manual's page",
                .usage = "[--json|--markdown]",
                .examples = (const char *const[]){ "sekisho config schema > sekisho.schema.json",
                                                   "sekisho config schema --markdown | less", NULL },
                .options =
                        (const struct option[]){
                                JSON_OPTION("JSON Schema (when nothing is said)"),
                                { "markdown", 0, OPTION_FLAG, offsetof(struct config_options, markdown), NULL,
                                  "Markdown" },
                                { NULL },
                        },
                .options_bytes = sizeof(struct config_options),
                .run = schema_run,
        },
        {
                .name = "format",
                .summary = "lay it out, comments kept; the old file stays as a backup",
                .usage = "[--config PATH] [--check|--print]",
                .examples = (const char *const[]){ "sekisho config format", "sekisho config format --check",
                                                   NULL },
                .options =
                        (const struct option[]){
                                CONFIG_OPTION,
                                { "check", 0, OPTION_FLAG, offsetof(struct config_options, check), NULL,
                                  "change nothing; exit code 1 when it is not laid out" },
                                { "print", 0, OPTION_FLAG, offsetof(struct config_options, print), NULL,
                                  "change nothing; print it laid out" },
                                { NULL },
                        },
                .options_bytes = sizeof(struct config_options),
                .run = format_run,
        },
        { NULL },
};

const struct command command_config = {
        .name = "config",
        .summary = "check, show and lay out the configuration",
        .usage = "check|show|schema|format",
        .subcommands = subcommands,
};
