// SPDX-License-Identifier: GPL-3.0-or-later
/* Options of `weir sim`: forms, ranges, and what must come together. */
#include "cmd/sim_options.h"

#include <criterion/criterion.h>
#include <string.h>

#define PARSE(...)                                                                                                     \
    sim_options_parse(&options, sizeof (char *[]){"sim", __VA_ARGS__} / sizeof(char *),                                \
                      (char *[]){"sim", __VA_ARGS__}, error)

static struct sim_options options;
static char error[SIM_ERROR_MAX];

Test(sim_options, defaults)
{
    cr_assert(PARSE("--progress"), "%s", error);
    cr_assert_str_eq(options.target, "127.0.0.1");
    cr_assert_str_eq(options.format, "senml-json");
    cr_assert_str_eq(options.tenant, "demo");
    cr_assert_eq(options.devices, 64);
    cr_assert_eq(options.ack_timeout_ms, 2000);
    cr_assert(options.progress && !options.dtls && !options.non && !options.provision);
    cr_assert_null(options.ledger);
    cr_assert_eq(options.sequence, SIM_SEQUENCE_OPTION);
    cr_assert_eq(options.epoch, 0);
    cr_assert_str_eq(options.level, "");
}

Test(sim_options, words)
{
    static const char *const words[] = {"none", "option", "query", "senml"};
    for (enum sim_sequence i = SIM_SEQUENCE_NONE; i <= SIM_SEQUENCE_SENML; i++) {
        cr_assert(PARSE("--seq", (char *)words[i]), "%s", error);
        cr_assert_eq(options.sequence, i);
    }
    cr_assert_not(PARSE("--seq=header"));
    cr_assert(strstr(error, "--seq"), "%s", error);
    cr_assert(PARSE("--level=replicated", "--epoch=4294967295"), "%s", error);
    cr_assert_eq(options.epoch, UINT32_MAX);
    cr_assert_not(PARSE("--level=best"));
    cr_assert_not(PARSE("--epoch=4294967296"));
}

Test(sim_options, both_forms)
{
    cr_assert(PARSE("--devices=100000", "--rate", "16667.5", "--non", "--format", "senml-cbor", "--ledger=a=b"), "%s",
              error);
    cr_assert_eq(options.devices, 100000);
    cr_assert_float_eq(options.rate, 16667.5, 1e-9);
    cr_assert(options.non);
    cr_assert_str_eq(options.format, "senml-cbor");
    cr_assert_str_eq(options.ledger, "a=b");
}

Test(sim_options, refusals_name_the_option)
{
    cr_assert_not(PARSE("--devices=0"));
    cr_assert(strstr(error, "devices"), "%s", error);
    cr_assert_not(PARSE("--devices=1.5"));
    cr_assert_not(PARSE("--devices=1000001"));
    cr_assert_not(PARSE("--devices=10x"));
    cr_assert_not(PARSE("--devices="));
    cr_assert_not(PARSE("--devices"));
    cr_assert_not(PARSE("--seconds=nan"));
    cr_assert_not(PARSE("--rate=-1"));
    cr_assert_not(PARSE("--port=65536"));
    cr_assert_not(PARSE("--non=yes"));
    cr_assert_not(PARSE("--frobnicate"));
    cr_assert(strstr(error, "--frobnicate"), "%s", error);
    cr_assert_not(PARSE("devices"));
    cr_assert_not(PARSE("--format=xml"));
}

Test(sim_options, neither_of_two_values_is_taken)
{
    cr_assert_not(PARSE("--rate=1", "--rate", "2"));
    cr_assert_str_eq(error, "--rate is given twice");
    cr_assert_not(PARSE("--tenant=a", "--devices=3", "--tenant=a"));
    cr_assert_str_eq(error, "--tenant is given twice");
    cr_assert(PARSE("--non", "--non"), "%s", error);
}

Test(sim_options, what_belongs_together)
{
    cr_assert_not(PARSE("--check=ledger"));
    cr_assert(PARSE("--check=ledger", "--redis=unix:/r"), "%s", error);
    cr_assert_not(PARSE("--provision", "--redis=unix:/r"));
    cr_assert(PARSE("--provision", "--redis=unix:/r", "--key-from=k"), "%s", error);
    cr_assert_not(PARSE("--dtls"));
    cr_assert(PARSE("--dtls", "--key-from=k"), "%s", error);
}
