/* sekisho login: the owner of a control server, by the link that its first start prints. */
#include "cli/login_priv.h"

#include <stdio.h>

#include "cli/control_priv.h"

bool login_link_split(struct str link, char server[REMOTE_URL_BYTES], struct str *token)
{
        size_t at = str_find(link, STR("/setup#"));
        struct str fingerprint = STR("");

        if (at == STR_NONE)
                return false;
        *token = str_from(link, at + 7);
        size_t dot = str_find_char(*token, '.');
        if (dot != STR_NONE) {
                fingerprint = str_from(*token, dot + 1);
                *token = str_sub(*token, 0, dot);
        }
        int n = snprintf(server, REMOTE_URL_BYTES, "%.*s%s%.*s", STR_FMT(str_sub(link, 0, at)),
                         fingerprint.len ? "#" : "", STR_FMT(fingerprint));
        return n < REMOTE_URL_BYTES;
}

static enum exit_code login_run(const struct command_call *call)
{
        const struct control_options *o = call->options;
        char server[REMOTE_URL_BYTES];
        struct str link, token;
        struct json_writer w;
        struct remote r;
        struct buf body;
        enum exit_code code;

        if (!control_argument(call, 0, "the link that control printed", &link))
                return EXIT_WRONG;
        if (!login_link_split(link, server, &token)) {
                out_problem(
                        "this is not the link that control prints at its first start: https://…/setup#skown-…");
                return EXIT_WRONG;
        }
        control_body_begin(&w, &body);
        json_write_member_str(&w, STR("token"), token);
        if (o->name.len)
                json_write_member_str(&w, STR("name"), o->name);
        control_body_end(&w);
        if ((code = remote_open(&r, str_of(server), STR(""))) == EXIT_OK &&
            (code = remote_ask(&r, "POST", "/owner", buf_str(&body))) == EXIT_OK) {
                struct str key = json_str(json_find(r.root, STR("key")));

                snprintf(r.key, sizeof(r.key), "%.*s", STR_FMT(key));
                code = remote_remember(server, r.key);
                if (code == EXIT_OK)
                        out_print("you are the owner of %s now; try: sekisho node list\n", r.authority);
                else /* it is shown nowhere else */
                        out_print("your key, shown this once: %s\n", r.key);
        }
        remote_close(&r);
        buf_wipe(&body);
        return code;
}

const struct command command_login = {
        .name = "login",
        .summary = "become the owner of a control server by its one-time link",
        .usage = "LINK [--name NAME]",
        .text = "The link is printed by control's first start, or by `sekisho owner link`. Server and key are kept in "
                "~/.config/sekisho/client.json for later commands.",
        .examples = (const char *const[]){ "sekisho login 'https://control.example.com:8000/setup#skown-…'",
                                           NULL },
        .options =
                (const struct option[]){
                        TEXT_OPTION("name", name, "NAME", "what the key is to be called (owner)"), { NULL } },
        ASKS,
        .arguments_max = 1,
        .run = login_run,
};
