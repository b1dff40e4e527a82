/* SPDX-License-Identifier: MIT */
/* handover.h - give the RT thread a new list and get the old one back, without waits.
 *
 * The worker allocates an item and publishes it; the RT thread takes it at a point of the cycle
 * of its own choice and retires the one it used before; the worker collects retired items and
 * frees them. An item belongs to exactly one side at any time: every change of hands is one
 * atomic exchange. Whether a cycle runs or not makes no difference to the worker.
 *
 * Embed `struct handover_item` as the first member. Header only: three lines a function.
 */
#ifndef SR_HANDOVER_H
#define SR_HANDOVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "rt.h"

struct handover_item {
    struct handover_item *next; /* of the side that owns the item */
};

struct handover {
    _Atomic(struct handover_item *) pending; /* published, not yet taken */
    _Atomic(struct handover_item *) retired; /* chain, not yet collected */
};

static inline void handover_init(struct handover *handover)
{
    atomic_init(&handover->pending, NULL);
    atomic_init(&handover->retired, NULL);
}

/* Worker: publish `item` (NULL: publish nothing). Returns the one published before if the RT
 * thread never took it: it is the worker's again. */
static inline struct handover_item *handover_publish(struct handover *handover,
                                                     struct handover_item *item)
{
    /* Release: the item's contents, for handover_take's acquire. Acquire is not needed: an item
     * that comes back here was never touched by the RT thread. */
    return atomic_exchange_explicit(&handover->pending, item, memory_order_release);
}

/* RT: something was published since. */
SR_RT static inline bool handover_has_news(const struct handover *handover)
{
    return atomic_load_explicit(&handover->pending, memory_order_relaxed) != NULL;
}

/* RT: take what was published since, or NULL. */
SR_RT static inline struct handover_item *handover_take(struct handover *handover)
{
    /* A cycle without news costs this plain load and no locked instruction. */
    if (!handover_has_news(handover))
        return NULL;
    /* Acquire: pairs with the release in handover_publish. */
    return atomic_exchange_explicit(&handover->pending, NULL, memory_order_acquire);
}

/* RT: hand `item` back; it is not touched afterwards. NULL is allowed. */
SR_RT static inline void handover_retire(struct handover *handover, struct handover_item *item)
{
    if (item == NULL)
        return;
    /* Only this side ever adds, so taking the chain, extending and storing it needs no loop. The
     * worker may find it empty meanwhile and collects the next time. Acquire is not needed: the
     * chain was written by this thread. */
    item->next = atomic_exchange_explicit(&handover->retired, NULL, memory_order_relaxed);
    /* Release: our last use of the item, for handover_collect's acquire. */
    atomic_store_explicit(&handover->retired, item, memory_order_release);
}

/* Worker: the chain of retired items, latest first, or NULL. */
static inline struct handover_item *handover_collect(struct handover *handover)
{
    /* Acquire: pairs with the release in handover_retire. */
    return atomic_exchange_explicit(&handover->retired, NULL, memory_order_acquire);
}

#endif
