// SPDX-License-Identifier: GPL-3.0-or-later
/* Pure but for the handler, whose question the clerk asks: it is the one who talks to Redis about the registry. */
#include "gateway/audit.h"

#include "codec/digits.h"
#include "gateway/clerk.h"
#include "gateway/report.h"
#include "gateway/scope.h"
#include "gateway/worker.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 1000
#define WORD(literal) BYTES_LITERAL(literal)

/* Who */

static const char *kind_of(const struct identity *who)
{
    switch (who->kind) {
    case IDENTITY_OPERATOR:
        return "person";
    case IDENTITY_BOOTSTRAP:
        return "batch";
    case IDENTITY_DEVICE:
        return "device";
    case IDENTITY_NETWORK:
        return "network";
    case IDENTITY_NONE:
        break;
    }
    return "";
}

void audit_actor_of_identity(const struct identity *who, struct audit_actor *ret)
{
    *ret = (struct audit_actor){0};
    if (who->evidence == EVIDENCE_TOKEN)
        snprintf(ret->who, sizeof ret->who, "token:%s", who->key);
    else
        snprintf(ret->who, sizeof ret->who, "%s:%s", kind_of(who), who->device);
}

void audit_actor_of(const struct request *request, struct audit_actor *ret)
{
    const struct identity *who = &request->who;
    const struct token_record *token = NULL;
    audit_actor_of_identity(who, ret);
    if (who->evidence == EVIDENCE_TOKEN)
        token = registry_token(request->worker->shared->registry, bytes_of_text(who->key));
    if (token)
        strcpy(ret->label, token->label);
    address_text(&request->remote, ret->from);
}

void audit_actor_of_user(struct audit_actor *ret)
{
    const struct passwd *user = getpwuid(getuid());
    *ret = (struct audit_actor){.from = "cli"};
    if (user)
        snprintf(ret->who, sizeof ret->who, "cli:%.64s", user->pw_name);
    else
        snprintf(ret->who, sizeof ret->who, "cli:%lu", (unsigned long)getuid());
}

/* What */

static void put(struct audit_command *command, const char *name, struct bytes value)
{
    if (value.len == 0)
        return;
    command->arguments[command->count++] = bytes_of_text(name);
    command->arguments[command->count++] = value;
}

void audit_command(const struct audit_deed *deed, const struct audit_actor *actor, uint64_t max,
                   struct audit_command *ret)
{
    static const struct audit_actor gateway = {.who = ""};
    const struct audit_actor *by = actor ? actor : &gateway;
    schema_key(ret->stream, deed->tenant, SCHEMA_SUFFIX_AUDIT);
    snprintf(ret->max, sizeof ret->max, "%llu", (unsigned long long)(max ? max : AUDIT_MAX_DEFAULT));
    struct bytes head[] = {WORD("XADD"), bytes_of_text(ret->stream), WORD("MAXLEN"), WORD("~"), bytes_of_text(ret->max),
                           WORD("*")};
    memcpy(ret->arguments, head, sizeof head);
    ret->count = sizeof head / sizeof head[0];
    put(ret, "who", bytes_of_text(by->who[0] ? by->who : "weir"));
    put(ret, "label", bytes_of_text(by->label));
    put(ret, "from", bytes_of_text(by->from));
    put(ret, "action", bytes_of_text(deed->action));
    put(ret, "object", bytes_of_text(deed->object));
    put(ret, "id", deed->id.len ? deed->id : deed->tenant);
    put(ret, "key", deed->key);
}

/* Reading */

static void copy(char *ret, size_t size, struct bytes text)
{
    size_t len = text.len < size ? text.len : size - 1;
    if (len)
        memcpy(ret, text.ptr, len);
    ret[len] = '\0';
}

bool audit_read(const struct store_reply *reply, struct audit_entry *ret)
{
    const struct {
        const char *name;
        char *text;
        size_t size;
    } places[] = {
        {"who", ret->who, sizeof ret->who},          {"label", ret->label, sizeof ret->label},
        {"from", ret->from, sizeof ret->from},       {"action", ret->action, sizeof ret->action},
        {"object", ret->object, sizeof ret->object}, {"id", ret->id, sizeof ret->id},
        {"key", ret->key, sizeof ret->key},
    };
    *ret = (struct audit_entry){0};
    if (reply->type != STORE_LIST || reply->count != 2 || reply->items[1].type != STORE_LIST)
        return false;
    copy(ret->at, sizeof ret->at, reply->items[0].text);
    const struct store_reply *fields = reply->items[1].items;
    for (size_t i = 0; i + 1 < reply->items[1].count; i += 2)
        for (size_t k = 0; k < sizeof places / sizeof places[0]; k++)
            if (bytes_equal_text(fields[i].text, places[k].name))
                copy(places[k].text, places[k].size, fields[i + 1].text);
    return true;
}

/* GET /audit */

struct listing {
    struct clerk_job job; /* first */
    struct request *request;
    struct scope scope;
    char before[48]; /* empty: the newest */
    size_t limit, count;
    struct audit_entry *entries; /* limit of them, on the heap */
};

static enum accounts_result ask(struct clerk_job *job, struct accounts *accounts)
{
    struct listing *listing = (struct listing *)job;
    return accounts_read_audit(accounts, bytes_of_text(listing->scope.tenant), bytes_of_text(listing->before),
                               listing->entries, listing->limit, &listing->count);
}

static void put_text(struct report *report, const char *name, const char *text)
{
    report_name(report, name);
    report_text(report, text);
}

static bool write_list(const struct listing *listing, struct bytes *ret)
{
    struct report report;
    report_init(&report, listing->request->arena, listing->request->accept == CONTENT_FORMAT_CBOR);
    report_map(&report, 1);
    report_name(&report, "audit");
    report_array(&report, listing->count);
    for (size_t i = 0; i < listing->count; i++) {
        const struct audit_entry *entry = &listing->entries[i];
        report_map(&report, 8);
        put_text(&report, "at", entry->at);
        put_text(&report, "id", entry->id);
        put_text(&report, "key", entry->key);
        put_text(&report, "who", entry->who);
        put_text(&report, "from", entry->from);
        put_text(&report, "label", entry->label);
        put_text(&report, "action", entry->action);
        put_text(&report, "object", entry->object);
        report_map_end(&report);
    }
    report_array_end(&report);
    report_map_end(&report);
    return report_finish(&report, ret);
}

static void answer(struct clerk_job *job)
{
    struct listing *listing = (struct listing *)job;
    struct request *request = listing->request;
    struct response response = response_of(OUTCOME_CONTENT);
    response.content_format = request->accept;
    response.max_age_s = 0;
    if (job->result != ACCOUNTS_DONE)
        response = response_of(clerk_outcome(job->result));
    else if (!write_list(listing, &response.body))
        response = response_of(OUTCOME_OUT_OF_MEMORY);
    free(listing->entries);
    request_finish(request, &response);
}

/* Digits, and a hyphen between them. */
static bool is_entry_id(struct bytes text)
{
    size_t hyphens = 0;
    for (size_t i = 0; i < text.len; i++) {
        hyphens += text.ptr[i] == '-';
        if ((text.ptr[i] < '0' || text.ptr[i] > '9') && text.ptr[i] != '-')
            return false;
    }
    return text.len > 0 && text.len <= 41 && hyphens <= 1 && text.ptr[0] != '-' && text.ptr[text.len - 1] != '-';
}

static const char *parse(const struct request *request, struct listing *ret)
{
    bool limited, paged;
    struct bytes limit = request_query(request, "limit", &limited);
    struct bytes before = request_query(request, "before", &paged);
    uint64_t number = LIMIT_DEFAULT;
    if ((limited && !digits_read(limit, 4, &number)) || number == 0 || number > LIMIT_MAX)
        return "limit is a number from 1 to 1000.";
    ret->limit = (size_t)number;
    if (paged && !is_entry_id(before))
        return "before is the time (at) of an entry.";
    if (paged)
        copy(ret->before, sizeof ret->before, before);
    return NULL;
}

void audit_handle(struct request *request)
{
    struct worker *worker = request->worker;
    struct listing *listing = arena_calloc(request->arena, 1, sizeof *listing);
    enum outcome outcome = listing ? scope_of(request, &listing->scope) : OUTCOME_OUT_OF_MEMORY;
    const char *wrong = outcome == OUTCOME_CONTENT ? parse(request, listing) : NULL;
    if (outcome != OUTCOME_CONTENT || wrong) {
        request_refuse(request, wrong ? OUTCOME_BAD_REQUEST : outcome, wrong);
        return;
    }
    listing->entries = calloc(listing->limit, sizeof *listing->entries);
    listing->job.run = ask;
    listing->job.done = answer;
    listing->request = request;
    if (listing->entries && clerk_give(worker->shared->clerk, worker->index, &listing->job))
        return;
    free(listing->entries);
    request_refuse(request, OUTCOME_OVERLOADED, NULL);
}
