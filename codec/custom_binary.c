// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The kind "binary": its members of a definition. docs/codecs.md lists them; what they mean while a frame is
 * read is in custom_frame.c.
 */
#include "codec/custom_binary.h"

const char *const binary_endian_words[4] = {"big", "little", "cdab", "badc"};

#define LENGTH_MAX ((uint64_t)1 << 31)

bool binary_get_int(struct custom_object *object, const char *name, int64_t *ret)
{
    struct custom_integer integer;
    const struct node *node = custom_get(object, name);
    if (!node)
        return true;
    size_t mark = custom_enter(object->compiler, bytes_of_text(name));
    if (!custom_read_integer(object->compiler, node, &integer))
        return false;
    if (integer.magnitude > LENGTH_MAX)
        return custom_fail(object->compiler, "This is too far away.");
    *ret = integer.negative ? -(int64_t)integer.magnitude : (int64_t)integer.magnitude;
    custom_leave(object->compiler, mark);
    return true;
}

/* A number; "rest"; the name of a field; or {"field": NAME, "plus": NUMBER}. */
static bool get_amount(struct custom_object *object, const char *name, struct binary_amount *ret)
{
    struct custom_compiler *compiler = object->compiler;
    const struct node *node = custom_get(object, name);
    struct custom_object inner;
    struct bytes label = {0};
    if (!node)
        return true;
    ret->given = true;
    if (node->kind == NODE_NUMBER) {
        uint64_t count = 0;
        bool good = custom_get_uint(object, name, 1, LENGTH_MAX, &count);
        ret->count = (int64_t)count;
        return good;
    }
    size_t mark = custom_enter(compiler, bytes_of_text(name));
    if (node->kind == NODE_TEXT) {
        label = node->data;
        ret->rest = bytes_equal_text(label, "rest");
    } else if (!custom_open(compiler, node, &inner) || !custom_get_text(&inner, "field", &label) ||
               !binary_get_int(&inner, "plus", &ret->count) || !custom_close(&inner)) {
        return false;
    }
    if (!ret->rest)
        ret->field = custom_field_find(compiler, label);
    if (!ret->rest && !ret->field)
        return false;
    custom_leave(compiler, mark);
    return true;
}

/* Conditions and places of items. */

static bool get_when(struct custom_object *object, struct binary_when **ret)
{
    struct custom_compiler *compiler = object->compiler;
    const struct node *node = custom_get(object, "when");
    struct custom_object inner;
    struct bytes label = {0};
    uint64_t bit = 0;
    if (!node)
        return true;
    size_t mark = custom_enter(compiler, BYTES_LITERAL("when"));
    struct binary_when *when = arena_calloc(compiler->arena, 1, sizeof(*when));
    if (!when)
        return custom_fail_memory(compiler);
    if (!custom_open(compiler, node, &inner) || !custom_get_text(&inner, "field", &label))
        return false;
    when->has_bit = custom_get(&inner, "bit") != NULL;
    when->field = custom_field_find(compiler, label);
    if (!when->field || !custom_get_matches(&inner, "is", &when->is) ||
        !custom_get_uint(&inner, "bit", 0, 63, &bit) || !custom_get_bool(&inner, "not", &when->not) ||
        !custom_close(&inner))
        return false;
    if (when->has_bit && when->is.count)
        return custom_fail(compiler, "A condition has \"is\" or \"bit\", not both.");
    when->bit = (unsigned)bit;
    custom_leave(compiler, mark);
    *ret = when;
    return true;
}

static bool get_place(struct custom_object *object, struct binary_item *ret)
{
    uint64_t bit = 0;
    ret->has_at = custom_get(object, "at") != NULL;
    if (!binary_get_int(object, "at", &ret->at))
        return false;
    if (ret->has_at && !custom_get_uint(object, "bit", 0, 7, &bit))
        return false;
    ret->at_bit = (unsigned)bit;
    return true;
}

/* Fields. */

struct type {
    enum binary_type type;
    unsigned bits; /* 0: of a length */
    bool is_bool;
};

static bool parse_type(struct bytes word, struct type *ret)
{
    static const struct {
        const char *word;
        struct type type;
    } words[] = {
        {"f16", {BINARY_FLOAT, 16, false}},   {"f32", {BINARY_FLOAT, 32, false}},
        {"f64", {BINARY_FLOAT, 64, false}},   {"bcd", {BINARY_BCD, 0, false}},
        {"bool", {BINARY_UNSIGNED, 8, true}}, {"bytes", {BINARY_OCTETS, 0, false}},
        {"text", {BINARY_TEXT, 0, false}},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (bytes_equal_text(word, words[i].word)) {
            *ret = words[i].type;
            return true;
        }
    }
    struct custom_integer bits;
    if (word.len < 2 || word.len > 3 || word.ptr[1] == '0' ||
        !custom_parse_integer(bytes_of(word.ptr + 1, word.len - 1), &bits) || bits.negative ||
        bits.magnitude > 64)
        return false;
    *ret =
        (struct type){word.ptr[0] == 'i' ? BINARY_SIGNED : BINARY_UNSIGNED, (unsigned)bits.magnitude, false};
    return word.ptr[0] == 'u' || (word.ptr[0] == 'i' && bits.magnitude >= 2);
}

static bool read_part(struct custom_compiler *compiler, const struct node *node, unsigned bits,
                      struct binary_part *ret)
{
    struct custom_object object;
    uint64_t bit = bits, width = 1;
    if (!custom_open(compiler, node, &object) || !custom_get_uint(&object, "bit", 0, bits - 1, &bit) ||
        !custom_get_uint(&object, "width", 1, bits, &width) ||
        !custom_get_bool(&object, "signed", &ret->is_signed) ||
        !custom_get_matches(&object, "expect", &ret->expect) || !custom_field_read(&object, &ret->common))
        return false;
    if (bit == bits)
        return custom_fail_at(compiler, "bit",
                              "The lowest bit is expected here; 0 is the least significant one.");
    if (bit + width > bits)
        return custom_fail_at(compiler, "width", "The integer has %u bits only.", bits);
    ret->bit = (unsigned)bit;
    ret->width = (unsigned)width;
    return custom_close(&object);
}

static bool read_parts(struct custom_object *object, struct binary_field *field)
{
    struct custom_compiler *compiler = object->compiler;
    const struct node *array = custom_get(object, "bits");
    if (!array)
        return true;
    size_t mark = custom_enter(compiler, BYTES_LITERAL("bits"));
    if (field->type != BINARY_UNSIGNED)
        return custom_fail(compiler, "Only unsigned integers have bits.");
    if (array->kind != NODE_ARRAY || array->count == 0 || array->count > 64)
        return custom_fail(compiler, "An array of 1 to 64 bit fields is expected here.");
    field->part_count = array->count;
    field->parts = arena_calloc(compiler->arena, array->count, sizeof(*field->parts));
    if (!field->parts)
        return custom_fail_memory(compiler);
    const struct node *node = node_first(array);
    for (uint32_t i = 0; i < array->count; i++, node = node_next(node)) {
        size_t inner = custom_enter_index(compiler, i);
        if (!read_part(compiler, node, field->bits, &field->parts[i]))
            return false;
        custom_leave(compiler, inner);
    }
    custom_leave(compiler, mark);
    return true;
}

static bool read_length(struct custom_object *object, struct binary_field *field)
{
    struct custom_compiler *compiler = object->compiler;
    if (field->bits)
        return true;
    if (!get_amount(object, "length", &field->length))
        return false;
    if (!field->length.given)
        return custom_fail_at(compiler, "length", "A length is needed: octets, a field's name or \"rest\".");
    if (field->type != BINARY_BCD)
        return true;
    if (field->length.rest || field->length.field || field->length.count > 8)
        return custom_fail_at(compiler, "length", "BCD has 1 to 8 octets.");
    field->bits = (unsigned)field->length.count * 8;
    return true;
}

static bool read_field(struct custom_object *object, enum binary_endian endian, struct binary_item *item)
{
    struct custom_compiler *compiler = object->compiler;
    struct bytes word = {0};
    struct type type;
    unsigned choice = endian;
    if (!custom_get_text(object, "type", &word))
        return false;
    if (bytes_equal_text(word, "group") || bytes_equal_text(word, "skip") || bytes_equal_text(word, "switch"))
        return custom_fail_at(compiler, "type",
                              "This is no type but a member in its place, as {\"skip\": 2} or {\"group\": [...]}.");
    if (!parse_type(word, &type))
        return custom_fail_at(compiler, "type",
                              "u1 to u64, i2 to i64, f16, f32, f64, bool, bcd, bytes or text is expected.");
    struct binary_field *field = arena_calloc(compiler->arena, 1, sizeof(*field));
    if (!field)
        return custom_fail_memory(compiler);
    item->field = field;
    field->type = type.type;
    field->bits = type.bits;
    if (!custom_get_choice(object, "endian", binary_endian_words, 4, &choice) ||
        !read_length(object, field) || !custom_get_bool(object, "optional", &field->optional) ||
        !custom_get_matches(object, "expect", &field->expect) || !custom_field_read(object, &field->common) ||
        !read_parts(object, field))
        return false;
    field->endian = (enum binary_endian)choice;
    if (choice >= BINARY_CDAB && custom_get(object, "endian") && field->bits % 16)
        return custom_fail_at(compiler, "endian",
                              "Only numbers of whole registers (16 bits) have this order.");
    if (type.is_bool && field->common.as == CUSTOM_AS_ANY)
        field->common.as = CUSTOM_AS_BOOL;
    return true;
}

/* Groups. */

static bool read_items(struct custom_compiler *compiler, const struct node *array, enum binary_endian endian,
                       struct binary_items *ret);

static bool get_items(struct custom_object *object, const char *name, enum binary_endian endian,
                      struct binary_items *ret)
{
    const struct node *array = custom_get(object, name);
    size_t mark = custom_enter(object->compiler, bytes_of_text(name));
    if (!array)
        return custom_fail(object->compiler, "An array of fields is expected here.");
    if (!read_items(object->compiler, array, endian, ret))
        return false;
    custom_leave(object->compiler, mark);
    return true;
}

static bool get_trailing(struct custom_object *object, bool *ret_ignored)
{
    static const char *const words[] = {"refuse", "ignore"};
    unsigned choice = 0;
    if (!custom_get_choice(object, "trailing", words, 2, &choice))
        return false;
    *ret_ignored = choice == 1;
    return true;
}

static bool read_group(struct custom_object *object, enum binary_endian endian, struct binary_item *item)
{
    struct custom_compiler *compiler = object->compiler;
    struct binary_group *group = arena_calloc(compiler->arena, 1, sizeof(*group));
    unsigned choice = endian;
    if (!group)
        return custom_fail_memory(compiler);
    item->group = group;
    if (!custom_get_choice(object, "endian", binary_endian_words, 4, &choice) ||
        !get_amount(object, "repeat", &group->repeat) || !get_amount(object, "length", &group->length) ||
        !get_trailing(object, &group->trailing_ignored) ||
        !custom_get_uint(object, "first", 0, UINT32_MAX, &group->list.first_index))
        return false;
    group->list.repeats = group->repeat.given;
    return custom_list_begin(compiler, &group->list) &&
           get_items(object, "group", (enum binary_endian)choice, &group->items) &&
           custom_list_end(object, &group->list);
}

/* Tagged unions. */

static int compare_integers(const struct custom_integer *a, const struct custom_integer *b)
{
    if (a->negative != b->negative)
        return a->negative ? -1 : 1;
    return (a->magnitude > b->magnitude) - (a->magnitude < b->magnitude);
}

/* Keeps the cases sorted; a definition has few. */
static bool add_case(struct custom_compiler *compiler, struct binary_switch *choice,
                     const struct custom_integer *value, const struct binary_items *items)
{
    size_t i = choice->case_count;
    for (; i > 0 && compare_integers(&choice->cases[i - 1].value, value) >= 0; i--) {
        if (compare_integers(&choice->cases[i - 1].value, value) == 0)
            return custom_fail(compiler, "This case is there twice.");
    }
    memmove(&choice->cases[i + 1], &choice->cases[i], (choice->case_count - i) * sizeof(choice->cases[0]));
    choice->cases[i] = (struct binary_case){*value, items};
    choice->case_count++;
    return true;
}

/* "0x67" or "0, 1, 2". */
static bool add_cases(struct custom_compiler *compiler, struct binary_switch *choice, struct bytes keys,
                      const struct binary_items *items)
{
    while (keys.len) {
        const uint8_t *comma = memchr(keys.ptr, ',', keys.len);
        size_t len = comma ? (size_t)(comma - keys.ptr) : keys.len;
        struct bytes key = bytes_of(keys.ptr, len);
        struct custom_integer value;
        while (key.len && key.ptr[0] == ' ')
            key = bytes_of(key.ptr + 1, key.len - 1);
        if (!custom_parse_integer(key, &value))
            return custom_fail(compiler, "A case is an integer, or several between commas.");
        if (!add_case(compiler, choice, &value, items))
            return false;
        keys = bytes_of(keys.ptr + len + (comma != NULL), keys.len - len - (comma != NULL));
    }
    return true;
}

/* Fields of one case are not seen by the others, nor by what follows. */
static bool read_branch(struct custom_compiler *compiler, const struct node *array, enum binary_endian endian,
                        const struct binary_items **ret)
{
    struct binary_items *items = arena_calloc(compiler->arena, 1, sizeof(*items));
    size_t seen = compiler->seen_count;
    if (!items)
        return custom_fail_memory(compiler);
    if (array->kind == NODE_ARRAY && array->count == 0) {
        *ret = items;
        return true;
    }
    if (!read_items(compiler, array, endian, items))
        return false;
    compiler->seen_count = seen;
    *ret = items;
    return true;
}

/* At most so many cases are in the keys. */
static size_t count_cases(const struct node *map)
{
    const struct node *key = node_first(map);
    size_t count = 0;
    for (uint32_t i = 0; i < map->count; i++, key = node_next(key + 1)) {
        count++;
        for (size_t k = 0; k < key->data.len; k++)
            count += key->data.ptr[k] == ',';
    }
    return count;
}

static bool read_cases(struct custom_compiler *compiler, const struct node *map, enum binary_endian endian,
                       struct binary_switch *choice)
{
    if (!map || map->kind != NODE_MAP || map->count == 0)
        return custom_fail(compiler, "An object of value to array of fields is expected here.");
    size_t count = count_cases(map);
    if (count > CUSTOM_FIELDS_MAX)
        return custom_fail(compiler, "There are more than %d cases.", CUSTOM_FIELDS_MAX);
    choice->cases = arena_calloc(compiler->arena, count, sizeof(*choice->cases));
    if (!choice->cases)
        return custom_fail_memory(compiler);
    const struct node *key = node_first(map);
    for (uint32_t i = 0; i < map->count; i++, key = node_next(key + 1)) {
        const struct binary_items *items = NULL;
        size_t mark = custom_enter(compiler, key->data);
        if (!read_branch(compiler, key + 1, endian, &items) || !add_cases(compiler, choice, key->data, items))
            return false;
        custom_leave(compiler, mark);
    }
    return true;
}

static bool read_switch(struct custom_object *object, enum binary_endian endian, struct binary_item *item)
{
    struct custom_compiler *compiler = object->compiler;
    struct binary_switch *choice = arena_calloc(compiler->arena, 1, sizeof(*choice));
    struct bytes label = {0};
    if (!choice)
        return custom_fail_memory(compiler);
    item->choice = choice;
    if (!custom_get_text(object, "switch", &label))
        return false;
    size_t mark = custom_enter(compiler, BYTES_LITERAL("switch"));
    choice->on = custom_field_find(compiler, label);
    if (!choice->on)
        return false;
    custom_leave(compiler, mark);
    mark = custom_enter(compiler, BYTES_LITERAL("cases"));
    if (!read_cases(compiler, custom_get(object, "cases"), endian, choice))
        return false;
    custom_leave(compiler, mark);
    const struct node *otherwise = custom_get(object, "default");
    mark = custom_enter(compiler, BYTES_LITERAL("default"));
    if (otherwise && !read_branch(compiler, otherwise, endian, &choice->otherwise))
        return false;
    custom_leave(compiler, mark);
    return true;
}

static bool read_item(struct custom_compiler *compiler, const struct node *node, enum binary_endian endian,
                      struct binary_item *ret)
{
    struct custom_object object;
    bool good;
    if (!custom_open(compiler, node, &object) || !get_when(&object, &ret->when) || !get_place(&object, ret))
        return false;
    if (custom_get(&object, "group")) {
        ret->kind = BINARY_ITEM_GROUP;
        good = read_group(&object, endian, ret);
    } else if (custom_get(&object, "switch")) {
        ret->kind = BINARY_ITEM_SWITCH;
        good = read_switch(&object, endian, ret);
    } else if (custom_get(&object, "skip")) {
        ret->kind = BINARY_ITEM_SKIP;
        good = get_amount(&object, "skip", &ret->skip);
    } else if (custom_get(&object, "type")) {
        ret->kind = BINARY_ITEM_FIELD;
        good = read_field(&object, endian, ret);
    } else {
        return custom_fail(compiler, "One of \"type\", \"skip\", \"group\" and \"switch\" is expected here.");
    }
    return good && custom_close(&object);
}

static bool read_items(struct custom_compiler *compiler, const struct node *array, enum binary_endian endian,
                       struct binary_items *ret)
{
    if (array->kind != NODE_ARRAY || array->count == 0 || array->count > CUSTOM_FIELDS_MAX)
        return custom_fail(compiler, "An array of 1 to %d fields is expected here.", CUSTOM_FIELDS_MAX);
    ret->count = array->count;
    ret->items = arena_calloc(compiler->arena, array->count, sizeof(*ret->items));
    if (!ret->items)
        return custom_fail_memory(compiler);
    const struct node *node = node_first(array);
    for (uint32_t i = 0; i < array->count; i++, node = node_next(node)) {
        size_t mark = custom_enter_index(compiler, i);
        if (!read_item(compiler, node, endian, &ret->items[i]))
            return false;
        custom_leave(compiler, mark);
    }
    return true;
}

/* The whole. */

static bool read_frame_length(struct custom_object *definition, struct binary *binary)
{
    struct custom_compiler *compiler = definition->compiler;
    const struct node *node = custom_get(definition, "length");
    struct custom_object object;
    binary->length_max = UINT64_MAX;
    if (!node)
        return true;
    if (node->kind == NODE_NUMBER) {
        if (!custom_get_uint(definition, "length", 1, LENGTH_MAX, &binary->length_min))
            return false;
        binary->length_max = binary->length_min;
        return true;
    }
    size_t mark = custom_enter(compiler, BYTES_LITERAL("length"));
    if (!custom_open(compiler, node, &object) ||
        !custom_get_uint(&object, "min", 0, LENGTH_MAX, &binary->length_min) ||
        !custom_get_uint(&object, "max", 1, LENGTH_MAX, &binary->length_max) || !custom_close(&object))
        return false;
    if (binary->length_min > binary->length_max)
        return custom_fail(compiler, "min is larger than max.");
    custom_leave(compiler, mark);
    return true;
}

static bool read_whitening(struct custom_object *definition, struct binary *binary)
{
    struct custom_compiler *compiler = definition->compiler;
    const struct node *node = custom_get(definition, "whitening");
    struct custom_object object;
    if (!node)
        return true;
    size_t mark = custom_enter(compiler, BYTES_LITERAL("whitening"));
    if (!custom_open(compiler, node, &object) || !custom_get_hex(&object, "xor", &binary->whitening) ||
        !binary_get_int(&object, "from", &binary->whitened.from) ||
        !binary_get_int(&object, "to", &binary->whitened.to))
        return false;
    binary->whitened.to_end = custom_get(&object, "to") == NULL;
    if (binary->whitening.len == 0)
        return custom_fail_at(compiler, "xor",
                              "The octets that the payload is combined with are expected here.");
    if (!custom_close(&object))
        return false;
    custom_leave(compiler, mark);
    return true;
}

static bool compile(struct custom_compiler *compiler, struct custom_object *definition, void **ret)
{
    struct binary *binary = arena_calloc(compiler->arena, 1, sizeof(*binary));
    unsigned endian = BINARY_BIG;
    if (!binary)
        return custom_fail_memory(compiler);
    if (!custom_get_choice(definition, "endian", binary_endian_words, 4, &endian) ||
        !read_frame_length(definition, binary) || !get_trailing(definition, &binary->trailing_ignored) ||
        !read_whitening(definition, binary) ||
        !binary_checksum_read(definition, (enum binary_endian)endian, &binary->checksum) ||
        !get_items(definition, "fields", (enum binary_endian)endian, &binary->items))
        return false;
    *ret = binary;
    return true;
}

const struct custom_kind_row custom_binary_kind = {"binary", CONTENT_FORMAT_OCTETS, compile, binary_decode};
