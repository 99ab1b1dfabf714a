// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Error bodies. Title, code and status come from the outcome's row, so both wires say the same. The concise
 * form has no member for a position; it goes behind the detail.
 */
#include "codec/problem.h"

#include "codec/cborout.h"
#include "codec/jsonout.h"

#define BODY_BYTES 192

/* RFC 9290 section 2. */
enum {
    KEY_TITLE = -1,
    KEY_DETAIL = -2,
    KEY_RESPONSE_CODE = -4,
    KEY_UNPROCESSED_OPTION = -8,
};

static unsigned option_count(const struct problem *problem)
{
    unsigned most = sizeof(problem->unprocessed_options) / sizeof(problem->unprocessed_options[0]);
    return problem->unprocessed_option_count < most ? problem->unprocessed_option_count : most;
}

/* "detail", or "detail (byte 17)" where the position is known. */
static bool detail_text(const struct problem *problem, struct arena *arena, struct bytes *ret)
{
    struct builder text;
    builder_init(&text, arena, BODY_BYTES);
    builder_put_text(&text, problem->detail);
    if (problem->offset != SIZE_MAX) {
        builder_put_text(&text, " (byte ");
        builder_put_uint(&text, problem->offset);
        builder_put_byte(&text, ')');
    }
    return builder_finish(&text, ret);
}

/* One option as a number, several as an array. */
static void put_options(struct builder *out, const struct problem *problem)
{
    unsigned count = option_count(problem);
    if (!count)
        return;
    cborout_int(out, KEY_UNPROCESSED_OPTION);
    if (count > 1)
        cborout_array(out, count);
    for (unsigned i = 0; i < count; i++)
        cborout_uint(out, problem->unprocessed_options[i]);
}

bool problem_cbor(const struct problem *problem, struct arena *arena, struct bytes *ret)
{
    const struct outcome_row *row = outcome_row(problem->outcome);
    struct bytes detail;
    struct builder out;
    if (problem->detail && !detail_text(problem, arena, &detail))
        return false;

    builder_init(&out, arena, BODY_BYTES);
    cborout_map(&out, 2 + (size_t)(problem->detail != NULL) + (option_count(problem) > 0));
    cborout_int(&out, KEY_TITLE);
    cborout_text(&out, bytes_of_text(row->title));
    if (problem->detail) {
        cborout_int(&out, KEY_DETAIL);
        cborout_text(&out, detail);
    }
    cborout_int(&out, KEY_RESPONSE_CODE);
    cborout_uint(&out, row->coap_code);
    put_options(&out, problem);
    return builder_finish(&out, ret);
}

bool problem_json(const struct problem *problem, struct arena *arena, struct bytes *ret)
{
    const struct outcome_row *row = outcome_row(problem->outcome);
    struct builder out;
    builder_init(&out, arena, BODY_BYTES);
    builder_put_text(&out, "{\"type\":\"urn:weir:problem:");
    builder_put_text(&out, row->slug);
    builder_put_text(&out, "\",\"title\":");
    jsonout_text(&out, bytes_of_text(row->title));
    builder_put_text(&out, ",\"status\":");
    builder_put_uint(&out, row->http_status);
    if (problem->detail) {
        builder_put_text(&out, ",\"detail\":");
        jsonout_text(&out, bytes_of_text(problem->detail));
    }
    if (problem->offset != SIZE_MAX) {
        builder_put_text(&out, ",\"offset\":");
        builder_put_uint(&out, problem->offset);
    }
    builder_put_byte(&out, '}');
    return builder_finish(&out, ret);
}
