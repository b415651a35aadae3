#include "agent/joined.h"

#include <string.h>

static void on_document(void *context, struct wire_document *d, bool is_renewal, bool is_stored)
{
        struct joined *j = context;

        (void)d;
        if (is_renewal || (is_stored && !j->is_heir)) /* what is stored was read at the start */
                return;
        j->is_asked = !is_stored;
        j->events->on_news(j->context);
}

static void on_turn(void *context)
{
        struct joined *j = context;

        j->events->on_news(j->context);
}

static void on_refused(void *context)
{
        struct joined *j = context;

        j->events->on_refused(j->context);
}

static const struct node_member_events member_events = { on_document, on_turn, NULL, on_refused };

void joined_said(struct joined *j, enum err e, struct str problem)
{
        if (!j->is_asked)
                return;
        j->is_asked = false;
        node_member_answer(&j->member, e == ERR_OK ? STR_NULL : problem.len ? problem : str_of(err_text(e)));
}

void joined_init(struct joined *j, struct str join)
{
        if (node_state_folder(j->folder) != ERR_OK)
                j->folder[0] = '\0';
        j->is_on = j->folder[0] && (join.len || node_state_exists(j->folder, WIRE_AGENT));
}

enum err joined_start(struct joined *j, const struct joined_conf *conf)
{
        const struct node_member_conf member = { .loop = conf->loop,
                                                 .folder = j->folder,
                                                 .kind = WIRE_AGENT,
                                                 .join = conf->join,
                                                 .name = conf->name,
                                                 .program = STR("sekisho"),
                                                 .sandbox = conf->sandbox,
                                                 .events = &member_events,
                                                 .context = j };

        j->is_heir = conf->is_heir;
        j->events = conf->events;
        j->context = conf->context;
        return node_member_start(&j->member, &member);
}

void joined_end(struct joined *j)
{
        node_member_end(&j->member);
}

void joined_leave(struct joined *j)
{
        j->is_asked = false;
        node_member_leave(&j->member);
}

bool joined_is_removed(const struct joined *j)
{
        const char *gone = j->member.state.papers.gone;

        return j->member.state.is_joined && gone[0] && strcmp(gone, "disabled") != 0;
}
