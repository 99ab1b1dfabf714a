// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * GET /obs: the latest values of a device or a tenant, as SenML; observable over CoAP. Its parts serve FETCH /obs too
 * (gateway/etch).
 */
#pragma once

#include "gateway/latest.h"
#include "gateway/scope.h"

/* Handler of the route table. Query: device, name, limit, tenant. */
void recall_handle(struct request *request);

/* Which of the latest values the request may see and asks for. */
struct recall_query {
    struct scope scope;
    struct bytes device; /* empty: all of the tenant */
    struct bytes name;   /* as the device itself says it; empty: all */
    size_t limit;
};

/* False: it has been finished with what is wrong. */
bool recall_read_query(struct request *request, struct recall_query *ret);
/*
 * The pack of these values, with full names, by time, in the request's arena; of all of them or of those that are
 * wanted. False: the request has been finished: too large, or (wanted is NULL) nobody knows the device.
 */
bool recall_pack(struct request *request, const struct recall_query *query, latest_wanted_fn *wanted, const void *ctx,
                 struct observation_list *ret);
/* Ends the request with the pack in the format that it accepts, and with an ETag. */
void recall_answer(struct request *request, const struct observation_list *pack);

/* A name with the device in front if it is local: "boiler-7:temp". False: out of memory. */
bool recall_full_name(struct arena *arena, struct bytes device, struct bytes name, struct bytes *ret);
