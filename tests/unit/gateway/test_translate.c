// SPDX-License-Identifier: GPL-3.0-or-later
/* Which format a payload has: query, declared Content-Format and profile in one table. */
#include "gateway/translate.h"

#include "codec/signed.h"
#include "gateway/worker.h"

#include <criterion/criterion.h>

static struct shared shared;
static struct worker worker;
static struct arena *arena;

static void add_device(const char *id, const char *profile)
{
    struct device_record record = {.tenant = "home"};
    strcpy(record.id, id);
    strcpy(record.profile, profile);
    cr_assert(registry_put_device(shared.registry, &record));
}

static void setup(void)
{
    struct tenant_record tenant = {.id = "home"};
    struct profile_record profile = {.tenant = "home", .id = "old-lamps", .format = "cayenne-lpp"};
    /* Its definition means nothing to anybody, so it is there and cannot be used. */
    struct codec_record codec = {.tenant = "home", .id = "broken", .definition = BYTES_LITERAL("{}")};
    shared.registry = registry_new(&(struct hash_key){1, 2});
    worker.shared = &shared;
    arena = arena_new(1 << 20);
    cr_assert(registry_put_tenant(shared.registry, &tenant));
    cr_assert(registry_put_profile(shared.registry, &profile));
    cr_assert(registry_put_codec(shared.registry, &codec));
    add_device("plain", "");
    add_device("lamp", "old-lamps");
    add_device("leaf", "opentrv-json");
    add_device("log", "opentrv-log");
    add_device("lost", "gone");
    add_device("broken", "broken");
}

static void teardown(void)
{
    arena_free(arena);
    registry_free(shared.registry);
}

TestSuite(translate, .init = setup, .fini = teardown);

struct row {
    const char *device, *query_name, *query_value;
    int declared;
    const char *format; /* NULL: 4.15; "!": held */
    bool by_profile;
};

#define NO_QUERY "", ""
#define NONE CONTENT_FORMAT_NONE
#define UNKNOWN REQUEST_FORMAT_UNKNOWN
#define TEXT CONTENT_FORMAT_TEXT
#define JSON CONTENT_FORMAT_JSON

static const struct row rows[] = {
    /* without a profile: what is declared */
    {"plain", NO_QUERY, JSON, "json", false},
    {"plain", NO_QUERY, TEXT, "text", false},
    {"plain", NO_QUERY, CONTENT_FORMAT_SENML_CBOR, "senml-cbor", false},
    {"plain", NO_QUERY, CONTENT_FORMAT_OPENTRV_LOG, "opentrv-log", false},
    {"plain", NO_QUERY, NONE, NULL, false},
    {"plain", NO_QUERY, CONTENT_FORMAT_OCTETS, NULL, false},
    {"plain", NO_QUERY, UNKNOWN, NULL, false},
    {"plain", NO_QUERY, CONTENT_FORMAT_FORM, NULL, false},
    {"stranger", NO_QUERY, JSON, "json", false},
    /* the profile, where nothing specific is declared */
    {"lamp", NO_QUERY, NONE, "cayenne-lpp", true},
    {"lamp", NO_QUERY, CONTENT_FORMAT_OCTETS, "cayenne-lpp", true},
    {"lamp", NO_QUERY, UNKNOWN, "cayenne-lpp", true},
    {"lamp", NO_QUERY, CONTENT_FORMAT_FORM, "cayenne-lpp", true},
    {"lamp", NO_QUERY, JSON, "json", false},
    {"lamp", NO_QUERY, TEXT, "text", false},
    {"lamp", NO_QUERY, CONTENT_FORMAT_SENML_JSON, "senml-json", false},
    {"leaf", NO_QUERY, JSON, "opentrv-json", true},
    {"leaf", NO_QUERY, NONE, "opentrv-json", true},
    {"leaf", NO_QUERY, TEXT, "text", false},
    {"leaf", NO_QUERY, CONTENT_FORMAT_CBOR, "cbor", false},
    {"leaf", NO_QUERY, CONTENT_FORMAT_SENML_JSON, "senml-json", false},
    {"log", NO_QUERY, TEXT, "opentrv-log", true},
    {"lost", NO_QUERY, NONE, NULL, false},
    {"lost", NO_QUERY, JSON, "json", false},
    {"broken", NO_QUERY, NONE, "!", true},
    {"broken", NO_QUERY, CONTENT_FORMAT_SENML_JSON, "senml-json", false},
    /* what is specific and not read here, whoever speaks */
    {"lamp", NO_QUERY, CONTENT_FORMAT_SENML_XML, NULL, false},
    {"lamp", NO_QUERY, CONTENT_FORMAT_SENML_EXI, NULL, false},
    {"lamp", NO_QUERY, CONTENT_FORMAT_ETCH_JSON, NULL, false},
    {"lamp", NO_QUERY, CONTENT_FORMAT_LINK, NULL, false},
    {"lamp", NO_QUERY, 12345, NULL, false},
    /* the query decides, but not against a specific declaration */
    {"plain", "f", "ultralight", NONE, "ultralight", false},
    {"plain", "format", "ultralight", TEXT, "ultralight", false},
    {"lamp", "f", "ultralight", NONE, "ultralight", false},
    {"lamp", "f", "ultralight", JSON, "ultralight", false},
    {"lamp", "f", "ultralight", UNKNOWN, "ultralight", false},
    {"lamp", "f", "ultralight", CONTENT_FORMAT_ULTRALIGHT, "ultralight", false},
    {"lamp", "f", "ultralight", CONTENT_FORMAT_SENML_JSON, NULL, false},
    {"lamp", "f", "ultralight", CONTENT_FORMAT_RKDAP, NULL, false},
    {"lamp", "f", "senml-json", JSON, "senml-json", false},
    {"lamp", "f", "nothing", NONE, NULL, false},
    {"lamp", "f", "", NONE, NULL, false},
    {"lamp", "f", "old-lamps", NONE, NULL, false},
    {"lamp", "f", "broken", NONE, "!", false},
    /* another device is named */
    {"plain", "d", "lamp", NONE, "cayenne-lpp", true},
    {"lamp", "device", "plain", NONE, NULL, false},
    {"lamp", "d", "stranger", NONE, NULL, false},
    {"lamp", "d", "*", NONE, NULL, false},
};

Test(translate, table)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        struct query_parameter query = {bytes_of_text(row->query_name), bytes_of_text(row->query_value)};
        struct request request = {.worker = &worker, .arena = arena, .content_format = row->declared, .query = &query,
                                  .query_count = row->query_name[0] != '\0',
                                  .who = {.kind = IDENTITY_DEVICE, .tenant = "home"}};
        struct translation translation;
        const char *detail = NULL;
        strcpy(request.who.device, row->device);
        enum outcome outcome = translate_choose(&request, &translation, &detail);
        cr_expect_eq(outcome, row->format ? OUTCOME_CHANGED : OUTCOME_UNSUPPORTED, "row %zu", i);
        if (!row->format) {
            cr_expect(detail, "row %zu", i);
            continue;
        }
        const char *name = translation.is_held ? "!" : translation.format ? translation.format->name : "";
        cr_expect_str_eq(name, row->format, "row %zu", i);
        cr_expect_eq(translation.by_profile, row->by_profile, "row %zu", i);
    }
}

Test(translate, a_route_with_one_format_has_the_profile_of_who_speaks)
{
    struct profile_record profile = {.tenant = "home", .id = "late", .clock = CLOCK_REPLACE};
    struct request request = {.worker = &worker, .who = {.kind = IDENTITY_DEVICE, .tenant = "home", .device = "slow"}};
    struct translation translation;
    cr_assert(registry_put_profile(shared.registry, &profile));
    add_device("slow", "late");
    translate_choose_fixed(&request, format_by_name(BYTES_LITERAL("rkdap")), &translation);
    cr_expect_str_eq(translation.format->name, "rkdap");
    cr_expect_eq(translation.profile.clock, CLOCK_REPLACE);
    cr_expect_eq(translate_content_format(&translation), CONTENT_FORMAT_RKDAP);
    cr_expect(!translate_is_by_line(&translation));
}

Test(translate, what_was_signed_says_its_format_itself)
{
    static const struct {
        const char *device, *query;
        enum signed_form form;
        int content_format;
        const char *format; /* NULL: 4.15 */
    } signed_rows[] = {
        {"plain", "", SIGNED_JWS, CONTENT_FORMAT_SENML_JSON, "senml-json"},
        {"plain", "jws", SIGNED_JWS, CONTENT_FORMAT_SENML_JSON, "senml-json"},
        {"plain", "senml-json", SIGNED_JWS, CONTENT_FORMAT_SENML_JSON, NULL},
        {"plain", "", SIGNED_JWS, NONE, NULL},
        {"lamp", "", SIGNED_COSE, NONE, "cayenne-lpp"},
        {"leaf", "", SIGNED_JWS, JSON, "opentrv-json"},
        {"log", "", SIGNED_JWS, NONE, NULL},
        {"plain", "", SIGNED_JWS, CONTENT_FORMAT_OPENTRV_LOG, NULL},
        {"plain", "", SIGNED_JWS, CONTENT_FORMAT_JOSE, NULL},
        {"lamp", "hmac", SIGNED_ENVELOPE, NONE, "fields"},
    };
    for (size_t i = 0; i < sizeof signed_rows / sizeof signed_rows[0]; i++) {
        struct query_parameter query = {BYTES_LITERAL("f"), bytes_of_text(signed_rows[i].query)};
        struct signed_message message = {.form = signed_rows[i].form, .content_format = signed_rows[i].content_format};
        struct request request = {.worker = &worker, .arena = arena, .content_format = CONTENT_FORMAT_JOSE,
                                  .query = &query, .query_count = query.value.len > 0,
                                  .who = {.kind = IDENTITY_DEVICE, .tenant = "home"}};
        struct translation translation;
        const char *detail = NULL;
        strcpy(request.who.device, signed_rows[i].device);
        enum outcome outcome = translate_choose_signed(&request, &message, &translation, &detail);
        cr_expect_eq(outcome, signed_rows[i].format ? OUTCOME_CHANGED : OUTCOME_UNSUPPORTED, "row %zu", i);
        if (signed_rows[i].format)
            cr_expect_str_eq(translation.format->name, signed_rows[i].format, "row %zu", i);
        else
            cr_expect(detail, "row %zu", i);
    }
}
