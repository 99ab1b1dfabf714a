// SPDX-License-Identifier: GPL-3.0-or-later
/* The SenML resolver: RFC 8428's examples, each rule by a table, and cases P4 to P7, P11 and P12. */
#include "codec/senml.h"

#include "codec/timestamp.h"
#include "tests/unit/codec/support.h"

#include <math.h>

#define T ",\"t\":1763692800.125}]"

static const struct expectation values[] = {
    {"[{\"n\":\"a\",\"v\":1}]", "[{\"n\":\"a\",\"v\":1" T},
    {"[{\"n\":\"a\",\"v\":1.50}]", "[{\"n\":\"a\",\"v\":1.50" T},
    {"[{\"n\":\"a\",\"v\":1E+2}]", "[{\"n\":\"a\",\"v\":1e+2" T},
    {"[{\"n\":\"a\",\"v\":-0}]", "[{\"n\":\"a\",\"v\":-0" T},
    {"[{\"n\":\"a\",\"v\":18446744073709551616}]", "[{\"n\":\"a\",\"v\":18446744073709551616" T},
    {"[{\"n\":\"a\",\"v\":0.10000000000000000000000000000001}]",
     "[{\"n\":\"a\",\"v\":0.10000000000000000000000000000001" T},
    {"[{\"n\":\"a\",\"v\":1e-400}]", "[{\"n\":\"a\",\"v\":1e-400" T},
    {"[{\"n\":\"a\",\"v\":1e400}]", "bad-value"},
    {"[{\"n\":\"a\",\"v\":1e309}]", "bad-value"},
    {"[{\"n\":\"a\",\"v\":1e-401}]", "bad-value"},
    {"[{\"n\":\"a\",\"v\":01}]", "malformed"},
    {"[{\"n\":\"a\",\"v\":NaN}]", "malformed"},
    {"[{\"n\":\"a\",\"v\":\"1\"}]", "bad-value"},
    {"[{\"n\":\"a\",\"v\":null}]", "bad-value"},
    {"[{\"n\":\"a\",\"v\":[1]}]", "bad-value"},
    {"[{\"n\":\"a\",\"vs\":\"\"}]", "[{\"n\":\"a\",\"vs\":\"\"" T},
    {"[{\"n\":\"a\",\"vs\":\"\\r\\n\\u001b[31m*2\\r\\n$3\\u007f\"}]",
     "[{\"n\":\"a\",\"vs\":\"\\r\\n\\u001b[31m*2\\r\\n$3\\u007f\"" T},
    {"[{\"n\":\"a\",\"vs\":\"a\\u0000b\"}]", "bad-value"},
    {"[{\"n\":\"a\",\"vs\":1}]", "bad-value"},
    {"[{\"n\":\"a\",\"vb\":false}]", "[{\"n\":\"a\",\"vb\":false" T},
    {"[{\"n\":\"a\",\"vb\":1}]", "bad-value"},
    {"[{\"n\":\"a\",\"vd\":\"aGkgCg\"}]", "[{\"n\":\"a\",\"vd\":\"aGkgCg\"" T},
    {"[{\"n\":\"a\",\"vd\":\"\"}]", "[{\"n\":\"a\",\"vd\":\"\"" T},
    {"[{\"n\":\"a\",\"vd\":\"aGkgCg==\"}]", "bad-value"},
    {"[{\"n\":\"a\",\"vd\":\"aGkgCh\"}]", "bad-value"},
    {"[{\"n\":\"a\",\"vd\":\"a+/b\"}]", "bad-value"},
    {"[{\"n\":\"a\",\"vd\":\"aG k\"}]", "bad-value"},
    {"[{\"n\":\"a\",\"v\":1,\"vb\":true}]", "bad-value"},
    {"[{\"n\":\"a\",\"vs\":\"x\",\"vd\":\"\"}]", "bad-value"},
    {"[{\"n\":\"a\"}]", "bad-value"},
    {"[{\"n\":\"a\",\"u\":\"Cel\",\"t\":0}]", "bad-value"},
    {"[{}]", "bad-value"},
    {"[{\"foo\":1}]", "bad-value"},
    {"[]", "bad-value"},
    {"{}", "bad-value"},
    {"{\"n\":\"a\",\"v\":1}", "bad-value"},
    {"[1]", "bad-value"},
    {"[[{\"n\":\"a\",\"v\":1}]]", "bad-value"},
    {"3", "bad-value"},
    {"[{\"n\":\"a\",\"v\":1},{\"n\":\"b\"}]", "bad-value"},
    {"[{\"n\":\"a\",\"v\":1,\"v\":999}]", "duplicate-key"},
    {"[{\"n\":\"a\",\"v\":1,\"\\u0076\":999}]", "duplicate-key"},
    {"[{\"n\":\"a\",\"v\":1,\"x\":{\"y\":1,\"y\":2}}]", "duplicate-key"},
    {"[{\"n\":\"a\",\"v\":1}][]", "malformed"},
    {"[{\"n\":\"a\",\"v\":1}", "malformed"},
};

Test(senml, values)
{
    check_json_table(CONTENT_FORMAT_SENML_JSON, values, COUNT_OF(values));
    check_json_table(CONTENT_FORMAT_SENSML_JSON, values, COUNT_OF(values));
}

Test(senml, names)
{
    static const struct expectation table[] = {
        {"[{\"n\":\"urn:dev:ow:10e2073a01080063\",\"v\":1}]", "[{\"n\":\"urn:dev:ow:10e2073a01080063\",\"v\":1" T},
        {"[{\"bn\":\"2001:db8::2/\",\"n\":\"temperature\",\"v\":1}]", "[{\"n\":\"2001:db8::2/temperature\",\"v\":1" T},
        {"[{\"bn\":\"a\",\"v\":1}]", "[{\"n\":\"a\",\"v\":1" T},
        {"[{\"bn\":\"a\",\"n\":\"\",\"v\":1}]", "[{\"n\":\"a\",\"v\":1" T},
        {"[{\"bn\":\"a\",\"n\":\"/x\",\"v\":1}]", "[{\"n\":\"a/x\",\"v\":1" T},
        {"[{\"bn\":\"a\",\"n\":\"_-:./\",\"v\":1}]", "[{\"n\":\"a_-:./\",\"v\":1" T},
        {"[{\"bn\":\"a\",\"n\":\"1\",\"v\":1},{\"bn\":\"\",\"n\":\"b\",\"v\":2}]",
         "[{\"n\":\"a1\",\"v\":1,\"t\":1763692800.125},{\"n\":\"b\",\"v\":2" T},
        {"[{\"v\":1}]", "bad-name"},
        {"[{\"n\":\"\",\"v\":1}]", "bad-name"},
        {"[{\"n\":\"/a\",\"v\":1}]", "bad-name"},
        {"[{\"n\":\"-a\",\"v\":1}]", "bad-name"},
        {"[{\"n\":\"_a\",\"v\":1}]", "bad-name"},
        {"[{\"n\":\".a\",\"v\":1}]", "bad-name"},
        {"[{\"n\":\":a\",\"v\":1}]", "bad-name"},
        {"[{\"bn\":\"/a\",\"n\":\"b\",\"v\":1}]", "bad-name"},
        {"[{\"n\":\"a b\",\"v\":1}]", "bad-name"},
        {"[{\"n\":\"a\\nb\",\"v\":1}]", "bad-name"},
        {"[{\"n\":\"a*\",\"v\":1}]", "bad-name"},
        {"[{\"n\":\"a%20\",\"v\":1}]", "bad-name"},
        {"[{\"n\":\"\xc3\xbc\",\"v\":1}]", "bad-name"},
        {"[{\"n\":7,\"v\":1}]", "bad-value"},
        {"[{\"bn\":null,\"n\":\"a\",\"v\":1}]", "bad-value"},
    };
    check_json_table(CONTENT_FORMAT_SENML_JSON, table, COUNT_OF(table));
}

Test(senml, base_fields)
{
    static const struct expectation table[] = {
        /* units */
        {"[{\"bu\":\"W\",\"n\":\"a\",\"v\":1},{\"n\":\"b\",\"u\":\"V\",\"v\":2},{\"n\":\"c\",\"v\":3}]",
         "[{\"n\":\"a\",\"u\":\"W\",\"v\":1,\"t\":1763692800.125},{\"n\":\"b\",\"u\":\"V\",\"v\":2,"
         "\"t\":1763692800.125},{\"n\":\"c\",\"u\":\"W\",\"v\":3" T},
        {"[{\"n\":\"a\",\"u\":\"no such unit\",\"v\":1}]", "[{\"n\":\"a\",\"u\":\"no such unit\",\"v\":1" T},
        {"[{\"n\":\"a\",\"u\":1,\"v\":1}]", "bad-value"},
        /* values */
        {"[{\"bv\":20,\"n\":\"a\",\"v\":1.5}]", "[{\"n\":\"a\",\"v\":21.5" T},
        {"[{\"bv\":0.1,\"n\":\"a\",\"v\":0.2}]", "[{\"n\":\"a\",\"v\":0.3" T},
        {"[{\"bv\":-1e2,\"n\":\"a\",\"v\":1}]", "[{\"n\":\"a\",\"v\":-99" T},
        {"[{\"bv\":20.0,\"n\":\"a\"}]", "[{\"n\":\"a\",\"v\":20.0" T},
        {"[{\"bv\":20,\"n\":\"a\",\"vs\":\"x\"}]", "[{\"n\":\"a\",\"vs\":\"x\"" T},
        {"[{\"bv\":20,\"n\":\"a\",\"vb\":true}]", "[{\"n\":\"a\",\"vb\":true" T},
        {"[{\"bv\":1e300,\"n\":\"a\",\"v\":1}]", "bad-value"},
        {"[{\"bv\":1.7e308,\"n\":\"a\",\"v\":1.7e308}]", "bad-value"},
        {"[{\"bv\":1e309,\"n\":\"a\",\"v\":1}]", "bad-value"},
        {"[{\"bv\":\"1\",\"n\":\"a\",\"v\":1}]", "bad-value"},
        {"[{\"bn\":\"a\",\"bv\":20}]", "[]"},
        {"[{\"bn\":\"a\",\"bv\":20},{\"t\":-1}]", "[{\"n\":\"a\",\"v\":20,\"t\":1763692799.125}]"},
        {"[{\"bn\":\"a\",\"bv\":20},{}]", "bad-value"},
        /* sums */
        {"[{\"n\":\"a\",\"s\":5}]", "[{\"n\":\"a\",\"s\":5" T},
        {"[{\"n\":\"a\",\"v\":1,\"s\":5}]", "[{\"n\":\"a\",\"v\":1,\"s\":5" T},
        {"[{\"bs\":100.5,\"n\":\"a\",\"s\":5}]", "[{\"n\":\"a\",\"s\":105.5" T},
        {"[{\"bs\":100,\"n\":\"a\",\"v\":1}]", "[{\"n\":\"a\",\"v\":1,\"s\":100" T},
        {"[{\"bs\":100,\"n\":\"a\"}]", "[{\"n\":\"a\",\"s\":100" T},
        {"[{\"bv\":1,\"n\":\"a\",\"s\":5}]", "[{\"n\":\"a\",\"s\":5" T},
        {"[{\"n\":\"a\",\"s\":true}]", "bad-value"},
        {"[{\"n\":\"a\",\"v\":1,\"ut\":true}]", "bad-value"},
        {"[{\"n\":\"a\",\"v\":1,\"ut\":60}]", "[{\"n\":\"a\",\"v\":1" T},
        /* records of base fields only */
        {"[{\"bn\":\"a\"}]", "[]"},
        {"[{\"bn\":\"a\",\"foo\":1}]", "[]"},
        {"[{\"bn\":\"a\"},{\"v\":1}]", "[{\"n\":\"a\",\"v\":1" T},
    };
    check_json_table(CONTENT_FORMAT_SENML_JSON, table, COUNT_OF(table));
}

Test(senml, times)
{
    static const struct expectation table[] = {
        {"[{\"n\":\"a\",\"v\":1,\"t\":0}]", "[{\"n\":\"a\",\"v\":1" T},
        {"[{\"n\":\"a\",\"v\":1,\"t\":-5}]", "[{\"n\":\"a\",\"v\":1,\"t\":1763692795.125}]"},
        {"[{\"n\":\"a\",\"v\":1,\"t\":60.5}]", "[{\"n\":\"a\",\"v\":1,\"t\":1763692860.625}]"},
        {"[{\"n\":\"a\",\"v\":1,\"t\":268435456}]", "[{\"n\":\"a\",\"v\":1,\"t\":268435456}]"},
        {"[{\"n\":\"a\",\"v\":1,\"t\":268435455.9}]", "[{\"n\":\"a\",\"v\":1,\"t\":2032128256.025}]"},
        /* compared after adding */
        {"[{\"bt\":-5,\"n\":\"a\",\"v\":1,\"t\":268435456}]", "[{\"n\":\"a\",\"v\":1,\"t\":2032128251.125}]"},
        {"[{\"bt\":268435450,\"n\":\"a\",\"v\":1,\"t\":6}]", "[{\"n\":\"a\",\"v\":1,\"t\":268435456}]"},
        {"[{\"bt\":1.276020076001e+09,\"n\":\"a\",\"v\":1,\"t\":-5}]", "[{\"n\":\"a\",\"v\":1,\"t\":1276020071.001}]"},
        {"[{\"bt\":1276020076,\"n\":\"a\",\"v\":1},{\"n\":\"b\",\"v\":2,\"t\":-1},{\"n\":\"c\",\"v\":3,\"t\":-1}]",
         "[{\"n\":\"b\",\"v\":2,\"t\":1276020075},{\"n\":\"c\",\"v\":3,\"t\":1276020075},"
         "{\"n\":\"a\",\"v\":1,\"t\":1276020076}]"},
        {"[{\"n\":\"a\",\"v\":1,\"t\":1e15}]", "[{\"n\":\"a\",\"v\":1,\"t\":1000000000000000}]"},
        {"[{\"n\":\"a\",\"v\":1,\"t\":1e16}]", "bad-value"},
        {"[{\"n\":\"a\",\"v\":1,\"t\":-1e300}]", "bad-value"},
        {"[{\"bt\":1e15,\"n\":\"a\",\"v\":1,\"t\":1e15}]", "bad-value"},
        {"[{\"n\":\"a\",\"v\":1,\"t\":\"now\"}]", "bad-value"},
    };
    check_json_table(CONTENT_FORMAT_SENML_JSON, table, COUNT_OF(table));
}

static enum time_source source_of(const char *payload)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct observation_list list;
    cr_assert_eq(decode_as(CONTENT_FORMAT_SENML_JSON, bytes_of_text(payload), arena, &list, NULL), OUTCOME_CHANGED);
    cr_assert_eq(list.count, 1);
    enum time_source source = list.items[0].time_source;
    arena_free(arena);
    return source;
}

Test(senml, says_where_the_time_came_from)
{
    cr_expect_eq(source_of("[{\"n\":\"a\",\"v\":1}]"), TIME_RECEIPT);
    cr_expect_eq(source_of("[{\"n\":\"a\",\"v\":1,\"t\":0}]"), TIME_RELATIVE);
    cr_expect_eq(source_of("[{\"bt\":-3},{\"n\":\"a\",\"v\":1}]"), TIME_RELATIVE);
    cr_expect_eq(source_of("[{\"n\":\"a\",\"v\":1,\"t\":1276020076}]"), TIME_DEVICE);
    cr_expect_eq(source_of("[{\"bt\":1276020076,\"n\":\"a\",\"v\":1}]"), TIME_DEVICE);
}

Test(senml, versions_and_must_understand)
{
    static const struct expectation table[] = {
        {"[{\"bver\":10,\"n\":\"a\",\"v\":1}]", "[{\"n\":\"a\",\"v\":1" T},
        {"[{\"bver\":5,\"n\":\"a\",\"v\":1}]", "[{\"n\":\"a\",\"v\":1" T},
        {"[{\"bver\":26,\"n\":\"a\",\"v\":1}]", "[{\"n\":\"a\",\"v\":1" T},
        {"[{\"bver\":26.0,\"n\":\"a\",\"v\":1}]", "[{\"n\":\"a\",\"v\":1" T},
        {"[{\"bver\":2.6e1,\"n\":\"a\",\"v\":1}]", "[{\"n\":\"a\",\"v\":1" T},
        {"[{\"bver\":2600e-2,\"n\":\"a\",\"v\":1}]", "[{\"n\":\"a\",\"v\":1" T},
        {"[{\"bver\":1e1,\"n\":\"a\",\"v\":1}]", "[{\"n\":\"a\",\"v\":1" T},
        {"[{\"bver\":0.1e2,\"n\":\"a\",\"v\":1},{\"bver\":10,\"n\":\"b\",\"v\":1}]",
         "[{\"n\":\"a\",\"v\":1,\"t\":1763692800.125},{\"n\":\"b\",\"v\":1" T},
        {"[{\"bver\":1e300,\"n\":\"a\",\"v\":1}]", "bad-value"},
        {"[{\"bver\":1e15,\"n\":\"a\",\"v\":1}]", "bad-version"},
        {"[{\"bver\":9e15,\"n\":\"a\",\"v\":1}]", "bad-version"},
        {"[{\"bver\":1e16,\"n\":\"a\",\"v\":1}]", "bad-value"},
        {"[{\"bver\":1.00000000000000000000000000001e29,\"n\":\"a\",\"v\":1}]", "bad-value"},
        {"[{\"bver\":0.0,\"n\":\"a\",\"v\":1}]", "bad-value"},
        {"[{\"bver\":27,\"n\":\"a\",\"v\":1}]", "bad-version"},
        {"[{\"bver\":18,\"n\":\"a\",\"v\":1}]", "bad-version"},
        {"[{\"bver\":4503599627370506,\"n\":\"a\",\"v\":1}]", "bad-version"},
        {"[{\"bver\":9007199254740992,\"n\":\"a\",\"v\":1}]", "bad-value"},
        {"[{\"bver\":11,\"n\":\"a\",\"v\":1}]", "bad-version"},
        {"[{\"bver\":16,\"n\":\"a\",\"v\":1}]", "bad-version"},
        {"[{\"bver\":42,\"n\":\"a\",\"v\":1}]", "bad-version"},
        {"[{\"bver\":58,\"n\":\"a\",\"v\":1}]", "bad-version"},
        {"[{\"bver\":9007199254740991,\"n\":\"a\",\"v\":1}]", "bad-version"},
        {"[{\"bver\":99999999999999999999,\"n\":\"a\",\"v\":1}]", "bad-value"},
        {"[{\"bver\":0,\"n\":\"a\",\"v\":1}]", "bad-value"},
        {"[{\"bver\":-1,\"n\":\"a\",\"v\":1}]", "bad-value"},
        {"[{\"bver\":10.5,\"n\":\"a\",\"v\":1}]", "bad-value"},
        {"[{\"bver\":\"10\",\"n\":\"a\",\"v\":1}]", "bad-value"},
        {"[{\"bver\":5,\"n\":\"a\",\"v\":1},{\"bver\":5,\"n\":\"b\",\"v\":1}]",
         "[{\"n\":\"a\",\"v\":1,\"t\":1763692800.125},{\"n\":\"b\",\"v\":1" T},
        {"[{\"bver\":5,\"n\":\"a\",\"v\":1},{\"bver\":10,\"n\":\"b\",\"v\":1}]", "bad-version"},
        {"[{\"n\":\"a\",\"v\":1},{\"bver\":5,\"n\":\"b\",\"v\":1}]", "bad-version"},
        {"[{\"n\":\"a\",\"v\":1},{\"bver\":10,\"n\":\"b\",\"v\":1}]",
         "[{\"n\":\"a\",\"v\":1,\"t\":1763692800.125},{\"n\":\"b\",\"v\":1" T},
        {"[{\"n\":\"a\",\"v\":1,\"x_\":1}]", "must-understand"},
        {"[{\"n\":\"a\",\"v\":1},{\"bn\":\"b\",\"_\":1}]", "must-understand"},
        {"[{\"n\":\"a\",\"v\":1,\"bx\":1,\"l\":\"[]\",\"deep\":{\"x_\":[1,{}]}}]", "[{\"n\":\"a\",\"v\":1" T},
        {"[{\"n\":\"a\",\"v\":1,\"\":1}]", "[{\"n\":\"a\",\"v\":1" T},
    };
    check_json_table(CONTENT_FORMAT_SENML_JSON, table, COUNT_OF(table));
}

/* RFC 8798: only where the version has the feature, exactly, after the base value was added. */
Test(senml, secondary_units)
{
    static const struct expectation table[] = {
        {"[{\"n\":\"a\",\"u\":\"kWh\",\"v\":1.50}]", "[{\"n\":\"a\",\"u\":\"kWh\",\"v\":1.50" T},
        {"[{\"bver\":26,\"n\":\"a\",\"u\":\"kWh\",\"v\":1.50}]", "[{\"n\":\"a\",\"u\":\"J\",\"v\":5400000" T},
        {"[{\"bver\":26,\"n\":\"a\",\"u\":\"Cel\",\"v\":1.50}]", "[{\"n\":\"a\",\"u\":\"Cel\",\"v\":1.50" T},
        {"[{\"bver\":26,\"n\":\"a\",\"u\":\"furlong\",\"v\":1.50}]",
         "[{\"n\":\"a\",\"u\":\"furlong\",\"v\":1.50" T},
        {"[{\"bver\":26,\"n\":\"a\",\"u\":\"km/h\",\"v\":36}]", "[{\"n\":\"a\",\"u\":\"m/s\",\"v\":10" T},
        {"[{\"bver\":26,\"n\":\"a\",\"u\":\"km/h\",\"v\":1}]",
         "[{\"n\":\"a\",\"u\":\"m/s\",\"v\":0.27777777777777777778" T},
        {"[{\"bver\":26,\"bu\":\"mV\",\"bv\":0.5,\"n\":\"a\",\"v\":0.5}]", "[{\"n\":\"a\",\"u\":\"V\",\"v\":0.001" T},
        {"[{\"bver\":26,\"bu\":\"mV\",\"bv\":250,\"n\":\"a\"}]", "[{\"n\":\"a\",\"u\":\"V\",\"v\":0.25" T},
        /* a base value has the unit of the record that uses it */
        {"[{\"bver\":26,\"bu\":\"kW\",\"bv\":1,\"n\":\"a\",\"v\":1},{\"n\":\"b\",\"u\":\"W\",\"v\":1},"
         "{\"n\":\"c\",\"u\":\"hPa\",\"v\":1},{\"n\":\"d\",\"u\":\"\",\"v\":1}]",
         "[{\"n\":\"a\",\"u\":\"W\",\"v\":2000,\"t\":1763692800.125},{\"n\":\"b\",\"u\":\"W\",\"v\":2,"
         "\"t\":1763692800.125},{\"n\":\"c\",\"u\":\"Pa\",\"v\":200,\"t\":1763692800.125},{\"n\":\"d\",\"v\":2" T},
        /* an offset is for values */
        {"[{\"bver\":26,\"n\":\"a\",\"u\":\"dBm\",\"v\":10.0,\"s\":10.0}]",
         "[{\"n\":\"a\",\"u\":\"dBW\",\"v\":-20,\"s\":10" T},
        {"[{\"bver\":26,\"n\":\"a\",\"u\":\"kW\",\"bs\":1,\"s\":0.5}]", "[{\"n\":\"a\",\"u\":\"W\",\"s\":1500" T},
        {"[{\"bver\":26,\"n\":\"a\",\"u\":\"kW\",\"vs\":\"x\"}]", "[{\"n\":\"a\",\"u\":\"kW\",\"vs\":\"x\"" T},
        {"[{\"bver\":26,\"n\":\"a\",\"u\":\"kW\",\"vb\":true,\"s\":1}]",
         "[{\"n\":\"a\",\"u\":\"W\",\"vb\":true,\"s\":1000" T},
        {"[{\"bver\":26,\"n\":\"a\",\"u\":\"kW\",\"v\":1.7e308}]", "bad-value"},
        {"[{\"bver\":26,\"n\":\"a\",\"u\":\"mA\",\"v\":1e-399}]", "bad-value"},
        {"[{\"bver\":26,\"n\":\"a\",\"u\":\"h\","
         "\"v\":1111111111111111111111111111111111111111111111111111111111111111}]", "bad-value"},
    };
    check_json_table(CONTENT_FORMAT_SENML_JSON, table, COUNT_OF(table));
}

/* RFC 9193. */
Test(senml, content_types)
{
    static const struct expectation table[] = {
        {"[{\"n\":\"a\",\"vd\":\"AQ\",\"ct\":\"60\"}]", "[{\"n\":\"a\",\"vd\":\"AQ\",\"ct\":\"60\"" T},
        {"[{\"bct\":\"text/csv\",\"n\":\"a\",\"vd\":\"AQ\"},{\"n\":\"b\",\"vd\":\"\",\"ct\":\"0\"},"
         "{\"n\":\"c\",\"v\":1}]",
         "[{\"n\":\"a\",\"vd\":\"AQ\",\"ct\":\"text/csv\",\"t\":1763692800.125},{\"n\":\"b\",\"vd\":\"\",\"ct\":\"0\","
         "\"t\":1763692800.125},{\"n\":\"c\",\"v\":1" T},
        {"[{\"bn\":\"a\",\"bct\":\"60\"},{\"vd\":\"AQ\"}]", "[{\"n\":\"a\",\"vd\":\"AQ\",\"ct\":\"60\"" T},
        {"[{\"n\":\"a\",\"vd\":\"AQ\",\"ct\":\"text/plain; charset=utf-8@gzip\"}]",
         "[{\"n\":\"a\",\"vd\":\"AQ\",\"ct\":\"text/plain; charset=utf-8@gzip\"" T},
        {"[{\"n\":\"a\",\"v\":1,\"ct\":\"60\"}]", "bad-value"},
        {"[{\"n\":\"a\",\"s\":1,\"ct\":\"60\"}]", "bad-value"},
        {"[{\"n\":\"a\",\"ct\":\"60\"}]", "bad-value"},
        {"[{\"n\":\"a\",\"vd\":\"AQ\",\"ct\":60}]", "bad-value"},
        {"[{\"n\":\"a\",\"vd\":\"AQ\",\"ct\":\"060\"}]", "bad-value"},
        {"[{\"n\":\"a\",\"vd\":\"AQ\",\"ct\":\"\"}]", "bad-value"},
        {"[{\"bct\":\"csv\",\"n\":\"a\",\"v\":1}]", "bad-value"},
        {"[{\"bct\":1,\"n\":\"a\",\"v\":1}]", "bad-value"},
        {"[{\"n\":\"a\",\"v\":1,\"ct_\":\"60\"}]", "must-understand"},
    };
    static const struct expectation cbor[] = {
        {"81a3006161084101626374623630", "[{\"n\":\"a\",\"vd\":\"AQ\",\"ct\":\"60\"" T},
        {"81a3636263746236300061610841ff", "[{\"n\":\"a\",\"vd\":\"_w\",\"ct\":\"60\"" T},
        {"81a3006161084101626374183c", "bad-value"},
        /* 9 and 10 are no labels */
        {"81a300616108410109623630", "[{\"n\":\"a\",\"vd\":\"AQ\"" T},
        {"81a30061610841010a623630", "[{\"n\":\"a\",\"vd\":\"AQ\"" T},
    };
    check_json_table(CONTENT_FORMAT_SENML_JSON, table, COUNT_OF(table));
    check_hex_table(CONTENT_FORMAT_SENML_CBOR, cbor, COUNT_OF(cbor));
}

Test(senml, cbor)
{
    static const struct expectation table[] = {
        {"81a200616102f94d60", "[{\"n\":\"a\",\"v\":21.5" T},
        {"81a20061610201", "[{\"n\":\"a\",\"v\":1" T},
        {"81a20061610220", "[{\"n\":\"a\",\"v\":-1" T},
        {"81a2006161023bffffffffffffffff", "[{\"n\":\"a\",\"v\":-18446744073709551616" T},
        {"81a200616102c24a01000000000000000000", "[{\"n\":\"a\",\"v\":4722366482869645213696" T},
        {"81a200616102c482211908d3", "[{\"n\":\"a\",\"v\":22.59" T},
        {"81a200616102fa41b8cccd", "[{\"n\":\"a\",\"v\":23.100000381469727" T},
        {"81a200616102fb403719999999999a", "[{\"n\":\"a\",\"v\":23.1" T},
        {"81a200616102f98000", "[{\"n\":\"a\",\"v\":-0" T},
        {"81a200616102f97e00", "bad-value"},
        {"81a200616102f97c00", "bad-value"},
        {"81a200616102fbfff0000000000000", "bad-value"},
        {"81a200616103617a", "[{\"n\":\"a\",\"vs\":\"z\"" T},
        {"81a200616104f5", "[{\"n\":\"a\",\"vb\":true" T},
        {"81a2006161084101", "[{\"n\":\"a\",\"vd\":\"AQ\"" T},
        {"81a2006161086141", "bad-value"},
        {"81a200616103417a", "bad-value"},
        {"81a2006161020102", "malformed"},
        {"81a300616102010202", "duplicate-key"},
        {"81a30061610201180202", "duplicate-key"},
        /* text labels are for JSON; with them a field could be there twice */
        {"81a2616e6161617601", "bad-value"},
        {"81a30061610201617602", "bad-value"},
        {"81a3006161020162785f01", "must-understand"},
        {"81a300616102010961", "malformed"},
        {"81a30061610201096178", "[{\"n\":\"a\",\"v\":1" T},
        {"81a30061610201266178", "[{\"n\":\"a\",\"v\":1" T},
        {"81a300616102011bffffffffffffffff00", "[{\"n\":\"a\",\"v\":1" T},
        {"81a300616102013bffffffffffffffff00", "[{\"n\":\"a\",\"v\":1" T},
        {"81a30061610201410000", "bad-value"},
        {"81a3200a0061610201", "[{\"n\":\"a\",\"v\":1" T},
        {"81a320182a0061610201", "bad-version"},
        {"81a320200061610201", "bad-value"},
        {"81a320f949000061610201", "bad-value"},
        {"81a3006161020106f6", "bad-value"},
        {"81a3006161020106fb41d303a15b001062", "[{\"n\":\"a\",\"v\":1,\"t\":1276020076.001}]"},
        {"81a3006161020106c482221b00000129185ea061", "[{\"n\":\"a\",\"v\":1,\"t\":1276014141.537}]"},
        {"81a200616102c11a4c0e8560", "bad-value"},
        /* the outer array may be without a length, strings may not be in chunks */
        {"9fa20061610201ff", "[{\"n\":\"a\",\"v\":1" T},
        {"81bf0061610201ff", "[{\"n\":\"a\",\"v\":1" T},
        {"81a2007f6161ff0201", "bad-value"},
        {"81a2006161085f4101ff", "bad-value"},
        {"80", "bad-value"},
        {"a0", "bad-value"},
        {"8101", "bad-value"},
        {"81a0", "bad-value"},
        {"81a200616102f6", "bad-value"},
        {"9bffffffffffffffff", "malformed"},
        {"81a1216161", "[]"},
    };
    check_hex_table(CONTENT_FORMAT_SENML_CBOR, table, COUNT_OF(table));
    check_hex_table(CONTENT_FORMAT_SENSML_CBOR, table, COUNT_OF(table));
}

/* P11: only the declared format is parsed. */
Test(senml, refuses_the_other_form)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct bytes json = BYTES_LITERAL("[{\"n\":\"a\",\"v\":1}]");
    struct bytes cbor = hex_bytes(arena, "81a20061610201");
    cr_expect_str_eq(decoded(CONTENT_FORMAT_SENML_CBOR, json, arena), "malformed");
    cr_expect_str_eq(decoded(CONTENT_FORMAT_CBOR, json, arena), "malformed");
    cr_expect_str_eq(decoded(CONTENT_FORMAT_CBOR, BYTES_LITERAL("{\"a\":1}"), arena), "malformed");
    cr_expect_str_eq(decoded(CONTENT_FORMAT_SENML_JSON, cbor, arena), "malformed");
    cr_expect_str_eq(decoded(CONTENT_FORMAT_JSON, cbor, arena), "malformed");
    cr_expect_str_eq(decoded(CONTENT_FORMAT_TEXT, json, arena), "malformed");
    cr_expect_str_eq(decoded(CONTENT_FORMAT_TEXT, cbor, arena), "malformed");
    arena_free(arena);
}

Test(senml, bounds_the_number_of_records)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    char *text = arena_alloc(arena, 1100 * 20), *at = text;
    *at++ = '[';
    for (int i = 0; i < 1024; i++)
        at = stpcpy(at, i ? ",{\"s\":1}" : "{\"bn\":\"a\",\"s\":1}");
    char *end = stpcpy(at, "]");
    cr_expect(decoded(CONTENT_FORMAT_SENML_JSON, bytes_of(text, (size_t)(end - text)), arena)[0] == '[');
    end = stpcpy(at, ",{\"s\":1}]");
    cr_expect_str_eq(decoded(CONTENT_FORMAT_SENML_JSON, bytes_of(text, (size_t)(end - text)), arena), "too-complex");
    arena_free(arena);
}

Test(senml, error_leaves_the_list_untouched)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct observation_list list = {.items = NULL, .count = 77};
    struct format_error error = {NULL, 0};
    struct bytes payload = BYTES_LITERAL("[{\"n\":\"a\",\"v\":1},{\"n\":\"b\",\"v\":\"x\"}]");
    cr_assert_eq(decode_as(CONTENT_FORMAT_SENML_JSON, payload, arena, &list, &error), OUTCOME_BAD_VALUE);
    cr_assert_eq(list.count, 77);
    cr_assert_eq(error.offset, 31);
    arena_free(arena);
}

Test(senml, out_of_memory_is_an_outcome_at_every_allocation)
{
    struct bytes payload = BYTES_LITERAL("[{\"bn\":\"a\",\"bv\":1,\"bs\":2,\"n\":\"b\",\"v\":1E2,\"s\":4,\"t\":9},"
                                         "{\"n\":\"c\",\"vd\":\"aGkgCg\"}]");
    size_t limit = 0;
    enum outcome outcome;
    do {
        struct arena *arena = arena_new(limit);
        struct format_input input = {.payload = payload, .now = NOW, .limits = FORMAT_LIMITS_DEFAULT};
        struct observation_list list = {.items = NULL, .count = 77};
        outcome = format_by_content_format(CONTENT_FORMAT_SENML_JSON)->decode(&input, arena, &list, NULL);
        if (outcome != OUTCOME_CHANGED) {
            cr_assert_eq(outcome, OUTCOME_OUT_OF_MEMORY);
            cr_assert_eq(list.count, 77);
        }
        arena_free(arena);
        limit += 8;
    } while (outcome != OUTCOME_CHANGED && limit < 100000);
    cr_assert_eq(outcome, OUTCOME_CHANGED);
}

Test(senml, name_rule)
{
    cr_assert(senml_name_is_valid(BYTES_LITERAL("a")));
    cr_assert(senml_name_is_valid(BYTES_LITERAL("9Z:_-./")));
    cr_assert_not(senml_name_is_valid(bytes_of(NULL, 0)));
    for (unsigned c = 0; c < 256; c++) {
        uint8_t name[] = {'a', (uint8_t)c};
        bool allowed = c && strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-:./_", (int)c);
        cr_expect_eq(senml_name_is_valid(bytes_of(name, 2)), allowed, "%u", c);
    }
}

/* The examples of RFC 8428: exN.json and exN.gen.json resolve to exN.gen.resolved.json. */

static struct observation_list resolved(struct arena *arena, const char *file, int content_format, int64_t now_s)
{
    char path[256];
    struct observation_list list;
    snprintf(path, sizeof(path), "senml-rfc8428/%s", file);
    struct format_input input = {
        .payload = vector_file(arena, path),
        .now = {now_s, 0},
        .limits = FORMAT_LIMITS_DEFAULT,
    };
    enum outcome outcome = format_by_content_format(content_format)->decode(&input, arena, &list, NULL);
    cr_assert_eq(outcome, OUTCOME_CHANGED, "%s", path);
    return list;
}

static void check_same(const struct observation_list *a, const struct observation_list *b, const char *what)
{
    cr_assert_eq(a->count, b->count, "%s: %zu and %zu", what, a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        const struct observation *x = &a->items[i], *y = &b->items[i];
        cr_expect(bytes_equal(x->name, y->name), "%s record %zu", what, i);
        cr_expect(bytes_equal(x->unit, y->unit), "%s record %zu", what, i);
        cr_expect_eq(timestamp_compare(x->time, y->time), 0, "%s record %zu", what, i);
        cr_expect_eq(x->kind, y->kind, "%s record %zu", what, i);
        cr_expect_eq(x->boolean, y->boolean, "%s record %zu", what, i);
        cr_expect(bytes_equal(x->data, y->data), "%s record %zu", what, i);
        if (x->kind == VALUE_NUMBER)
            cr_expect_eq(x->number.approx, y->number.approx, "%s record %zu", what, i);
    }
}

Test(senml, examples_of_the_rfc)
{
    /* The moment at which the resolved files with relative times were made. */
    static const struct {
        int number;
        int64_t now_s;
    } examples[] = {{1, 1498780179}, {2, 1498780179}, {3, 0}, {4, 0}, {5, 0}, {6, 0}, {7, 1499109309}, {8, 0},
                    {9, 1498780179}, {10, 0}, {11, 0}, {12, 0}};
    struct arena *arena = arena_new(ARENA_BYTES * 20);
    for (size_t i = 0; i < COUNT_OF(examples); i++) {
        char name[64];
        snprintf(name, sizeof(name), "ex%d.json", examples[i].number);
        struct observation_list list = resolved(arena, name, 110, examples[i].now_s);
        snprintf(name, sizeof(name), "ex%d.gen.json", examples[i].number);
        struct observation_list generated = resolved(arena, name, 110, examples[i].now_s);
        check_same(&list, &generated, name);
        snprintf(name, sizeof(name), "ex%d.gen.resolved.json", examples[i].number);
        struct observation_list expected = resolved(arena, name, 110, examples[i].now_s);
        /* The resolved file lost the record with vd: a known flaw, see the README of the vectors. */
        if (examples[i].number == 7) {
            cr_assert_eq(list.count, 4);
            cr_assert(bytes_equal_text(list.items[3].data, "hi \n"));
            list.count = 3;
        }
        check_same(&list, &expected, name);
    }
    arena_free(arena);
}

Test(senml, examples_of_the_rfc_in_cbor)
{
    struct arena *arena = arena_new(ARENA_BYTES * 20);
    struct observation_list ex3 = resolved(arena, "ex3.gen.cbor", 112, 0);
    struct observation_list ex3_json = resolved(arena, "ex3.json", 110, 0);
    check_same(&ex3, &ex3_json, "ex3");
    cr_assert_eq(ex3.items[0].time.s, 1276020071);
    cr_assert_eq(ex3.items[0].time.ns, 1000000);
    struct observation_list ex5 = resolved(arena, "ex5.gen.cbor", 112, 0);
    struct observation_list ex5_json = resolved(arena, "ex5.json", 110, 0);
    check_same(&ex5, &ex5_json, "ex5");
    struct observation_list ex13 = resolved(arena, "ex13.json", 110, 0);
    cr_assert_eq(ex13.items[3].time.s, 1320078429);
    cr_assert_eq(ex13.items[3].time.ns, 100000000);
    arena_free(arena);
}
