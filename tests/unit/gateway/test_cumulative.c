// SPDX-License-Identifier: GPL-3.0-or-later
/* What counts as a reading of a counter, and the form in which the Redis Function gets it. */
#include "gateway/cumulative.h"

#include <criterion/criterion.h>

static const struct timestamp now = {1763692800, 0};
static const struct bytes no_list, device = {(const uint8_t *)"boiler-7", 8}, units = {(const uint8_t *)"J,VAs,vars,count", 16};

static struct observation number_of(const char *name, const char *unit)
{
    return (struct observation){.name = bytes_of_text(name), .unit = bytes_of_text(unit), .time = now,
                                .kind = VALUE_NUMBER, .number = {BYTES_LITERAL("12.5"), 12.5}};
}

static bool counts(struct bytes units_list, const char *series, struct observation observation)
{
    cumulative_mark(units_list, bytes_of_text(series), device, now, &observation);
    return observation.cumulative;
}

Test(cumulative, by_unit)
{
    static const char *const counters[] = {"J", "VAs", "vars", "count"}, *const others[] = {"", "W", "VA", "Js", "coun", ","};
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++)
        cr_expect(counts(units, "", number_of("x", counters[i])), "%s", counters[i]);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        cr_expect_not(counts(units, "", number_of("x", others[i])), "%s", others[i]);
    cr_expect_not(counts(no_list, "", number_of("x", "J")));
    cr_expect_not(counts(no_list, "", number_of("x", "")));
    cr_expect(counts(BYTES_LITERAL("Wh"), "", number_of("x", "Wh")));
}

Test(cumulative, by_the_profile)
{
    static const char series[] = "vC,pulse=65536,a.b";
    static const struct {
        const char *name, *modulus;
        bool counts;
    } cases[] = {{"vC", "", true}, {"pulse", "65536", true}, {"boiler-7:pulse", "65536", true}, {"a.b", "", true},
                 {"v", "", false}, {"pulse2", "", false}, {"puls", "", false}, {"other:pulse", "", false}, {"", "", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct observation observation = number_of(cases[i].name, "Cel");
        cumulative_mark(units, bytes_of_text(series), device, now, &observation);
        cr_expect_eq(observation.cumulative, cases[i].counts, "%s", cases[i].name);
        cr_expect(bytes_equal_text(observation.modulus.text, cases[i].modulus), "%s", cases[i].name);
    }
}

Test(cumulative, by_the_format)
{
    struct observation observation = number_of("x", "");
    observation.cumulative = true;
    observation.modulus.text = BYTES_LITERAL("4294967296");
    cumulative_mark(no_list, BYTES_LITERAL("y=5"), device, now, &observation);
    cr_expect(observation.cumulative);
    cr_expect(bytes_equal_text(observation.modulus.text, "4294967296"));
    cumulative_mark(no_list, BYTES_LITERAL("x=5"), device, now, &observation);
    cr_expect(bytes_equal_text(observation.modulus.text, "5"), "whoever runs it knows it better");
}

Test(cumulative, a_sum_always_and_it_is_what_counts)
{
    struct observation observation = number_of("x", "W");
    cr_expect_eq(cumulative_reading(&observation), &observation.number);
    observation.has_sum = true;
    cr_expect(counts(no_list, "", observation));
    cr_expect_eq(cumulative_reading(&observation), &observation.sum);
    observation.kind = VALUE_NONE;
    cr_expect(counts(no_list, "", observation));
    observation.kind = VALUE_TEXT;
    cr_expect(counts(no_list, "", observation));
}

Test(cumulative, only_numbers)
{
    static const enum value_kind kinds[] = {VALUE_NONE, VALUE_TEXT, VALUE_BOOLEAN, VALUE_BYTES};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct observation observation = number_of("x", "J");
        observation.kind = kinds[i];
        observation.cumulative = true;
        cr_expect_not(counts(units, "x", observation), "%c", (int)kinds[i]);
    }
}

/* One reading from the year 2100 would make late what comes after it. */
Test(cumulative, not_from_the_future)
{
    struct observation observation = number_of("x", "J");
    observation.time.s = now.s + 86400;
    cr_expect(counts(units, "", observation));
    observation.time.s = now.s + 86401;
    observation.has_sum = true;
    cr_expect_not(counts(units, "x", observation));
    observation.time.s = -5;
    cr_expect(counts(units, "", observation));
}

Test(cumulative, names_are_bounded)
{
    char name[CUMULATIVE_NAME_MAX + 2] = "";
    memset(name, 'n', CUMULATIVE_NAME_MAX);
    cr_expect(counts(units, "", number_of(name, "J")));
    name[CUMULATIVE_NAME_MAX] = 'n';
    cr_expect_not(counts(units, "", number_of(name, "J")));
}

Test(cumulative, the_form_of_numbers)
{
    static const char digits[] = "1234567890123456789012345678901234567890123456789012345678901234";
    static const struct {
        const char *text, *form;
    } cases[] = {
        {"0", "0"}, {"-0", "0"}, {"0.00", "0"}, {"0e9", "0"}, {"-12.5", "0"}, {"12", "12"}, {"12.50", "12.5"},
        {"100", "100"}, {"1e2", "100"}, {"1.00e2", "100"}, {"1.234e2", "123.4"}, {"125e-1", "12.5"}, {"1e-7", "0.0000001"},
        {"0.05", "0.05"}, {"10e-3", "0.01"}, {"1000e-3", "1"}, {"18446744073709551616", "18446744073709551616"},
        {digits, digits}, {"1e63", "1000000000000000000000000000000000000000000000000000000000000000"},
        {"1e64", ""}, {"1e400", ""}, {"1e-63", "0.000000000000000000000000000000000000000000000000000000000000001"},
        {"1e-64", ""}, {"x", ""}, {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[CUMULATIVE_TEXT_MAX];
        struct number number = {.text = bytes_of_text(cases[i].text)};
        struct bytes form = bytes_of(text, cumulative_text(&number, text));
        cr_expect(bytes_equal_text(form, cases[i].form), "%s: %.*s", cases[i].text, (int)form.len, (const char *)form.ptr);
    }
}

static struct registry *registry_with_profile(void)
{
    struct registry *registry = registry_new(&(struct hash_key){1, 2});
    struct tenant_record tenant = {.id = "acme"};
    struct device_record meter = {.tenant = "acme", .id = "meter", .profile = "old"},
                         other = {.tenant = "acme", .id = "other", .profile = "cayenne-lpp"};
    struct profile_record profile = {.tenant = "acme", .id = "old", .cumulative = "pulse=65536"};
    cr_assert(registry && registry_put_tenant(registry, &tenant) && registry_put_device(registry, &meter) &&
              registry_put_device(registry, &other) && registry_put_profile(registry, &profile));
    return registry;
}

Test(cumulative, all_of_a_message)
{
    struct registry *registry = registry_with_profile();
    struct arena *arena = arena_new(4096);
    struct observation observations[] = {number_of("pulse", ""), number_of("pulse", ""), number_of("pulse", ""),
                                         number_of("temp", "Cel"), number_of("energy", "J")};
    static const char *const devices[] = {"other", "meter", "unknown", "meter", "other"}, *const moduli[] = {"", "65536", "", "", ""};
    static const bool expected[] = {false, true, false, false, true};
    struct sink_record records[5] = {0};
    for (size_t i = 0; i < 5; i++)
        records[i] = (struct sink_record){.device = bytes_of_text(devices[i]), .observation = &observations[i]};
    struct cumulative_question question = {registry, BYTES_LITERAL("acme"), units, now, arena};
    cr_assert(cumulative_mark_all(&question, observations, records, 5));
    /* The records of a message outlive the turn, and the profile may go. */
    registry_remove_profile(registry, BYTES_LITERAL("acme"), BYTES_LITERAL("old"));
    for (size_t i = 0; i < 5; i++) {
        cr_expect_eq(observations[i].cumulative, expected[i], "%zu", i);
        cr_expect(bytes_equal_text(observations[i].modulus.text, moduli[i]), "%zu", i);
    }
    arena_free(arena);
    registry_free(registry);
}
