// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * A binary frame as the definition says it, compiled: read by custom_binary.c, executed by custom_frame.c,
 * checksums in custom_checksum.c. Only these three include it.
 */
#pragma once

#include "codec/custom_private.h"

enum binary_type {
    BINARY_UNSIGNED,
    BINARY_SIGNED,
    BINARY_FLOAT,
    BINARY_BCD,
    BINARY_OCTETS,
    BINARY_TEXT,
};

/* The order of octets; the last two are of Modbus: registers in the other order, octets of each register
 * swapped. */
enum binary_endian { BINARY_BIG, BINARY_LITTLE, BINARY_CDAB, BINARY_BADC };

/* How many: count, or the value of a field plus count, or all that is left. */
struct binary_amount {
    bool given, rest;
    const struct custom_field *field;
    int64_t count;
};

/* Whether an item is there. Without "is" and "bit": whether the field has a value. */
struct binary_when {
    const struct custom_field *field;
    struct custom_matches is;
    bool has_bit, not;
    unsigned bit;
};

/* Bits of an integer; bit 0 is the least significant one. */
struct binary_part {
    struct custom_field common;
    unsigned bit, width;
    bool is_signed;
    struct custom_matches expect;
};

struct binary_field {
    struct custom_field common;
    enum binary_type type;
    enum binary_endian endian;
    unsigned bits;               /* of numbers */
    struct binary_amount length; /* octets of BINARY_OCTETS and BINARY_TEXT */
    bool optional;
    struct custom_matches expect;
    struct binary_part *parts;
    size_t part_count;
};

struct binary_items {
    struct binary_item *items;
    size_t count;
};

struct binary_group {
    struct custom_list list;
    struct binary_items items;
    struct binary_amount repeat; /* not given: once */
    struct binary_amount length; /* octets of each time; not given: as much as its fields take */
    bool trailing_ignored;
};

struct binary_case {
    struct custom_integer value;
    const struct binary_items *items;
};

struct binary_switch {
    const struct custom_field *on;
    struct binary_case *cases; /* sorted */
    size_t case_count;
    const struct binary_items *otherwise; /* NULL: refused */
};

struct binary_item {
    enum { BINARY_ITEM_FIELD, BINARY_ITEM_SKIP, BINARY_ITEM_GROUP, BINARY_ITEM_SWITCH } kind;
    struct binary_when *when; /* NULL: always */
    bool has_at;
    int64_t at;      /* octets from the beginning of the group, or back from its end */
    unsigned at_bit; /* 0 is the most significant one */
    union {
        struct binary_field *field;
        struct binary_amount skip;
        struct binary_group *group;
        struct binary_switch *choice;
    };
};

/* A run of octets of the payload; negative: counted from its end. */
struct binary_range {
    int64_t from, to;
    bool to_end;
};

struct binary_checksum {
    enum { BINARY_SUM, BINARY_XOR, BINARY_NEGATIVE_SUM, BINARY_CRC } kind;
    unsigned bits; /* 8, 16 or 32 */
    bool refin, refout;
    uint32_t poly, init, xorout;
    uint32_t *table; /* of 256; CRC only */
    enum binary_endian endian;
    int64_t at;
    struct binary_range over;
    bool of_sent; /* computed before the whitening is taken off */
};

struct binary {
    struct binary_items items;
    uint64_t length_min, length_max;
    bool trailing_ignored;
    struct bytes whitening; /* empty: none */
    struct binary_range whitened;
    struct binary_checksum *checksum; /* NULL: none */
};

/* "checksum" of a definition. */
bool binary_checksum_read(struct custom_object *definition, enum binary_endian endian,
                          struct binary_checksum **ret);
uint32_t binary_checksum_of(const struct binary_checksum *checksum, struct bytes octets);

/* Words of "endian", in the order of the enum. */
extern const char *const binary_endian_words[4];
bool binary_get_int(struct custom_object *object, const char *name, int64_t *ret);
/* Integers in octets, whichever order they are in; len is 1 to 8. */
uint64_t binary_integer(const uint8_t *octets, size_t len, enum binary_endian endian);

/* The decode function of the kind. */
bool binary_decode(const void *compiled, struct custom_run *run);
