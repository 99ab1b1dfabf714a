// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The kind "emonhub" of declarative codecs: what emonHub reads from the serial ports of receivers and emonTx,
 * decoded by node tables as in emonhub.conf. A log of independent lines; docs/formats.md has the members and the
 * words for units.
 *
 *     OK 15 236 1 0 0 121 91 (-63)     octets of a radio frame in decimal, strength of reception in dBm
 *     MSG:7,Vrms:240.1,P1:100          named values of an emonTx on a cable
 *     {"MSG":7,"P1":100}               the same as JSON
 *
 * Everything else is noise of the console and gives nothing; what begins with OK or { is data and refused if it is
 * wrong.
 */
#include "codec/emonhub_private.h"

#include "codec/relaxed.h"

#define TABLES_MAX 128
#define NODE_ID_MAX 65535
/* emonHub's words for units that are not SenML's symbols, and those that count. */
static const struct {
    const char *word, *symbol;
    bool cumulative;
} units[] = {
    {"", "", false},      {"n", "", false},      {"C", "Cel", false},  {"%", "/100", false},
    {"p", "count", true}, {"Wh", "Wh", true},    {"wh", "Wh", true},   {"kWh", "kWh", true},
    {"kwh", "kWh", true}, {"KWh", "kWh", true},
};

/* A list of words: an array, or a text with commas as in emonhub.conf. Borrowed from the definition. */
struct words {
    const char *member;
    struct bytes *items;
    size_t count;
};

static bool fail_words(struct custom_compiler *compiler)
{
    return custom_fail(compiler, "An array, or a text with commas, of 1 to %d words is expected here.",
                       CUSTOM_FIELDS_MAX);
}

static bool words_of_array(struct custom_compiler *compiler, const struct node *array, struct words *ret)
{
    const struct node *item = node_first(array);
    for (uint32_t i = 0; i < array->count; i++, item = node_next(item)) {
        if (item->kind != NODE_TEXT && item->kind != NODE_NUMBER)
            return fail_words(compiler);
        ret->items[i] = relaxed_trim(item->data);
    }
    ret->count = array->count;
    return true;
}

static void words_of_text(struct bytes text, struct words *ret)
{
    ret->count = 0;
    for (size_t from = 0, at = 0; at <= text.len; at++) {
        if (at < text.len && text.ptr[at] != ',')
            continue;
        ret->items[ret->count++] = relaxed_trim(bytes_of(text.ptr + from, at - from));
        from = at + 1;
    }
}

/* A member that is not there has no words. */
static bool get_words(struct custom_object *object, const char *name, struct words *ret)
{
    struct custom_compiler *compiler = object->compiler;
    const struct node *node = custom_get(object, name);
    size_t count = 1;
    *ret = (struct words){.member = name};
    if (!node)
        return true;
    size_t mark = custom_enter(compiler, bytes_of_text(name));
    if (node->kind == NODE_ARRAY)
        count = node->count;
    for (size_t i = 0; node->kind == NODE_TEXT && i < node->data.len; i++)
        count += node->data.ptr[i] == ',';
    if ((node->kind != NODE_ARRAY && node->kind != NODE_TEXT) || count == 0 || count > CUSTOM_FIELDS_MAX)
        return fail_words(compiler);
    ret->items = arena_calloc(compiler->scratch, count, sizeof(*ret->items));
    if (!ret->items)
        return custom_fail_memory(compiler);
    if (node->kind == NODE_TEXT)
        words_of_text(node->data, ret);
    else if (!words_of_array(compiler, node, ret))
        return false;
    custom_leave(compiler, mark);
    return true;
}

static bool clean_name(struct custom_compiler *compiler, struct bytes raw, struct bytes *ret)
{
    struct refusal refusal;
    if (!naming_clean(raw, NAMING_NAME_MAX, compiler->scratch, ret, &refusal))
        return custom_fail(compiler, "%s", refusal.detail);
    return arena_copy(compiler->arena, *ret, ret) || custom_fail_memory(compiler);
}

/* Kept as it is written: so a device is found by it. */
static bool keep_node(struct custom_compiler *compiler, struct bytes raw, struct bytes *ret)
{
    struct refusal refusal;
    struct observation named;
    if (!naming_node(raw, compiler->scratch, &named, &refusal))
        return custom_fail(compiler, "%s", refusal.detail);
    return arena_copy(compiler->arena, raw, ret) || custom_fail_memory(compiler);
}

static bool decimal_of_word(struct custom_compiler *compiler, struct bytes word, struct decimal *ret)
{
    struct refusal refusal;
    return relaxed_decimal(word, ret, &refusal) || custom_fail(compiler, "A number is expected here.");
}

/* The lists that say something of each value; and what is said of all. */
struct columns {
    struct words names, datacodes, scales, units, cumulative, missing;
    const struct emonhub_code *code; /* of all values; NULL: none */
    bool has_scale;
    struct decimal scale;
};

static bool read_code(struct custom_compiler *compiler, struct bytes word, const struct emonhub_code **ret)
{
    *ret = word.len == 1 ? emonhub_code((char)word.ptr[0]) : NULL;
    return *ret || custom_fail(compiler, "A datacode is one of b B h H i I l L q Q f d c.");
}

/* What the unit's word means for a value; SenML's own symbols are taken too. */
static struct bytes unit_of_word(struct bytes word, bool *ret_cumulative)
{
    *ret_cumulative = false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (bytes_equal_text(word, units[i].word)) {
            *ret_cumulative = units[i].cumulative;
            return bytes_of_text(units[i].symbol);
        }
    }
    return word;
}

static bool check_unit(struct custom_compiler *compiler, struct bytes word)
{
    bool ignored;
    struct bytes symbol = unit_of_word(word, &ignored);
    return symbol.len == 0 || units_known(symbol) ||
           custom_fail(compiler, "\"%.*s\" is no unit of emonHub or SenML.", (int)word.len, (const char *)word.ptr);
}

/*
 * Values that stand for "no sensor", as emonHub shows them, scaled; they are looked for in temperatures only, as
 * they were read.
 */
static bool set_missing(struct custom_compiler *compiler, const struct words *missing, struct custom_field *field)
{
    if (missing->count == 0 || !field->unit || strcmp(field->unit->primary, "Cel") != 0)
        return true;
    field->missing.count = missing->count;
    field->missing.items = arena_calloc(compiler->arena, missing->count, sizeof(*field->missing.items));
    if (!field->missing.items)
        return custom_fail_memory(compiler);
    size_t mark = custom_enter(compiler, bytes_of_text(missing->member));
    for (size_t i = 0; i < missing->count; i++) {
        struct custom_match *match = &field->missing.items[i];
        size_t inner = custom_enter_index(compiler, i);
        match->kind = CUSTOM_MATCH_NUMBER;
        if (!decimal_of_word(compiler, missing->items[i], &match->decimal))
            return false;
        if (field->has_scale && !decimal_divide(&match->decimal, &field->scale, &match->decimal))
            return custom_fail(compiler, "This cannot be a value of that scale.");
        custom_leave(compiler, inner);
    }
    custom_leave(compiler, mark);
    return true;
}

/* Makes the field of one value. unit: emonHub's word, may be empty. */
static bool make_field(struct custom_compiler *compiler, struct bytes name, struct bytes unit,
                       const struct decimal *scale, struct custom_field *ret)
{
    bool cumulative;
    struct bytes clean, symbol = unit_of_word(unit, &cumulative);
    if (!clean_name(compiler, name, &clean) || !custom_field_make(compiler, clean, symbol, scale, ret))
        return false;
    ret->cumulative = cumulative;
    return true;
}

/* Steps into an element of a list; the mark is that of what is around the list. */
static size_t enter_column(struct custom_compiler *compiler, const char *member, size_t i)
{
    size_t mark = custom_enter(compiler, bytes_of_text(member));
    (void)custom_enter_index(compiler, i);
    return mark;
}

static bool read_scale(struct custom_compiler *compiler, const struct columns *columns, size_t i, bool *ret_found,
                       struct decimal *ret)
{
    bool own = i < columns->scales.count;
    size_t mark = own ? enter_column(compiler, "scales", i) : custom_enter(compiler, BYTES_LITERAL("scale"));
    *ret = columns->scale;
    *ret_found = own || columns->has_scale;
    if (own && !decimal_of_word(compiler, columns->scales.items[i], ret))
        return false;
    if (*ret_found && decimal_is_zero(ret))
        return custom_fail(compiler, "A scale of zero leaves nothing.");
    custom_leave(compiler, mark);
    return true;
}

static bool make_value(struct custom_compiler *compiler, const struct columns *columns, size_t i,
                       struct emonhub_value *ret)
{
    struct bytes unit = i < columns->units.count ? columns->units.items[i] : (struct bytes){0};
    struct decimal scale;
    bool has_scale;
    ret->code = columns->code;
    size_t mark = enter_column(compiler, "datacodes", i);
    if (!ret->code && !read_code(compiler, columns->datacodes.items[i], &ret->code))
        return false;
    custom_leave(compiler, mark);
    mark = enter_column(compiler, "units", i);
    if (!check_unit(compiler, unit))
        return false;
    custom_leave(compiler, mark);
    if (!read_scale(compiler, columns, i, &has_scale, &scale))
        return false;
    mark = enter_column(compiler, "names", i);
    if (!make_field(compiler, columns->names.items[i], unit, has_scale ? &scale : NULL, &ret->field))
        return false;
    custom_leave(compiler, mark);
    return set_missing(compiler, &columns->missing, &ret->field);
}

/* Two names that were different may be one when they are clean. */
static bool check_names(struct custom_compiler *compiler, const struct emonhub_table *table)
{
    for (size_t i = 1; i < table->count; i++) {
        for (size_t k = 0; k < i; k++) {
            struct bytes name = table->values[i].field.label;
            if (bytes_equal(table->values[k].field.label, name))
                return custom_fail_at(compiler, "names", "\"%.*s\" is there twice.", (int)name.len,
                                      (const char *)name.ptr);
        }
    }
    return true;
}

static bool mark_cumulative(struct custom_compiler *compiler, const struct columns *columns,
                            struct emonhub_table *table)
{
    size_t mark = custom_enter(compiler, BYTES_LITERAL("cumulative"));
    for (size_t i = 0; i < columns->cumulative.count; i++) {
        size_t at = 0;
        while (at < columns->names.count && !bytes_equal(columns->names.items[at], columns->cumulative.items[i]))
            at++;
        if (at == columns->names.count)
            return custom_fail(compiler, "One of \"names\" is expected here.");
        table->values[at].field.cumulative = true;
        table->values[at].field.as = CUSTOM_AS_NUMBER;
    }
    custom_leave(compiler, mark);
    return true;
}

static bool get_columns(struct custom_object *object, struct columns *ret)
{
    struct custom_compiler *compiler = object->compiler;
    struct bytes code = {0};
    if (!get_words(object, "names", &ret->names) || !get_words(object, "datacodes", &ret->datacodes) ||
        !custom_get_text(object, "datacode", &code) || !get_words(object, "scales", &ret->scales) ||
        !custom_get_decimal(object, "scale", &ret->has_scale, &ret->scale) ||
        !get_words(object, "units", &ret->units) || !get_words(object, "cumulative", &ret->cumulative) ||
        !get_words(object, "missing", &ret->missing))
        return false;
    if (ret->names.count == 0)
        return custom_fail(compiler, "A node needs \"names\".");
    /* emonHub's receiver dies of both at once. */
    if ((ret->datacodes.count != 0) == (code.len != 0))
        return custom_fail(compiler, "A node needs either \"datacodes\" or \"datacode\".");
    if (ret->datacodes.count && ret->datacodes.count != ret->names.count)
        return custom_fail_at(compiler, "datacodes", "There are %zu names and %zu datacodes.", ret->names.count,
                              ret->datacodes.count);
    if (ret->scales.count > ret->names.count || ret->units.count > ret->names.count)
        return custom_fail(compiler, "There are more scales or units than names.");
    if (ret->scales.count && ret->has_scale)
        return custom_fail(compiler, "A node has either \"scales\" or \"scale\".");
    return !code.len || read_code(compiler, code, &ret->code);
}

static bool read_table(struct custom_compiler *compiler, const struct node *key, struct emonhub_table *ret)
{
    struct custom_object object;
    struct columns columns = {.code = NULL};
    struct custom_integer id;
    struct bytes name = key->data;
    if (!custom_parse_integer(key->data, &id) || id.negative || id.magnitude > NODE_ID_MAX)
        return custom_fail(compiler, "The number of a node, 0 to %d, is expected here.", NODE_ID_MAX);
    if (!custom_open(compiler, key + 1, &object) || !custom_get_text(&object, "nodename", &name) ||
        !custom_get_bool(&object, "whitening", &ret->whitening) || !get_columns(&object, &columns) ||
        !custom_close(&object) || !keep_node(compiler, name, &ret->node))
        return false;
    ret->id = id.magnitude;
    ret->open_ended = columns.code != NULL;
    ret->count = columns.names.count;
    ret->values = arena_calloc(compiler->arena, ret->count, sizeof(*ret->values));
    if (!ret->values)
        return custom_fail_memory(compiler);
    for (size_t i = 0; i < ret->count; i++) {
        if (!make_value(compiler, &columns, i, &ret->values[i]))
            return false;
    }
    if (emonhub_octets(ret->values, ret->count) > EMONHUB_FRAME_MAX)
        return custom_fail(compiler, "A frame has at most %d octets.", EMONHUB_FRAME_MAX);
    return check_names(compiler, ret) && mark_cumulative(compiler, &columns, ret);
}

static bool read_tables(struct custom_object *definition, struct emonhub *emonhub)
{
    struct custom_compiler *compiler = definition->compiler;
    const struct node *nodes = custom_get(definition, "nodes");
    if (!nodes)
        return true;
    size_t mark = custom_enter(compiler, BYTES_LITERAL("nodes"));
    if (nodes->kind != NODE_MAP || nodes->count == 0 || nodes->count > TABLES_MAX)
        return custom_fail(compiler, "An object of 1 to %d nodes is expected here.", TABLES_MAX);
    emonhub->table_count = nodes->count;
    emonhub->tables = arena_calloc(compiler->arena, nodes->count, sizeof(*emonhub->tables));
    if (!emonhub->tables)
        return custom_fail_memory(compiler);
    const struct node *key = node_first(nodes);
    for (uint32_t i = 0; i < nodes->count; i++, key = node_next(key + 1)) {
        size_t inner = custom_enter(compiler, key->data);
        if (!read_table(compiler, key, &emonhub->tables[i]))
            return false;
        for (uint32_t k = 0; k < i; k++) {
            if (emonhub->tables[k].id == emonhub->tables[i].id)
                return custom_fail(compiler, "This node is there twice.");
        }
        custom_leave(compiler, inner);
    }
    custom_leave(compiler, mark);
    return true;
}

/* Units of the values of lines that say names. */
static bool read_named(struct custom_object *definition, struct emonhub *emonhub)
{
    struct custom_compiler *compiler = definition->compiler;
    const struct node *map = custom_get(definition, "units");
    struct words missing;
    if (!get_words(definition, "missing", &missing))
        return false;
    if (!map)
        return true;
    size_t mark = custom_enter(compiler, BYTES_LITERAL("units"));
    if (map->kind != NODE_MAP || map->count > CUSTOM_FIELDS_MAX)
        return custom_fail(compiler, "An object of name to unit is expected here.");
    emonhub->named = arena_calloc(compiler->arena, map->count, sizeof(*emonhub->named));
    if (!emonhub->named)
        return custom_fail_memory(compiler);
    const struct node *key = node_first(map);
    for (uint32_t i = 0; i < map->count; i++, key = node_next(key + 1)) {
        size_t inner = custom_enter(compiler, key->data);
        if (key[1].kind != NODE_TEXT)
            return custom_fail(compiler, "A unit is expected here.");
        if (!check_unit(compiler, key[1].data) ||
            !make_field(compiler, key->data, key[1].data, NULL, &emonhub->named[i]))
            return false;
        emonhub->named_count++;
        custom_leave(compiler, inner);
    }
    custom_leave(compiler, mark);
    for (size_t i = 0; i < emonhub->named_count; i++) {
        if (!set_missing(compiler, &missing, &emonhub->named[i]))
            return false;
    }
    return true;
}

static bool compile(struct custom_compiler *compiler, struct custom_object *definition, void **ret)
{
    static const char *const policies[] = {"refuse", "ignore"};
    struct emonhub *emonhub = arena_calloc(compiler->arena, 1, sizeof(*emonhub));
    unsigned unknown = 0;
    if (!emonhub)
        return custom_fail_memory(compiler);
    if (!read_tables(definition, emonhub) || !read_named(definition, emonhub) ||
        !custom_get_choice(definition, "unknown", policies, 2, &unknown) ||
        !custom_field_make(compiler, BYTES_LITERAL("rssi"), BYTES_LITERAL("dBm"), NULL, &emonhub->rssi))
        return false;
    emonhub->ignores_unknown = unknown == 1;
    compiler->by_line = true;
    *ret = emonhub;
    return true;
}

const struct custom_kind_row emonhub_kind = {"emonhub", CONTENT_FORMAT_TEXT, compile, emonhub_decode};
