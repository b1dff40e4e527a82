/* SPDX-License-Identifier: MIT */
/* snapshot.c - see snapshot.h. The request is the buffer is the answer: handed over, filled,
 * retired. So a request that was given up cannot be confused with the one asked now. */
#include "snapshot.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "handover.h"
#include "plan.h"

struct request {
    struct handover_item item; /* first */
    struct plan *plan;
    uint32_t tick;
    uint32_t size;
    uint8_t values[];
};

struct snapshot {
    struct handover requests;
    uint32_t max_bytes;
    sr_prefault prefault;
    struct request *asked; /* worker: under way or answered; NULL: nothing was asked */
    bool answered;         /* worker: `asked` is ours again */
};

static void free_request(struct request *request)
{
    if (request == NULL)
        return;
    plan_destroy(request->plan);
    free(request);
}

/* Take back what the RT side is done with: the answer, and what was given up earlier. */
static void collect(struct snapshot *snapshot)
{
    struct handover_item *item = handover_collect(&snapshot->requests);
    while (item != NULL) {
        struct handover_item *next = item->next;
        struct request *request = (struct request *)(void *)item;
        if (request == snapshot->asked)
            snapshot->answered = true;
        else
            free_request(request);
        item = next;
    }
}

int snapshot_create(struct snapshot **snapshot, uint32_t max_bytes, sr_prefault prefault)
{
    struct snapshot *made = calloc(1, sizeof *made);
    *snapshot = made;
    if (made == NULL)
        return -ENOMEM;
    handover_init(&made->requests);
    made->max_bytes = max_bytes;
    made->prefault = prefault;
    if (prefault != NULL)
        (void)prefault(made, sizeof *made);
    return 0;
}

void snapshot_destroy(struct snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    snapshot_cancel(snapshot);
    free(snapshot);
}

int snapshot_request(struct snapshot *snapshot, const struct sr_variable *table,
                     uint32_t table_count, const uint32_t *indices, uint32_t count)
{
    struct plan *plan;
    snapshot_cancel(snapshot);
    int error = plan_create(&plan, table, table_count, indices, count, snapshot->max_bytes,
                            snapshot->prefault);
    if (error != 0)
        return error;
    size_t size = sizeof(struct request) + plan_max_bytes(plan);
    struct request *request = malloc(size);
    if (request == NULL) {
        plan_destroy(plan);
        return -ENOMEM;
    }
    memset(request, 0, size); /* touches every page */
    request->plan = plan;
    if (snapshot->prefault != NULL)
        (void)snapshot->prefault(request, size);
    snapshot->asked = request;
    (void)handover_publish(&snapshot->requests, &request->item); /* cancel left nothing there */
    return 0;
}

void snapshot_capture(struct snapshot *snapshot, uint32_t tick)
{
    struct request *request = (struct request *)(void *)handover_take(&snapshot->requests);
    if (request == NULL)
        return;
    request->tick = tick;
    request->size = plan_capture(request->plan, request->values);
    handover_retire(&snapshot->requests, &request->item);
}

int snapshot_result(struct snapshot *snapshot, uint32_t *tick, const uint8_t **values,
                    uint32_t *size)
{
    if (snapshot->asked == NULL)
        return -ENOENT;
    collect(snapshot);
    if (!snapshot->answered)
        return -EAGAIN;
    *tick = snapshot->asked->tick;
    *values = snapshot->asked->values;
    *size = snapshot->asked->size;
    return 0;
}

void snapshot_cancel(struct snapshot *snapshot)
{
    struct request *unused = (struct request *)(void *)handover_publish(&snapshot->requests, NULL);
    if (unused != NULL)
        free_request(unused); /* it is `asked`, never taken */
    else if (snapshot->answered)
        free_request(snapshot->asked);
    /* Else the RT side holds it this moment: it comes back retired and is freed by collect. */
    snapshot->asked = NULL;
    snapshot->answered = false;
    collect(snapshot);
}
