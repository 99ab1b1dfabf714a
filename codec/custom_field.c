// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Fields and lists of fields of a definition, as far as all kinds have them in common, and what fields say of
 * each other: a name, a node, a time, a length, a condition may be about a field that stands before it, in
 * the same list or in one around it. Only fields that others refer to cost anything while a payload is
 * decoded (a slot).
 */
#include "codec/custom_private.h"

#include "codec/utf8.h"

static bool is_alphanumeric(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_name_character(uint8_t c)
{
    return is_alphanumeric(c) || c == '-' || c == '.' || c == '_';
}

/* References. */

static const struct custom_field *find(const struct custom_compiler *compiler, struct bytes label)
{
    for (size_t i = label.len ? compiler->seen_count : 0; i > 0; i--) {
        if (bytes_equal(compiler->seen[i - 1]->label, label)) {
            compiler->seen[i - 1]->referred = true;
            return compiler->seen[i - 1];
        }
    }
    return NULL;
}

const struct custom_field *custom_field_find(struct custom_compiler *compiler, struct bytes label)
{
    const struct custom_field *field = find(compiler, label);
    if (!field)
        custom_fail(compiler, "There is no field \"%.*s\" before this.", (int)label.len,
                    (const char *)label.ptr);
    return field;
}

/* Names with placeholders. */

static bool read_placeholder(struct custom_compiler *compiler, struct bytes name, struct custom_piece *ret)
{
    ret->text = (struct bytes){0};
    if (bytes_equal_text(name, "i") || bytes_equal_text(name, "key")) {
        bool is_index = name.len == 1;
        ret->kind = is_index ? CUSTOM_PIECE_INDEX : CUSTOM_PIECE_KEY;
        if (is_index ? compiler->repeating : compiler->keyed)
            return true;
        return custom_fail(compiler, "Nothing is %s here.",
                           is_index ? "repeated" : "taken from an object's members");
    }
    ret->kind = CUSTOM_PIECE_FIELD;
    ret->field = custom_field_find(compiler, name);
    return ret->field != NULL;
}

static bool check_piece(struct custom_compiler *compiler, struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!is_name_character(text.ptr[i]))
            return custom_fail(
                compiler, "A name has letters, digits and - . _ only, and begins with a letter or digit.");
    }
    return true;
}

bool custom_template_read(struct custom_compiler *compiler, struct bytes text, struct custom_template *ret)
{
    const uint8_t *at = text.ptr, *end = text.ptr + text.len;
    ret->count = 0;
    if (text.len == 0 || text.len > NAMING_NAME_MAX)
        return custom_fail(compiler, "A name has 1 to %d characters.", NAMING_NAME_MAX);
    while (at < end) {
        if (ret->count == CUSTOM_PIECES_MAX)
            return custom_fail(compiler, "A name has more than %d parts.", CUSTOM_PIECES_MAX);
        struct custom_piece *piece = &ret->pieces[ret->count++];
        const uint8_t *brace = memchr(at, '{', (size_t)(end - at));
        if (brace == at) {
            const uint8_t *close = memchr(at, '}', (size_t)(end - at));
            if (!close)
                return custom_fail(compiler, "A { in a name has no }.");
            if (!read_placeholder(compiler, bytes_of(at + 1, (size_t)(close - at - 1)), piece))
                return false;
            at = close + 1;
            continue;
        }
        *piece = (struct custom_piece){.kind = CUSTOM_PIECE_TEXT};
        piece->text = bytes_of(at, (size_t)((brace ? brace : end) - at));
        if (!check_piece(compiler, piece->text))
            return false;
        at += piece->text.len;
    }
    if (ret->pieces[0].kind == CUSTOM_PIECE_TEXT && !is_alphanumeric(text.ptr[0]))
        return check_piece(compiler, BYTES_LITERAL(" "));
    return true;
}

bool custom_template_has_placeholder(const struct custom_template *template)
{
    return template->count > 1 || (template->count == 1 && template->pieces[0].kind != CUSTOM_PIECE_TEXT);
}

/* Values to compare with. */

static void match_integer(const struct custom_integer *integer, struct custom_match *ret)
{
    ret->kind = integer->hex ? CUSTOM_MATCH_PATTERN : CUSTOM_MATCH_NUMBER;
    ret->is_integer = true;
    ret->negative = integer->negative;
    ret->magnitude = integer->magnitude;
    decimal_from_uint(integer->magnitude, integer->negative, &ret->decimal);
}

/* Text is kept as text beside the number that it may be: a sentinel "0" is one in a text and in a number. */
static bool match_text(struct custom_compiler *compiler, struct bytes text, struct custom_match *ret)
{
    struct custom_integer integer;
    ret->kind = CUSTOM_MATCH_TEXT;
    if (custom_parse_integer(text, &integer))
        match_integer(&integer, ret);
    else if (decimal_parse(text, &ret->decimal) == DECIMAL_OK)
        ret->kind = CUSTOM_MATCH_NUMBER;
    else if (bytes_equal_text(text, "nan"))
        ret->kind = CUSTOM_MATCH_NAN;
    if (!arena_copy(compiler->arena, text, &ret->text))
        return custom_fail_memory(compiler);
    return true;
}

static bool read_match(struct custom_compiler *compiler, const struct node *node, struct custom_match *ret)
{
    switch (node->kind) {
    case NODE_TEXT:
    case NODE_NUMBER:
        if (!match_text(compiler, node->data, ret))
            return false;
        if (node->kind == NODE_NUMBER && ret->kind == CUSTOM_MATCH_TEXT)
            return custom_fail(compiler, "A number is beyond the bounds.");
        return true;
    case NODE_BOOLEAN:
        match_integer(&(struct custom_integer){.magnitude = node->boolean}, ret);
        ret->text = node->boolean ? BYTES_LITERAL("true") : BYTES_LITERAL("false");
        return true;
    default:
        return custom_fail(compiler, "A number, a text, true or false is expected here.");
    }
}

bool custom_get_matches(struct custom_object *object, const char *name, struct custom_matches *ret)
{
    struct custom_compiler *compiler = object->compiler;
    const struct node *node = custom_get(object, name);
    if (!node)
        return true;
    size_t mark = custom_enter(compiler, bytes_of_text(name));
    bool is_array = node->kind == NODE_ARRAY;
    const struct node *item = is_array ? node_first(node) : node;
    ret->count = is_array ? node->count : 1;
    if (ret->count == 0 || ret->count > CUSTOM_CHOICES_MAX)
        return custom_fail(compiler, "1 to %d values are expected here.", CUSTOM_CHOICES_MAX);
    ret->items = arena_calloc(compiler->arena, ret->count, sizeof(*ret->items));
    if (!ret->items)
        return custom_fail_memory(compiler);
    for (size_t i = 0; i < ret->count; i++, item = node_next(item)) {
        size_t inner = is_array ? custom_enter_index(compiler, i) : compiler->path_len;
        if (!read_match(compiler, item, &ret->items[i]))
            return false;
        custom_leave(compiler, inner);
    }
    custom_leave(compiler, mark);
    return true;
}

/* Members that all fields have. */

static bool read_map_value(struct custom_compiler *compiler, const struct node *node,
                           struct custom_value *ret)
{
    ret->kind = VALUE_NONE;
    switch (node->kind) {
    case NODE_NULL:
        return true;
    case NODE_TEXT:
        ret->kind = VALUE_TEXT;
        return custom_read_text(compiler, node, &ret->data);
    case NODE_BOOLEAN:
        ret->kind = VALUE_BOOLEAN;
        ret->boolean = node->boolean;
        return true;
    case NODE_NUMBER:
        ret->kind = VALUE_NUMBER;
        ret->computed = true;
        return custom_read_decimal(compiler, node, &ret->decimal);
    default:
        return custom_fail(compiler, "A text, a number, true, false or null is expected here.");
    }
}

static bool read_map(struct custom_object *object, struct custom_field *field)
{
    struct custom_compiler *compiler = object->compiler;
    const struct node *map = custom_get(object, "map");
    if (!map)
        return true;
    size_t mark = custom_enter(compiler, BYTES_LITERAL("map"));
    if (map->kind != NODE_MAP || map->count == 0 || map->count > CUSTOM_MAP_MAX)
        return custom_fail(compiler, "An object of 1 to %d raw values and what they mean is expected here.",
                           CUSTOM_MAP_MAX);
    field->map_count = map->count;
    field->map = arena_calloc(compiler->arena, map->count, sizeof(*field->map));
    if (!field->map)
        return custom_fail_memory(compiler);
    const struct node *key = node_first(map);
    for (uint32_t i = 0; i < map->count; i++, key = node_next(key + 1)) {
        size_t inner = custom_enter(compiler, key->data);
        if (!match_text(compiler, key->data, &field->map[i].match) ||
            !read_map_value(compiler, key + 1, &field->map[i].value))
            return false;
        custom_leave(compiler, inner);
    }
    custom_leave(compiler, mark);
    return true;
}

static bool check_unit(struct custom_compiler *compiler, struct bytes symbol, const struct unit **ret)
{
    *ret = symbol.len ? units_find(symbol) : NULL;
    if (symbol.len && !*ret)
        return custom_fail_at(compiler, "unit", "\"%.*s\" is neither a primary nor a secondary SenML unit.",
                              (int)symbol.len, (const char *)symbol.ptr);
    return true;
}

static bool read_scale(struct custom_object *object, struct custom_field *field)
{
    static const char *const policies[] = {"refuse", "missing", "keep"};
    struct bytes unit = {0};
    unsigned outside = CUSTOM_REFUSE, unmapped = CUSTOM_REFUSE;
    if (!custom_get_decimal(object, "bias", &field->has_bias, &field->bias) ||
        !custom_get_decimal(object, "scale", &field->has_scale, &field->scale) ||
        !custom_get_decimal(object, "divide", &field->has_divide, &field->divide) ||
        !custom_get_decimal(object, "offset", &field->has_offset, &field->offset) ||
        !custom_get_decimal(object, "min", &field->has_min, &field->min) ||
        !custom_get_decimal(object, "max", &field->has_max, &field->max) ||
        !custom_get_choice(object, "outside", policies, 2, &outside) ||
        !custom_get_choice(object, "unmapped", policies, 3, &unmapped) ||
        !custom_get_text(object, "unit", &unit) || !check_unit(object->compiler, unit, &field->unit))
        return false;
    field->outside = (enum custom_policy)outside;
    field->unmapped = (enum custom_policy)unmapped;
    if (field->has_divide && decimal_is_zero(&field->divide))
        return custom_fail_at(object->compiler, "divide", "Nothing can be divided by zero.");
    if (field->has_min && field->has_max && custom_decimal_compare(&field->min, &field->max) > 0)
        return custom_fail_at(object->compiler, "min", "min is larger than max.");
    return true;
}

/* The definition gives it as the counter on the wire counts; what comes out is scaled. */
static bool read_modulus(struct custom_object *object, struct custom_field *field)
{
    struct custom_compiler *compiler = object->compiler;
    struct decimal modulus;
    char text[DECIMAL_TEXT_MAX];
    bool found;
    if (!custom_get_bool(object, "cumulative", &field->cumulative) ||
        !custom_get_decimal(object, "modulus", &found, &modulus))
        return false;
    if (!found)
        return true;
    if (!field->cumulative)
        return custom_fail_at(compiler, "modulus", "Only a field that is cumulative has a modulus.");
    if ((field->has_scale && !decimal_multiply(&modulus, &field->scale, &modulus)) ||
        (field->has_divide && !decimal_divide(&modulus, &field->divide, &modulus)) ||
        (field->unit && !units_convert_sum(field->unit, &modulus, &modulus)) || modulus.negative ||
        decimal_is_zero(&modulus))
        return custom_fail_at(compiler, "modulus",
                              "The modulus must be a positive number, scaled like the value.");
    decimal_normalise(&modulus);
    field->modulus_decimal = modulus;
    if (!arena_copy(compiler->arena, bytes_of(text, decimal_write(&modulus, text)), &field->modulus))
        return custom_fail_memory(compiler);
    return true;
}

static bool fits(const struct custom_field *field, struct decimal *number, bool computed)
{
    double approx;
    return (!computed || custom_field_compute(field, number)) &&
           (!field->unit || units_convert(field->unit, number, number)) && decimal_to_double(number, &approx);
}

/* What a payload makes the gateway compute takes the same short time whatever the definition says. */
static bool check_factors(struct custom_compiler *compiler, const struct custom_field *field)
{
    const struct {
        const char *member;
        bool given;
        unsigned digits;
    } factors[] = {
        {"bias", field->has_bias, field->bias.count},
        {"scale", field->has_scale, field->scale.count},
        {"divide", field->has_divide, field->divide.count},
        {"offset", field->has_offset, field->offset.count},
    };
    for (size_t i = 0; i < sizeof(factors) / sizeof(factors[0]); i++) {
        if (factors[i].given && factors[i].digits > DECIMAL_FACTOR_MAX)
            return custom_fail_at(compiler, factors[i].member, "At most %d digits are expected here.",
                                  DECIMAL_FACTOR_MAX);
    }
    return true;
}

/*
 * Whatever integer a payload has can be scaled, and so can the numbers of the map: no payload shall be able to show
 * that a codec is broken.
 */
static bool check_bounds(struct custom_compiler *compiler, const struct custom_field *field)
{
    static const struct custom_integer extremes[] = {
        {.magnitude = UINT64_MAX}, {.magnitude = UINT64_MAX, .negative = true}, {.magnitude = 1}};
    struct decimal number;
    for (size_t i = 0; i < sizeof(extremes) / sizeof(extremes[0]); i++) {
        decimal_from_uint(extremes[i].magnitude, extremes[i].negative, &number);
        if (!fits(field, &number, true))
            return custom_fail(compiler, "An integer of 64 bits with this scale has too many digits.");
    }
    for (size_t i = 0; i < field->map_count; i++) {
        number = field->map[i].value.decimal;
        if (field->map[i].value.kind == VALUE_NUMBER && !fits(field, &number, false))
            return custom_fail_at(compiler, "map", "A number is too large.");
    }
    return true;
}

/* Words that only a number can live up to make the field one. */
static bool settle_as(struct custom_compiler *compiler, struct custom_field *field)
{
    bool numeric = field->has_bias || field->has_scale || field->has_divide || field->has_offset ||
                   field->has_min || field->has_max || field->unit || field->cumulative;
    if (numeric && field->as != CUSTOM_AS_ANY && field->as != CUSTOM_AS_NUMBER)
        return custom_fail_at(compiler, "as", "Only a number has a scale, a range, a unit or is cumulative.");
    if (numeric)
        field->as = CUSTOM_AS_NUMBER;
    return true;
}

static bool note_field(struct custom_compiler *compiler, struct custom_field *field)
{
    if (compiler->all_count == CUSTOM_FIELDS_MAX)
        return custom_fail(compiler, "A definition has at most %d fields.", CUSTOM_FIELDS_MAX);
    field->order = (unsigned)compiler->all_count;
    compiler->all[compiler->all_count++] = field;
    compiler->seen[compiler->seen_count++] = field;
    return true;
}

bool custom_field_read(struct custom_object *object, struct custom_field *ret)
{
    static const char *const as[] = {"any", "number", "text", "bool", "hex"};
    struct custom_compiler *compiler = object->compiler;
    unsigned choice = CUSTOM_AS_ANY;
    if (!custom_get_text(object, "name", &ret->label) || !custom_get_bool(object, "hidden", &ret->hidden) ||
        !custom_get_choice(object, "as", as, sizeof(as) / sizeof(as[0]), &choice) ||
        !read_scale(object, ret) || !custom_get_matches(object, "missing", &ret->missing) ||
        !read_map(object, ret) || !read_modulus(object, ret))
        return false;
    ret->as = (enum custom_as)choice;
    if (ret->label.len || custom_get(object, "name")) {
        size_t mark = custom_enter(compiler, BYTES_LITERAL("name"));
        if (!custom_template_read(compiler, ret->label, &ret->name))
            return false;
        custom_leave(compiler, mark);
    }
    ret->distinct = custom_template_has_placeholder(&ret->name);
    return settle_as(compiler, ret) && check_factors(compiler, ret) && check_bounds(compiler, ret) &&
           note_field(compiler, ret);
}

bool custom_field_make(struct custom_compiler *compiler, struct bytes name, struct bytes unit,
                       const struct decimal *scale, struct custom_field *ret)
{
    *ret = (struct custom_field){.label = name, .has_scale = scale != NULL};
    if (scale)
        ret->scale = *scale;
    ret->name.count = 1;
    ret->name.pieces[0].text = name;
    if (name.len == 0 || name.len > NAMING_NAME_MAX || !is_alphanumeric(name.ptr[0]))
        return check_piece(compiler, BYTES_LITERAL(" "));
    return check_piece(compiler, name) && check_unit(compiler, unit, &ret->unit) &&
           settle_as(compiler, ret) && check_factors(compiler, ret) && check_bounds(compiler, ret) &&
           note_field(compiler, ret);
}

/* Lists. */

bool custom_list_begin(struct custom_compiler *compiler, struct custom_list *list)
{
    if (compiler->depth > CUSTOM_DEPTH_MAX)
        return custom_fail(compiler, "Groups are nested more than %d deep.", CUSTOM_DEPTH_MAX);
    compiler->depth++;
    compiler->repeating += list->repeats;
    compiler->keyed += list->keyed;
    list->order_from = (unsigned)compiler->all_count;
    list->seen_from = compiler->seen_count;
    list->next = compiler->lists;
    compiler->lists = list;
    return true;
}

static bool read_referred(struct custom_object *object, const struct custom_field **ret)
{
    struct custom_compiler *compiler = object->compiler;
    struct bytes label = {0}, pointer = {0};
    if (!custom_get_text(object, "field", &label))
        return false;
    if (!compiler->field_of_pointer) {
        size_t mark = custom_enter(compiler, BYTES_LITERAL("field"));
        *ret = custom_field_find(compiler, label);
        custom_leave(compiler, mark);
        return *ret != NULL;
    }
    const struct node *given = custom_get(object, "pointer");
    if (!custom_get_text(object, "pointer", &pointer))
        return false;
    if ((given != NULL) == (label.len != 0))
        return custom_fail(compiler, "Either \"field\" or \"pointer\" is expected here.");
    *ret = given ? compiler->field_of_pointer(compiler, pointer) : custom_field_find(compiler, label);
    return *ret != NULL;
}

static bool read_time(struct custom_object *object, struct custom_time *ret)
{
    static const char *const units[] = {"s", "ms", "us", "ns", "rfc3339"};
    static const char *const kinds[] = {"absolute", "age", "offset"};
    struct custom_compiler *compiler = object->compiler;
    const struct node *node = custom_get(object, "time");
    struct custom_object time;
    struct decimal epoch;
    unsigned unit = CUSTOM_UNIT_S, as = CUSTOM_TIME_ABSOLUTE;
    bool has_epoch;
    if (!node)
        return true;
    size_t mark = custom_enter(compiler, BYTES_LITERAL("time"));
    if (!custom_open(compiler, node, &time) || !read_referred(&time, &ret->field) ||
        !custom_get_choice(&time, "unit", units, 5, &unit) ||
        !custom_get_choice(&time, "as", kinds, 3, &as) ||
        !custom_get_decimal(&time, "epoch", &has_epoch, &epoch) || !custom_close(&time))
        return false;
    ret->given = true;
    ret->unit = unit;
    ret->as = as;
    if (has_epoch && !timestamp_from_decimal(&epoch, &ret->epoch))
        return custom_fail_at(compiler, "epoch", "The epoch is too far away.");
    if ((has_epoch || unit == CUSTOM_UNIT_RFC3339) && as != CUSTOM_TIME_ABSOLUTE)
        return custom_fail(compiler, "Only an absolute time has an epoch or is written as a date.");
    custom_leave(compiler, mark);
    return true;
}

static bool read_node(struct custom_object *object, struct custom_template *ret)
{
    struct custom_compiler *compiler = object->compiler;
    const struct node *node = custom_get(object, "node");
    struct custom_object inner;
    struct bytes text;
    if (!node)
        return true;
    size_t mark = custom_enter(compiler, BYTES_LITERAL("node"));
    if (node->kind == NODE_MAP && compiler->field_of_pointer) {
        ret->count = 1;
        ret->pieces[0].kind = CUSTOM_PIECE_FIELD;
        if (!custom_open(compiler, node, &inner) || !read_referred(&inner, &ret->pieces[0].field) ||
            !custom_close(&inner))
            return false;
    } else if (!custom_read_text(compiler, node, &text) || !custom_template_read(compiler, text, ret)) {
        return false;
    }
    custom_leave(compiler, mark);
    return true;
}

/* Whatever is repeated would be the same series at the same time. */
static bool check_distinct(struct custom_compiler *compiler, const struct custom_list *list)
{
    bool own = list->time.given || custom_template_has_placeholder(&list->node);
    for (size_t i = list->order_from; i < compiler->all_count; i++) {
        struct custom_field *field = compiler->all[i];
        field->distinct = field->distinct || own;
        if ((list->repeats || list->keyed) && !field->distinct && !field->hidden && field->label.len)
            return custom_fail(
                compiler,
                "\"%.*s\" is repeated: its name needs a placeholder like {i}, or the group a time or node.",
                (int)(field->label.len < 64 ? field->label.len : 64), (const char *)field->label.ptr);
    }
    return true;
}

bool custom_list_end(struct custom_object *object, struct custom_list *list)
{
    struct custom_compiler *compiler = object->compiler;
    if (!read_time(object, &list->time) || !read_node(object, &list->node) || !check_distinct(compiler, list))
        return false;
    list->order_to = (unsigned)compiler->all_count;
    compiler->seen_count = list->seen_from;
    compiler->repeating -= list->repeats;
    compiler->keyed -= list->keyed;
    compiler->depth--;
    return true;
}

unsigned custom_lists_finish(struct custom_compiler *compiler)
{
    unsigned slots = 0;
    for (size_t i = 0; i < compiler->all_count; i++) {
        compiler->all[i]->slot = slots;
        slots += compiler->all[i]->referred;
    }
    for (struct custom_list *list = compiler->lists; list; list = list->next) {
        list->slot_from =
            list->order_from < compiler->all_count ? compiler->all[list->order_from]->slot : slots;
        list->slot_to = list->order_to < compiler->all_count ? compiler->all[list->order_to]->slot : slots;
    }
    return slots;
}
