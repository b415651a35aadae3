#include "policy/file.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/read_priv.h"
#include "json/reader.h"

enum { ARENA_BYTES_MAX = 512 * 1024 * 1024 };

/* ---- sections ---- */

static void flag_randomize(struct policy_reader *r, void *into, const struct json_value *v)
{
        policy_read_flag(r, v, "randomizeClientPort", &r->file->randomize_client_port);
}

static void flag_ipv4(struct policy_reader *r, void *into, const struct json_value *v)
{
        policy_read_flag(r, v, "disableIPv4", &r->file->disable_ipv4);
}

static void cgnat_route(struct policy_reader *r, void *into, const struct json_value *v)
{
        if (!json_is(v, JSON_BOOL) && !json_is(v, JSON_STRING))
                policy_fault(r, v, "oneCGNATRoute must be \"\", \"mac-always\" or \"mac-never\"");
        r->file->one_cgnat_route = json_bool(v, json_str(v).len > 0);
}

static void attr_config(struct policy_reader *r, void *into, const struct json_value *v)
{
        if (policy_read_is(r, v, JSON_OBJECT, "attrConfig"))
                r->file->attr_config = v;
}

static void derp_map(struct policy_reader *r, void *into, const struct json_value *v)
{
        if (policy_read_is(r, v, JSON_OBJECT, "derpMap"))
                r->file->derp_map = v;
}

/* In the order in which they are read: names before what uses them, grants before acls. */
static const struct policy_member sections[] = {
        { STR_INIT("groups"), policy_read_groups },
        { STR_INIT("hosts"), policy_read_hosts },
        { STR_INIT("tagOwners"), policy_read_tag_owners },
        { STR_INIT("ipsets"), policy_read_ipsets },
        { STR_INIT("postures"), policy_read_postures },
        { STR_INIT("defaultSrcPosture"), policy_read_default_posture },
        { STR_INIT("grants"), policy_read_grants },
        { STR_INIT("acls"), policy_read_acls },
        { STR_INIT("ssh"), policy_read_ssh },
        { STR_INIT("nodeAttrs"), policy_read_node_attrs },
        { STR_INIT("autoApprovers"), policy_read_auto_approvers },
        { STR_INIT("tests"), policy_read_tests },
        { STR_INIT("sshTests"), policy_read_ssh_tests },
        { STR_INIT("attrConfig"), attr_config },
        { STR_INIT("derpMap"), derp_map },
        { STR_INIT("disableIPv4"), flag_ipv4 },
        { STR_INIT("oneCGNATRoute"), cgnat_route },
        { STR_INIT("randomizeClientPort"), flag_randomize },
};

struct found {
        const struct json_value *values[ARRAY_SIZE(sections)];
};

/* The first walk only finds the sections, whatever their order in the text. */
static void sections_find(struct policy_reader *r, const struct json_value *root, struct found *found)
{
        struct policy_member names[ARRAY_SIZE(sections)];

        for (size_t i = 0; i < ARRAY_SIZE(sections); i++)
                names[i] = (struct policy_member){ sections[i].name, NULL };
        policy_read_object(r, root, "the policy", names, ARRAY_SIZE(names), NULL);
        for (size_t i = 0; i < root->count; i++)
                for (size_t j = 0; j < ARRAY_SIZE(sections); j++)
                        if (str_eq_nocase(root->members[i].key, sections[j].name))
                                found->values[j] = &root->members[i].value;
}

static void sections_read(struct policy_reader *r, const struct json_value *root)
{
        struct found found = { 0 };

        if (!json_is(root, JSON_OBJECT)) {
                policy_fault(r, root, "a policy is an object, not %s", json_type_text(root->type));
                return;
        }
        sections_find(r, root, &found);
        for (size_t i = 0; i < ARRAY_SIZE(sections) && !r->no_memory; i++)
                if (found.values[i] && !json_is(found.values[i], JSON_NULL))
                        sections[i].read(r, r->file, found.values[i]);
}

/* ---- the file ---- */

static enum err file_read(struct policy_file *f, struct report *report)
{
        struct json_options options = { .mode = JSON_HUJSON,
                                        .bytes_max = POLICY_TEXT_BYTES_MAX,
                                        .values_max = POLICY_VALUES_MAX,
                                        .nul_refused = true };
        struct policy_reader r = { .arena = &f->arena, .report = report, .file = f };
        size_t errors_before = report->errors_count;
        enum err e = json_read(&f->arena, f->text, &options, report, &f->root);

        if (e != ERR_OK)
                return e;
        sections_read(&r, f->root);
        if (!r.no_memory)
                policy_check(&r);
        if (r.no_memory) {
                report_error(report, 0, 0, "the policy needs more memory than it may take (512 MiB)");
                return ERR_NO_MEMORY;
        }
        return report->errors_count > errors_before ? ERR_CONFIG : ERR_OK;
}

enum err policy_file_new(struct str text, struct report *report, struct policy_file **out)
{
        struct policy_file *f;
        enum err e = ERR_TOO_LARGE;

        if (text.len > POLICY_TEXT_BYTES_MAX) {
                report_error(report, 0, 0, "the policy has %zu bytes; the limit is %d", text.len,
                             POLICY_TEXT_BYTES_MAX);
                return e;
        }
        if (!(f = calloc(1, sizeof(*f))))
                return ERR_NO_MEMORY;
        f->references = 1;
        arena_init(&f->arena, NULL, 0, ARENA_BYTES_MAX);
        f->text = arena_copy(&f->arena, text);
        e = f->text.ptr ? file_read(f, report) : ERR_NO_MEMORY;
        if (e != ERR_OK) {
                policy_file_put(f);
                return e;
        }
        *out = f;
        return ERR_OK;
}

struct policy_file *policy_file_get(struct policy_file *f)
{
        f->references++;
        return f;
}

void policy_file_put(struct policy_file *f)
{
        if (!f)
                return;
        assert(f->references > 0);
        if (--f->references)
                return;
        arena_fini(&f->arena);
        free(f);
}

bool policy_localpart_domain(struct str login, struct str *domain)
{
        if (!str_has_prefix(login, STR("localpart:*@")))
                return false;
        *domain = str_from(login, 12);
        return domain->len > 0 && str_find_char(*domain, '@') == STR_NONE;
}

struct str policy_rule_label(const struct policy_rule *r, char out[32])
{
        snprintf(out, 32, "%s[%u]", r->kind == POLICY_ACL ? "acls" : "grants", r->index);
        return str_of(out);
}
