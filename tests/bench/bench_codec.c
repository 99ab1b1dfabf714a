// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Nanoseconds per record of each decoder and encoder, over one payload of three records, with the arena reset
 * after each as a worker does. The best of several runs is printed: the others measure the machine's other
 * work.
 */
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
    struct format_input input = {
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
    printf("%-7s %-12s %6zu %8zu %10.0f %10.0f\n", what, name, payload.len, records, per_payload,
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

int main(void)
{
    struct arena *keep = arena_new(ARENA_BYTES);
    const struct format *json = format_by_content_format(CONTENT_FORMAT_SENML_JSON);
    const struct format *cbor = format_by_content_format(CONTENT_FORMAT_SENML_CBOR);
    if (!keep)
        die("memory");
    printf("%-7s %-12s %6s %8s %10s %10s\n", "", "format", "bytes", "records", "ns/payload", "ns/record");
    struct observation_list list = decode(json, BYTES_LITERAL(pack), keep);
    bench_decode(json, BYTES_LITERAL(pack));
    bench_encode(json, &list, keep);
    struct bytes cbor_pack = bench_encode(cbor, &list, keep);
    bench_decode(cbor, cbor_pack);
    bench_decode(format_by_content_format(CONTENT_FORMAT_JSON), BYTES_LITERAL(object));
    bench_decode(format_by_content_format(CONTENT_FORMAT_CBOR), bytes_of(cbor_object, sizeof(cbor_object)));
    bench_decode(format_by_content_format(CONTENT_FORMAT_TEXT), BYTES_LITERAL("21.50"));
    arena_free(keep);
    return 0;
}
