/*
 * base/list.h - intrusive doubly linked list; the head is a node of its own.
 *
 * A node is either in a list or points to itself; list_remove leaves it so, and may be called twice.
 */
#pragma once

#include <stdbool.h>

#include "base/compiler.h"

struct list {
        struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
        l->prev = l->next = l;
}

static inline bool list_is_empty(const struct list *l)
{
        return l->next == l;
}

static inline void list_add(struct list *after, struct list *node)
{
        node->prev = after;
        node->next = after->next;
        after->next->prev = node;
        after->next = node;
}

static inline void list_add_last(struct list *head, struct list *node)
{
        list_add(head->prev, node);
}

static inline void list_remove(struct list *node)
{
        node->prev->next = node->next;
        node->next->prev = node->prev;
        list_init(node);
}

/* Moves all of `from` to the end of `to`; `from` is empty afterwards. */
static inline void list_move_all(struct list *to, struct list *from)
{
        if (list_is_empty(from))
                return;
        from->next->prev = to->prev;
        to->prev->next = from->next;
        from->prev->next = to;
        to->prev = from->prev;
        list_init(from);
}

#define LIST_FIRST(head, type, member) (list_is_empty(head) ? NULL : CONTAINER_OF((head)->next, type, member))

/* The safe form allows the current node to be removed, and nothing else. */
#define list_for_each(node, head) for (struct list *node = (head)->next; node != (head); node = node->next)
#define list_for_each_safe(node, head)                                                    \
        for (struct list *node = (head)->next, *node##_next = node->next; node != (head); \
             node = node##_next, node##_next = node->next)
