// SPDX-License-Identifier: GPL-3.0-or-later
/* What the resources of gateway/rest have in common: a job with its request, and how it ends. */
#pragma once

#include "gateway/clerk.h"
#include "gateway/draft.h"
#include "gateway/rest.h"
#include "gateway/scope.h"

#define REST_TRIES 5
#define REST_PAGE_DEFAULT 100
#define REST_PAGE_MAX 1000

/* First member of each resource's job, which lies in the request's arena. */
struct rest {
    struct clerk_job job; /* first */
    const struct rest_steps *steps;
    struct request *request;
    struct scope scope;
    struct draft_rules rules;
    const struct node *map; /* of the body; NULL: it has none */
    char id[SCHEMA_DEVICE_MAX + 1];
    char part[SCHEMA_DEVICE_MAX + 1]; /* the second parameter of the path */
    int64_t now_s;
    /* What came of it, with ACCOUNTS_DONE. */
    enum outcome outcome;
    struct draft_error error; /* with OUTCOME_UNPROCESSABLE, if it has a detail */
    const char *detail;       /* with other refusals; may be NULL. Without ACCOUNTS_DONE: instead of its usual words */
    bool existed;
    struct etag etag;
};

typedef enum accounts_result rest_run(struct rest *rest, struct accounts *accounts);

/* A job of this size, its body read; NULL: the request is refused already. */
struct rest *rest_begin(struct request *request, size_t size);
/* Gives it to the clerk: run is tried again when somebody else wrote meanwhile; then answer, which wipes the
 * job's secrets and finishes the request, unless rest_is_refused has. If the clerk takes no more, answer is
 * called at once. */
struct rest_steps {
    rest_run *run;
    void (*answer)(struct rest *rest);
};
void rest_give(struct rest *rest, const struct rest_steps *steps);
bool rest_has_failed(const struct rest *rest);
/* Finishes the request with why it failed, if it did; nothing of the job may be touched then. */
bool rest_is_refused(struct rest *rest);
/* Refuses within run: always ACCOUNTS_DONE. */
enum accounts_result rest_refuse(struct rest *rest, enum outcome outcome, const char *detail);
/* The member that is wrong, "/keys/0/kind: ...". */
void rest_explain(struct request *request, const struct draft_error *error);

/* Whether what the request demands of what is there holds; refuses with 4.12 if not. */
bool rest_preconditions_hold(struct rest *rest, bool exists, const struct etag *etag);
bool rest_etag_of_fields(const struct record_field *fields, size_t count, struct etag *ret);

/* 2.05 with the body and entity tag, or 2.03. */
void rest_answer_content(struct rest *rest, struct report *report);
/* 2.01 or 2.04 by existed, 2.02 of a DELETE; report: NULL for no body, which else has a secret; made: the id that a
 * POST gave to what is below its path from now on, else NULL. */
void rest_answer_change(struct rest *rest, struct report *report, const char *made);
void rest_report_init(struct rest *rest, struct report *report);

/* Whether who asks is of settings.admin_tenant. */
bool rest_is_of_admin_tenant(const struct request *request);
/* ?limit= and ?after= of a list. False: refused. */
bool rest_page(struct request *request, size_t *ret_limit, struct bytes *ret_after);
/* The part of the ids behind after. */
size_t rest_cut_page(const struct accounts_ids *ids, struct bytes after, size_t limit, size_t *ret_first);
