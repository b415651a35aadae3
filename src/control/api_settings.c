#include "base/units.h"
#include "control/offers.h"
#include "control/routes_priv.h"
#include "control/text.h"
#include "store/audit.h"
#include "store/settings.h"
#include "wire/document.h"

static enum err text_get(struct store_txn *t, int64_t org, const char *name, struct arena *a, struct str *out)
{
        struct store_setting row;
        enum err e = store_setting_by_name(t, org, str_of(name), a, &row);

        *out = e == ERR_OK ? row.value : STR("");
        return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err settings_read(struct store_txn *t, int64_t org, struct arena *a, struct object_settings *out)
{
        struct str approval, lease, models;
        uint64_t seconds = WIRE_LEASE_DEFAULT;
        enum err e;

        if ((e = text_get(t, org, "approval", a, &approval)) != ERR_OK ||
            (e = text_get(t, org, "lease", a, &lease)) != ERR_OK ||
            (e = text_get(t, org, "publish-models", a, &models)) != ERR_OK ||
            (e = text_get(t, org, "share-domain", a, &out->share_domain)) != ERR_OK)
                return e;
        out->approval = str_eq(approval, STR("true"));
        out->publish_models = str_eq(models, STR("true"));
        if (lease.len && units_parse_u64(lease, INT32_MAX, &seconds) != ERR_OK)
                seconds = WIRE_LEASE_DEFAULT;
        out->lease = (int64_t)seconds;
        return ERR_OK;
}

API_RUN(settings_get)
{
        struct object_settings s;
        enum err e = settings_read(t, identity_permit_org(permit), &c->work, &s);

        return e == ERR_OK ? api_answer(c, &object_settings_schema, &s, 0) : e;
}

API_RUN(settings_change)
{
        int64_t org = identity_permit_org(permit);
        struct object_settings s;
        struct store_change *change;
        uint64_t given;
        enum err e = settings_read(t, org, &c->work, &s);

        bool models_were = e == ERR_OK && s.publish_models;

        if (e != ERR_OK || (e = api_body(c, &s, &given)) != ERR_OK)
                return e;
        if (s.share_domain.len && !text_is_host(s.share_domain))
                return api_fail(c, 400, NULL,
                                "\"share_domain\" must be a name in lower case, such as share.example.com.");
        struct str lease = arena_format(&c->work, "%lld", (long long)s.lease);
        change = change_begin(t, permit, "settings.change");
        if ((e = store_setting_put(change, org, STR("approval"), s.approval ? STR("true") : STR("false"),
                                   STR(""))) != ERR_OK ||
            (e = store_setting_put(change, org, STR("lease"), lease, STR(""))) != ERR_OK ||
            (e = store_setting_put(change, org, STR("publish-models"),
                                   s.publish_models ? STR("true") : STR("false"), STR(""))) != ERR_OK ||
            (e = store_setting_put(change, org, STR("share-domain"), s.share_domain, STR(""))) != ERR_OK ||
            (e = store_change_finish(change)) != ERR_OK)
                return api_store_failed(c, e, "setting");
        if (s.publish_models != models_were && (e = offers_apply_all(t, org, &c->work)) != ERR_OK)
                return api_store_failed(c, e, "service");
        return api_answer(c, &object_settings_schema, &s, 0);
}

static enum err filter_read(struct api_call *c, struct store_audit_filter *f)
{
        struct str before = api_query(c, "before"), limit = api_query(c, "limit");
        struct str since = api_query(c, "since"), until = api_query(c, "until");
        uint64_t number = API_PAGE_DEFAULT, seq = 0;

        if (before.len && units_parse_u64(before, INT64_MAX, &seq) != ERR_OK)
                return api_fail(c, 400, NULL, "\"before\" must be the \"next\" of the page before.");
        if (limit.len && (units_parse_u64(limit, STORE_AUDIT_PAGE_MAX, &number) != ERR_OK || number == 0))
                return api_fail(c, 400, NULL, "\"limit\" must be a number from 1 to %d.",
                                STORE_AUDIT_PAGE_MAX);
        if ((since.len && units_parse_time(since, &f->since) != ERR_OK) ||
            (until.len && units_parse_time(until, &f->until) != ERR_OK))
                return api_fail(c, 400, NULL,
                                "\"since\" and \"until\" must be times such as 2027-01-31T00:00:00Z.");
        f->before_seq = (int64_t)seq;
        f->limit = (unsigned)number;
        f->actor = api_query(c, "actor");
        f->action = api_query(c, "action");
        f->object = api_query(c, "object");
        return ERR_OK;
}

API_RUN(audit_list)
{
        struct store_audit_filter filter = { .org = identity_permit_org(permit) };
        struct store_audit *rows;
        struct api_pager p;
        size_t count;
        enum err e = filter_read(c, &filter);

        if (e != ERR_OK || (e = store_audit_list(t, &filter, &c->work, &rows, &count)) != ERR_OK)
                return e;
        api_page_begin(&p, c);
        for (size_t i = 0; i < count; i++) {
                struct object_audit o = { .seq = rows[i].seq,
                                          .time = rows[i].time,
                                          .actor = rows[i].actor,
                                          .source = rows[i].source,
                                          .action = rows[i].action,
                                          .object = rows[i].object,
                                          .detail = rows[i].detail,
                                          .hash = text_hex(&c->work, rows[i].hash) };

                api_page_add(&p, &object_audit_schema, &o);
        }
        struct store_page page = { .has_more = count == filter.limit };
        return api_page_end(&p, &page, count ? rows[count - 1].seq : 0);
}
