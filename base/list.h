/* base/list.h — a doubly linked list whose links lie inside its members. */
#pragma once
#include "base/mem.h"
#include <stdbool.h>

struct lc_list {
    struct lc_list *prev, *next;
};

/* An empty list, or a member that is in none. */
static inline void lc_list_init(struct lc_list *list)
{
    list->prev = list->next = list;
}

static inline bool lc_list_is_empty(const struct lc_list *list)
{
    return list->next == list;
}

static inline void lc_list_append(struct lc_list *list, struct lc_list *member)
{
    member->prev = list->prev;
    member->next = list;
    list->prev->next = member;
    list->prev = member;
}

/* A member that is in no list may be removed again. */
static inline void lc_list_remove(struct lc_list *member)
{
    member->prev->next = member->next;
    member->next->prev = member->prev;
    lc_list_init(member);
}

#define LC_LIST_FIRST(list, type, member) \
    (lc_list_is_empty(list) ? NULL : LC_CONTAINER((list)->next, type, member))

#define LC_LIST_EACH(at, list) \
    for (struct lc_list *at = (list)->next; at != (list); at = at->next)

/* `at` may be removed meanwhile; other members may not. */
#define LC_LIST_EACH_SAFE(at, list)                                              \
    for (struct lc_list *at = (list)->next, *at##_next = at->next; at != (list); \
         at = at##_next, at##_next = at->next)
