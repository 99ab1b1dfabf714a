// SPDX-License-Identifier: GPL-3.0-or-later
/* The file of rights that people copy is the one that the private Redis gets. */
#include "gateway/redis_rights.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Test(redis_rights, docs_agree)
{
    char path[512], line[4096] = "", wanted[4096];
    snprintf(path, sizeof path, "%s/docs/weir.acl", getenv("WEIR_SOURCE_ROOT"));
    FILE *file = fopen(path, "r");
    cr_assert(file && fgets(line, sizeof line, file), "%s", path);
    fclose(file);
    snprintf(wanted, sizeof wanted, "user %s on >CHANGE-ME %s\n", REDIS_RIGHTS_USER, REDIS_RIGHTS);
    cr_assert_str_eq(line, wanted);
}

/* Also those that it needs once in a blue moon, when no test would meet the refusal. */
Test(redis_rights, what_the_function_calls)
{
    char path[512], *text = calloc(1, 1 << 20);
    snprintf(path, sizeof path, "%s/gateway/function.lua", getenv("WEIR_SOURCE_ROOT"));
    FILE *file = fopen(path, "r");
    cr_assert(file && text && fread(text, 1, (1 << 20) - 1, file) > 0, "%s", path);
    fclose(file);
    unsigned found = 0;
    static const char *const forms[] = {"call(\"", "try(\""};
    for (size_t i = 0; i < 2; i++)
        for (const char *at = text; (at = strstr(at, forms[i])) != NULL; found++) {
            char right[40] = "+";
            at += strlen(forms[i]);
            for (size_t k = 0; at[k] >= 'A' && at[k] <= 'Z' && k < 30; k++)
                right[k + 1] = (char)(at[k] + 'a' - 'A');
            strcat(right, " ");
            cr_expect(strstr(REDIS_RIGHTS " ", right), "%s", right);
        }
    cr_expect(found > 20);
    free(text);
}

Test(redis_rights, nothing_that_changes_the_server)
{
    static const char *const never[] = {"+@", "+eval", "+config|set", "+debug", "+flush", "+script", "+restore",
                                        "+shutdown", "+replicaof", "+acl", "+keys", "&", "~*", "+config ", "+cluster "};
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        cr_expect_null(strstr(REDIS_RIGHTS, never[i]), "%s", never[i]);
    cr_expect(strstr(REDIS_RIGHTS, "~weir:* resetchannels -@all "));
}
