// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * /tokens: what people and HTTP devices prove themselves with. The text is in the answer that made the token,
 * and nowhere else. DELETE revokes: the record stays, so that the list can tell it.
 */
#include "gateway/rest_private.h"

#include "gateway/rt/random.h"
#include "gateway/tokens.h"

#include <stdlib.h>

struct token_rest {
    struct rest rest; /* first */
    struct token_record record;
    char text[TOKENS_TEXT_LEN + 1];
    size_t limit;
    struct bytes after;
    struct token_record *records; /* of the list; the done's to free */
    size_t count;
    bool more;
};

static bool token_etag(const struct token_record *record, struct etag *ret)
{
    struct record_field fields[RECORD_FIELDS_MAX];
    char scratch[RECORD_TEXT_MAX];
    struct token_record bare = *record;
    bare.apikey = (struct secret){.len = 0};
    return rest_etag_of_fields(fields, record_of_token(&bare, NULL, fields, scratch), ret);
}

static void put_tokens(struct report *report, const struct token_rest *tokens)
{
    report_map(report, 2);
    report_name(report, "more");
    report_bool(report, tokens->more);
    report_name(report, "tokens");
    report_array(report, tokens->count);
    for (size_t i = 0; i < tokens->count; i++)
        draft_write_token(report, &tokens->records[i], NULL);
    report_array_end(report);
    report_map_end(report);
}

static enum accounts_result read_list(struct rest *rest, struct accounts *accounts)
{
    struct token_rest *tokens = (struct token_rest *)rest;
    struct bytes tenant = bytes_of_text(rest->scope.tenant);
    struct accounts_ids ids = {0};
    size_t first = 0;
    enum accounts_result result = accounts_list_tokens(accounts, tenant, &ids);
    if (result != ACCOUNTS_DONE)
        return result;
    size_t count = rest_cut_page(&ids, tokens->after, tokens->limit, &first);
    tokens->more = first + count < ids.count;
    tokens->count = 0;
    free(tokens->records);
    tokens->records = calloc(count + 1, sizeof *tokens->records);
    result = tokens->records ? ACCOUNTS_DONE : ACCOUNTS_AWAY;
    for (size_t i = 0; i < count && result == ACCOUNTS_DONE; i++) {
        struct token_record *record = &tokens->records[tokens->count];
        enum accounts_result got = accounts_get_token_of(accounts, tenant, bytes_of_text(ids.ids[first + i]), record);
        secret_wipe(&record->apikey);
        tokens->count += got == ACCOUNTS_DONE;
        if (got == ACCOUNTS_AWAY || got == ACCOUNTS_REFUSED)
            result = got;
    }
    free(ids.ids);
    return result;
}

static void answer_list(struct rest *rest)
{
    struct token_rest *tokens = (struct token_rest *)rest;
    struct token_record *records = tokens->records;
    struct report report;
    if (rest_is_refused(rest)) {
        free(records);
        return;
    }
    rest_report_init(rest, &report);
    put_tokens(&report, tokens);
    free(records);
    rest_answer_content(rest, &report);
}

static enum accounts_result make(struct rest *rest, struct accounts *accounts)
{
    struct token_rest *tokens = (struct token_rest *)rest;
    if (!token_etag(&tokens->record, &rest->etag))
        return ACCOUNTS_AWAY;
    return accounts_add_token(accounts, &tokens->record);
}

static void answer_made(struct rest *rest)
{
    struct token_rest *tokens = (struct token_rest *)rest;
    struct report report;
    if (rest->job.result == ACCOUNTS_NO_DEVICE) {
        rest->job.result = ACCOUNTS_DONE;
        rest->outcome = OUTCOME_UNPROCESSABLE;
        rest->error = (struct draft_error){"/device", "There is no such device."};
    }
    rest_report_init(rest, &report);
    if (!rest_has_failed(rest))
        draft_write_token(&report, &tokens->record, tokens->text);
    secret_wipe(&tokens->record.apikey);
    explicit_bzero(tokens->text, sizeof tokens->text);
    if (!rest_is_refused(rest))
        rest_answer_change(rest, &report, tokens->record.id);
}

static enum accounts_result read_one(struct rest *rest, struct accounts *accounts)
{
    struct token_rest *tokens = (struct token_rest *)rest;
    enum accounts_result result = accounts_get_token_of(accounts, bytes_of_text(rest->scope.tenant),
                                                        bytes_of_text(rest->id), &tokens->record);
    if (result != ACCOUNTS_DONE)
        return result;
    secret_wipe(&tokens->record.apikey);
    rest->existed = true;
    return token_etag(&tokens->record, &rest->etag) ? ACCOUNTS_DONE : ACCOUNTS_AWAY;
}

static void answer_one(struct rest *rest)
{
    struct report report;
    if (rest_is_refused(rest))
        return;
    rest_report_init(rest, &report);
    draft_write_token(&report, &((struct token_rest *)rest)->record, NULL);
    rest_answer_content(rest, &report);
}

static enum accounts_result revoke(struct rest *rest, struct accounts *accounts)
{
    enum accounts_result result = read_one(rest, accounts);
    if (result != ACCOUNTS_DONE || !rest_preconditions_hold(rest, true, &rest->etag))
        return result;
    struct accounts_version version = accounts->last_read;
    accounts->only_if = &version;
    result = accounts_revoke_token_of(accounts, bytes_of_text(rest->scope.tenant), bytes_of_text(rest->id));
    accounts->only_if = NULL;
    rest->etag.len = 0;
    return result;
}

static void answer_revoked(struct rest *rest)
{
    if (!rest_is_refused(rest))
        rest_answer_change(rest, NULL, NULL);
}

static const struct rest_steps list_steps = {read_list, answer_list};
static const struct rest_steps make_steps = {make, answer_made};
static const struct rest_steps read_steps = {read_one, answer_one};
static const struct rest_steps revoke_steps = {revoke, answer_revoked};

static bool draw(struct token_rest *tokens, bool apikey)
{
    uint8_t random[TOKENS_RANDOM_BYTES];
    bool made = true;
    random_bytes(random, sizeof random);
    if (apikey) {
        tokens_make_apikey(random, &tokens->record);
        memcpy(tokens->text, tokens->record.apikey.octets, tokens->record.apikey.len);
    } else {
        made = tokens_make(random, &tokens->record, tokens->text);
    }
    explicit_bzero(random, sizeof random);
    return made;
}

void rest_handle_tokens(struct request *request)
{
    struct rest *rest = rest_begin(request, sizeof(struct token_rest));
    struct token_rest *tokens = (struct token_rest *)rest;
    bool apikey = false;
    if (!rest)
        return;
    if (request->method == METHOD_GET) {
        if (rest_page(request, &tokens->limit, &tokens->after))
            rest_give(rest, &list_steps);
        return;
    }
    strcpy(tokens->record.tenant, rest->scope.tenant);
    tokens->record.created_s = rest->now_s;
    if (!draft_read_token(rest->map, rest->now_s, &tokens->record, &apikey, &rest->error)) {
        rest_explain(request, &rest->error);
        return;
    }
    if (draw(tokens, apikey)) {
        rest_give(rest, &make_steps);
        return;
    }
    explicit_bzero(tokens->text, sizeof tokens->text);
    request_refuse(request, OUTCOME_OUT_OF_MEMORY, NULL);
}

void rest_handle_token(struct request *request)
{
    struct rest *rest = rest_begin(request, sizeof(struct token_rest));
    if (!rest)
        return;
    if (!record_token_id_is_valid(bytes_of_text(rest->id)))
        request_refuse(request, OUTCOME_NOT_FOUND, NULL);
    else
        rest_give(rest, request->method == METHOD_GET ? &read_steps : &revoke_steps);
}
