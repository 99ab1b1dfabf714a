// SPDX-License-Identifier: GPL-3.0-or-later
/* Device names of a fleet there and back, and the file of a ledger. Comparing with a stream: tests/integration. */
#include "cmd/sim_ledger.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Test(sim_ledger, names_there_and_back)
{
    const uint32_t devices[] = {0, 1, 41, 999998, 999999, 12345678};
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        char name[SIM_DEVICE_NAME_MAX];
        uint32_t device;
        size_t len = sim_device_name(name, devices[i]);
        cr_assert(sim_device_parse(bytes_of(name, len), &device));
        cr_assert_eq(device, devices[i]);
    }
    char name[SIM_DEVICE_NAME_MAX];
    sim_device_name(name, 0);
    cr_assert_str_eq(name, "sim-000001");
}

Test(sim_ledger, other_names_are_not_devices)
{
    const char *const names[] = {"", "sim-", "sim-00001", "sim-000000", "sim-00000x", "tim-000001", "sim-0000000001"};
    uint32_t device;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        cr_assert_not(sim_device_parse(bytes_of_text(names[i]), &device), "%s", names[i]);
}

Test(sim_ledger, file)
{
    char path[] = "/tmp/weir-ledger-XXXXXX", text[256] = "", error[SIM_LEDGER_ERROR_MAX];
    close(mkstemp(path));
    struct sim_ledger *ledger = sim_ledger_new(path, "demo", "sim-1", error);
    cr_assert_not_null(ledger, "%s", error);
    sim_ledger_add(ledger, 0, 1, NULL);
    sim_ledger_add(ledger, 99, 4000000000, "stored");
    cr_assert(sim_ledger_free(ledger));
    FILE *file = fopen(path, "r");
    cr_assert(fread(text, 1, sizeof text - 1, file) > 0);
    fclose(file);
    unlink(path);
    cr_assert_str_eq(text, "{\"tenant\": \"demo\", \"name\": \"sim-1\"}\nsim-000001 1\nsim-000100 4000000000 stored\n");
}

Test(sim_ledger, a_file_that_cannot_be_written)
{
    char error[SIM_LEDGER_ERROR_MAX];
    cr_assert_null(sim_ledger_new("/nonexistent/ledger", "demo", "sim-1", error));
    cr_assert(strstr(error, "/nonexistent/ledger"), "%s", error);
    cr_assert(sim_ledger_free(NULL));
}

Test(sim_ledger, only_ledgers_are_checked)
{
    char path[] = "/tmp/weir-ledger-XXXXXX", error[SIM_LEDGER_ERROR_MAX];
    struct sim_ledger_result result;
    FILE *file = fdopen(mkstemp(path), "w");
    fputs("something else\n", file);
    fclose(file);
    cr_assert_not(sim_ledger_check(path, &(struct store_target){.address = "unix:/nonexistent"}, NULL, &result, error));
    cr_assert(strstr(error, "not a ledger"), "%s", error);
    unlink(path);
}
