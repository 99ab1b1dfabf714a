// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The kind "json": a JSON pointer (RFC 6901) for each field, and arrays or objects whose elements are read
 * alike. The pointers of a list are one tree, so a document is walked once per list that it is in, and of
 * each object only the members that a pointer goes through are entered.
 */
#include "codec/custom_private.h"

#include "codec/json.h"

#define POINTER_DEPTH_MAX 16
#define EACH_MAX 16
#define EXTRA_FIELDS 2 /* that "time" and "node" may make */

/* One reference token of one or more pointers. */
struct step {
    struct bytes token;
    bool is_index;
    uint64_t index;
    struct step **by_token, **by_index; /* those below, sorted; of by_index only tokens that are an index */
    size_t token_count, index_count;
    struct target *targets; /* what ends here */
};

struct target {
    size_t number; /* fields first, then eaches */
    struct target *next;
};

struct json_field {
    struct custom_field common;
};

struct json_list {
    struct custom_list common;
    struct json_field *fields;
    size_t field_count;
    struct json_each *eaches;
    size_t each_count;
    struct step root;
};

/* The whole definition. */
struct json {
    struct json_list list;
    bool by_line;
};

struct json_each {
    struct json_list list;
    bool members; /* of an object, with {key} */
    bool required;
};

/* Pointers. */

static int compare_tokens(struct bytes a, struct bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len ? memcmp(a.ptr, b.ptr, len) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* Room for one more at i of an array that grows by doubling. */
static bool open_gap(struct arena *arena, struct step ***array, size_t count, size_t i)
{
    if ((count & (count - 1)) == 0) {
        struct step **larger = arena_calloc(arena, count ? count * 2 : 1, sizeof(*larger));
        if (!larger)
            return false;
        if (count)
            memcpy(larger, *array, count * sizeof(*larger));
        *array = larger;
    }
    memmove(*array + i + 1, *array + i, (count - i) * sizeof(**array));
    return true;
}

/* RFC 6901 section 4: digits without a zero in front. */
static bool parse_index(struct bytes token, uint64_t *ret)
{
    struct custom_integer integer;
    if (token.len == 0 || token.ptr[0] == '-' || (token.ptr[0] == '0' && token.len > 1) ||
        !custom_parse_integer(token, &integer))
        return false;
    *ret = integer.magnitude;
    return true;
}

static bool insert_index(struct arena *arena, struct step *above, struct step *step)
{
    size_t i = 0;
    while (i < above->index_count && above->by_index[i]->index < step->index)
        i++;
    if (!open_gap(arena, &above->by_index, above->index_count, i))
        return false;
    above->by_index[i] = step;
    above->index_count++;
    return true;
}

/* The step below for this token; NULL: out of memory. */
static struct step *step_for(struct arena *arena, struct step *above, struct bytes token)
{
    size_t i = 0;
    int order = 1;
    while (i < above->token_count && (order = compare_tokens(above->by_token[i]->token, token)) < 0)
        i++;
    if (i < above->token_count && order == 0)
        return above->by_token[i];
    struct step *step = arena_calloc(arena, 1, sizeof(*step));
    if (!step || !open_gap(arena, &above->by_token, above->token_count, i))
        return NULL;
    step->token = token;
    step->is_index = parse_index(token, &step->index);
    if (step->is_index && !insert_index(arena, above, step))
        return NULL;
    above->by_token[i] = step;
    above->token_count++;
    return step;
}

/* Takes ~0 and ~1 back, in place. False: another ~. */
static bool unescape(uint8_t *token, size_t *len)
{
    size_t to = 0;
    for (size_t from = 0; from < *len; from++) {
        uint8_t c = token[from];
        if (c == '~') {
            if (++from == *len || (token[from] != '0' && token[from] != '1'))
                return false;
            c = token[from] == '0' ? '~' : '/';
        }
        token[to++] = c;
    }
    *len = to;
    return true;
}

/* Hangs a target of that number where the pointer ends. */
static bool add_pointer(struct custom_compiler *compiler, struct step *step, struct bytes pointer,
                        size_t number)
{
    uint8_t *at = arena_alloc(compiler->arena, pointer.len + 1);
    if (!at)
        return custom_fail_memory(compiler);
    memcpy(at, pointer.ptr, pointer.len);
    uint8_t *end = at + pointer.len;
    for (int depth = 0; at < end; depth++) {
        if (*at != '/' || depth == POINTER_DEPTH_MAX)
            return custom_fail(compiler, "A JSON pointer like /a/0/b is expected here, at most %d deep.",
                               POINTER_DEPTH_MAX);
        uint8_t *next = memchr(at + 1, '/', (size_t)(end - at - 1));
        next = next ? next : end;
        size_t len = (size_t)(next - at - 1);
        if (!unescape(at + 1, &len))
            return custom_fail(compiler, "In a JSON pointer ~ is written ~0, and / is written ~1.");
        step = step_for(compiler->arena, step, bytes_of(at + 1, len));
        if (!step)
            return custom_fail_memory(compiler);
        at = next;
    }
    struct target *target = arena_alloc(compiler->arena, sizeof(*target));
    if (!target)
        return custom_fail_memory(compiler);
    *target = (struct target){number, step->targets};
    step->targets = target;
    return true;
}

static bool get_pointer(struct custom_object *object, struct step *root, size_t number)
{
    struct bytes pointer = {0};
    if (!custom_get(object, "pointer"))
        return custom_fail_at(object->compiler, "pointer", "A JSON pointer is expected here.");
    if (!custom_get_text(object, "pointer", &pointer))
        return false;
    size_t mark = custom_enter(object->compiler, BYTES_LITERAL("pointer"));
    if (!add_pointer(object->compiler, root, pointer, number))
        return false;
    custom_leave(object->compiler, mark);
    return true;
}

/* Compiling. Numbers of fields are below each_number, those of eaches from there on. */

static size_t each_number(size_t i)
{
    return CUSTOM_FIELDS_MAX + i;
}

/* A field without name, for "time" and "node". */
static const struct custom_field *field_of_pointer(struct custom_compiler *compiler, struct bytes pointer)
{
    struct json_list *list = compiler->field_of_pointer_ctx;
    struct custom_field *field = &list->fields[list->field_count].common;
    if (compiler->all_count == CUSTOM_FIELDS_MAX) {
        custom_fail(compiler, "A definition has at most %d fields.", CUSTOM_FIELDS_MAX);
        return NULL;
    }
    if (!add_pointer(compiler, &list->root, pointer, list->field_count))
        return NULL;
    list->field_count++;
    field->referred = true;
    field->order = (unsigned)compiler->all_count;
    compiler->all[compiler->all_count++] = field;
    return field;
}

static bool read_field(struct custom_compiler *compiler, const struct node *node, struct json_list *list)
{
    struct custom_object object;
    struct json_field *field = &list->fields[list->field_count];
    if (!custom_open(compiler, node, &object) || !get_pointer(&object, &list->root, list->field_count) ||
        !custom_get_bool(&object, "required", &field->common.required) ||
        !custom_field_read(&object, &field->common))
        return false;
    list->field_count++;
    return custom_close(&object);
}

static bool read_fields(struct custom_object *object, struct json_list *list)
{
    struct custom_compiler *compiler = object->compiler;
    const struct node *array = custom_get(object, "fields");
    size_t mark = custom_enter(compiler, BYTES_LITERAL("fields"));
    size_t count = array && array->kind == NODE_ARRAY ? array->count : 0;
    if ((array && array->kind != NODE_ARRAY) || count > CUSTOM_FIELDS_MAX - EXTRA_FIELDS)
        return custom_fail(compiler, "An array of at most %d fields is expected here.",
                           CUSTOM_FIELDS_MAX - EXTRA_FIELDS);
    list->fields = arena_calloc(compiler->arena, count + EXTRA_FIELDS, sizeof(*list->fields));
    if (!list->fields)
        return custom_fail_memory(compiler);
    const struct node *node = count ? node_first(array) : NULL;
    for (size_t i = 0; i < count; i++, node = node_next(node)) {
        size_t inner = custom_enter_index(compiler, i);
        if (!read_field(compiler, node, list))
            return false;
        custom_leave(compiler, inner);
    }
    custom_leave(compiler, mark);
    return true;
}

static bool read_list(struct custom_object *object, struct json_list *list);

static bool read_each(struct custom_compiler *compiler, const struct node *node, struct json_list *above,
                      size_t i)
{
    static const char *const words[] = {"elements", "members"};
    struct json_each *each = &above->eaches[i];
    struct custom_object object;
    unsigned of = 0;
    if (!custom_open(compiler, node, &object) || !get_pointer(&object, &above->root, each_number(i)) ||
        !custom_get_choice(&object, "of", words, 2, &of) ||
        !custom_get_bool(&object, "required", &each->required) ||
        !custom_get_uint(&object, "first", 0, UINT32_MAX, &each->list.common.first_index))
        return false;
    each->members = of == 1;
    each->list.common.repeats = true;
    each->list.common.keyed = each->members;
    if (!custom_list_begin(compiler, &each->list.common) || !read_list(&object, &each->list))
        return false;
    compiler->field_of_pointer_ctx = &each->list;
    return custom_list_end(&object, &each->list.common) && custom_close(&object);
}

static bool read_eaches(struct custom_object *object, struct json_list *list)
{
    struct custom_compiler *compiler = object->compiler;
    const struct node *array = custom_get(object, "each");
    if (!array)
        return true;
    size_t mark = custom_enter(compiler, BYTES_LITERAL("each"));
    if (array->kind != NODE_ARRAY || array->count == 0 || array->count > EACH_MAX)
        return custom_fail(compiler, "An array of 1 to %d objects is expected here.", EACH_MAX);
    list->each_count = array->count;
    list->eaches = arena_calloc(compiler->arena, array->count, sizeof(*list->eaches));
    if (!list->eaches)
        return custom_fail_memory(compiler);
    const struct node *node = node_first(array);
    for (uint32_t i = 0; i < array->count; i++, node = node_next(node)) {
        size_t inner = custom_enter_index(compiler, i);
        if (!read_each(compiler, node, list, i))
            return false;
        custom_leave(compiler, inner);
    }
    custom_leave(compiler, mark);
    return true;
}

static bool read_list(struct custom_object *object, struct json_list *list)
{
    if (!read_fields(object, list) || !read_eaches(object, list))
        return false;
    if (list->field_count == 0 && list->each_count == 0)
        return custom_fail_at(object->compiler, "fields", "There is neither a field nor an \"each\".");
    return true;
}

static bool compile(struct custom_compiler *compiler, struct custom_object *definition, void **ret)
{
    struct json *json = arena_calloc(compiler->arena, 1, sizeof(*json));
    if (!json)
        return custom_fail_memory(compiler);
    compiler->field_of_pointer = field_of_pointer;
    if (!custom_get_bool(definition, "lines", &json->by_line) || !read_list(definition, &json->list))
        return false;
    compiler->field_of_pointer_ctx = &json->list;
    compiler->by_line = json->by_line;
    *ret = json;
    return true;
}

/* Decoding. */

/* Where the pointers of a list lead to in one element. */
struct found {
    const struct node **fields, **eaches; /* NULL: nowhere */
};

static struct step *find_step(const struct step *above, struct bytes token)
{
    size_t low = 0, high = above->token_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare_tokens(above->by_token[middle]->token, token);
        if (order == 0)
            return above->by_token[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static bool walk(struct custom_run *run, const struct node *node, const struct step *step,
                 const struct found *found);

static bool walk_map(struct custom_run *run, const struct node *map, const struct step *step,
                     const struct found *found)
{
    const struct node *key = node_first(map);
    for (uint32_t i = 0; i < map->count; i++, key = node_next(key + 1)) {
        const struct step *below = find_step(step, key->data);
        if (!custom_look(run) || (below && !walk(run, key + 1, below, found)))
            return false;
    }
    return true;
}

static bool walk_array(struct custom_run *run, const struct node *array, const struct step *step,
                       const struct found *found)
{
    const struct node *node = node_first(array);
    size_t next = 0;
    for (uint32_t i = 0; i < array->count && next < step->index_count; i++, node = node_next(node)) {
        if (!custom_look(run))
            return false;
        if (step->by_index[next]->index == i && !walk(run, node, step->by_index[next++], found))
            return false;
    }
    return true;
}

/* Neither the document nor the pointers are deep. */
static bool walk(struct custom_run *run, const struct node *node, const struct step *step,
                 const struct found *found)
{
    for (const struct target *target = step->targets; target; target = target->next) {
        if (target->number < CUSTOM_FIELDS_MAX)
            found->fields[target->number] = node;
        else
            found->eaches[target->number - CUSTOM_FIELDS_MAX] = node;
    }
    if (node->kind == NODE_MAP && step->token_count)
        return walk_map(run, node, step, found);
    if (node->kind == NODE_ARRAY && step->index_count)
        return walk_array(run, node, step, found);
    return true;
}

static bool read_raw(struct custom_run *run, const struct node *node, struct custom_raw *ret)
{
    struct number number;
    switch (node->kind) {
    case NODE_NULL:
        return true;
    case NODE_BOOLEAN:
        ret->kind = CUSTOM_RAW_BOOLEAN;
        ret->magnitude = node->boolean;
        return true;
    case NODE_TEXT:
        ret->kind = CUSTOM_RAW_TEXT;
        ret->data = node->data;
        break;
    case NODE_NUMBER:
        if (!node_number(node, run->arena, &ret->decimal, &number, &run->refusal))
            return false;
        ret->kind = CUSTOM_RAW_NUMBER;
        ret->data = number.text;
        break;
    default:
        return custom_refuse(run, OUTCOME_BAD_VALUE, "An array or object is where a value should be.",
                             node_offset(node));
    }
    if (node->offset != NODE_OFFSET_UNKNOWN)
        ret->place = (struct custom_place){.offset = node->offset, .len = ret->data.len};
    return true;
}

static bool take_field(struct custom_run *run, const struct json_field *field, const struct node *node)
{
    struct custom_raw raw;
    raw.kind = CUSTOM_RAW_ABSENT;
    raw.negative = raw.has_pattern = false;
    raw.magnitude = 0;
    raw.data = (struct bytes){0};
    raw.place = (struct custom_place){0};
    return (!node || read_raw(run, node, &raw)) && custom_field_take(run, &field->common, &raw);
}

static bool take_each(struct custom_run *run, const struct json_each *each, const struct node *container);

/* One element; found has room for the list. */
static bool take_element(struct custom_run *run, const struct json_list *list, const struct node *element,
                         const struct found *found)
{
    memset(found->fields, 0, list->field_count * sizeof(*found->fields));
    if (list->each_count)
        memset(found->eaches, 0, list->each_count * sizeof(*found->eaches));
    if (!walk(run, element, &list->root, found))
        return false;
    for (size_t i = 0; i < list->field_count; i++) {
        if (!take_field(run, &list->fields[i], found->fields[i]))
            return false;
    }
    for (size_t i = 0; i < list->each_count; i++) {
        if (!take_each(run, &list->eaches[i], found->eaches[i]))
            return false;
    }
    return true;
}

static bool make_found(struct custom_run *run, const struct json_list *list, struct found *ret)
{
    ret->fields = arena_calloc(run->arena, list->field_count + list->each_count, sizeof(*ret->fields));
    if (!ret->fields)
        return refuse_memory(&run->refusal);
    ret->eaches = ret->fields + list->field_count;
    return true;
}

static bool check_container(struct custom_run *run, const struct json_each *each,
                            const struct node *container, bool *ret_there)
{
    *ret_there = container && container->kind != NODE_NULL;
    if (!*ret_there)
        return !each->required ||
               custom_refuse(run, OUTCOME_BAD_VALUE, "An array or object that is required is not there.",
                             SIZE_MAX);
    if (container->kind == (each->members ? NODE_MAP : NODE_ARRAY))
        return true;
    return custom_refuse(run, OUTCOME_BAD_VALUE,
                         each->members ? "An object was expected." : "An array was expected.",
                         node_offset(container));
}

static bool take_each(struct custom_run *run, const struct json_each *each, const struct node *container)
{
    struct found found;
    bool there;
    if (!check_container(run, each, container, &there))
        return false;
    if (!there)
        return true;
    if (!make_found(run, &each->list, &found))
        return false;
    uint64_t outer_index = run->index;
    struct bytes outer_key = run->key;
    const struct node *node = node_first(container);
    for (uint32_t i = 0; i < container->count; i++, node = node_next(node)) {
        if (each->members)
            run->key = (node++)->data;
        run->index = each->list.common.first_index + i;
        struct custom_scope scope = custom_scope_begin(run, &each->list.common);
        if (!custom_look(run) || !take_element(run, &each->list, node, &found) ||
            !custom_scope_end(run, &each->list.common, scope))
            return false;
    }
    run->index = outer_index;
    run->key = outer_key;
    return true;
}

static bool decode(const void *compiled, struct custom_run *run)
{
    const struct json *json = compiled;
    const struct json_list *list = &json->list;
    struct found found;
    const struct node *root;
    if (json->by_line && run->input->payload.len == 0)
        return true;
    return json_read(run->input->payload, &run->input->limits, run->arena, &root, &run->refusal) &&
           make_found(run, list, &found) && take_element(run, list, root, &found);
}

const struct custom_kind_row custom_json_kind = {"json", CONTENT_FORMAT_JSON, compile, decode};
