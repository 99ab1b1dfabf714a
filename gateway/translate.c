// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Chosen once for a message of POST /obs: by the route table, which answers 4.15, or by ingest of what was
 * signed. Looks only at the request's head and the registry in memory.
 */
#include "gateway/translate.h"

#include "codec/signed.h"
#include "gateway/crypto.h"
#include "gateway/quarantine.h"
#include "gateway/rights.h"
#include "gateway/worker.h"

/* Content-Formats that say nothing about what is in the payload. */
static bool is_silent(int content_format)
{
    return content_format == CONTENT_FORMAT_NONE || content_format == CONTENT_FORMAT_OCTETS ||
           content_format == REQUEST_FORMAT_UNKNOWN || content_format == CONTENT_FORMAT_FORM;
}

/* Those that leave open what kind of text or JSON it is. */
static bool is_carrier(int content_format)
{
    return content_format == CONTENT_FORMAT_TEXT || content_format == CONTENT_FORMAT_JSON ||
           content_format == CONTENT_FORMAT_CBOR;
}

static struct bytes name_in_query(const struct request *request, bool *ret_found)
{
    struct bytes name = request_query(request, "format", ret_found);
    return *ret_found ? name : request_query(request, "f", ret_found);
}

/* False: neither a codec of the tenant nor a format. */
static bool find_by_name(const struct request *request, struct bytes name, struct translation *ret)
{
    switch (quarantine_ask(request->worker, bytes_of_text(request->who.tenant), name, &ret->custom)) {
    case QUARANTINE_USE:
        ret->codec = name;
        return true;
    case QUARANTINE_HELD:
        ret->codec = name;
        ret->is_held = true;
        return true;
    case QUARANTINE_UNKNOWN:
        break;
    }
    ret->format = format_by_name(name);
    return ret->format != NULL;
}

static bool takes(const struct translation *translation, int content_format)
{
    if (is_silent(content_format) || translation->is_held)
        return true;
    if (translation->custom)
        return custom_takes(translation->custom, content_format);
    return content_format == translation->format->carrier ||
           content_format == translation->format->content_format;
}

/* The device that the query names, else the one that speaks; NULL: it is not known here. */
static const struct device_record *device_of(const struct request *request)
{
    struct bytes id = request_named_device(request, NULL);
    if (id.len == 0)
        id = bytes_of_text(request->who.device);
    return schema_device_is_valid(id)
               ? registry_device(request->worker->shared->registry, bytes_of_text(request->who.tenant), id)
               : NULL;
}

static enum outcome choose_by_query(const struct request *request, struct bytes name, struct translation *ret,
                                    const char **ret_detail)
{
    int declared = request->content_format;
    if (!find_by_name(request, name, ret)) {
        *ret_detail = "The query names a format that is not known here.";
        return OUTCOME_UNSUPPORTED;
    }
    if (!is_carrier(declared) && !takes(ret, declared)) {
        *ret_detail = "The content format is another one than the query names.";
        return OUTCOME_UNSUPPORTED;
    }
    return OUTCOME_CHANGED;
}

/* ret has the profile. */
static enum outcome choose_declared(const struct request *request, int declared, struct translation *ret,
                                    const char **ret_detail)
{
    bool found = false;
    if (ret->profile.format[0] && (is_silent(declared) || is_carrier(declared))) {
        struct translation by_profile = *ret;
        by_profile.by_profile = true;
        found = find_by_name(request, bytes_of_text(ret->profile.format), &by_profile);
        if (found && takes(&by_profile, declared)) {
            *ret = by_profile;
            return OUTCOME_CHANGED;
        }
    }
    ret->format = format_by_content_format(declared);
    *ret_detail = ret->profile.format[0] && !found
                      ? "The profile of this device names a format that is not known here."
                      : format_why_not(declared);
    return ret->format ? OUTCOME_CHANGED : OUTCOME_UNSUPPORTED;
}

static void begin(const struct request *request, struct translation *ret)
{
    const struct device_record *device = device_of(request);
    *ret = (struct translation){0};
    if (device)
        ret->profile = registry_profile_of(request->worker->shared->registry, device);
}

enum outcome translate_choose(const struct request *request, struct translation *ret, const char **ret_detail)
{
    bool found;
    struct bytes name = name_in_query(request, &found);
    begin(request, ret);
    return found ? choose_by_query(request, name, ret, ret_detail)
                 : choose_declared(request, request->content_format, ret, ret_detail);
}

enum outcome translate_choose_signed(const struct request *request, const struct signed_message *message,
                                     struct translation *ret, const char **ret_detail)
{
    bool found;
    struct bytes name = name_in_query(request, &found);
    begin(request, ret);
    if (found && !bytes_equal_text(name, signed_form_name(message->form))) {
        *ret_detail = "The format of what was signed is said by the signed message, not by the query.";
        return OUTCOME_UNSUPPORTED;
    }
    if (message->form == SIGNED_ENVELOPE) {
        ret->format = format_by_content_format(CONTENT_FORMAT_FIELDS);
        return OUTCOME_CHANGED;
    }
    enum outcome outcome = choose_declared(request, message->content_format, ret, ret_detail);
    if (outcome == OUTCOME_CHANGED && translate_is_by_line(ret)) {
        *ret_detail = "A log of lines is as many messages as it has lines, so one signature is not for it.";
        return OUTCOME_UNSUPPORTED;
    }
    return outcome;
}

void translate_choose_fixed(const struct request *request, const struct format *format,
                            struct translation *ret)
{
    const struct registry *registry = request->worker->shared->registry;
    const struct device_record *device =
        registry_device(registry, bytes_of_text(request->who.tenant), bytes_of_text(request->who.device));
    *ret = (struct translation){.format = format};
    if (device)
        ret->profile = registry_profile_of(registry, device);
}

bool translate_is_by_line(const struct translation *translation)
{
    if (translation->custom)
        return custom_by_line(translation->custom);
    return translation->format && translation->format->by_line;
}

int translate_content_format(const struct translation *translation)
{
    return translation->format ? translation->format->content_format : CONTENT_FORMAT_NONE;
}

/* format_crypto.find: a device is known by the node that its frames name, and proves itself with its key. */
static bool find_key(void *ctx, struct bytes node, struct format_frame_key *ret)
{
    const struct request *request = ctx;
    const struct device_record *device =
        rights_device_of_node(request->worker->shared->registry, bytes_of_text(request->who.tenant), node);
    const struct credential *frame =
        device && !device->disabled ? record_credential(device, CREDENTIAL_FRAME, request->received.s, NULL)
                                    : NULL;
    if (!frame || frame->secret.len < RECORD_FRAME_KEY_MIN || frame->secret.len > RECORD_FRAME_KEY_MAX)
        return false;
    memcpy(ret->key, frame->secret.octets, sizeof ret->key);
    ret->id_len = frame->secret.len - sizeof ret->key;
    memcpy(ret->id, frame->secret.octets + sizeof ret->key, ret->id_len);
    return true;
}

enum outcome translate_decode(const struct request *request, const struct translation *translation,
                              struct format_input *input, struct observation_list *ret,
                              struct format_error *reterr)
{
    const struct format_crypto crypto = {
        .ctx = (void *)(uintptr_t)request,
        .find = find_key,
        .open = crypto_aes128_gcm_open,
    };
    input->now = request->received;
    input->limits = translation->format && translation->format->limits ? *translation->format->limits
                                                                       : FORMAT_LIMITS_DEFAULT;
    input->crypto = &crypto;
    enum outcome outcome = translation->custom
                               ? custom_decode(translation->custom, input, request->arena, ret, reterr)
                               : translation->format->decode(input, request->arena, ret, reterr);
    input->crypto = NULL;
    return outcome;
}
