#include "cli/command.h"
#include "cli/out.h"
#include "crypto/text.h"
#include "node/state.h"
#include "store/copy.h"
#include "json/writer.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

enum { URL_BYTES_MAX = 4096 };

struct store_asked {
        struct str store;
        bool json;
};

static const struct option store_options[] = {
        { "store", 's', OPTION_TEXT, offsetof(struct store_asked, store), "URL",
          "sqlite:PATH or postgresql://… (else control.db in the state folder: $SEKISHO_STATE, or /var/lib/sekisho)" },
        { "json", 0, OPTION_FLAG, offsetof(struct store_asked, json), NULL, "as JSON" },
        { NULL },
};

/* The store that was named, or control's own of this machine. */
static void find_url(const struct store_asked *asked, struct buf *out)
{
        char state[NODE_PATH_MAX];

        if (asked->store.len)
                buf_add(out, asked->store);
        else if (node_state_folder(state) == ERR_OK)
                buf_addf(out, "sqlite:%s/control.db", state);
}

static enum exit_code code_of(enum err e)
{
        switch (e) {
        case ERR_OK: return EXIT_OK;
        case ERR_CONFIG:
        case ERR_UNSUPPORTED: return EXIT_WRONG;
        case ERR_NOT_FOUND: return EXIT_NOT_FOUND;
        case ERR_EXISTS: return EXIT_CONFLICT;
        case ERR_UNREACHABLE:
        case ERR_REFUSED: return EXIT_UNAVAILABLE;
        case ERR_DENIED: return EXIT_DENIED;
        default: return EXIT_FAILED;
        }
}

/* What was found, and where a backup lies. */
static void tell(const struct store_asked *asked, const char *file, const struct store_verified *v)
{
        char hash[CRYPTO_HEX_SIZE(sizeof(v->last_hash))];
        struct str text =
                crypto_hex_format((struct str){ (const char *)v->last_hash, sizeof(v->last_hash) }, hash);
        struct json_writer w;
        struct buf out;

        if (!asked->json) {
                if (file)
                        out_print("backup written: %s\n", file);
                out_print(
                        "%lld rows, all readable; %lld audit records, the chain holds\nlast audit hash: %.*s\n",
                        (long long)v->rows_count, (long long)v->records_count, STR_FMT(text));
                return;
        }
        buf_init(&out, 2 * PATH_MAX);
        json_writer_init(&w, &out, JSON_COMPACT);
        json_write_object_begin(&w);
        if (file)
                json_write_member_str(&w, STR("file"), str_of(file));
        json_write_member_int(&w, STR("rows"), v->rows_count);
        json_write_member_int(&w, STR("audit_records"), v->records_count);
        json_write_member_str(&w, STR("audit_hash"), text);
        json_write_object_end(&w);
        json_writer_finish(&w);
        out_print("%.*s\n", STR_FMT(buf_str(&out)));
        buf_fini(&out);
}

/* One job on a store that nobody serves. */
struct look {
        struct store_job job;
        struct report *report;
        const char *file; /* NULL: only verify */
        struct store_verified verified;
};

static enum err look(struct store_job *job, struct store_txn *t)
{
        struct look *l = CONTAINER_OF(job, struct look, job);
        enum err e = store_verify(t, l->report, &l->verified);

        return e == ERR_OK && l->file ? store_backup(t, l->file, l->report) : e;
}

static enum exit_code look_at(const struct store_asked *asked, const char *file)
{
        const struct store_options options = { .must_exist = true, .is_read_only = true };
        struct look l = { .job = { .run = look, .is_read = true }, .file = file };
        struct store *s = NULL;
        struct report r;
        struct buf url;
        enum err e;

        report_init(&r, STR_NULL);
        buf_init(&url, URL_BYTES_MAX);
        find_url(asked, &url);
        l.report = &r;
        e = store_open(buf_str(&url), &options, &r, &s);
        if (e == ERR_OK)
                e = store_run(s, &l.job);
        store_close(s);
        if (e == ERR_OK)
                tell(asked, file, &l.verified);
        else if (r.errors_count)
                out_report(&r);
        else
                out_problem("%s: %s", err_text(e), l.job.reason);
        buf_fini(&url);
        report_fini(&r);
        return code_of(e);
}

static enum exit_code verify_run(const struct command_call *call)
{
        return look_at(call->options, NULL);
}

/* The argument as a name with a NUL; it points into argv. */
static bool file_of(const struct command_call *call, const char **out)
{
        if (call->arguments->count != 1) {
                out_problem("name the backup's file");
                return false;
        }
        *out = call->arguments->items[0].ptr;
        return true;
}

static enum exit_code backup_run(const struct command_call *call)
{
        const char *file;

        return file_of(call, &file) ? look_at(call->options, file) : EXIT_WRONG;
}

static enum exit_code restore_run(const struct command_call *call)
{
        const struct store_asked *asked = call->options;
        const struct store_actor actor = { STR("operator"), STR("sekisho restore") };
        struct report r;
        struct buf url;
        const char *file;
        int64_t epoch = 0;
        enum err e;

        if (!file_of(call, &file))
                return EXIT_WRONG;
        report_init(&r, STR_NULL);
        buf_init(&url, URL_BYTES_MAX);
        find_url(asked, &url);
        e = store_restore(file, buf_str(&url), &actor, &r, &epoch);
        if (e != ERR_OK)
                out_report(&r);
        else if (asked->json)
                out_print("{\"epoch\":%lld}\n", (long long)epoch);
        else
                out_print(
                        "restored. Its epoch is now %lld: nodes will take what it says for newer than what they have.\n",
                        (long long)epoch);
        buf_fini(&url);
        report_fini(&r);
        return code_of(e);
}

const struct command command_backup = {
        .name = "backup",
        .summary = "write a backup of control's database",
        .usage = "FILE [--store URL] [--json]",
        .text = "Checks the whole database, then writes it to FILE, a SQLite file whatever the database is; FILE must not exist. "
                "The backup is checked before it gets its name. A SQLite database that control has open is refused: a "
                "backup of that is control's to take. It holds hashes and sealed keys; control.key of the state folder opens "
                "them: keep that too, elsewhere.",
        .examples = (const char *const[]){ "sekisho backup /backup/control-monday.db",
                                           "sekisho backup control.db --store postgresql:///sekisho", NULL },
        .options = store_options,
        .options_bytes = sizeof(struct store_asked),
        .arguments_max = 1,
        .run = backup_run,
};

const struct command command_restore = {
        .name = "restore",
        .summary = "make control's database from a backup",
        .usage = "FILE [--store URL] [--json]",
        .text = "Where there is a database already nothing is done: move it away first. The backup is checked before. The new "
                "database begins a new epoch, so that nodes do not go on with what was lost.",
        .examples = (const char *const[]){ "sekisho restore /backup/control-monday.db",
                                           "sekisho restore control.db --store postgresql:///sekisho", NULL },
        .options = store_options,
        .options_bytes = sizeof(struct store_asked),
        .arguments_max = 1,
        .run = restore_run,
};

static const struct command store_commands[] = {
        {
                .name = "verify",
                .summary = "check all of it: pages, rows, counters, the audit chain",
                .usage = "[--store URL] [--json]",
                .text = "Prints the hash of the last audit record: kept somewhere else, it shows later whether the trail is the same.",
                .examples =
                        (const char *const[]){
                                "sekisho store verify",
                                "sekisho store verify --store sqlite:/backup/control-monday.db", NULL },
                .options = store_options,
                .options_bytes = sizeof(struct store_asked),
                .run = verify_run,
        },
        { NULL },
};

const struct command command_store = {
        .name = "store",
        .summary = "look after control's database",
        .usage = "COMMAND",
        .subcommands = store_commands,
};
