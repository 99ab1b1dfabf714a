// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The kind "text": one text, or a log of lines, cut at a separator; each part is a column, or a key with its
 * value. One pass from left to right finds the parts, then the fields are taken in the order of the
 * definition. There are no patterns, so nothing is ever looked at twice.
 */
#include "codec/custom_private.h"

#include "codec/sort.h"
#include "codec/utf8.h"

#define SEPARATOR_MAX 8
#define COLUMNS_MAX 256

struct text_field {
    struct custom_field common;
    struct bytes key; /* empty: by column */
    uint64_t column;
    bool hex;
    uint64_t hex_bits; /* of a two's complement; 0: without sign */
    struct bytes prefix, suffix;
};

struct text {
    struct text_field *fields;
    size_t field_count;
    struct text_field **by_key; /* sorted */
    size_t key_count;
    struct text_field **by_column; /* NULL where there is no field */
    size_t column_count;
    struct bytes separator, assign, prefix, suffix, comment;
    bool collapse, untrimmed, comma, mismatch_ignored, by_line;
    enum custom_policy unknown; /* CUSTOM_MISSING: ignored */
};

/* Compiling. */

static bool read_field(struct custom_compiler *compiler, const struct node *node, struct text_field *ret)
{
    static const char *const forms[] = {"decimal", "hex"};
    struct custom_object object;
    unsigned form = 0;
    if (!custom_open(compiler, node, &object) || !custom_get_text(&object, "key", &ret->key) ||
        !custom_get_uint(&object, "column", 0, COLUMNS_MAX - 1, &ret->column) ||
        !custom_get_choice(&object, "form", forms, 2, &form) ||
        !custom_get_uint(&object, "bits", 2, 64, &ret->hex_bits) ||
        !custom_get_text(&object, "prefix", &ret->prefix) ||
        !custom_get_text(&object, "suffix", &ret->suffix) ||
        !custom_get_bool(&object, "required", &ret->common.required) ||
        !custom_field_read(&object, &ret->common))
        return false;
    ret->hex = form == 1;
    if ((ret->key.len != 0) == (custom_get(&object, "column") != NULL))
        return custom_fail(compiler, "A field has either a \"key\" or a \"column\".");
    if (ret->hex_bits && !ret->hex)
        return custom_fail_at(compiler, "bits", "Only hexadecimal numbers have bits.");
    if (ret->common.as == CUSTOM_AS_HEX)
        return custom_fail_at(compiler, "as", "A text is not written in hexadecimal.");
    if (ret->common.as == CUSTOM_AS_ANY)
        ret->common.as = CUSTOM_AS_NUMBER;
    return custom_close(&object);
}

static int compare_keys(struct bytes a, struct bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len ? memcmp(a.ptr, b.ptr, len) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static bool index_key(struct custom_compiler *compiler, struct text *text, struct text_field *field)
{
    size_t i = text->key_count++;
    for (; i > 0; i--) {
        int order = compare_keys(text->by_key[i - 1]->key, field->key);
        if (order == 0)
            return custom_fail(compiler, "A key is there twice.");
        if (order < 0)
            break;
        text->by_key[i] = text->by_key[i - 1];
    }
    text->by_key[i] = field;
    return true;
}

static bool index_fields(struct custom_compiler *compiler, struct text *text)
{
    text->by_key = arena_calloc(compiler->arena, text->field_count, sizeof(*text->by_key));
    text->by_column = arena_calloc(compiler->arena, COLUMNS_MAX, sizeof(*text->by_column));
    if (!text->by_key || !text->by_column)
        return custom_fail_memory(compiler);
    for (size_t i = 0; i < text->field_count; i++) {
        struct text_field *field = &text->fields[i];
        if (field->key.len) {
            if (!index_key(compiler, text, field))
                return false;
            continue;
        }
        if (text->by_column[field->column])
            return custom_fail(compiler, "A column is there twice.");
        text->by_column[field->column] = field;
        if (field->column >= text->column_count)
            text->column_count = field->column + 1;
    }
    if (text->key_count && !text->assign.len)
        return custom_fail(compiler, "Fields with keys need \"assign\", what stands between key and value.");
    return true;
}

static bool read_fields(struct custom_compiler *compiler, struct custom_object *definition, struct text *text)
{
    const struct node *array = custom_get(definition, "fields");
    size_t mark = custom_enter(compiler, BYTES_LITERAL("fields"));
    if (!array || array->kind != NODE_ARRAY || array->count > CUSTOM_FIELDS_MAX ||
        (array->count == 0 && text->unknown != CUSTOM_KEEP))
        return custom_fail(compiler, "An array of 1 to %d fields is expected here.", CUSTOM_FIELDS_MAX);
    text->field_count = array->count;
    text->fields = arena_calloc(compiler->arena, array->count, sizeof(*text->fields));
    if (!text->fields)
        return custom_fail_memory(compiler);
    const struct node *node = node_first(array);
    for (uint32_t i = 0; i < array->count; i++, node = node_next(node)) {
        size_t inner = custom_enter_index(compiler, i);
        if (!read_field(compiler, node, &text->fields[i]))
            return false;
        custom_leave(compiler, inner);
    }
    if (!index_fields(compiler, text))
        return false;
    custom_leave(compiler, mark);
    return true;
}

static bool get_separator(struct custom_object *definition, const char *name, struct bytes *ret)
{
    if (!custom_get_text(definition, name, ret))
        return false;
    if ((custom_get(definition, name) && ret->len == 0) || ret->len > SEPARATOR_MAX)
        return custom_fail_at(definition->compiler, name, "1 to %d characters are expected here.",
                              SEPARATOR_MAX);
    return true;
}

static bool compile(struct custom_compiler *compiler, struct custom_object *definition, void **ret)
{
    static const char *const unknowns[] = {"refuse", "ignore", "keep"}, *const mismatches[] = {"refuse",
                                                                                               "ignore"};
    static const char *const decimals[] = {".", ","};
    struct text *text = arena_calloc(compiler->arena, 1, sizeof(*text));
    unsigned unknown = CUSTOM_REFUSE, mismatch = 0, decimal = 0;
    bool trim = true;
    if (!text)
        return custom_fail_memory(compiler);
    if (!get_separator(definition, "separator", &text->separator) ||
        !get_separator(definition, "assign", &text->assign) ||
        !custom_get_text(definition, "prefix", &text->prefix) ||
        !custom_get_text(definition, "suffix", &text->suffix) ||
        !custom_get_text(definition, "comment", &text->comment) ||
        !custom_get_bool(definition, "collapse", &text->collapse) ||
        !custom_get_bool(definition, "trim", &trim) ||
        !custom_get_choice(definition, "decimal", decimals, 2, &decimal) ||
        !custom_get_choice(definition, "unknown", unknowns, 3, &unknown) ||
        !custom_get_choice(definition, "mismatch", mismatches, 2, &mismatch) ||
        !custom_get_bool(definition, "lines", &text->by_line))
        return false;
    text->untrimmed = !trim;
    text->comma = decimal == 1;
    text->mismatch_ignored = mismatch == 1;
    text->unknown = (enum custom_policy)unknown;
    compiler->by_line = text->by_line;
    if (text->unknown == CUSTOM_KEEP && !text->assign.len)
        return custom_fail_at(compiler, "unknown",
                              "Only values with keys can be kept: there is no \"assign\".");
    *ret = text;
    return read_fields(compiler, definition, text);
}

/* Decoding. */

/* What one text is being cut into. */
struct cut {
    const struct text *text;
    struct custom_run *run;
    struct bytes *found; /* by field; ptr NULL: not there */
};

static size_t offset_of(const struct cut *cut, struct bytes part)
{
    return (size_t)(part.ptr - cut->run->input->payload.ptr);
}

static bool refuse_part(const struct cut *cut, enum outcome outcome, const char *detail, struct bytes part)
{
    return custom_refuse(cut->run, outcome, detail, offset_of(cut, part));
}

static bool note(const struct cut *cut, struct bytes part, const char *what)
{
    return custom_note(cut->run, (struct custom_place){.offset = offset_of(cut, part), .len = part.len},
                       what);
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct bytes trim(const struct text *text, struct bytes part)
{
    if (text->untrimmed)
        return part;
    while (part.len && is_space(part.ptr[part.len - 1]))
        part.len--;
    while (part.len && is_space(part.ptr[0]))
        part = bytes_of(part.ptr + 1, part.len - 1);
    return part;
}

static bool ends_with(struct bytes text, struct bytes suffix)
{
    return text.len >= suffix.len &&
           bytes_equal(bytes_of(text.ptr + text.len - suffix.len, suffix.len), suffix);
}

/* Takes prefix and suffix off. False: they are not there. */
static bool strip(struct bytes *text, struct bytes prefix, struct bytes suffix)
{
    if (text->len < prefix.len + suffix.len || !bytes_starts_with(*text, prefix) || !ends_with(*text, suffix))
        return false;
    *text = bytes_of(text->ptr + prefix.len, text->len - prefix.len - suffix.len);
    return true;
}

static struct text_field *find_key(const struct text *text, struct bytes key)
{
    size_t low = 0, high = text->key_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare_keys(text->by_key[middle]->key, key);
        if (order == 0)
            return text->by_key[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static bool take_unknown(const struct cut *cut, struct bytes key, struct bytes value)
{
    struct custom_raw raw = {.kind = CUSTOM_RAW_TEXT, .data = value};
    struct decimal decimal;
    raw.place = (struct custom_place){.offset = offset_of(cut, value), .len = value.len};
    if (cut->text->comma && custom_parse_number(value, true, &decimal)) {
        raw.kind = CUSTOM_RAW_NUMBER;
        raw.data = (struct bytes){0};
        raw.decimal = decimal;
    }
    return custom_take_unknown(cut->run, key, &raw);
}

static bool take_pair(const struct cut *cut, struct bytes part)
{
    const struct text *text = cut->text;
    const uint8_t *assign = memmem(part.ptr, part.len, text->assign.ptr, text->assign.len);
    if (!assign && text->unknown == CUSTOM_MISSING)
        return note(cut, part, "ignored");
    if (!assign)
        return refuse_part(cut, OUTCOME_MALFORMED, "A part of the text is no key with a value.", part);
    size_t key_len = (size_t)(assign - part.ptr);
    struct bytes key = trim(text, bytes_of(part.ptr, key_len));
    size_t skipped = key_len + text->assign.len;
    struct bytes value = trim(text, bytes_of(part.ptr + skipped, part.len - skipped));
    struct text_field *field = find_key(text, key);
    if (field && cut->found[field - text->fields].ptr)
        return refuse_part(cut, OUTCOME_DUPLICATE_KEY, "A key is there twice.", part);
    if (field) {
        cut->found[field - text->fields] = value;
        return true;
    }
    if (text->unknown == CUSTOM_KEEP)
        return take_unknown(cut, key, value);
    return text->unknown == CUSTOM_MISSING
               ? note(cut, part, "unknown key")
               : refuse_part(cut, OUTCOME_BAD_VALUE, "A key is none of the codec's.", part);
}

static bool take_part(const struct cut *cut, size_t column, struct bytes part)
{
    const struct text *text = cut->text;
    if (!custom_look(cut->run))
        return false;
    if (column < text->column_count && text->by_column[column]) {
        cut->found[text->by_column[column] - text->fields] = part;
        return true;
    }
    if (part.len == 0)
        return true;
    if (text->assign.len)
        return take_pair(cut, part);
    if (column < text->column_count || text->unknown == CUSTOM_MISSING)
        return note(cut, part, "ignored");
    return refuse_part(cut, OUTCOME_MALFORMED, "There are more columns than the codec has.", part);
}

static bool cut_parts(const struct cut *cut, struct bytes rest)
{
    const struct text *text = cut->text;
    bool more = true;
    for (size_t column = 0; more;) {
        const uint8_t *end = text->separator.len && rest.len
                                 ? memmem(rest.ptr, rest.len, text->separator.ptr, text->separator.len)
                                 : NULL;
        size_t len = end ? (size_t)(end - rest.ptr) : rest.len;
        struct bytes part = trim(text, bytes_of(rest.ptr, len));
        more = end != NULL;
        if (more)
            rest = bytes_of(end + text->separator.len, rest.len - len - text->separator.len);
        if (text->collapse && part.len == 0)
            continue;
        if (!take_part(cut, column++, part))
            return false;
    }
    return true;
}

/* Values. */

static bool parse_hex(const struct text_field *field, struct bytes text, struct custom_raw *raw)
{
    char prefixed[24] = "0x";
    struct custom_integer integer;
    if (text.len == 0 || text.len > 16)
        return false;
    memcpy(prefixed + 2, text.ptr, text.len);
    if (!custom_parse_integer(bytes_of(prefixed, text.len + 2), &integer))
        return false;
    if (field->hex_bits && field->hex_bits < 64 && integer.magnitude >> field->hex_bits)
        return false;
    raw->kind = CUSTOM_RAW_INTEGER;
    raw->has_pattern = true;
    raw->pattern = raw->magnitude = integer.magnitude;
    raw->negative = field->hex_bits && integer.magnitude >> (field->hex_bits - 1) & 1;
    if (raw->negative) {
        uint64_t mask = field->hex_bits == 64 ? UINT64_MAX : (UINT64_C(1) << field->hex_bits) - 1;
        raw->magnitude = (0 - integer.magnitude) & mask;
    }
    return true;
}

/* Whether the number can stay as it is written: a JSON number without a capital E. */
static bool is_as_written(struct bytes text)
{
    struct decimal decimal;
    return decimal_parse(text, &decimal) == DECIMAL_OK && !memchr(text.ptr, 'E', text.len);
}

static void parse_value(const struct text *text, const struct text_field *field, struct custom_raw *raw)
{
    struct bytes written = raw->data;
    if (field->hex) {
        if (!parse_hex(field, written, raw))
            raw->kind = CUSTOM_RAW_NOT_A_NUMBER;
        return;
    }
    raw->kind = custom_parse_number(written, text->comma, &raw->decimal) ? CUSTOM_RAW_NUMBER
                                                                         : CUSTOM_RAW_NOT_A_NUMBER;
    if (raw->kind == CUSTOM_RAW_NUMBER && (text->comma || !is_as_written(written)))
        raw->data = (struct bytes){0};
}

static bool take_field(const struct cut *cut, const struct text_field *field, struct bytes value)
{
    struct custom_raw raw = {.kind = CUSTOM_RAW_ABSENT};
    if (value.len) {
        raw.kind = CUSTOM_RAW_TEXT;
        raw.data = value;
        raw.place = (struct custom_place){.offset = offset_of(cut, value), .len = value.len};
        if (!custom_field_knows(&field->common, &raw)) {
            if (!strip(&raw.data, field->prefix, field->suffix))
                return refuse_part(cut, OUTCOME_BAD_VALUE, "What stands around a value is not there.", value);
            raw.data = trim(cut->text, raw.data);
        }
        /* Sentinels and words of a map are texts first, and what policy unmapped ones have is not decided
         * here. */
        bool is_word = custom_field_knows(&field->common, &raw) ||
                       (field->common.map_count && field->common.unmapped != CUSTOM_KEEP);
        if (!is_word && field->common.as == CUSTOM_AS_NUMBER)
            parse_value(cut->text, field, &raw);
    }
    return custom_field_take(cut->run, &field->common, &raw);
}

static int compare_names(const void *a, const void *b)
{
    const struct observation *x = a, *y = b;
    return compare_keys(x->name, y->name);
}

/* What the sender named must not be a series that is there already: the same key, or another one that is the same when
 * it is cleaned, or a field's name. */
static bool check_kept(struct custom_run *run, size_t from, size_t to)
{
    if (from == to)
        return true;
    const struct observation *kept = run->items + from, *kept_end = run->items + to;
    const void **sorted = arena_calloc(run->arena, run->count, sizeof(*sorted));
    for (size_t i = 0; sorted && i < run->count; i++)
        sorted[i] = &run->items[i];
    if (!sorted || !sort_pointers(sorted, run->count, compare_names, run->arena))
        return refuse_memory(&run->refusal);
    for (size_t i = 1; i < run->count; i++) {
        const struct observation *a = sorted[i - 1], *b = sorted[i];
        bool either_kept = (a >= kept && a < kept_end) || (b >= kept && b < kept_end);
        if (either_kept && compare_names(a, b) == 0)
            return custom_refuse(run, OUTCOME_DUPLICATE_KEY, "A name is there twice.", SIZE_MAX);
    }
    return true;
}

/* What stands around the parts. ret_nothing: the text carries no data, and that is fine. */
static bool open_text(const struct cut *cut, struct bytes *rest, bool *ret_nothing)
{
    const struct text *text = cut->text;
    struct bytes whole = trim(text, *rest);
    *ret_nothing = true;
    *rest = whole;
    if (whole.len == 0 && text->by_line)
        return true;
    if (text->comment.len && bytes_starts_with(whole, text->comment))
        return note(cut, whole, "comment");
    if (!strip(rest, text->prefix, text->suffix)) {
        if (text->mismatch_ignored)
            return note(cut, whole, "no prefix or suffix");
        return refuse_part(cut, OUTCOME_MALFORMED, "The text does not begin and end as the codec's texts.",
                           whole);
    }
    *ret_nothing = false;
    *rest = trim(text, *rest);
    if (!utf8_is_text(*rest))
        return refuse_part(cut, OUTCOME_MALFORMED, utf8_why_no_text(*rest), whole);
    return true;
}

static bool decode(const void *compiled, struct custom_run *run)
{
    const struct text *text = compiled;
    struct cut cut = {.text = text, .run = run};
    struct bytes rest = run->input->payload;
    bool nothing;
    if (rest.len == 0)
        return text->by_line || custom_refuse(run, OUTCOME_MALFORMED, "The payload is empty.", 0);
    if (!open_text(&cut, &rest, &nothing))
        return false;
    if (nothing)
        return true;
    cut.found = arena_calloc(run->arena, text->field_count, sizeof(*cut.found));
    if (!cut.found)
        return refuse_memory(&run->refusal);
    size_t kept_from = run->count;
    if (!cut_parts(&cut, rest))
        return false;
    size_t kept_to = run->count;
    for (size_t i = 0; i < text->field_count; i++) {
        if (!take_field(&cut, &text->fields[i], cut.found[i]))
            return false;
    }
    return check_kept(run, kept_from, kept_to);
}

const struct custom_kind_row custom_text_kind = {"text", CONTENT_FORMAT_TEXT, compile, decode};
