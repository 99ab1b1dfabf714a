// SPDX-License-Identifier: GPL-3.0-or-later
/* The only state between puts is whether JSON needs a comma. */
#include "gateway/report.h"

#include "codec/cborout.h"
#include "codec/jsonout.h"

#define EXPECTED_BYTES 512

void report_init(struct report *report, struct arena *arena, bool cbor)
{
    *report = (struct report){.cbor = cbor};
    builder_init(&report->out, arena, EXPECTED_BYTES);
}

/* Before a name or a value that has none. */
static void separate(struct report *report)
{
    if (!report->cbor && report->comma)
        builder_put_byte(&report->out, ',');
    report->comma = true;
}

static void open(struct report *report, char bracket)
{
    separate(report);
    if (!report->cbor)
        builder_put_byte(&report->out, (uint8_t)bracket);
    report->comma = false;
}

static void end(struct report *report, char bracket)
{
    if (!report->cbor)
        builder_put_byte(&report->out, (uint8_t)bracket);
    report->comma = true;
}

void report_array(struct report *report, size_t count)
{
    open(report, '[');
    if (report->cbor)
        cborout_array(&report->out, count);
}

void report_array_end(struct report *report)
{
    end(report, ']');
}

void report_map(struct report *report, size_t count)
{
    open(report, '{');
    if (report->cbor)
        cborout_map(&report->out, count);
}

void report_map_end(struct report *report)
{
    end(report, '}');
}

void report_string(struct report *report, struct bytes text)
{
    separate(report);
    (report->cbor ? cborout_text : jsonout_text)(&report->out, text);
}

void report_text(struct report *report, const char *text)
{
    report_string(report, bytes_of_text(text));
}

void report_name(struct report *report, const char *name)
{
    report_text(report, name);
    if (!report->cbor)
        builder_put_byte(&report->out, ':');
    report->comma = false;
}

void report_octets(struct report *report, struct bytes octets)
{
    separate(report);
    cborout_bytes(&report->out, octets);
}

void report_uint(struct report *report, uint64_t number)
{
    separate(report);
    (report->cbor ? cborout_uint : builder_put_uint)(&report->out, number);
}

void report_int(struct report *report, int64_t number)
{
    separate(report);
    if (report->cbor) {
        cborout_int(&report->out, number);
        return;
    }
    if (number < 0)
        builder_put_byte(&report->out, '-');
    builder_put_uint(&report->out, number < 0 ? -(uint64_t)number : (uint64_t)number);
}

void report_bool(struct report *report, bool truth)
{
    separate(report);
    if (report->cbor)
        cborout_bool(&report->out, truth);
    else
        builder_put_text(&report->out, truth ? "true" : "false");
}

/* "-0.5" */
static void put_thousandths(struct builder *out, int64_t thousandths)
{
    uint64_t size = thousandths < 0 ? -(uint64_t)thousandths : (uint64_t)thousandths;
    unsigned rest = (unsigned)(size % 1000);
    if (thousandths < 0)
        builder_put_byte(out, '-');
    builder_put_uint(out, size / 1000);
    if (rest)
        builder_put_byte(out, '.');
    for (unsigned scale = 100; rest; rest %= scale, scale /= 10)
        builder_put_byte(out, (uint8_t)('0' + rest / scale));
}

void report_thousandths(struct report *report, int64_t thousandths)
{
    separate(report);
    if (!report->cbor)
        put_thousandths(&report->out, thousandths);
    else if (thousandths % 1000 == 0)
        cborout_int(&report->out, thousandths / 1000);
    else
        cborout_double(&report->out, (double)thousandths / 1000);
}

bool report_finish(struct report *report, struct bytes *ret)
{
    return builder_finish(&report->out, ret);
}
