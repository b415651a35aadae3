/* sekisho certificate: what gateways present for published names. */
#include <string.h>

#include "cli/control_priv.h"
#include "io/file.h"

enum { CHAIN_BYTES_MAX = 64 * 1024, KEY_BYTES_MAX = 16 * 1024 }; /* as control takes them */

#define UPLOADED "/certificates?source=uploaded"

static const struct column certificate_columns[] = { { "NAME", "name" },
                                                     { "FOR", "hosts" },
                                                     { "SOURCE", "source" },
                                                     { "UNTIL", "not_after" },
                                                     { "GATEWAYS", "gateways" },
                                                     { "ID", "id" },
                                                     { NULL } };

static enum exit_code certificate_list_run(const struct command_call *call)
{
        const struct control_options *o = call->options;

        return control_list(o, o->all ? "/certificates" : UPLOADED, certificate_columns);
}

/* False: said. */
static bool pem_read(struct str file, const char *what, struct buf *out)
{
        enum err e = file_read(file.ptr, out); /* an argument: it ends with NUL */

        if (e == ERR_OK && str_find(buf_str(out), STR("-----BEGIN ")) != STR_NONE)
                return true;
        if (e == ERR_OK)
                out_problem("%s: there is no PEM text in it; %s is expected", file.ptr, what);
        else if (e == ERR_TOO_LARGE)
                out_problem("%s: it is too large for %s", file.ptr, what);
        else
                out_problem("%s cannot be read: %s", file.ptr, err_text(e));
        return false;
}

/* Certbot and others write both into one file, or people name them in the other order. */
static bool order_check(struct str chain_file, struct str chain, struct str key_file, struct str key)
{
        if (str_find(chain, STR("-----BEGIN CERTIFICATE")) == STR_NONE) {
                out_problem("%s: there is no certificate in it; the chain comes first, then the key",
                            chain_file.ptr);
                return false;
        }
        if (str_find(key, STR("PRIVATE KEY-----")) == STR_NONE) {
                out_problem("%s: there is no private key in it", key_file.ptr);
                return false;
        }
        return true;
}

static void added_say(const struct control_options *o, struct remote *r)
{
        const struct json_value *hosts = json_find(r->root, STR("hosts")),
                                *gateways = json_find(r->root, STR("gateways"));
        size_t count = gateways ? gateways->count : 0;

        out_print("added ");
        out_foreign(json_str(json_find(r->root, STR("name"))));
        out_print(", for");
        for (size_t i = 0; hosts && i < hosts->count; i++) {
                out_print(i ? ", " : " ");
                out_foreign(json_str(json_item(hosts, i)));
        }
        out_print(", until ");
        out_foreign(json_str(json_find(r->root, STR("not_after"))));
        out_print("; %zu gateway%s its key\n", count, count == 1 ? " has" : "s have");
        out_note(
                "a gateway that joins later needs the same command once more: control does not keep the key\n");
}

static enum exit_code send(const struct control_options *o, struct str chain, struct str key)
{
        struct json_writer w;
        struct buf body;
        enum exit_code code;

        control_body_begin(&w, &body);
        control_write_text(&w, "name", o->name);
        json_write_member_str(&w, STR("chain"), chain);
        json_write_member_str(&w, STR("key"), key);
        control_write_list(&w, "hosts", o->host);
        control_body_end(&w);
        code = control_make(o, "/certificates", buf_str(&body), added_say);
        buf_wipe(&body);
        return code;
}

static enum exit_code certificate_add_run(const struct command_call *call)
{
        const struct control_options *o = call->options;
        struct str chain_file, key_file;
        struct buf chain, key;
        enum exit_code code = EXIT_WRONG;
        unsigned mode;
        bool is_ours;

        if (!control_argument(call, 0, "the chain's file", &chain_file) ||
            !control_argument(call, 1, "the key's file", &key_file))
                return EXIT_WRONG;
        buf_init(&chain, CHAIN_BYTES_MAX);
        buf_init_secret(&key, KEY_BYTES_MAX);
        if (file_mode(key_file.ptr, &mode, &is_ours) == ERR_OK && (mode & 077) != 0)
                out_note("%s can be read by others: chmod 600 %s\n", key_file.ptr, key_file.ptr);
        if (pem_read(chain_file, "a certificate and what leads to its authority", &chain) &&
            pem_read(key_file, "the certificate's private key", &key) &&
            order_check(chain_file, buf_str(&chain), key_file, buf_str(&key)))
                code = send(o, buf_str(&chain), buf_str(&key));
        buf_wipe(&key);
        buf_fini(&chain);
        return code;
}

static enum exit_code certificate_remove_run(const struct command_call *call)
{
        return control_remove(call, UPLOADED, "uploaded certificate");
}

static const struct command certificate_commands[] = {
        { .name = "add",
          .summary = "upload one with its key; gateways present it for its names",
          .usage = "CHAIN KEY [--name NAME] [--host HOST,…]",
          .text = "CHAIN and KEY are files in PEM: the certificate first, what leads to its authority behind it. The key is sealed for each "
                  "gateway there is, and control forgets it: for a gateway that joined since, say the same again. A renewed one is added, then "
                  "the old one removed by its id.",
          .examples =
                  (const char *const[]){
                          "sekisho certificate add fullchain.pem privkey.pem",
                          "sekisho certificate add fullchain.pem privkey.pem --host app.example.com,api.example.com",
                          NULL },
          .options =
                  (const struct option[]){
                          TEXT_OPTION("name", name, "NAME", "what to call it (the first name it is for)"),
                          TEXT_OPTION("host", host, "HOST,…", "names it must be for, or it is refused"),
                          SERVER_OPTIONS,
                          { NULL } },
          ASKS,
          .arguments_max = 2,
          .run = certificate_add_run },
        { .name = "list",
          .summary = "list those that were uploaded",
          .usage = "[--all] [--json]",
          .examples = (const char *const[]){ "sekisho certificate list", NULL },
          .options = (const struct option[]){ { "all", 0, OPTION_FLAG, offsetof(struct control_options, all),
                                                NULL, "those of control's own authority, too" },
                                              SERVER_OPTIONS,
                                              { NULL } },
          ASKS,
          .run = certificate_list_run },
        { .name = "remove",
          .summary = "remove one; names that no other is for get one of control's own authority",
          .usage = "NAME|ID",
          .examples = (const char *const[]){ "sekisho certificate remove app.example.com", NULL },
          .options = ONLY_SERVER,
          ASKS,
          .arguments_max = 1,
          .run = certificate_remove_run },
        { NULL },
};
const struct command command_certificate = { .name = "certificate",
                                             .summary =
                                                     "certificates that gateways present for published names",
                                             .usage = "add|list|remove",
                                             .subcommands = certificate_commands };
