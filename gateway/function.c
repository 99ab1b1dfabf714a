// SPDX-License-Identifier: GPL-3.0-or-later
/* Version, load if need be, told: three steps of one small dialogue on the connection that wants to push. */
#include "gateway/function.h"

#include "gateway/rt/log.h"

#include <stdio.h>
#include <stdlib.h>

struct check {
    struct store *store;
    function_told_fn *told;
    void *ctx;
    bool was_outrun; /* a library of this name was there after all, from another connection or gateway */
};

extern const uint8_t function_lua[];
extern const size_t function_lua_len;

struct bytes function_code(void)
{
    return bytes_of(function_lua, function_lua_len);
}

static void tell(struct check *check, const char *reason)
{
    check->told(check->ctx, reason);
    free(check);
}

static void tell_reply(struct check *check, const char *step, const struct store_reply *reply)
{
    char reason[FUNCTION_REASON_MAX];
    bool is_error = reply && reply->type == STORE_ERROR;
    struct bytes text = is_error ? reply->text : BYTES_LITERAL("no answer");
    snprintf(reason, sizeof reason, "%s: %.*s", step, (int)(text.len < 120 ? text.len : 120),
             (const char *)text.ptr);
    tell(check, reason);
}

static bool is_error_with(const struct store_reply *reply, const char *text)
{
    return reply && reply->type == STORE_ERROR &&
           memmem(reply->text.ptr, reply->text.len, text, strlen(text));
}

bool function_is_missing(const struct store_reply *reply)
{
    return is_error_with(reply, "Function not found");
}

static bool ask_version(struct check *check);

static void loaded(void *ctx, const struct store_reply *reply)
{
    struct check *check = ctx;
    if (reply && reply->type == STORE_TEXT) {
        log_write(LOG_INFO, "function", "the Redis Function library was loaded", "library=weir version=%d",
                  FUNCTION_VERSION);
        tell(check, NULL);
        return;
    }
    if (is_error_with(reply, "already exists") && !check->was_outrun) {
        check->was_outrun = true;
        if (ask_version(check))
            return;
    }
    tell_reply(check, "FUNCTION LOAD", reply);
}

/* Where there was none it replaces none: all connections of a gateway look at the same time, and one loads
 * it. */
static bool load(struct check *check, bool replaces)
{
    struct bytes arguments[4] = {BYTES_LITERAL("FUNCTION"), BYTES_LITERAL("LOAD")};
    size_t count = 2;
    if (replaces)
        arguments[count++] = BYTES_LITERAL("REPLACE");
    arguments[count++] = function_code();
    return store_send(check->store, arguments, count, loaded, check);
}

static void versioned(void *ctx, const struct store_reply *reply)
{
    struct check *check = ctx;
    bool is_number = reply && reply->type == STORE_INTEGER;
    if (is_number && reply->integer >= FUNCTION_VERSION) {
        tell(check, NULL);
        return;
    }
    if (!is_number && !function_is_missing(reply)) {
        tell_reply(check, "FCALL_RO weir_version", reply);
        return;
    }
    if (!load(check, is_number || check->was_outrun))
        tell(check, "FUNCTION LOAD: cannot be sent");
}

static bool ask_version(struct check *check)
{
    struct bytes arguments[] = {BYTES_LITERAL("FCALL_RO"), BYTES_LITERAL("weir_version"), BYTES_LITERAL("0")};
    return store_send(check->store, arguments, 3, versioned, check);
}

bool function_ensure(struct store *store, function_told_fn *told, void *ctx)
{
    struct check *check = malloc(sizeof *check);
    if (!check)
        return false;
    *check = (struct check){.store = store, .told = told, .ctx = ctx};
    if (ask_version(check))
        return true;
    free(check);
    return false;
}
