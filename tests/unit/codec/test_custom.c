// SPDX-License-Identifier: GPL-3.0-or-later
/* Declarative codecs: the definition as a whole, examples, the vectors of tests/vectors/custom. */
#include "codec/custom.h"

#include "tests/unit/codec/custom_support.h"

#include <dirent.h>

/* Every file there is a codec whose examples hold. */
Test(custom, vectors_hold)
{
    char path[4096];
    const char *root = getenv("WEIR_SOURCE_ROOT");
    snprintf(path, sizeof(path), "%s/tests/vectors/custom", root ? root : ".");
    DIR *directory = opendir(path);
    cr_assert(directory, "%s", path);
    size_t codecs = 0;
    for (struct dirent *entry; (entry = readdir(directory));) {
        const char *ending = strrchr(entry->d_name, '.');
        if (!ending || strcmp(ending, ".json") != 0)
            continue;
        struct arena *arena = arena_new(ARENA_BYTES);
        struct custom_error error;
        char name[300];
        snprintf(name, sizeof(name), "custom/%s", entry->d_name);
        struct custom *custom = custom_compile(vector_file(arena, name), &error);
        cr_expect(custom, "%s: %s: %s", entry->d_name, error.pointer, error.detail);
        if (custom) {
            cr_expect(custom_check(custom, arena, &error), "%s: %s: %s", entry->d_name, error.pointer,
                      error.detail);
            cr_expect(custom_example_count(custom) > 0);
            codecs++;
        }
        custom_free(custom);
        arena_free(arena);
    }
    closedir(directory);
    cr_expect_geq(codecs, 10);
}

/* NULL: it is taken; else "pointer: sentence". */
static const char *refusal_of(struct arena *arena, const char *definition)
{
    struct custom_error error;
    struct custom *custom = custom_compile(quoted(arena, definition), &error);
    custom_free(custom);
    if (custom)
        return NULL;
    char *text = arena_alloc(arena, 2 * CUSTOM_TEXT_MAX + 4);
    snprintf(text, 2 * CUSTOM_TEXT_MAX + 4, "%s: %s", error.pointer, error.detail);
    return text;
}

#define FIELDS "'fields':[{'type':'u8','name':'a'}]"
#define EXAMPLES "'examples':[{'input':'07','senml':[{'n':'a','v':7}]}]"

Test(custom, definitions)
{
    static const struct {
        const char *definition, *refusal; /* the beginning; NULL: taken */
    } rows[] = {
        {"{'name':'x','kind':'binary'," FIELDS "," EXAMPLES "}", NULL},
        {"{'kind':'binary','examples':[{'input':'07','senml':[{'n':'a','v':7}]}]," FIELDS
         ",'description':'d','name':'0-9'}",
         NULL},
        {"", ": The definition is no JSON"},
        {"{", ": The definition is no JSON that is taken, at byte"},
        {"[]", ": An object is expected"},
        {"{}", "/name: "},
        {"{'name':'','kind':'binary'," FIELDS "," EXAMPLES "}", "/name: "},
        {"{'name':'-x','kind':'binary'," FIELDS "," EXAMPLES "}", "/name: "},
        {"{'name':'X','kind':'binary'," FIELDS "," EXAMPLES "}", "/name: "},
        {"{'name':'x_y','kind':'binary'," FIELDS "," EXAMPLES "}", "/name: "},
        {"{'name':'abcdefghijklmnopqrstuvwxyz0123456','kind':'binary'," FIELDS "," EXAMPLES "}", "/name: "},
        {"{'name':'x'," FIELDS "," EXAMPLES "}", "/kind: "},
        {"{'name':'x','kind':'xml'," FIELDS "," EXAMPLES "}", "/kind: One of these"},
        {"{'name':'x','kind':'binary','class':'z'," FIELDS "," EXAMPLES "}", "/class: "},
        {"{'name':'x','kind':'binary','class':'e'," FIELDS "," EXAMPLES "}", NULL},
        {"{'name':'x','kind':'binary','fielts':1," FIELDS "," EXAMPLES "}",
         "/fielts: There is no such member"},
        {"{'name':'x','kind':'binary','a/b~c':1," FIELDS "," EXAMPLES "}",
         "/a~1b~0c: There is no such member"},
        {"{'name':'x','kind':'binary'," FIELDS "}", "/examples: "},
        {"{'name':'x','kind':'binary'," FIELDS ",'examples':[]}", "/examples: "},
        {"{'name':'x','kind':'binary'," FIELDS ",'examples':[{'input':'07','senml':[]}]}",
         "/examples: At least one"},
        {"{'name':'x','kind':'binary'," FIELDS ",'examples':[{'senml':[{'n':'a','v':7}]}]}", "/examples/0: "},
        {"{'name':'x','kind':'binary'," FIELDS ",'examples':[{'input':'0','senml':[{'n':'a','v':7}]}]}",
         "/examples/0/input: There is half an octet"},
        {"{'name':'x','kind':'binary'," FIELDS ",'examples':[{'input':'07'}]}",
         "/examples/0: An example has either"},
        {"{'name':'x','kind':'binary'," FIELDS
         ",'examples':[{'input':'07','refused':'bad-value','senml':[]}]}",
         "/examples/0: An example has either"},
        {"{'name':'x','kind':'binary'," FIELDS ",'examples':[{'input':'07','refused':'changed'}]}",
         "/examples/0/refused"},
        {"{'name':'x','kind':'binary'," FIELDS
         ",'examples':[{'input':'07','senml':[{'n':'a','v':7,'x':1}]}]}",
         "/examples/0/senml/0/x"},
        {"{'name':'x','kind':'binary'," FIELDS ",'examples':[{'input':'07','senml':[{'n':'a'}]}]}",
         "/examples/0/senml/0: "},
        {"{'name':'x','kind':'binary'," FIELDS
         ",'examples':[{'input':'07','senml':[{'n':'a','v':1,'vb':true}]}]}",
         "/examples/0/senml/0: "},
        {"{'name':'x','kind':'binary'," FIELDS ",'examples':[{'input':'07','senml':[{'n':'a','vd':'=='}]}]}",
         "/examples/0/senml/0/vd: "},
        {"{'name':'x','kind':'binary'," FIELDS ",'examples':[{'input':{'hex':'07','text':'a'},'senml':[]}]}",
         "/examples/0/input: "},
        {"{'name':'x','kind':'binary'," FIELDS ",'examples':[{'input':{'octets':'07'},'senml':[]}]}",
         "/examples/0/input/octets"},
        {"{'name':'x','kind':'binary','parameters':[]," FIELDS "," EXAMPLES "}", "/parameters: "},
        {"{'name':'x','kind':'binary','parameters':[{'name':'p'}]," FIELDS "," EXAMPLES "}",
         "/parameters/0/parameter"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        const char *refusal = refusal_of(arena, rows[i].definition);
        bool good = !rows[i].refusal
                        ? !refusal
                        : refusal && strncmp(refusal, rows[i].refusal, strlen(rows[i].refusal)) == 0;
        cr_expect(good, "%s\n gives %s", rows[i].definition, refusal ? refusal : "a codec");
        arena_free(arena);
    }
}

Test(custom, bounds_of_a_definition)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    char *text = arena_alloc(arena, 65536), *at = text;
    /* 256 fields are fine and 257 are not, wherever they are. */
    for (int count = 256; count <= 257; count++) {
        at = text;
        at += sprintf(at, "{'name':'x','kind':'binary'," EXAMPLES
                          ",'fields':[{'type':'u8','name':'n','hidden':true},"
                          "{'repeat':'n','group':[");
        for (int i = 1; i < count; i++)
            at += sprintf(at, "%s{'type':'u8','name':'a{i}.%d'}", i > 1 ? "," : "", i);
        sprintf(at, "]}]}");
        const char *refusal = refusal_of(arena, text);
        cr_expect_eq(refusal != NULL, count == 257, "%s", refusal ? refusal : "taken");
    }
    /* 32 KiB. */
    at = text + sprintf(text, "{'name':'x','kind':'binary'," FIELDS "," EXAMPLES ",'description':'");
    memset(at, 'd', 32768);
    strcpy(text + 32766, "'}");
    cr_expect_null(refusal_of(arena, text));
    strcpy(text + 32767, "'}");
    text[32766] = 'd';
    cr_expect(strstr(refusal_of(arena, text), "at most 32768 bytes"));
    arena_free(arena);
}

/* What its examples may do together is what one payload may: else a definition of 64 of them holds up a start. */
Test(custom, examples_share_the_work_of_one_payload)
{
    for (int count = 8; count <= 9; count++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        struct custom_error error;
        struct builder out;
        struct bytes definition;
        builder_init(&out, arena, 1024);
        builder_put_text(&out, "{'name':'x','kind':'binary','fields':[{'type':'u8','name':'a'},{'repeat':'rest',"
                               "'group':[{'type':'u4'},{'type':'u4'}]}],'examples':[");
        for (int i = 0; i < count; i++) {
            builder_put_text(&out, i ? ",{'input':'07" : "{'input':'07");
            for (int k = 0; k < 511; k++)
                builder_put_text(&out, "00");
            builder_put_text(&out, "','senml':[{'n':'a','v':7}]}");
        }
        builder_put_text(&out, "]}");
        builder_put_byte(&out, 0);
        cr_assert(builder_finish(&out, &definition));
        struct custom *custom = custom_compile(quoted(arena, (const char *)definition.ptr), &error);
        cr_assert(custom, "%s", error.detail);
        cr_expect_eq(custom_check(custom, arena, &error), count == 8, "%s", error.detail);
        custom_free(custom);
        arena_free(arena);
    }
}

Test(custom, deep_and_broken_definitions_are_refused)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    char *text = arena_alloc(arena, 40000);
    memset(text, '[', 32000);
    text[32000] = '\0';
    cr_expect(refusal_of(arena, text));
    /* A text that is cut in the middle of a character when it goes into a sentence stays UTF-8. */
    char *at = text + sprintf(text, "{'name':'x','kind':'binary'," EXAMPLES
                                    ",'fields':[{'type':'u8','name':'a','unit':'x");
    for (int i = 0; i < 200; i++)
        at += sprintf(at, "\xc3\xa9");
    sprintf(at, "'}]}");
    struct custom_error error;
    cr_expect_null(custom_compile(quoted(arena, text), &error));
    cr_expect(utf8_is_valid(bytes_of_text(error.detail)));
    cr_expect_str_eq(error.pointer, "/fields/0/unit");
    /* The same for the pointer. */
    at = text + sprintf(text, "{'name':'x','kind':'binary'," EXAMPLES ",'x");
    for (int i = 0; i < 200; i++)
        at += sprintf(at, "\xc3\xa9");
    sprintf(at, "':1," FIELDS "}");
    cr_expect_null(custom_compile(quoted(arena, text), &error));
    cr_expect(utf8_is_valid(bytes_of_text(error.pointer)));
    cr_expect_eq(strlen(error.pointer), CUSTOM_TEXT_MAX - 1);
    arena_free(arena);
}

/* An example that does not hold, and the sentence about it. */
Test(custom, examples_that_do_not_hold)
{
    static const struct {
        const char *kind, *members, *example, *sentence; /* NULL: it holds */
    } rows[] = {
        {"binary", FIELDS, "{'input':'07','senml':[{'n':'a','v':7.00}]}", NULL},
        {"binary", FIELDS, "{'input':'07','senml':[{'n':'a','v':70e-1,'t':1763692800}]}", NULL},
        {"binary", FIELDS, "{'input':{'hex':'0 7'},'senml':[{'n':'a','v':'7'}],'description':'as text'}",
         NULL},
        {"binary", FIELDS, "{'input':{'text':'7'},'senml':[{'n':'a','v':55}]}", NULL},
        {"binary", FIELDS, "{'input':'07','senml':[{'n':'a','v':8}]}", "v is 7 and not 8."},
        {"binary", FIELDS, "{'input':'07','senml':[{'n':'b','v':7}]}", "n is \"a\" and not \"b\"."},
        {"binary", FIELDS, "{'input':'07','senml':[{'n':'a','u':'V','v':7}]}", "u is \"\" and not \"V\"."},
        {"binary", FIELDS, "{'input':'07','senml':[{'n':'a','vs':'7'}]}",
         "the value is a number and not a text."},
        {"binary", FIELDS, "{'input':'07','senml':[{'n':'a','v':7,'t':5}]}", "t is 1763692800 and not 5."},
        {"binary", FIELDS, "{'input':'07','now':5,'senml':[{'n':'a','v':7,'t':5}]}", NULL},
        {"binary", FIELDS, "{'input':'07','now':5.25,'senml':[{'n':'a','v':7,'t':5.25}]}", NULL},
        {"binary", FIELDS, "{'input':'07','senml':[{'n':'a','v':7,'node':'n'}]}",
         "node is \"\" and not \"n\"."},
        {"binary", FIELDS, "{'input':'07','senml':[{'n':'a','v':7,'cumulative':true}]}",
         "cumulative is false."},
        {"binary", FIELDS, "{'input':'07','senml':[{'n':'a','v':7,'modulus':5}]}",
         "there is no modulus, and not 5."},
        {"binary", FIELDS, "{'input':'07','senml':[{'n':'a','v':7},{'n':'a','v':7}]}",
         "1 records came out and not 2."},
        {"binary", "'fields':[{'type':'u4','name':'a'},{'type':'u4','name':'b'}]",
         "{'input':'07','senml':[{'n':'a','v':0}]}", "more than 1 records came out: \"b\" too."},
        {"binary", FIELDS, "{'input':'0707','senml':[{'n':'a','v':7}]}",
         "malformed, at 1: There is more than the codec reads."},
        {"binary", FIELDS, "{'input':'07','refused':'malformed'}",
         "it was taken, and not refused as malformed."},
        {"binary", FIELDS, "{'input':'','refused':'bad-value'}",
         "malformed, at 0: The payload ends too early."},
        {"binary", FIELDS, "{'input':'','refused':'malformed'}", NULL},
        {"binary", "'fields':[{'type':'bytes','length':'rest','name':'a'}]",
         "{'input':'ff','senml':[{'n':'a','vd':'_w'}]}", NULL},
        {"binary", "'fields':[{'type':'bytes','length':'rest','name':'a'}]",
         "{'input':'fe','senml':[{'n':'a','vd':'_w'}]}", "vd is other data."},
        {"binary", "'fields':[{'type':'bool','name':'a'}]", "{'input':'01','senml':[{'n':'a','vb':false}]}",
         "vb is true."},
        {"binary", "'fields':[{'type':'text','length':1,'name':'a'}]",
         "{'input':'41','senml':[{'n':'a','vs':'B'}]}", "vs is \"A\" and not \"B\"."},
        {"text", "'lines':true,'fields':[{'column':0,'name':'a'}]",
         "{'input':'1\\n\\n2\\r\\n','senml':[{'n':'a','v':1},{'n':'a','v':2}]}", NULL},
        {"text", "'fields':[{'column':0,'name':'a'}]", "{'input':{'hex':'31'},'senml':[{'n':'a','v':1}]}",
         NULL},
        {"json", "'fields':[{'pointer':'/a','name':'a'}]",
         "{'input':{'json':{'x':[1,-2.50e1,true,false,null,'\\\"\\u00e9\\n'],'y':{},'a':1}},'senml':[{'n':'a'"
         ",'v':1}]}",
         NULL},
        {"json", "'fields':[{'pointer':'/0','name':'a'}]", "{'input':{'json':[1]},'senml':[{'n':'a','v':1}]}",
         NULL},
        {"json", "'fields':[{'pointer':'/a','name':'a'}]",
         "{'input':'{\\\"a\\\":1}','senml':[{'n':'a','v':1}]}", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        char *definition = arena_alloc(arena, 4096);
        struct custom_error error;
        /* A first example that holds for none of them gives the record that has to be there. */
        snprintf(definition, 4096,
                 "{'name':'x','kind':'%s',%s,'examples':[%s,{'input':'','senml':[{'n':'z','v':0}]}]}",
                 rows[i].kind, rows[i].members, rows[i].example);
        struct custom *custom = custom_compile(quoted(arena, definition), &error);
        cr_assert(custom, "%s: %s: %s", rows[i].example, error.pointer, error.detail);
        cr_expect_not(custom_check(custom, arena, &error));
        char expected[512];
        snprintf(expected, sizeof(expected), "Example 1 does not hold: %s",
                 rows[i].sentence ? rows[i].sentence : "");
        if (rows[i].sentence)
            cr_expect_str_eq(error.detail, expected, "%s: %s", rows[i].example, error.detail);
        else
            cr_expect(strstr(error.detail, "Example 2 "), "%s: %s", rows[i].example, error.detail);
        custom_free(custom);
        arena_free(arena);
    }
}

Test(custom, parameters_of_the_request)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct custom_error error;
    static const struct {
        const char *port, *result;
    } rows[] = {
        {"2", "a2=7"},       {"3", "b=7; port=3"},  {"x", "ax=7"},
        {NULL, "bad-value"}, {"\xff", "bad-value"}, {"", "bad-value"},
    };
    struct custom *custom = custom_compile(
        custom_wrap(arena, "binary",
                    "'parameters':[{'parameter':'port','name':'p','hidden':true,'required':true}],"
                    "'fields':[{'when':{'field':'p','is':3,'not':true},'type':'u8','name':'a{p}'},"
                    "{'when':{'field':'p','is':3},'group':[{'type':'u8','name':'b'},{'type':'u8','optional':"
                    "true,'name':'port',"
                    "'hidden':true}]}]"),
        &error);
    cr_assert(custom, "%s: %s", error.pointer, error.detail);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct format_input input = custom_input(BYTES_LITERAL("\x07"));
        struct format_parameter parameters[] = {{BYTES_LITERAL("other"), BYTES_LITERAL("9")},
                                                {BYTES_LITERAL("port"), bytes_of_text(rows[i].port)}};
        input.parameters = parameters;
        input.parameter_count = rows[i].port ? 2 : 1;
        const char *result = custom_result_of(custom, &input, arena);
        const char *expected = strchr(rows[i].result, ';') ? "b=7" : rows[i].result;
        cr_expect_str_eq(result, expected, "%s gives %s", rows[i].port ? rows[i].port : "nothing", result);
    }
    custom_free(custom);
    arena_free(arena);
}

/* A definition that is kept already is compiled and used all the same. */
Test(custom, parameters_that_are_taken)
{
    static const struct {
        const char *name;
        bool taken;
    } rows[] = {{"level", true}, {"n", true}, {"d", true}, {"device", true}, {"f", true}, {"format", true},
                {"Level", false}, {"u", false}, {"port", false}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        struct custom_error error;
        char members[256], expected[64];
        snprintf(members, sizeof members,
                 "'parameters':[{'parameter':'o','name':'o'},{'parameter':'%s','name':'p'}]," FIELDS, rows[i].name);
        struct custom *custom = custom_compile(custom_wrap(arena, "binary", members), &error);
        cr_assert(custom, "%s: %s: %s", rows[i].name, error.pointer, error.detail);
        cr_expect_eq(custom_check_parameters(custom, &error), !rows[i].taken, "%s", rows[i].name);
        snprintf(expected, sizeof expected, "%s says something to weir itself: take another name.", rows[i].name);
        if (rows[i].taken) {
            cr_expect_str_eq(error.pointer, "/parameters/1/parameter");
            cr_expect_str_eq(error.detail, expected);
        }
        cr_expect(custom_reads_parameter(custom, bytes_of_text(rows[i].name)));
        cr_expect(custom_reads_parameter(custom, BYTES_LITERAL("o")));
        cr_expect_not(custom_reads_parameter(custom, BYTES_LITERAL("p")), "the name of the field");
        custom_free(custom);
        arena_free(arena);
    }
}

Test(custom, says_what_it_is)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct custom_error error;
    struct custom *custom = custom_compile(
        custom_wrap(arena, "text", "'class':'a','lines':true,'fields':[{'column':0,'name':'a'}]"), &error);
    cr_assert(custom);
    cr_expect(bytes_equal_text(custom_name(custom), "x"));
    cr_expect_eq(custom_kind(custom), CUSTOM_TEXT);
    cr_expect_str_eq(custom_kind_name(CUSTOM_TEXT), "text");
    cr_expect_str_eq(custom_kind_name(CUSTOM_EMONHUB), "emonhub");
    cr_expect(custom_by_line(custom));
    cr_expect_eq(custom_example_count(custom), 1);
    cr_expect(custom_takes(custom, CONTENT_FORMAT_NONE) && custom_takes(custom, CONTENT_FORMAT_OCTETS));
    cr_expect(custom_takes(custom, CONTENT_FORMAT_TEXT) && !custom_takes(custom, CONTENT_FORMAT_JSON));
    struct format_input input = custom_input(BYTES_LITERAL("5"));
    struct observation_list list;
    cr_expect_eq(custom_decode(custom, &input, arena, &list, NULL), OUTCOME_CHANGED);
    cr_expect_eq(list.class, 'a');
    cr_expect_not(list.proven);
    custom_free(custom);
    custom = custom_compile(custom_wrap(arena, "json", "'fields':[{'pointer':'','name':'a'}]"), &error);
    cr_expect(custom_takes(custom, CONTENT_FORMAT_JSON) && !custom_takes(custom, CONTENT_FORMAT_TEXT));
    cr_expect_not(custom_by_line(custom));
    custom_free(custom);
    custom = custom_compile(custom_wrap(arena, "binary", FIELDS), &error);
    cr_expect(custom_takes(custom, CONTENT_FORMAT_OCTETS) && !custom_takes(custom, CONTENT_FORMAT_TEXT) &&
              !custom_takes(custom, CONTENT_FORMAT_JSON));
    custom_free(custom);
    custom_free(NULL);
    arena_free(arena);
}

static const char *steps_of(const char *kind, const char *members, struct bytes payload, struct arena *arena)
{
    struct custom_error error;
    struct custom_steps steps;
    struct observation_list list;
    struct builder out;
    struct bytes text;
    struct custom *custom = custom_compile(custom_wrap(arena, kind, members), &error);
    cr_assert(custom, "%s: %s", error.pointer, error.detail);
    struct format_input input = custom_input(payload);
    (void)custom_explain(custom, &input, arena, &steps, &list, NULL);
    custom_free(custom);
    builder_init(&out, arena, 256);
    for (size_t i = 0; i < steps.count; i++) {
        const struct custom_step *step = &steps.items[i];
        char place[64];
        snprintf(place, sizeof(place), "%s%zu+%zu", i ? "|" : "", step->offset, step->len);
        builder_put_text(&out, place);
        if (step->bits) {
            snprintf(place, sizeof(place), ".%u+%u", step->bit, step->bits);
            builder_put_text(&out, place);
        }
        const struct bytes words[] = {step->field, step->raw, step->value, step->unit,
                                      bytes_of_text(step->note)};
        for (size_t k = 0; k < COUNT_OF(words); k++) {
            builder_put_text(&out, ",");
            builder_put(&out, words[k]);
        }
    }
    builder_put_byte(&out, 0);
    cr_assert(builder_finish(&out, &text));
    return (const char *)text.ptr;
}

Test(custom, explains_each_step)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    cr_expect_str_eq(
        steps_of(
            "binary",
            "'checksum':{'type':'sum8'},'fields':[{'skip':2},{'type':'u8','name':'id','hidden':true},"
            "{'type':'i16','name':'t{id}','scale':'0.1','unit':'Cel'},{'type':'u8','missing':255,'name':'h'},"
            "{'type':'u8','bits':[{'bit':4,'width':4,'name':'b'}]},{'type':'u8','name':'x','map':{'1':'one'}}"
            "]",
            hex_bytes(arena, "0000030110ffa002b5"), arena),
        "8+1,,b5,,,checksum|0+2,,0000,,,skipped|2+1,id,3,3,,hidden|3+2,t{id},272,27.2,Cel,|5+1,h,255,,,"
        "missing value|"
        "6+1,,160,160,,|6+1.4+4,b,10,10,,|7+1,x,2,,,A value is not in the map of the codec.");
    cr_expect_str_eq(
        steps_of("text", "'separator':';','assign':'=','unknown':'ignore','fields':[{'key':'T','name':'t'}]",
                 BYTES_LITERAL("X=1; T=2.50"), arena),
        "0+3,,583d31,,,unknown key|7+4,t,2.50,2.50,,");
    cr_expect_str_eq(
        steps_of("json", "'fields':[{'pointer':'/a','name':'a'},{'pointer':'/b','name':'b','unit':'mV'}]",
                 BYTES_LITERAL("{\"b\":5}"), arena),
        "0+0,a,,,,not there|5+1,b,5,0.005,V,");
    arena_free(arena);
}

/* Only what is asked of the arena is needed, and less than that is an outcome. */
/* What a device's maker reads in the answer. */
Test(custom, refusals_say_where)
{
    static const struct {
        const char *kind, *members, *payload, *detail;
    } rows[] = {
        {"binary", "'fields':[{'type':'u8','name':'mode','map':{'1':'on'}}]", "02",
         "mode: A value is not in the map of the codec."},
        {"binary", "'fields':[{'type':'u8','max':3,'name':'a'}]", "09",
         "a: A value is outside of the range that the codec allows."},
        {"binary", "'checksum':{'type':'crc16-modbus'},'fields':[{'type':'u8','name':'a'}]", "01beef",
         "The checksum does not fit: it is 0xbeef, and of these octets 0x807e."},
        {"text", "'assign':'=','fields':[{'key':'T','name':'t','required':true}]", "T=",
         "t: A value that is required is not there."},
        {"text", "'assign':'=','fields':[{'key':'T','name':'t'}]", "T=x", "t: A number was expected."},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *arena = arena_new(ARENA_BYTES);
        struct custom_error why;
        struct format_error error = {NULL, 0};
        struct observation_list list;
        struct custom *custom = custom_compile(custom_wrap(arena, rows[i].kind, rows[i].members), &why);
        cr_assert(custom, "%s", why.detail);
        struct format_input input = custom_input(strcmp(rows[i].kind, "text") == 0
                                                     ? bytes_of_text(rows[i].payload)
                                                     : custom_octets(arena, rows[i].payload));
        cr_expect_neq(custom_decode(custom, &input, arena, &list, &error), OUTCOME_CHANGED);
        custom_free(custom);
        cr_expect_str_eq(error.detail, rows[i].detail);
        arena_free(arena);
    }
}

Test(custom, survives_any_lack_of_memory)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct custom_error error;
    struct custom *custom =
        custom_compile(custom_wrap(arena, "json",
                                   "'node':{'pointer':'/n'},'each':[{'pointer':'/"
                                   "s','of':'members','fields':[{'pointer':'','name':'{key}'}]}]"),
                       &error);
    cr_assert(custom, "%s", error.detail);
    struct format_input input =
        custom_input(BYTES_LITERAL("{\"n\":\"a b\",\"s\":{\"x\":1.5,\"y\":\"t\",\"z\":true}}"));
    size_t failures = 0;
    for (size_t limit = 0;; limit += 32) {
        struct arena *small = arena_new(limit);
        struct observation_list list;
        struct custom_steps steps;
        enum outcome outcome = custom_explain(custom, &input, small, &steps, &list, NULL);
        arena_free(small);
        if (outcome == OUTCOME_CHANGED)
            break;
        cr_assert_eq(outcome, OUTCOME_OUT_OF_MEMORY);
        failures++;
    }
    cr_expect_gt(failures, 10);
    custom_free(custom);
    arena_free(arena);
}

/* docs/codecs.md. */

static char *source_file(struct arena *arena, const char *name)
{
    char path[4096];
    const char *root = getenv("WEIR_SOURCE_ROOT");
    snprintf(path, sizeof(path), "%s/%s", root ? root : ".", name);
    FILE *file = fopen(path, "rb");
    cr_assert(file, "cannot open %s", path);
    char *text = arena_alloc(arena, 1 << 18);
    size_t len = fread(text, 1, (1 << 18) - 1, file);
    text[len] = '\0';
    fclose(file);
    return text;
}

/* The definitions that the document shows are taken, and their examples hold. */
Test(custom, documented_codecs_hold)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    char *at = source_file(arena, "docs/codecs.md");
    size_t codecs = 0;
    while ((at = strstr(at, "```json\n"))) {
        at += strlen("```json\n");
        char *end = strstr(at, "```");
        struct custom_error error;
        cr_assert(end);
        struct custom *custom = custom_compile(bytes_of(at, (size_t)(end - at)), &error);
        cr_assert(custom, "%.60s: %s: %s", at, error.pointer, error.detail);
        cr_expect(custom_check(custom, arena, &error), "%.60s: %s: %s", at, error.pointer, error.detail);
        custom_free(custom);
        codecs++;
        at = end + 3;
    }
    cr_expect_geq(codecs, 4);
    arena_free(arena);
}

/* Every member that the code asks for is in a table of the document: names stand there as `name`. */
Test(custom, documented_members_are_all)
{
    static const char *const files[] = {"custom.c",          "custom_field.c", "custom_binary.c",
                                        "custom_checksum.c", "custom_text.c",  "custom_json.c",
                                        "custom_example.c"};
    struct arena *arena = arena_new(ARENA_BYTES);
    const char *document = source_file(arena, "docs/codecs.md");
    size_t members = 0;
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        char path[64];
        snprintf(path, sizeof(path), "codec/%s", files[i]);
        for (char *at = source_file(arena, path); (at = strstr(at, "get_")) != NULL; at++) {
            char name[64], quoted_name[80];
            char *open = strpbrk(at, "(;"), *close = open ? strpbrk(open, ");") : NULL;
            char *quote = open ? strchr(open, '"') : NULL;
            if (!quote || *open != '(' || !close || quote > close || sscanf(quote, "\"%63[a-z]\"", name) != 1)
                continue;
            snprintf(quoted_name, sizeof(quoted_name), "`%s`", name);
            cr_expect(strstr(document, quoted_name), "docs/codecs.md does not know %s of %s", name, path);
            members++;
        }
    }
    cr_expect_gt(members, 60);
    arena_free(arena);
}
