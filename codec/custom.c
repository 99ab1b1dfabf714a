// SPDX-License-Identifier: GPL-3.0-or-later
/* The definition as a whole: common members around those of its kind; a run of the compiled codec over one
 * payload. */
#include "codec/custom_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "codec/json.h"
#include "codec/utf8.h"

#define DEFINITION_MAX 32768
#define NAME_MAX_CHARACTERS 32
/* What a definition of that size can take: a tree of nodes until it is compiled, structures for its fields
 * after. */
#define ARENA_BYTES ((size_t)4 << 20)
#define DEFINITION_LIMITS ((struct format_limits){.depth = 24, .items = 16384})

/* A field that the request brings beside its payload. */
struct parameter {
    struct custom_field field;
    char *name;
};

struct custom {
    struct arena *arena; /* everything but this */
    struct bytes name;
    enum custom_kind kind;
    char class;
    bool by_line;
    struct custom_list list;
    unsigned slots;
    struct parameter *parameters;
    size_t parameter_count;
    struct custom_example *examples;
    size_t example_count;
    void *compiled;
};

static const struct custom_kind_row *const kinds[CUSTOM_KINDS] = {
    [CUSTOM_BINARY] = &custom_binary_kind,
    [CUSTOM_TEXT] = &custom_text_kind,
    [CUSTOM_JSON] = &custom_json_kind,
    [CUSTOM_EMONHUB] = &emonhub_kind,
};

/* Compiling. */

static bool read_name(struct custom_object *definition, struct bytes *ret)
{
    if (!custom_get_text(definition, "name", ret))
        return false;
    bool good = ret->len > 0 && ret->len <= NAME_MAX_CHARACTERS && ret->ptr[0] != '-';
    for (size_t i = 0; i < ret->len; i++) {
        uint8_t c = ret->ptr[i];
        good = good && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-');
    }
    return good || custom_fail_at(definition->compiler, "name",
                                  "A codec needs a name of a-z, 0-9 and -, at most %d characters.",
                                  NAME_MAX_CHARACTERS);
}

static bool read_kind(struct custom_object *definition, enum custom_kind *ret)
{
    const char *words[CUSTOM_KINDS];
    unsigned choice = CUSTOM_KINDS;
    for (int i = 0; i < CUSTOM_KINDS; i++)
        words[i] = kinds[i]->name;
    if (!custom_get_choice(definition, "kind", words, CUSTOM_KINDS, &choice))
        return false;
    *ret = (enum custom_kind)choice;
    return choice != CUSTOM_KINDS || custom_fail_at(definition->compiler, "kind",
                                                    "A codec needs a kind: binary, text, json or emonhub.");
}

static bool read_class(struct custom_object *definition, char *ret)
{
    static const char *const words[] = {"t", "a", "e", "c"};
    unsigned choice = 4;
    if (!custom_get_choice(definition, "class", words, 4, &choice))
        return false;
    *ret = choice < 4 ? words[choice][0] : 0;
    return true;
}

static bool read_parameter(struct custom_compiler *compiler, const struct node *node, struct parameter *ret)
{
    struct custom_object object;
    struct bytes name = {0};
    if (!custom_open(compiler, node, &object) || !custom_get_text(&object, "parameter", &name))
        return false;
    if (name.len == 0)
        return custom_fail_at(compiler, "parameter",
                              "The name of a parameter of the request is expected here.");
    ret->name = arena_text(compiler->arena, name);
    if (!ret->name)
        return custom_fail_memory(compiler);
    return custom_get_bool(&object, "required", &ret->field.required) &&
           custom_field_read(&object, &ret->field) && custom_close(&object);
}

static bool read_parameters(struct custom_object *definition, struct custom *custom)
{
    struct custom_compiler *compiler = definition->compiler;
    const struct node *array = custom_get(definition, "parameters");
    if (!array)
        return true;
    size_t mark = custom_enter(compiler, BYTES_LITERAL("parameters"));
    if (array->kind != NODE_ARRAY || array->count == 0 || array->count > CUSTOM_PARAMETERS_MAX)
        return custom_fail(compiler, "An array of 1 to %d fields is expected here.", CUSTOM_PARAMETERS_MAX);
    custom->parameter_count = array->count;
    custom->parameters = arena_calloc(compiler->arena, array->count, sizeof(*custom->parameters));
    if (!custom->parameters)
        return custom_fail_memory(compiler);
    const struct node *node = node_first(array);
    for (uint32_t i = 0; i < array->count; i++, node = node_next(node)) {
        size_t inner = custom_enter_index(compiler, i);
        if (!read_parameter(compiler, node, &custom->parameters[i]))
            return false;
        custom_leave(compiler, inner);
    }
    custom_leave(compiler, mark);
    return true;
}

static bool read_definition(struct custom_compiler *compiler, const struct node *root, struct custom *custom)
{
    struct custom_object definition;
    if (!custom_open(compiler, root, &definition) || !read_name(&definition, &custom->name) ||
        !read_kind(&definition, &custom->kind) || !read_class(&definition, &custom->class) ||
        !custom_list_begin(compiler, &custom->list) || !read_parameters(&definition, custom) ||
        !kinds[custom->kind]->compile(compiler, &definition, &custom->compiled) ||
        !custom_list_end(&definition, &custom->list))
        return false;
    custom->by_line = compiler->by_line;
    custom->slots = custom_lists_finish(compiler);
    const struct node *examples = custom_get(&definition, "examples");
    return custom_close(&definition) &&
           custom_examples_read(compiler, examples, custom->kind, &custom->examples, &custom->example_count);
}

static bool compile(struct bytes text, struct custom_compiler *compiler, struct custom *custom)
{
    struct format_limits limits = DEFINITION_LIMITS;
    struct refusal refusal;
    const struct node *root;
    if (text.len > DEFINITION_MAX)
        return custom_fail(compiler, "A definition has at most %d bytes.", DEFINITION_MAX);
    if (!json_read(text, &limits, compiler->scratch, &root, &refusal)) {
        if (refusal.offset == SIZE_MAX)
            return custom_fail(compiler, "The definition is no JSON that is taken: %s", refusal.detail);
        return custom_fail(compiler, "The definition is no JSON that is taken, at byte %zu: %s",
                           refusal.offset, refusal.detail);
    }
    return read_definition(compiler, root, custom);
}

struct custom *custom_compile(struct bytes definition, struct custom_error *reterr)
{
    struct custom *custom = calloc(1, sizeof(*custom));
    struct custom_compiler *compiler = calloc(1, sizeof(*compiler));
    struct arena *scratch = arena_new(ARENA_BYTES);
    bool good = false;
    *reterr = (struct custom_error){.detail = "Out of memory."};
    if (custom && compiler && scratch)
        custom->arena = arena_new(ARENA_BYTES);
    if (custom && custom->arena) {
        compiler->arena = custom->arena;
        compiler->scratch = scratch;
        compiler->reterr = reterr;
        good = compile(definition, compiler, custom);
    }
    arena_free(scratch);
    free(compiler);
    if (good)
        return custom;
    custom_free(custom);
    return NULL;
}

void custom_free(struct custom *custom)
{
    if (!custom)
        return;
    arena_free(custom->arena);
    free(custom);
}

/* What a codec says of itself. */

struct bytes custom_name(const struct custom *custom)
{
    return custom->name;
}

enum custom_kind custom_kind(const struct custom *custom)
{
    return custom->kind;
}

const char *custom_kind_name(enum custom_kind kind)
{
    return kinds[kind]->name;
}

bool custom_takes(const struct custom *custom, int content_format)
{
    return content_format == CONTENT_FORMAT_NONE || content_format == CONTENT_FORMAT_OCTETS ||
           content_format == kinds[custom->kind]->content_format;
}

bool custom_by_line(const struct custom *custom)
{
    return custom->by_line;
}

bool custom_reads_parameter(const struct custom *custom, struct bytes name)
{
    for (size_t i = 0; i < custom->parameter_count; i++)
        if (bytes_equal_text(name, custom->parameters[i].name))
            return true;
    return false;
}

bool custom_check_parameters(const struct custom *custom, struct custom_error *reterr)
{
    static const char *const taken[] = {"d", "device", "f", "format", "level", "n"};
    for (size_t i = 0; i < custom->parameter_count; i++)
        for (size_t k = 0; k < sizeof taken / sizeof taken[0]; k++) {
            if (strcmp(custom->parameters[i].name, taken[k]) != 0)
                continue;
            snprintf(reterr->pointer, sizeof reterr->pointer, "/parameters/%zu/parameter", i);
            snprintf(reterr->detail, sizeof reterr->detail, "%s says something to weir itself: take another name.",
                     taken[k]);
            return false;
        }
    return true;
}

size_t custom_example_count(const struct custom *custom)
{
    return custom->example_count;
}

const struct custom_example *custom_example(const struct custom *custom, size_t i)
{
    return &custom->examples[i];
}

/* Decoding. */

/* A parameter is text; one that is an integer can be a condition or a count too. */
static bool take_parameter(struct custom_run *run, const struct parameter *parameter)
{
    struct custom_raw raw = {.kind = CUSTOM_RAW_ABSENT};
    struct custom_integer integer;
    struct bytes text = format_parameter(run->input, parameter->name, NULL);
    if (text.len) {
        if (!utf8_is_text(text))
            return custom_refuse(run, OUTCOME_BAD_VALUE,
                                 utf8_is_valid(text) ? "A parameter of the request has the character U+0000."
                                                     : "A parameter of the request is not UTF-8.",
                                 SIZE_MAX);
        raw.kind = CUSTOM_RAW_TEXT;
        raw.data = text;
        if (parameter->field.as != CUSTOM_AS_TEXT && custom_parse_integer(text, &integer) && !integer.hex) {
            raw.kind = CUSTOM_RAW_INTEGER;
            raw.negative = integer.negative;
            raw.magnitude = integer.magnitude;
        }
    }
    return custom_field_take(run, &parameter->field, &raw);
}

static bool run_codec(const struct custom *custom, struct custom_run *run)
{
    run->slots = arena_calloc(run->arena, custom->slots, sizeof(*run->slots));
    if (!run->slots)
        return refuse_memory(&run->refusal);
    struct custom_scope scope = custom_scope_begin(run, &custom->list);
    for (size_t i = 0; i < custom->parameter_count; i++) {
        if (!take_parameter(run, &custom->parameters[i]))
            return false;
    }
    return kinds[custom->kind]->decode(custom->compiled, run) &&
           custom_scope_end(run, &custom->list, scope) && custom_scope_settle(run);
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

struct format_work custom_work(const struct format_limits *limits, unsigned payloads)
{
    unsigned times = payloads < CUSTOM_LOG_FACTOR ? payloads : CUSTOM_LOG_FACTOR;
    return (struct format_work){(uint64_t)CUSTOM_LOOKS_PER_ITEM * limits->items * times,
                                (uint64_t)CUSTOM_VALUES_PER_RECORD * limits->records * times};
}

static bool run_within(const struct custom *custom, struct custom_run *run)
{
    struct format_work *shared = run->input->work, given = custom_work(&run->input->limits, 1);
    if (shared)
        given = (struct format_work){smaller(given.looks, shared->looks), smaller(given.values, shared->values)};
    run->left = given;
    bool good = run_codec(custom, run);
    if (shared) {
        shared->looks -= given.looks - run->left.looks;
        shared->values -= given.values - run->left.values;
    }
    return good;
}

static enum outcome decode(const struct custom *custom, struct custom_run *run, struct observation_list *ret,
                           struct format_error *reterr)
{
    refuse(&run->refusal, OUTCOME_CODEC_FAULT, "The codec cannot read this.", SIZE_MAX);
    if (!run_within(custom, run))
        return refusal_report(&run->refusal, reterr);
    *ret = (struct observation_list){.items = run->items, .count = run->count, .class = custom->class};
    return OUTCOME_CHANGED;
}

enum outcome custom_decode(const struct custom *custom, const struct format_input *input, struct arena *arena,
                           struct observation_list *ret, struct format_error *reterr)
{
    struct custom_run run = {.input = input, .arena = arena};
    return decode(custom, &run, ret, reterr);
}

enum outcome custom_explain(const struct custom *custom, const struct format_input *input,
                            struct arena *arena, struct custom_steps *ret_steps, struct observation_list *ret,
                            struct format_error *reterr)
{
    struct custom_run run = {.input = input, .arena = arena, .explain = true};
    enum outcome outcome = decode(custom, &run, ret, reterr);
    *ret_steps = run.steps;
    return outcome;
}
