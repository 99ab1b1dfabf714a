// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Administration over the wires: tenants, devices, their keys, tokens and groups are made, read, changed and
 * removed with the functions that the CLI has (gateway/accounts), by jobs of the clerk. What is made or
 * changed comes to every gateway through weir:changes, within a second.
 *
 * An entity tag is a digest of the record, the same on every gateway. A change reads the record, judges
 * If-Match, If-None-Match and what the person may, and is written only if the record is still the one that
 * was read: of two writers with one entity tag, one gets 4.12.
 *
 * Secrets that are made here are told in the answer to the request that made them, and nowhere else.
 */
#pragma once

#include "gateway/request.h"

/* The entity tag of a device's record with its keys. False: no digest could be made. */
bool rest_device_etag(const struct device_record *record, struct etag *ret);

/* JSON: one device; application/x-ndjson: a line each, with ?replace also of those that are there. */
void rest_handle_device_post(struct request *request);
/* GET /devices in application/x-ndjson: a page of at most `limit` lines; ?secrets=wrapped for admins. */
void rest_finish_export(struct request *request, const struct device_record *const *records, size_t count);
void rest_handle_device_change(struct request *request); /* PUT, PATCH, DELETE */
void rest_handle_keys(struct request *request);          /* GET, POST of the list */
void rest_handle_key(struct request *request);           /* GET, PATCH, DELETE */
void rest_handle_tokens(struct request *request);
void rest_handle_token(struct request *request);
void rest_handle_groups(struct request *request);
void rest_handle_group(struct request *request);
void rest_handle_tenants(struct request *request);
void rest_handle_tenant(struct request *request);
