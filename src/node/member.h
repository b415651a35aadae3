/*
 * node/member.h - a machine that belongs to a control, or is about to: its folder, joining, the channel and the lease, in one.
 *
 * Does:   opens the state folder (again and again while another process has it), joins where it has not, keeps the channel,
 *         watches the lease; says in the log what happens.
 * Not:    what a document means: events tell, and the owner answers.
 * Thread: the loop's.
 */
#pragma once

#include "io/sandbox.h"
#include "io/timer.h"
#include "node/channel.h"
#include "node/join.h"

struct node_member_events {
        /* A newer document, or (`is_renewal`) only a longer lease; see node_channel_events. `d` is also given once for what was
         * stored already (`is_stored`), which needs no answer. */
        void (*on_document)(void *context, struct wire_document *d, bool is_renewal, bool is_stored);
        /* What is stored means something else now: the lease is over, goes on, control wants us no more or (a disabled node
         * that was started again) again, or our certificate was renewed. */
        void (*on_turn)(void *context);
        void (*on_connected)(void *context, bool is_up); /* may be NULL */
        /* There will be no document: the token was refused, or control wants us no more. May be NULL. */
        void (*on_refused)(void *context);
};

struct node_member_conf {
        struct loop *loop;
        const char *folder;
        enum wire_kind kind;
        struct str join; /* "TOKEN@URL"; may be empty where it has joined */
        struct str name, program;
        const struct sandbox *sandbox; /* what is in force, to be reported; may be NULL */
        const struct node_member_events *events;
        void *context;
};

/* Embedded in its owner. */
struct node_member {
        struct node_member_conf conf;
        /* private */
        struct resolver *resolver;
        struct node_state state;
        struct node_join *join, *ended_join;
        struct node_channel *channel;
        struct wire_document *document; /* the last that was given; ours */
        struct wire_report report;
        struct timer timer, lease, again;
        bool is_lease_over;
        bool is_tried_again; /* disabled when it started; asks whether it still is */
        const char *said;    /* the last trouble, so that it is said once */
};

/* Keeps what `conf` refers to. Begins in a later turn. ERR_NO_MEMORY. */
MUST_USE enum err node_member_start(struct node_member *m, const struct node_member_conf *conf);
/* When the process ends: lets the folder go. */
void node_member_end(struct node_member *m);
/* Another process takes over: no word with control any more, no event comes, and the folder is let go. The loop goes on. */
void node_member_leave(struct node_member *m);

/* The answer to on_document. `why`: STR_NULL when it is in force. */
void node_member_answer(struct node_member *m, struct str why);

/* What is reported beside versions; kept until the next, and said again after each reconnect. */
void node_member_report(struct node_member *m, const struct wire_report *r);
