#include "cli/command.h"
#include "cli/out.h"
#include "json/writer.h"

struct version_options {
        bool json;
};

static enum exit_code version_run(const struct command_call *call)
{
        const struct version_options *o = call->options;
        struct json_writer w;
        struct buf out;

        if (!o->json) {
                out_print("sekisho %s\n", SEKISHO_VERSION);
                return EXIT_OK;
        }
        buf_init(&out, 4096);
        json_writer_init(&w, &out, JSON_COMPACT);
        json_write_object_begin(&w);
        json_write_member_str(&w, STR("version"), STR(SEKISHO_VERSION));
        json_write_member_str(&w, STR("compiler"), STR(__VERSION__));
        json_write_object_end(&w);
        json_writer_finish(&w);
        out_print("%.*s\n", STR_FMT(buf_str(&out)));
        buf_fini(&out);
        return EXIT_OK;
}

const struct command command_version = {
        .name = "version",
        .summary = "print the version",
        .usage = "[--json]",
        .examples = (const char *const[]){ "sekisho version --json", NULL },
        .options =
                (const struct option[]){
                        { "json", 0, OPTION_FLAG, offsetof(struct version_options, json), NULL, "as JSON" },
                        { NULL },
                },
        .options_bytes = sizeof(struct version_options),
        .run = version_run,
};
