#include "policy/alias.h"

#include <string.h>

static const char *const autogroup_names[AUTOGROUPS] = {
        [AUTOGROUP_MEMBER] = "autogroup:member",
        [AUTOGROUP_TAGGED] = "autogroup:tagged",
        [AUTOGROUP_SHARED] = "autogroup:shared",
        [AUTOGROUP_OWNER] = "autogroup:owner",
        [AUTOGROUP_ADMIN] = "autogroup:admin",
        [AUTOGROUP_IT_ADMIN] = "autogroup:it-admin",
        [AUTOGROUP_NETWORK_ADMIN] = "autogroup:network-admin",
        [AUTOGROUP_BILLING_ADMIN] = "autogroup:billing-admin",
        [AUTOGROUP_AUDITOR] = "autogroup:auditor",
        [AUTOGROUP_SELF] = "autogroup:self",
        [AUTOGROUP_INTERNET] = "autogroup:internet",
        [AUTOGROUP_DANGER_ALL] = "autogroup:danger-all",
        [AUTOGROUP_NONROOT] = "autogroup:nonroot",
};

static const struct {
        struct str prefix;
        enum policy_alias_kind kind;
} prefixes[] = {
        { STR_INIT("group:"), ALIAS_GROUP },     { STR_INIT("tag:"), ALIAS_TAG },
        { STR_INIT("ipset:"), ALIAS_IPSET },     { STR_INIT("svc:"), ALIAS_SVC },
        { STR_INIT("service:"), ALIAS_SERVICE }, { STR_INIT("model:"), ALIAS_MODEL },
        { STR_INIT("tool:"), ALIAS_TOOL },       { STR_INIT("provider:"), ALIAS_PROVIDER },
};

const char *policy_autogroup_name(enum policy_autogroup which)
{
        return autogroup_names[which];
}

enum policy_autogroup policy_autogroup_find(struct str text)
{
        for (int i = AUTOGROUP_UNKNOWN + 1; i < AUTOGROUPS; i++)
                if (str_eq(text, str_of(autogroup_names[i])))
                        return (enum policy_autogroup)i;
        /* The older spelling, still seen in files. */
        return str_eq(text, STR("autogroup:members")) ? AUTOGROUP_MEMBER : AUTOGROUP_UNKNOWN;
}

struct str policy_text_trim(struct str text)
{
        while (text.len && (text.ptr[0] == ' ' || (text.ptr[0] >= '\t' && text.ptr[0] <= '\r')))
                text = str_from(text, 1);
        while (text.len && (text.ptr[text.len - 1] == ' ' ||
                            (text.ptr[text.len - 1] >= '\t' && text.ptr[text.len - 1] <= '\r')))
                text.len--;
        return text;
}

static enum policy_alias_kind name_parse(struct policy_alias *a)
{
        struct str domain = STR("user:*@");

        for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
                if (str_has_prefix(a->text, prefixes[i].prefix)) {
                        a->name = str_from(a->text, prefixes[i].prefix.len);
                        return a->name.len ? prefixes[i].kind : ALIAS_INVALID;
                }
        if (str_has_prefix(a->text, domain)) {
                a->name = str_from(a->text, domain.len);
                return a->name.len ? ALIAS_DOMAIN : ALIAS_INVALID;
        }
        if (str_has_prefix(a->text, STR("autogroup:"))) {
                a->autogroup = policy_autogroup_find(a->text);
                return ALIAS_AUTOGROUP;
        }
        if (str_has_prefix(a->text, STR("host:"))) {
                a->name = str_from(a->text, 5);
                return a->name.len ? ALIAS_HOST : ALIAS_INVALID;
        }
        if (str_find_char(a->text, ':') != STR_NONE)
                return ALIAS_INVALID;
        if (str_find_char(a->text, '@') != STR_NONE)
                return a->text.ptr[0] == '@' ? ALIAS_INVALID : ALIAS_USER;
        return ALIAS_HOST;
}

/* "[fd7a::1]" and "[fd7a::1]/64", as destinations with ports write them. */
static bool bracketed_parse(struct str text, struct ip_prefix *out)
{
        char plain[IP_PREFIX_TEXT_MAX];
        size_t end = str_find_char(text, ']');

        if (text.ptr[0] != '[' || end == STR_NONE || text.len >= sizeof(plain))
                return false;
        struct str rest = str_from(text, end + 1);
        if (rest.len && rest.ptr[0] != '/')
                return false;
        memcpy(plain, text.ptr + 1, end - 1);
        if (rest.len)
                memcpy(plain + end - 1, rest.ptr, rest.len);
        struct str joined = { plain, end - 1 + rest.len };
        return str_find_char(joined, ':') != STR_NONE && ip_prefix_parse(joined, out) == ERR_OK;
}

struct policy_alias policy_alias_parse(struct str text, uint32_t line, uint32_t column)
{
        struct policy_alias a = { .text = policy_text_trim(text), .line = line, .column = column };

        a.ref = POLICY_REF_NONE;
        a.name = a.text;
        if (a.text.len == 0)
                a.kind = ALIAS_INVALID;
        else if (str_eq(a.text, STR("*")))
                a.kind = ALIAS_ANY;
        else if (ip_prefix_parse(a.text, &a.prefix) == ERR_OK || bracketed_parse(a.text, &a.prefix))
                a.kind = ALIAS_PREFIX;
        else
                a.kind = name_parse(&a);
        return a;
}

bool policy_alias_is_upward(const struct policy_alias *a)
{
        return a->kind >= ALIAS_SERVICE && a->kind <= ALIAS_TOOL;
}

bool policy_alias_is_identity(const struct policy_alias *a)
{
        if (a->kind == ALIAS_AUTOGROUP)
                return a->autogroup >= AUTOGROUP_MEMBER && a->autogroup <= AUTOGROUP_AUDITOR;
        return a->kind >= ALIAS_USER && a->kind <= ALIAS_TAG;
}

const char *policy_destination_split(struct str text, struct str *host, struct str *ports)
{
        size_t colon = STR_NONE;

        for (size_t i = text.len; i-- > 0 && colon == STR_NONE;)
                if (text.ptr[i] == ':')
                        colon = i;
        if (colon == STR_NONE)
                return "ports are missing; write HOST:PORTS, such as HOST:443 or HOST:*";
        if (colon == 0)
                return "the host before the colon is missing";
        *host = str_sub(text, 0, colon);
        *ports = str_from(text, colon + 1);
        return ports->len ? NULL : "ports are missing after the colon";
}
