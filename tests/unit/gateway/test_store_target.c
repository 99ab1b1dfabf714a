// SPDX-License-Identifier: GPL-3.0-or-later
/* Forms of addresses, what goes together, the password's file. */
#include "gateway/store_target.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct store_places parse(const char *address)
{
    struct store_places places;
    cr_assert(store_target_parse(address, &places), "%s", address);
    return places;
}

Test(store_target, plain)
{
    struct store_places places = parse("127.0.0.1:6379");
    cr_expect_eq(places.form, STORE_FORM_PLAIN);
    cr_expect_eq(places.count, 1);
    cr_expect(store_endpoint_is_numeric(&places.endpoints[0]));
    places = parse("localhost:1");
    cr_expect_str_eq(places.endpoints[0].host, "127.0.0.1");
    places = parse("redis_1.internal:6379");
    cr_expect_str_eq(places.endpoints[0].host, "redis_1.internal");
    cr_expect_not(store_endpoint_is_numeric(&places.endpoints[0]));
    places = parse("unix:/run/a,b:1/s");
    cr_expect_eq(places.count, 1);
    cr_expect_str_eq(places.endpoints[0].path, "/run/a,b:1/s");
    places = parse("[::1]:6379,10.0.0.2:6380,name:1");
    cr_expect_eq(places.count, 3);
    cr_expect_str_eq(places.endpoints[0].host, "::1");
    cr_expect_eq(places.endpoints[1].port, 6380);
}

Test(store_target, sentinel_and_cluster)
{
    struct store_places places = parse("sentinel:10.0.0.1:26379,s2:26379/my-master_1");
    cr_expect_eq(places.form, STORE_FORM_SENTINEL);
    cr_expect_eq(places.count, 2);
    cr_expect_str_eq(places.master, "my-master_1");
    places = parse("cluster:127.0.0.1:7000,127.0.0.1:7001");
    cr_expect_eq(places.form, STORE_FORM_CLUSTER);
    cr_expect_eq(places.count, 2);
}

Test(store_target, what_is_none)
{
    static const char *const bad[] = {
        "", "unix:", "/a", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:6379x", ":6379",
        "[::1]", "[]:1", "[name]:1", "a b:1", "-a:1", "1.2.3:4", "1.2.3.4.5:1", "a:1,", ",a:1", "a:1,,b:1",
        "sentinel:a:1", "sentinel:a:1/", "sentinel:/m", "cluster:", "cluster:a", "http://a:1", "user@a:1",
    };
    struct store_places places;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not(store_target_parse(bad[i], &places), "%s", bad[i]);
    cr_expect_not(store_target_parse(NULL, &places));
}

Test(store_target, at_most_sixteen)
{
    char list[STORE_ADDRESS_MAX] = "a:1";
    struct store_places places;
    for (unsigned i = 1; i < STORE_ENDPOINTS_MAX; i++)
        strcat(list, ",a:1");
    cr_expect(store_target_parse(list, &places));
    strcat(list, ",a:1");
    cr_expect_not(store_target_parse(list, &places));
}

Test(store_target, endpoints_as_text)
{
    static const char *const same[] = {"127.0.0.1:1", "[::1]:2", "unix:/s", "name:3"};
    char out[STORE_ADDRESS_MAX + 16];
    struct store_endpoint endpoint;
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        cr_assert(store_target_parse_endpoint(bytes_of_text(same[i]), &endpoint));
        cr_expect_str_eq(store_endpoint_text(&endpoint, out), same[i]);
    }
}

Test(store_target, what_goes_together)
{
    char error[STORE_TARGET_ERROR_MAX];
    struct store_target target = {.address = "a:1"};
    cr_expect(store_target_check(&target, error));
    target.tls = true;
    cr_expect_not(store_target_check(&target, error));
    cr_expect(strstr(error, "redis_tls_ca"));
    target.tls_ca = "ca.pem";
    cr_expect(store_target_check(&target, error));
    target.tls_key = "key.pem";
    cr_expect_not(store_target_check(&target, error));
    target.tls_certificate = "certificate.pem";
    cr_expect(store_target_check(&target, error));
    target.address = "unix:/s";
    cr_expect_not(store_target_check(&target, error));
    target.address = "nonsense";
    cr_expect_not(store_target_check(&target, error));
}

static bool read_of(const char *contents, size_t len, struct store_password *ret)
{
    char path[] = "/tmp/weir-test-XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && write(fd, contents, len) == (ssize_t)len);
    close(fd);
    struct store_target target = {.password_file = path};
    bool ok = store_target_read_password(&target, ret);
    unlink(path);
    return ok;
}

Test(store_target, password)
{
    struct store_password password;
    char large[STORE_PASSWORD_MAX + 8];
    cr_assert(read_of("secret\nrest\n", 12, &password));
    cr_expect(password.len == 6 && memcmp(password.text, "secret", 6) == 0);
    cr_assert(read_of("with space \r\n", 13, &password));
    cr_expect_eq(password.len, 11);
    cr_assert(read_of("no end", 6, &password));
    cr_expect_eq(password.len, 6);
    cr_expect_not(read_of("", 0, &password));
    cr_expect_not(read_of("\nsecret\n", 8, &password));
    memset(large, 'x', sizeof large);
    cr_expect_not(read_of(large, sizeof large, &password));
    cr_expect_eq(password.len, 0);
    struct store_target target = {.password_file = "/nonexistent"};
    cr_expect_not(store_target_read_password(&target, &password));
    cr_expect_eq(errno, ENOENT);
    target.password_file = NULL;
    cr_expect(store_target_read_password(&target, &password));
    cr_expect_eq(password.len, 0);
}

Test(store_target, copies)
{
    char address[] = "a:1", user[] = "weir";
    struct store_target target = {.address = address, .user = user, .tls = true};
    struct store_target *copy = store_target_copy(&target);
    cr_assert(copy);
    address[0] = user[0] = 'X';
    cr_expect_str_eq(copy->address, "a:1");
    cr_expect_str_eq(copy->user, "weir");
    cr_expect_str_eq(copy->password_file, "");
    cr_expect(copy->tls);
    free(copy);
}
