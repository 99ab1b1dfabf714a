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
    snprintf(reason, sizeof reason, "%s: %.*s", step, (int)(text.len < 120 ? text.len : 120), (const char *)text.ptr);
    tell(check, reason);
}

static void loaded(void *ctx, const struct store_reply *reply)
{
    struct check *check = ctx;
    if (reply && reply->type == STORE_TEXT) {
        log_write(LOG_INFO, "function", "the Redis Function library was loaded", "library=weir version=%d",
                  FUNCTION_VERSION);
        tell(check, NULL);
    } else {
        tell_reply(check, "FUNCTION LOAD", reply);
    }
}

bool function_is_missing(const struct store_reply *reply)
{
    static const char text[] = "Function not found";
    return reply && reply->type == STORE_ERROR && memmem(reply->text.ptr, reply->text.len, text, sizeof text - 1);
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
    struct bytes arguments[] = {BYTES_LITERAL("FUNCTION"), BYTES_LITERAL("LOAD"), BYTES_LITERAL("REPLACE"),
                                function_code()};
    if (!store_send(check->store, arguments, 4, loaded, check))
        tell(check, "FUNCTION LOAD: cannot be sent");
}

bool function_ensure(struct store *store, function_told_fn *told, void *ctx)
{
    struct bytes arguments[] = {BYTES_LITERAL("FCALL_RO"), BYTES_LITERAL("weir_version"), BYTES_LITERAL("0")};
    struct check *check = malloc(sizeof *check);
    if (!check)
        return false;
    *check = (struct check){.store = store, .told = told, .ctx = ctx};
    if (store_send(store, arguments, 3, versioned, check))
        return true;
    free(check);
    return false;
}
