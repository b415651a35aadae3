#include "control/lead.h"
#include "control/routes_priv.h"
#include "store/controls.h"
#include "store/leader.h"

API_RUN(controls_list)
{
        struct store_page page;
        struct store_control *rows;
        struct store_leader leader;
        struct api_pager pager;
        enum err e = api_page(c, identity_permit_org(permit), &page);

        if (e != ERR_OK || (e = store_leader(t, &c->work, &leader)) != ERR_OK ||
            (e = store_control_list(t, &page, &c->work, &rows)) != ERR_OK)
                return e;
        api_page_begin(&pager, c);
        for (size_t i = 0; i < page.count; i++) {
                struct object_control o = { .id = id_text(c, ID_CONTROL, rows[i].id),
                                            .url = rows[i].url,
                                            .leads = lead_name_is_of(leader.control, rows[i].id),
                                            .alive = store_now(t) - rows[i].last_seen < LEAD_SILENCE_MS,
                                            .started = rows[i].started,
                                            .last_seen = rows[i].last_seen };

                api_page_add(&pager, &object_control_schema, &o);
        }
        return api_page_end(&pager, &page, page.count ? rows[page.count - 1].id : 0);
}
