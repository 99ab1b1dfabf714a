// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Two tables and one pass over an object. A unit behind the bar that the table does not have is one of SenML's, and
 * then it is converted to its primary one, or it is kept as it came: nothing is lost, and nothing is guessed.
 */
#include "codec/opentrv_leaf.h"

#include "codec/json.h"
#include "codec/naming.h"
#include "codec/scale.h"
#include "codec/units.h"

#define COUNT_MAX 15 /* "+": 3 bits in leaf JSON, 4 in frames */

struct rule {
    const char *name;   /* NULL: any */
    const char *suffix; /* behind the bar; NULL: there is none */
    unsigned below;     /* only for values less than this; 0: for all */
    const char *unit;
    struct scale scale;
    bool cumulative;
};

static const struct rule suffix_rules[] = {
    {"H", "%", 0, "%RH", SCALE_ONE, false},
    {"vC", "%", 0, "/", {1, -2}, true}, /* how far the valve moved in all: a counter, may be reset */
    {NULL, "%", 0, "/", {1, -2}, false},
    {NULL, "C16", 0, "Cel", {625, -4}, false},
    {NULL, "C", 0, "Cel", SCALE_ONE, false},
    {NULL, "cV", 0, "V", {1, -2}, false},
    {NULL, "mV", 0, "V", {1, -3}, false},
    {NULL, "h", 0, "s", {3600, 0}, false},
};

/*
 * What the value counts where the unit is lost: as it was sent, but that sixteenths of a degree became degrees. The
 * unit of B shows in its size, since what feeds a leaf is between 1 and 10 V.
 */
static const struct rule bare_rules[] = {
    {"T", NULL, 0, "Cel", SCALE_ONE, false},
    {"tT", NULL, 0, "Cel", SCALE_ONE, false},
    {"tS", NULL, 0, "Cel", SCALE_ONE, false},
    {"H", NULL, 0, "%RH", SCALE_ONE, false},
    {"B", NULL, 10, "V", SCALE_ONE, false},
    {"B", NULL, 1000, "V", {1, -2}, false},
    {"B", NULL, 0, "V", {1, -3}, false},
    {"v", NULL, 0, "/", {1, -2}, false},
    {"vC", NULL, 0, "/", {1, -2}, true},
    {"occ", NULL, 0, "/", {1, -2}, false},
    {"vac", NULL, 0, "s", {3600, 0}, false},
};

static const struct rule no_rule = {.unit = "", .scale = SCALE_ONE};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct rule *find_rule(const struct rule *rules, size_t count, struct bytes name, struct bytes suffix)
{
    for (size_t i = 0; i < count; i++)
        if ((!rules[i].name || bytes_equal_text(name, rules[i].name)) && bytes_equal_text(suffix, rules[i].suffix))
            return &rules[i];
    return NULL;
}

static bool by_rule(const struct rule *rule, const struct node *value, struct arena *arena,
                    struct observation *observation, struct refusal *reterr)
{
    struct decimal decimal;
    observation->unit = bytes_of_text(rule->unit);
    observation->cumulative = rule->cumulative;
    if (scale_is_one(rule->scale))
        return node_number(value, arena, &decimal, &observation->number, reterr);
    return node_decimal(value, &decimal, reterr) &&
           scale_number(&decimal, rule->scale, arena, &observation->number, reterr);
}

static bool by_registry(struct bytes suffix, const struct node *value, struct arena *arena,
                        struct observation *observation, struct refusal *reterr)
{
    struct decimal decimal;
    const struct unit *unit = units_find(suffix);
    observation->unit = suffix;
    if (!unit || unit->registry != UNIT_SECONDARY)
        return node_number(value, arena, &decimal, &observation->number, reterr);
    observation->unit = bytes_of_text(unit->primary);
    if (!node_decimal(value, &decimal, reterr))
        return false;
    if (!units_convert(unit, &decimal, &decimal))
        return refuse(reterr, OUTCOME_BAD_VALUE, "A number is too long once it is in its unit.", node_offset(value));
    return node_number_of_decimal(&decimal, arena, &observation->number, reterr);
}

/* Text and booleans, which have no unit. */
static bool take_other(const struct node *value, struct observation *observation, struct refusal *reterr)
{
    if (value->kind == NODE_TEXT) {
        observation->kind = VALUE_TEXT;
        observation->data = value->data;
        return true;
    }
    if (value->kind == NODE_BOOLEAN) {
        observation->kind = VALUE_BOOLEAN;
        observation->boolean = value->boolean;
        return true;
    }
    return refuse(reterr, OUTCOME_BAD_VALUE, "A value is neither a number nor text nor a boolean.", node_offset(value));
}

static bool take_name(struct bytes name, size_t offset, struct arena *arena, struct observation *observation,
                      struct refusal *reterr)
{
    if (naming_clean(name, NAMING_NAME_MAX, arena, &observation->name, reterr))
        return true;
    reterr->offset = offset;
    return false;
}

static bool take_member(const struct node *key, struct arena *arena, struct observation *observation,
                        struct refusal *reterr)
{
    const uint8_t *bar = key->data.len ? memchr(key->data.ptr, '|', key->data.len) : NULL;
    size_t name_len = bar ? (size_t)(bar - key->data.ptr) : key->data.len;
    struct bytes name = bytes_of(key->data.ptr, name_len);
    struct bytes suffix = bar ? bytes_of(bar + 1, key->data.len - name_len - 1) : (struct bytes){0};
    if (!take_name(name, node_offset(key), arena, observation, reterr))
        return false;
    if (!node_is_number(key + 1))
        return take_other(key + 1, observation, reterr);
    observation->kind = VALUE_NUMBER;
    const struct rule *rule =
        suffix.len ? find_rule(suffix_rules, COUNT_OF(suffix_rules), name, suffix) : &no_rule;
    return rule ? by_rule(rule, key + 1, arena, observation, reterr)
                : by_registry(suffix, key + 1, arena, observation, reterr);
}

bool opentrv_leaf_bare(struct bytes key, const struct node *value, struct arena *arena, struct observation *ret,
                       struct refusal *reterr)
{
    struct decimal decimal;
    double number = 0;
    if (!take_name(key, node_offset(value), arena, ret, reterr))
        return false;
    if (!node_is_number(value))
        return take_other(value, ret, reterr);
    ret->kind = VALUE_NUMBER;
    if (!node_decimal(value, &decimal, reterr))
        return false;
    if (!decimal_to_double(&decimal, &number))
        return refuse(reterr, OUTCOME_BAD_VALUE, "A number is too large.", node_offset(value));
    for (size_t i = 0; i < COUNT_OF(bare_rules); i++) {
        const struct rule *rule = &bare_rules[i];
        if (bytes_equal_text(key, rule->name) && (rule->below == 0 || number < rule->below))
            return by_rule(rule, value, arena, ret, reterr);
    }
    return by_rule(&no_rule, value, arena, ret, reterr);
}

bool opentrv_leaf_node_is_valid(struct bytes node)
{
    for (size_t i = 0; i < node.len; i++) {
        uint8_t c = node.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
            return false;
    }
    return node.len > 0 && node.len <= OPENTRV_NODE_MAX;
}

/* "+" says which write it was, in 3 or 4 bits: too few to know a repetition by. It is looked at and dropped. */
static bool check_count(const struct node *value, struct refusal *reterr)
{
    struct decimal decimal;
    if (node_is_number(value)) {
        if (!node_decimal(value, &decimal, reterr))
            return false;
        if (decimal.exponent == 0 && !decimal.negative && decimal.count <= 2 && decimal.small <= COUNT_MAX)
            return true;
    }
    return refuse(reterr, OUTCOME_BAD_VALUE, "+ has to be an integer from 0 to 15.", node_offset(value));
}

static bool is_metadata(const struct node *key)
{
    return key->data.len == 1 && (key->data.ptr[0] == '@' || key->data.ptr[0] == '+');
}

bool opentrv_leaf_open(const struct node *object, struct opentrv_leaf *ret, struct refusal *reterr)
{
    if (object->kind != NODE_MAP)
        return refuse(reterr, OUTCOME_BAD_VALUE, "What a leaf says has to be an object.", node_offset(object));
    *ret = (struct opentrv_leaf){.object = object, .values = object->count};
    const struct node *key = node_first(object);
    for (uint32_t i = 0; i < object->count; i++, key = node_next(key + 1)) {
        if (!is_metadata(key))
            continue;
        ret->values--;
        if (key->data.ptr[0] == '+') {
            if (!check_count(key + 1, reterr))
                return false;
        } else if (key[1].kind != NODE_TEXT || !opentrv_leaf_node_is_valid(key[1].data)) {
            return refuse(reterr, OUTCOME_BAD_NAME, "@ has to be 1 to 16 hexadecimal digits.", node_offset(key + 1));
        } else {
            ret->node = key[1].data;
        }
    }
    return true;
}

bool opentrv_leaf_parse(struct bytes text, const struct format_limits *limits, struct arena *arena,
                        struct opentrv_leaf *ret, struct refusal *reterr)
{
    const struct node *object;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < ' ' || text.ptr[i] > '~')
            return refuse(reterr, OUTCOME_MALFORMED, "A character is not of the printable ones of ASCII.", i);
    return json_read(text, limits, arena, &object, reterr) && opentrv_leaf_open(object, ret, reterr);
}

bool opentrv_leaf_take(const struct opentrv_leaf *leaf, const struct observation *common, struct arena *arena,
                       struct observation *items, struct refusal *reterr)
{
    const struct node *key = node_first(leaf->object);
    size_t count = 0;
    for (uint32_t i = 0; i < leaf->object->count; i++, key = node_next(key + 1)) {
        if (is_metadata(key))
            continue;
        items[count] = *common;
        if (!take_member(key, arena, &items[count++], reterr))
            return false;
    }
    return naming_distinct(items, count, arena, reterr); /* T|C16 and T are two keys and one name */
}
