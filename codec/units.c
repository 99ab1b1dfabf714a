// SPDX-License-Identifier: GPL-3.0-or-later
/* The unit registries as tables; a test compares them with the vectors in tests/vectors/senml-units. */
#include "codec/units.h"

#include <stdlib.h>

#define P(symbol) {symbol, UNIT_PRIMARY, symbol, 1, 1, 0}
#define A(symbol) {symbol, UNIT_PRIMARY_NOT_RECOMMENDED, symbol, 1, 1, 0}
#define S(symbol, primary, numerator, denominator, offset)                                                   \
    {symbol, UNIT_SECONDARY, primary, numerator, denominator, offset}

static const struct unit units[] = {
    P("m"), P("kg"), A("g"), P("s"), P("A"), P("K"), P("cd"), P("mol"), P("Hz"), P("rad"), P("sr"), P("N"),
    P("Pa"), P("J"), P("W"), P("C"), P("V"), P("F"), P("Ohm"), P("S"), P("Wb"), P("T"), P("H"), P("Cel"),
    P("lm"), P("lx"), P("Bq"), P("Gy"), P("Sv"), P("kat"), P("m2"), P("m3"), A("l"), P("m/s"), P("m/s2"),
    P("m3/s"), A("l/s"), P("W/m2"), P("cd/m2"), P("bit"), P("bit/s"), P("lat"), P("lon"), P("pH"), P("dB"),
    P("dBW"), A("Bspl"), P("count"), P("/"), A("%"), P("%RH"), P("%EL"), P("EL"), P("1/s"), A("1/min"),
    A("beat/min"), A("beats"), P("S/m"), P("B"), P("VA"), P("VAs"), P("var"), P("vars"), P("J/m"),
    P("kg/m3"), A("deg"),
    S("ms", "s", 1, 1000, 0),
    S("min", "s", 60, 1, 0),
    S("h", "s", 3600, 1, 0),
    S("MHz", "Hz", 1000000, 1, 0),
    S("kW", "W", 1000, 1, 0),
    S("kVA", "VA", 1000, 1, 0),
    S("kvar", "var", 1000, 1, 0),
    S("Ah", "C", 3600, 1, 0),
    S("Wh", "J", 3600, 1, 0),
    S("kWh", "J", 3600000, 1, 0),
    S("varh", "vars", 3600, 1, 0),
    S("kvarh", "vars", 3600000, 1, 0),
    S("kVAh", "VAs", 3600000, 1, 0),
    S("Wh/km", "J/m", 18, 5, 0),
    S("KiB", "B", 1024, 1, 0),
    S("GB", "B", 1000000000, 1, 0),
    S("Mbit/s", "bit/s", 1000000, 1, 0),
    S("B/s", "bit/s", 8, 1, 0),
    S("MB/s", "bit/s", 8000000, 1, 0),
    S("mV", "V", 1, 1000, 0),
    S("mA", "A", 1, 1000, 0),
    S("dBm", "dBW", 1, 1, -30),
    S("ug/m3", "kg/m3", 1, 1000000000, 0),
    S("mm/h", "m/s", 1, 3600000, 0),
    S("m/h", "m/s", 1, 3600, 0),
    S("ppm", "/", 1, 1000000, 0),
    S("/100", "/", 1, 100, 0),
    S("/1000", "/", 1, 1000, 0),
    S("hPa", "Pa", 100, 1, 0),
    S("mm", "m", 1, 1000, 0),
    S("cm", "m", 1, 100, 0),
    S("km", "m", 1000, 1, 0),
    S("km/h", "m/s", 5, 18, 0),
};

#define UNIT_COUNT (sizeof(units) / sizeof(units[0]))

const struct unit *units_table(size_t *ret_count)
{
    *ret_count = UNIT_COUNT;
    return units;
}

const struct unit *units_find(struct bytes symbol)
{
    for (size_t i = 0; i < UNIT_COUNT; i++) {
        if (bytes_equal_text(symbol, units[i].symbol))
            return &units[i];
    }
    return NULL;
}

bool units_convert_sum(const struct unit *unit, const struct decimal *sum, struct decimal *ret)
{
    struct decimal numerator, denominator;
    if (unit->registry != UNIT_SECONDARY) {
        *ret = *sum;
        return true;
    }
    decimal_from_uint(unit->numerator, false, &numerator);
    decimal_from_uint(unit->denominator, false, &denominator);
    if (!decimal_multiply(sum, &numerator, ret) || !decimal_divide(ret, &denominator, ret))
        return false;
    decimal_normalise(ret);
    return true;
}

bool units_convert(const struct unit *unit, const struct decimal *value, struct decimal *ret)
{
    struct decimal offset;
    if (!units_convert_sum(unit, value, ret))
        return false;
    if (unit->offset == 0)
        return true;
    decimal_from_uint((uint64_t)abs(unit->offset), unit->offset < 0, &offset);
    if (!decimal_add(ret, &offset, ret))
        return false;
    decimal_normalise(ret);
    return true;
}
