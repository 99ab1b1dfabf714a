// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Nanoseconds per record of each decoder and encoder, over one payload of three records, with the arena reset
 * after each as a worker does. The best of several runs is printed: the others measure the machine's other
 * work.
 */
#include "codec/custom.h"
#include "codec/etch.h"
#include "codec/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RUNS 7
#define ROUNDS 40000
#define ARENA_BYTES ((size_t)1 << 20)

static const char pack[] = "[{\"bn\":\"urn:dev:ow:10e2073a01080063:\",\"bt\":1.276020076e9,\"bu\":\"A\","
                           "\"n\":\"voltage\",\"u\":\"V\",\"v\":120.1},"
                           "{\"n\":\"current\",\"t\":-5,\"v\":1.2},"
                           "{\"n\":\"current\",\"t\":-4,\"v\":1.3}]";
static const char object[] = "{\"ts\":1276020076,\"voltage\":120.1,\"current\":1.2,\"open\":false}";
/* {"ts": 1276020076, "voltage": 120.1, "current": 1.2, "open": false} */
static const uint8_t cbor_object[] = {
    0xa4, 0x62, 't',  's',  0x1a, 0x4c, 0x0e, 0x85, 0x6c, 0x67, 'v',  'o',  'l',  't',  'a',
    'g',  'e',  0xfb, 0x40, 0x5e, 0x06, 0x66, 0x66, 0x66, 0x66, 0x66, 0x67, 'c',  'u',  'r',
    'r',  'e',  'n',  't',  0xfb, 0x3f, 0xf3, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33, 0x64, 'o',
    'p',  'e',  'n',  0xf4,
};

/* The formats that weir only reads, one payload each; of a log one line. */
#define TEXT(text) {(const uint8_t *)(text), sizeof(text) - 1}
static const struct {
    const char *format;
    struct bytes payload;
} others[] = {
    {"opentrv-json", TEXT("{\"@\":\"414a\",\"+\":2,\"L\":130,\"vC|%\":1158,\"T|C16\":255}")},
    {"opentrv-ascii", TEXT("@D49;T19C7;L61;O1")},
    {"opentrv-log", TEXT("[ \"2014-12-19T15:39:50Z\", \"\", {\"@\":\"414a\",\"L\":130,\"vC|%\":1158,\"T|C16\":255} ]")},
    {"opentrv-frame", TEXT("\x0e\x4f\x02\x80\x81\x08\x7f\x11{\"b\":1\x61")},
    {"opentrv-raw", TEXT("{\"@\":\"cdfb\",\"T|C16\":298\xfd\x20")},
    {"emoncms-post", TEXT("{power1:100,Vrms:240.1,T1:21.50}")},
    {"emoncms-bulk", TEXT("[[0,16,1137],[2,17,1437,3164]]")},
    {"influx", TEXT("weather,device=roof temperature=21.50,humidity=55i,ok=t 1763692800000000000")},
    {"rkdap", TEXT("{\"method\":\"dad_data\",\"ver\":\"1.1\",\"dad_id\":\"ED_25\",\"data\":["
                   "{\"id\":\"A45_T\",\"period\":\"2014-08-23T10:25:12\",\"value\":21.75},"
                   "{\"id\":\"A45_L\",\"period\":\"2014-08-23T10:25:12\",\"value\":35},"
                   "{\"id\":\"A45_B\",\"period\":\"2014-08-23T10:25:12\",\"value\":256}]}")},
    {"ultralight", TEXT("t|21.50|k|abc#2016-06-13T00:35:30Z|lle|100")},
    {"cayenne-lpp", TEXT("\x03\x67\x01\x10\x05\x67\x00\xff\x01\x73\x27\x76")},
};

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "bench_codec: %s failed\n", what);
    exit(1);
}

static struct observation_list decode(const struct format *format, struct bytes payload, struct arena *arena)
{
    static const struct format_parameter device_name = {BYTES_LITERAL("device_name"), BYTES_LITERAL("egauge")};
    struct format_input input = {
        .parameters = &device_name, /* of SGMP's topic */
        .parameter_count = 1,
        .payload = payload,
        .now = {1763692800, 0},
        .name = BYTES_LITERAL("temp"),
        .limits = FORMAT_LIMITS_DEFAULT,
    };
    struct observation_list list;
    if (format->decode(&input, arena, &list, NULL) != OUTCOME_CHANGED)
        die(format->name);
    return list;
}

static void report(const char *what, const char *name, struct bytes payload, size_t records, double best_ns)
{
    double per_payload = best_ns / ROUNDS;
    printf("%-7s %-13s %6zu %8zu %10.0f %10.0f\n", what, name, payload.len, records, per_payload,
           per_payload / (double)records);
}

static void bench_decode(const struct format *format, struct bytes payload)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    double best_ns = 1e18;
    size_t records = 0;
    if (!arena)
        die("memory");
    for (int run = 0; run < RUNS; run++) {
        double start_ns = now_ns();
        for (int i = 0; i < ROUNDS; i++) {
            records = decode(format, payload, arena).count;
            arena_reset(arena);
        }
        double took_ns = now_ns() - start_ns;
        best_ns = took_ns < best_ns ? took_ns : best_ns;
    }
    report("decode", format->name, payload, records, best_ns);
    arena_free(arena);
}

static struct bytes bench_encode(const struct format *format, const struct observation_list *list,
                                 struct arena *keep)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct bytes out, copy;
    double best_ns = 1e18;
    if (!arena || format->encode(list, keep, &copy) != OUTCOME_CONTENT)
        die(format->name);
    for (int run = 0; run < RUNS; run++) {
        double start_ns = now_ns();
        for (int i = 0; i < ROUNDS; i++) {
            if (format->encode(list, arena, &out) != OUTCOME_CONTENT)
                die(format->name);
            arena_reset(arena);
        }
        double took_ns = now_ns() - start_ns;
        best_ns = took_ns < best_ns ? took_ns : best_ns;
    }
    report("encode", format->name, copy, list->count, best_ns);
    arena_free(arena);
    return copy;
}

/* A patch of three records, read and applied to a target of three. */
static void bench_etch(const struct observation_list *target)
{
    static const char patch[] = "[{\"bn\":\"urn:dev:ow:10e2073a01080063:\",\"n\":\"voltage\",\"v\":120.2},"
                                "{\"n\":\"current\",\"t\":1276020071,\"v\":1.2},{\"n\":\"lost\",\"v\":null}]";
    struct format_input input = {
        .payload = BYTES_LITERAL(patch), .now = {1763692800, 0}, .limits = FORMAT_LIMITS_DEFAULT};
    struct arena *arena = arena_new(ARENA_BYTES);
    double best_ns = 1e18;
    if (!arena)
        die("memory");
    for (int run = 0; run < RUNS; run++) {
        double start_ns = now_ns();
        for (int i = 0; i < ROUNDS; i++) {
            struct etch_pack patched;
            struct etch_changes changes;
            struct format_error error;
            if (etch_read_patch(CONTENT_FORMAT_ETCH_JSON, &input, arena, &patched, &error) != OUTCOME_CHANGED ||
                etch_apply(&patched, target, arena, &changes, &error) != OUTCOME_CHANGED)
                die("senml-etch");
            arena_reset(arena);
        }
        double took_ns = now_ns() - start_ns;
        best_ns = took_ns < best_ns ? took_ns : best_ns;
    }
    report("patch", "senml-etch", input.payload, 3, best_ns);
    arena_free(arena);
}

/* Codecs that are data, one payload each. */
static const struct {
    const char *definition;
    struct bytes payload;
} customs[] = {
    {"{\"name\":\"emonhub\",\"kind\":\"emonhub\",\"nodes\":{\"10\":{\"names\":\"P1,P2,Vrms,T1,pulse\","
     "\"datacodes\":\"h,h,h,h,L\",\"scales\":\"1,1,0.01,0.1,1\",\"units\":\"W,W,V,C,p\"}},"
     "\"examples\":[{\"input\":\"x:1\",\"senml\":[{\"n\":\"x\",\"v\":1}]}]}",
     TEXT("OK 10 92 18 0 0 203 93 215 0 112 17 1 0 (-63)")},
    {"{\"name\":\"b\",\"kind\":\"binary\",\"checksum\":{\"type\":\"crc16-modbus\"},\"fields\":["
     "{\"type\":\"i16\",\"name\":\"temp\",\"scale\":\"0.1\",\"unit\":\"Cel\"},"
     "{\"type\":\"u16\",\"name\":\"battery\",\"unit\":\"mV\"},"
     "{\"type\":\"u32\",\"name\":\"pulses\",\"cumulative\":true}],"
     "\"examples\":[{\"input\":\"00\",\"senml\":[{\"n\":\"a\",\"v\":0}]}]}",
     TEXT("\x01\x10\x0c\xe4\x00\x01\xe2\x40\x4c\xf8")},
    {"{\"name\":\"t\",\"kind\":\"text\",\"separator\":\";\",\"assign\":\"=\",\"fields\":["
     "{\"key\":\"T\",\"name\":\"temp\",\"unit\":\"Cel\"},{\"key\":\"H\",\"name\":\"hum\",\"unit\":\"%RH\"},"
     "{\"key\":\"B\",\"name\":\"battery\",\"unit\":\"mV\"}],"
     "\"examples\":[{\"input\":\"0\",\"senml\":[{\"n\":\"a\",\"v\":0}]}]}",
     TEXT("T=21.5;H=40;B=3300")},
    {"{\"name\":\"j\",\"kind\":\"json\",\"each\":[{\"pointer\":\"/s\",\"fields\":["
     "{\"pointer\":\"/n\",\"name\":\"n\",\"hidden\":true},{\"pointer\":\"/v\",\"name\":\"{n}\"}]}],"
     "\"examples\":[{\"input\":\"0\",\"senml\":[{\"n\":\"a\",\"v\":0}]}]}",
     TEXT("{\"s\":[{\"n\":\"a\",\"v\":21.5},{\"n\":\"b\",\"v\":40},{\"n\":\"c\",\"v\":3300}]}")},
};

static void bench_custom(const char *definition, struct bytes payload)
{
    struct format_input input = {.payload = payload, .now = {1763692800, 0}, .limits = FORMAT_LIMITS_DEFAULT};
    struct arena *arena = arena_new(ARENA_BYTES);
    struct custom_error error;
    struct custom *custom = custom_compile(bytes_of_text(definition), &error);
    struct observation_list list;
    double best_ns = 1e18;
    if (!arena || !custom)
        die(definition);
    for (int run = 0; run < RUNS; run++) {
        double start_ns = now_ns();
        for (int i = 0; i < ROUNDS; i++) {
            if (custom_decode(custom, &input, arena, &list, NULL) != OUTCOME_CHANGED)
                die(definition);
            arena_reset(arena);
        }
        double took_ns = now_ns() - start_ns;
        best_ns = took_ns < best_ns ? took_ns : best_ns;
    }
    report("decode", custom_kind_name(custom_kind(custom)), payload, list.count, best_ns);
    custom_free(custom);
    arena_free(arena);
}

int main(void)
{
    struct arena *keep = arena_new(ARENA_BYTES);
    const struct format *json = format_by_content_format(CONTENT_FORMAT_SENML_JSON);
    const struct format *cbor = format_by_content_format(CONTENT_FORMAT_SENML_CBOR);
    if (!keep)
        die("memory");
    printf("%-7s %-13s %6s %8s %10s %10s\n", "", "format", "bytes", "records", "ns/payload", "ns/record");
    struct observation_list list = decode(json, BYTES_LITERAL(pack), keep);
    bench_decode(json, BYTES_LITERAL(pack));
    bench_encode(json, &list, keep);
    struct bytes cbor_pack = bench_encode(cbor, &list, keep);
    bench_decode(cbor, cbor_pack);
    bench_etch(&list);
    bench_decode(format_by_content_format(CONTENT_FORMAT_JSON), BYTES_LITERAL(object));
    bench_decode(format_by_content_format(CONTENT_FORMAT_CBOR), bytes_of(cbor_object, sizeof(cbor_object)));
    bench_decode(format_by_content_format(CONTENT_FORMAT_TEXT), BYTES_LITERAL("21.50"));
    bench_decode(format_by_content_format(CONTENT_FORMAT_SGMP), BYTES_LITERAL("{\"A.Battery\":-120.5,\"B.Battery\":3}"));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        const struct format *format = format_by_name(bytes_of_text(others[i].format));
        if (!format)
            die(others[i].format);
        bench_decode(format, others[i].payload);
    }
    for (size_t i = 0; i < sizeof(customs) / sizeof(customs[0]); i++)
        bench_custom(customs[i].definition, customs[i].payload);
    arena_free(keep);
    return 0;
}
