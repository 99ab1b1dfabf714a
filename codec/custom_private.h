// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What the files of the declarative codecs share; nobody else includes this.
 *
 *   custom.c          the definition as a whole; dispatch by kind
 *   custom_read.c     members of a definition, with the JSON pointer of what is wrong
 *   custom_field.c    what all fields have in common in a definition: name, map, scale, range; lists of fields
 *   custom_take.c     the way of a value from the payload to an observation, and its step
 *   custom_scope.c    time and node of the observations of a list
 *   custom_number.c   numbers as text, as floats
 *   custom_example.c  the examples and whether they hold
 *   custom_binary.c, custom_frame.c (decodes), custom_checksum.c; custom_text.c; custom_json.c; emonhub.c
 *
 * How a kind plugs in: a row (struct custom_kind_row) with two functions. compile gets the definition as an
 * open object, asks for the members of its kind and makes a structure in compiler->arena, which lives as long
 * as the codec; the common members (name, kind, description, class, time, node, parameters, examples) are
 * taken by custom.c around it. decode reads run->input->payload and hands each value, as it was read, to
 * custom_field_take, which does everything else: missing values, map, scale, unit, range, the observation,
 * the step for custom_explain. Both return false after custom_fail or custom_refuse, and pass false on.
 *
 * Bounds: fields of a definition (CUSTOM_FIELDS_MAX), nesting (CUSTOM_DEPTH_MAX), what is looked at while one
 * payload is decoded (CUSTOM_LOOKS_PER_ITEM times limits.items, whether it is there or not), values that are
 * there, hidden ones too (CUSTOM_VALUES_PER_RECORD times limits.records), and observations (limits.records):
 * custom_field_take, custom_note and custom_look count for all kinds. A value takes at most some 2 us and a
 * look 0.3, so a message takes at most some 50 ms.
 */
#pragma once

#include "codec/builder.h"
#include "codec/custom.h"
#include "codec/naming.h"
#include "codec/node.h"
#include "codec/timestamp.h"
#include "codec/units.h"

#define CUSTOM_FIELDS_MAX 256 /* in one definition */
#define CUSTOM_DEPTH_MAX 4    /* groups in groups */
#define CUSTOM_MEMBERS_MAX 64 /* of one object of a definition */
#define CUSTOM_PIECES_MAX 8   /* of one name with placeholders */
#define CUSTOM_CHOICES_MAX 64 /* values in one "missing", "expect", "is" */
#define CUSTOM_PARAMETERS_MAX 16
#define CUSTOM_MAP_MAX 256       /* rows of one map */
#define CUSTOM_LOOKS_PER_ITEM 16 /* of limits.items */
#define CUSTOM_VALUES_PER_RECORD 8 /* of limits.records */
#define CUSTOM_LOG_FACTOR 4        /* a log of lines may be so much more than one message */
#define CUSTOM_FLOAT_VALUES 4      /* that a float counts for: finding its shortest decimal */

/* Reading a definition. */

struct custom_field;

struct custom_compiler {
    struct arena *arena;   /* as long as the codec */
    struct arena *scratch; /* until the codec is compiled */
    struct custom_error *reterr;
    char path[CUSTOM_TEXT_MAX]; /* JSON pointer of where the reader is; cut off where it is too long */
    size_t path_len;
    struct custom_field *all[CUSTOM_FIELDS_MAX]; /* in the order of the definition */
    size_t all_count;
    struct custom_field *seen[CUSTOM_FIELDS_MAX]; /* those that a reference may mean here */
    size_t seen_count;
    struct custom_list *lists; /* all of them */
    unsigned depth;
    unsigned repeating, keyed; /* lists around here that have {i}, that have {key} */
    /* Makes a hidden field of a JSON pointer where time and node may be one; NULL: they may not. */
    const struct custom_field *(*field_of_pointer)(struct custom_compiler *compiler, struct bytes pointer);
    void *field_of_pointer_ctx;
    bool by_line; /* for a kind to set */
};

/* Sets the error, at the place where the reader is; always false. */
bool custom_fail(struct custom_compiler *compiler, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same at a member of that place. */
bool custom_fail_at(struct custom_compiler *compiler, const char *member, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool custom_fail_memory(struct custom_compiler *compiler);

/* Steps into a member or an element; leave with the mark that was returned. After a failure nobody needs
 * to leave. */
size_t custom_enter(struct custom_compiler *compiler, struct bytes member);
size_t custom_enter_index(struct custom_compiler *compiler, size_t index);
void custom_leave(struct custom_compiler *compiler, size_t mark);

/* An object of a definition. Whoever reads it asks for members by name; close refuses those that nobody
 * asked for, but for "description", which is for people and may stand anywhere. */
struct custom_object {
    struct custom_compiler *compiler;
    const struct node *map;
    uint64_t asked;
};
bool custom_open(struct custom_compiler *compiler, const struct node *node, struct custom_object *ret);
bool custom_close(const struct custom_object *object);

/* NULL: there is none. */
const struct node *custom_get(struct custom_object *object, const char *name);
/* A member that is not there leaves ret alone and is no failure. Texts live as long as the codec. */
bool custom_get_text(struct custom_object *object, const char *name, struct bytes *ret);
bool custom_get_bool(struct custom_object *object, const char *name, bool *ret);
bool custom_get_uint(struct custom_object *object, const char *name, uint64_t min, uint64_t max,
                     uint64_t *ret);
/* A number, or a text that is one, so that programs between do not turn 0.1 into something else. */
bool custom_get_decimal(struct custom_object *object, const char *name, bool *ret_found, struct decimal *ret);
/* One of the words; ret is its index. */
bool custom_get_choice(struct custom_object *object, const char *name, const char *const *words, size_t count,
                       unsigned *ret);
/* Octets as hexadecimal digits, white space between them allowed. */
bool custom_get_hex(struct custom_object *object, const char *name, struct bytes *ret);

/* The same for a node, at the place where the reader is. */
bool custom_read_text(struct custom_compiler *compiler, const struct node *node, struct bytes *ret);
bool custom_read_decimal(struct custom_compiler *compiler, const struct node *node, struct decimal *ret);
bool custom_read_hex(struct custom_compiler *compiler, struct bytes digits, struct bytes *ret);
/* An integer that 64 bits hold: a number, or text like "-5" or "0x1f"; ret_hex says whether it was
 * hexadecimal. */
struct custom_integer {
    bool negative, hex;
    uint64_t magnitude;
};
bool custom_read_integer(struct custom_compiler *compiler, const struct node *node,
                         struct custom_integer *ret);
/* The same for a text. False: it is none. */
bool custom_parse_integer(struct bytes text, struct custom_integer *ret);

/* Fields. */

/* A value as it stands in the payload. */
enum custom_raw_kind {
    CUSTOM_RAW_ABSENT,       /* not there, or null */
    CUSTOM_RAW_INTEGER,      /* magnitude, negative */
    CUSTOM_RAW_NUMBER,       /* decimal; data is its text where it was written as a JSON number, else empty */
    CUSTOM_RAW_NOT_A_NUMBER, /* a float that is NaN or infinite */
    CUSTOM_RAW_BOOLEAN,      /* magnitude 0 or 1 */
    CUSTOM_RAW_TEXT,         /* data: UTF-8 without U+0000, in the payload or the run's arena */
    CUSTOM_RAW_OCTETS,       /* data */
};

/* Where it stands. len 0 and bits 0: nowhere. */
struct custom_place {
    size_t offset, len;
    unsigned bit, bits;
};

struct custom_raw {
    enum custom_raw_kind kind;
    bool negative;
    bool has_pattern;
    uint64_t magnitude;
    uint64_t pattern; /* the bits as they stand in the payload, for sentinels written in hexadecimal */
    struct bytes data;
    struct custom_place place;
    struct decimal decimal; /* CUSTOM_RAW_NUMBER only, else undefined */
};

/* A name with placeholders: "t{channel}". Without a placeholder one piece that is text. */
struct custom_template {
    struct custom_piece {
        enum { CUSTOM_PIECE_TEXT, CUSTOM_PIECE_FIELD, CUSTOM_PIECE_INDEX, CUSTOM_PIECE_KEY } kind;
        struct bytes text;
        const struct custom_field *field;
    } pieces[CUSTOM_PIECES_MAX];
    size_t count; /* 0: there is none */
};
bool custom_template_has_placeholder(const struct custom_template *template);

/* A value in a definition that raw values are compared with. */
struct custom_match {
    enum { CUSTOM_MATCH_NUMBER, CUSTOM_MATCH_PATTERN, CUSTOM_MATCH_TEXT, CUSTOM_MATCH_NAN } kind;
    bool is_integer; /* NUMBER: and 64 bits hold it */
    bool negative;
    uint64_t magnitude; /* of the integer; or the pattern */
    struct decimal decimal;
    struct bytes text;
};
struct custom_matches {
    struct custom_match *items;
    size_t count;
};
/* A value or an array of them. A member that is not there: none. */
bool custom_get_matches(struct custom_object *object, const char *name, struct custom_matches *ret);
bool custom_matches_have(const struct custom_matches *matches, const struct custom_raw *raw);

/* What comes out of a field: a value of an observation. */
struct custom_value {
    enum value_kind kind; /* VALUE_NONE: nothing */
    bool boolean;
    bool computed; /* a number that is not as it was written */
    struct decimal decimal;
    struct bytes data; /* TEXT, BYTES; NUMBER: its text as written, or empty */
};

struct custom_map_row {
    struct custom_match match;
    struct custom_value value;
};

enum custom_as { CUSTOM_AS_ANY, CUSTOM_AS_NUMBER, CUSTOM_AS_TEXT, CUSTOM_AS_BOOL, CUSTOM_AS_HEX };
enum custom_policy { CUSTOM_REFUSE, CUSTOM_MISSING, CUSTOM_KEEP };

/* What all fields of all kinds have in common; a kind's own structure begins with it. */
struct custom_field {
    struct bytes label; /* the name as the definition has it; empty: none, and nothing comes out */
    struct custom_template name;
    bool hidden; /* has a name, but nothing comes out */
    bool required;
    bool cumulative;
    bool has_bias, has_scale, has_divide, has_offset, has_min, has_max;
    enum custom_as as;
    enum custom_policy outside, unmapped;
    struct decimal bias, scale, divide, offset, min, max; /* (raw + bias) * scale / divide + offset */
    const struct unit *unit; /* as in the definition, maybe a secondary one; NULL: none */
    struct bytes modulus;    /* text, in the unit that comes out; empty: none */
    struct decimal modulus_decimal;
    struct custom_matches missing;
    struct custom_map_row *map;
    size_t map_count;
    bool referred; /* others ask for its value: it has a slot */
    bool distinct; /* what a list repeats differs in name, time or node */
    unsigned slot;
    unsigned order; /* in compiler->all */
};

/* Reads the common members of a field: name, hidden, description, as, bias, scale, divide, offset, min,
 * max, outside, unit, missing, map, unmapped, cumulative, modulus. Notes it in the compiler, where later
 * references find it. */
bool custom_field_read(struct custom_object *object, struct custom_field *ret);
/* A field without a definition of its own: a name, which must be one already, a unit of the registries or
 * none, a scale or NULL. */
bool custom_field_make(struct custom_compiler *compiler, struct bytes name, struct bytes unit,
                       const struct decimal *scale, struct custom_field *ret);
/* The field that a reference means here. NULL: there is none (custom_fail was called). */
const struct custom_field *custom_field_find(struct custom_compiler *compiler, struct bytes label);
bool custom_template_read(struct custom_compiler *compiler, struct bytes text, struct custom_template *ret);

/* Lists of fields: the definition's own, and groups. They have a time and a node of their own, or those of
 * the list they are in; the values that others refer to are forgotten when a list is begun again. */

struct custom_time {
    bool given;
    enum { CUSTOM_UNIT_S, CUSTOM_UNIT_MS, CUSTOM_UNIT_US, CUSTOM_UNIT_NS, CUSTOM_UNIT_RFC3339 } unit;
    enum { CUSTOM_TIME_ABSOLUTE, CUSTOM_TIME_AGE, CUSTOM_TIME_OFFSET } as;
    const struct custom_field *field;
    timestamp_atto epoch; /* added to an absolute time */
};

struct custom_list {
    struct custom_time time;
    struct custom_template node;   /* count 0: none */
    unsigned order_from, order_to; /* its fields in compiler->all */
    unsigned slot_from, slot_to;   /* their slots */
    uint64_t first_index;          /* what {i} is the first time */
    bool repeats, keyed;           /* has {i}, has {key}; set before begin */
    size_t seen_from;
    struct custom_list *next; /* compiler->lists */
};
/* Around the reading of a list's fields; the list is cleared memory of the arena but for repeats and
 * keyed. begin: from here on references find its fields. end: reads "time" and "node" of the object, and
 * from here on they do not. */
bool custom_list_begin(struct custom_compiler *compiler, struct custom_list *list);
bool custom_list_end(struct custom_object *object, struct custom_list *list);
/* Gives slots to fields that others refer to; once, when all lists are read. */
unsigned custom_lists_finish(struct custom_compiler *compiler);

/* Decoding. */

struct custom_slot {
    bool set;
    bool is_integer; /* the raw value: integer or boolean */
    bool negative;
    uint64_t magnitude;
    struct custom_value value;
};

/* What is known about the time of an observation while its group is not over. */
struct custom_pending {
    bool settled; /* the time is final */
    bool moved;   /* delta counts from the time of what is around, or from now */
    timestamp_atto delta;
};

struct custom_run {
    const struct format_input *input;
    struct arena *arena;
    struct refusal refusal;
    struct observation *items;
    struct custom_pending *pending;
    size_t count, room;
    struct custom_slot *slots;
    uint64_t index;   /* {i} */
    struct bytes key; /* {key} */
    struct format_work left;
    bool explain;
    struct custom_steps steps;
    size_t steps_room;
};

/* Always false. offset: in the payload, or SIZE_MAX. */
bool custom_refuse(struct custom_run *run, enum outcome outcome, const char *detail, size_t offset);

/* The same with a sentence that is made for it; fallback where there is no memory for one. */
bool custom_refuse_with(struct custom_run *run, enum outcome outcome, size_t offset, const char *fallback,
                        const char *format, ...) __attribute__((format(printf, 5, 6)));

/* A value was read for this field: everything up to the observation. Absent ones too. */
bool custom_field_take(struct custom_run *run, const struct custom_field *field,
                       const struct custom_raw *raw);
/* bias, scale, divide, offset. False: it leaves the bounds of decimal.h on the way. */
bool custom_field_compute(const struct custom_field *field, struct decimal *number);
/* Whether the field says of this very value what becomes of it: one of "missing" or a row of the map. */
bool custom_field_knows(const struct custom_field *field, const struct custom_raw *raw);
/* As custom_field_take for what the definition does not name: the name is cleaned, a number is a number,
 * all else is text. */
bool custom_take_unknown(struct custom_run *run, struct bytes name, const struct custom_raw *raw);
/* A text from the pieces of a template, in the arena; ret_found false: a field of it has no value. */
bool custom_template_write(struct custom_run *run, const struct custom_template *template, struct bytes *ret,
                           bool *ret_found);
/* Counts one thing looked at that neither take nor note counts. False: too many. */
bool custom_look(struct custom_run *run);
/* The same for values that are worked out. */
bool custom_count_values(struct custom_run *run, unsigned count);
/* Something was read that is no field: for custom_explain, and counted. note is static. */
bool custom_note(struct custom_run *run, struct custom_place place, const char *note);

/* One time through a list. */
struct custom_scope {
    size_t first; /* of run->items */
};
struct custom_scope custom_scope_begin(struct custom_run *run, const struct custom_list *list);
/* Gives time and node to the observations since begin that have none of their own yet. */
bool custom_scope_end(struct custom_run *run, const struct custom_list *list, struct custom_scope scope);
/* A node that no field says, in the sender's own words, to all observations since begin that have none. */
bool custom_scope_node(struct custom_run *run, struct custom_scope scope, struct bytes node);
/* At the end: observations whose time is still open count from the time of receipt. */
bool custom_scope_settle(struct custom_run *run);

/* Whether the slot holds an integer >= 0; a length, a count, a bit set. */
static inline bool custom_slot_uint(const struct custom_run *run, const struct custom_field *field,
                                    uint64_t *ret)
{
    const struct custom_slot *slot = &run->slots[field->slot];
    if (!slot->set || !slot->is_integer || (slot->negative && slot->magnitude))
        return false;
    *ret = slot->magnitude;
    return true;
}

/* Numbers. */

/* A text as people write numbers: digits with a sign, a point and an exponent, zeros in front, nothing
 * before or after the point allowed. comma: the point is a comma. False: none, or beyond the bounds of
 * decimal.h. */
bool custom_parse_number(struct bytes text, bool comma, struct decimal *ret);
/* The shortest decimal that an IEEE 754 number of that width would be read as: 23.1 and not
 * 23.100000381469727. bits: 16, 32 or 64; false: NaN or infinite. */
bool custom_decimal_of_float(uint64_t pattern, unsigned bits, struct decimal *ret);
/* Negative, zero, positive; by value: 27.2 is 27.20. */
int custom_decimal_compare(const struct decimal *a, const struct decimal *b);

/* Kinds. */

struct custom_kind_row {
    const char *name;
    int content_format; /* that it takes beside none and 42 */
    /* ret: what decode gets. The list of the definition itself is begun already, and ended behind this. */
    bool (*compile)(struct custom_compiler *compiler, struct custom_object *definition, void **ret);
    bool (*decode)(const void *compiled, struct custom_run *run);
};
extern const struct custom_kind_row custom_binary_kind, custom_text_kind, custom_json_kind;
extern const struct custom_kind_row emonhub_kind; /* codec/emonhub.c */

/* Examples, for custom.c. */

struct custom_example {
    struct bytes input;
    struct format_parameter *parameters;
    size_t parameter_count;
    struct timestamp now;
    enum outcome outcome; /* OUTCOME_CHANGED: the records must come out */
    struct custom_expected {
        struct observation observation;
        struct decimal number, sum, modulus;
        bool has_time, has_node, has_cumulative, has_modulus;
    } *records;
    size_t record_count;
};
const struct custom_example *custom_example(const struct custom *custom, size_t i);
/* At least one example, and one that gives records. */
bool custom_examples_read(struct custom_compiler *compiler, const struct node *node, enum custom_kind kind,
                          struct custom_example **ret, size_t *ret_count);
