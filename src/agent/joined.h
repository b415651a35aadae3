/*
 * agent/joined.h - an agent that belongs to a control, or is about to (node/member.h).
 *
 * Says when there is something newer to be read: what it is stands in the state folder (agent/offered.h).
 * Thread: the loop's.
 */
#pragma once

#include "node/member.h"

struct joined_events {
        /* There is something newer to be read: do, and give joined_said the outcome. */
        void (*on_news)(void *context);
        /* Control wants this agent not, or no more; said in the log. */
        void (*on_refused)(void *context);
};

/* Embedded in its owner. */
struct joined {
        bool is_on;
        char folder[NODE_PATH_MAX]; /* of the state; is_on */
        /* private */
        struct node_member member;
        const struct joined_events *events;
        void *context;
        bool is_asked; /* control waits for a word */
        bool is_heir;
};

/* Looks whether there is, or with `join` is to be, a control; decides is_on. */
void joined_init(struct joined *j, struct str join);

struct joined_conf {
        struct loop *loop;
        struct str join, name;
        const struct sandbox *sandbox; /* to be reported */
        bool is_heir; /* of a process that may have stored something newer than was read at the start */
        const struct joined_events *events;
        void *context;
};

/* Begins to speak with control; keeps what `conf` refers to. ERR_NO_MEMORY. */
MUST_USE enum err joined_start(struct joined *j, const struct joined_conf *conf);
void joined_end(struct joined *j); /* when the process ends */
void joined_leave(
        struct joined *j); /* another process belongs to control in our place; nothing is asked any more */

/* What on_news brought is in force, or refused because of `problem`. Of no weight when nothing was asked. */
void joined_said(struct joined *j, enum err e, struct str problem);

/* Control removed this node: only a new token helps. */
bool joined_is_removed(const struct joined *j);
