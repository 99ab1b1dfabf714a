// SPDX-License-Identifier: GPL-3.0-or-later
/* The kind "json", member by member. */
#include "tests/unit/codec/custom_support.h"

#define F(members) "'fields':[" members "]"

Test(custom_json, pointers)
{
    static const struct custom_row rows[] = {
        {F("{'pointer':'/a','name':'x'}"), "{'a':21.50}", "x=21.50"},
        {F("{'pointer':'/a/b/c','name':'x'}"), "{'a':{'b':{'c':1,'d':2}}}", "x=1"},
        {F("{'pointer':'/a/1','name':'x'},{'pointer':'/a/0','name':'y'}"), "{'a':[1,2,3]}", "x=2; y=1"},
        {F("{'pointer':'/a/10','name':'x'},{'pointer':'/a/2','name':'y'}"), "{'a':[0,1,2,3,4,5,6,7,8,9,10]}",
         "x=10; y=2"},
        {F("{'pointer':'/a/01','name':'x'}"), "{'a':[1,2]}", ""},
        {F("{'pointer':'/a/-','name':'x'}"), "{'a':[1,2]}", ""},
        {F("{'pointer':'/a/1','name':'x'}"), "{'a':{'1':7}}", "x=7"},
        {F("{'pointer':'','name':'x'}"), "21.5", "x=21.5"},
        {F("{'pointer':'/','name':'x'}"), "{'':7}", "x=7"},
        {F("{'pointer':'/a~1b/c~0d','name':'x'}"), "{'a/b':{'c~d':7}}", "x=7"},
        {F("{'pointer':'/~01','name':'x'}"), "{'~1':7}", "x=7"},
        {F("{'pointer':'/a','name':'x'},{'pointer':'/a','name':'y','scale':2}"), "{'a':7}", "x=7; y=14"},
        {F("{'pointer':'/a','name':'x'},{'pointer':'/a/b','name':'y','required':true}"), "{'a':7}",
         "bad-value"},
        {F("{'pointer':'/a','name':'x'},{'pointer':'/a/b','name':'y'}"), "{'a':{'b':7}}", "bad-value"},
        {F("{'pointer':'/b','name':'x'}"), "{'a':7}", ""},
        {F("{'pointer':'/b','name':'x','required':true}"), "{'a':7}", "bad-value"},
        {F("{'pointer':'/b','name':'x','required':true}"), "{'b':null}", "bad-value"},
        {F("{'pointer':'/b','name':'x'}"), "{'b':null}", ""},
        {F("{'pointer':'b','name':'x'}"), "", "/fields/0/pointer"},
        {F("{'pointer':'/a~','name':'x'}"), "", "/fields/0/pointer"},
        {F("{'pointer':'/a~2','name':'x'}"), "", "/fields/0/pointer"},
        {F("{'pointer':'/0/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/0','name':'x'}"), "", "/fields/0/pointer"},
        {F("{'name':'x'}"), "", "/fields/0/pointer"},
        {F(""), "", "/fields"},
        {"'fields':{}", "", "/fields"},
        {F("{'pointer':'/a','name':'x'}"), "{", "malformed"},
        {F("{'pointer':'/a','name':'x'}"), "", "malformed"},
        {F("{'pointer':'/a','name':'x'}"), "{'a':1,'a':2}", "duplicate-key"},
    };
    check_custom_table("json", rows, COUNT_OF(rows));
}

Test(custom_json, values)
{
    static const struct custom_row rows[] = {
        {F("{'pointer':'/a','name':'x'}"), "{'a':1E3}", "x=1e3"},
        {F("{'pointer':'/a','name':'x'}"), "{'a':'up'}", "x=up"},
        {F("{'pointer':'/a','name':'x'}"), "{'a':true}", "x=true"},
        {F("{'pointer':'/a','name':'x'}"), "{'a':[1]}", "bad-value"},
        {F("{'pointer':'/a','name':'x'}"), "{'a':1e309}", "bad-value"},
        {F("{'pointer':'/a','name':'x','as':'number'}"), "{'a':' 1'}", "bad-value"},
        {F("{'pointer':'/a','name':'x','as':'number'}"), "{'a':'+1.50'}", "x=1.50"},
        {F("{'pointer':'/a','name':'x','unit':'V'}"), "{'a':'1.5'}", "x=1.5 V"},
        {F("{'pointer':'/a','name':'x','unit':'V'}"), "{'a':true}", "bad-value"},
        {F("{'pointer':'/a','name':'x','as':'text'}"), "{'a':21.50}", "x=21.50"},
        {F("{'pointer':'/a','name':'x','as':'text'}"), "{'a':true}", "x=true"},
        {F("{'pointer':'/a','name':'x','as':'bool'}"), "{'a':0}", "x=false"},
        {F("{'pointer':'/a','name':'x','as':'bool'}"), "{'a':'yes'}", "x=true"},
        {F("{'pointer':'/a','name':'x','as':'hex'}"), "{'a':21}", "bad-value"},
        {F("{'pointer':'/a','name':'x','map':{'true':1,'false':0}}"), "{'a':true}", "x=1"},
        {F("{'pointer':'/a','name':'x','map':{'on':true,'off':false}}"), "{'a':'off'}", "x=false"},
        {F("{'pointer':'/a','name':'x','missing':['',-999]}"), "{'a':''}", ""},
        {F("{'pointer':'/a','name':'x','missing':['',-999]}"), "{'a':-999.0}", ""},
        {F("{'pointer':'/a','name':'x','missing':false}"), "{'a':false}", ""},
        {F("{'pointer':'/a','name':'x','scale':'0.1','unit':'Cel'}"), "{'a':272}", "x=27.2 Cel"},
    };
    check_custom_table("json", rows, COUNT_OF(rows));
}

Test(custom_json, each)
{
#define EACH(members) "'each':[{" members "}]"
    static const struct custom_row rows[] = {
        {EACH("'pointer':'/s','fields':[{'pointer':'/v','name':'t{i}'}]"), "{'s':[{'v':1},{},{'v':3}]}",
         "t0=1; t2=3"},
        {EACH("'pointer':'/s','first':1,'fields':[{'pointer':'','name':'t{i}'}]"), "{'s':[5,6]}",
         "t1=5; t2=6"},
        {EACH("'pointer':'','fields':[{'pointer':'','name':'t{i}'}]"), "[5,6]", "t0=5; t1=6"},
        {EACH("'pointer':'/s','fields':[{'pointer':'/id','name':'id','hidden':true},{'pointer':'/"
              "v','name':'{id}'}]"),
         "{'s':[{'v':1,'id':'out side'},{'v':2,'id':7}]}", "out_side=1; 7=2"},
        {EACH("'pointer':'/s','fields':[{'pointer':'/id','name':'id','hidden':true},{'pointer':'/"
              "v','name':'{id}'}]"),
         "{'s':[{'v':1,'id':'a'},{'v':2}]}", "bad-name"},
        {EACH("'pointer':'/s','of':'members','fields':[{'pointer':'','name':'{key}'}]"),
         "{'s':{'a b':1,'c':2}}", "a_b=1; c=2"},
        {EACH("'pointer':'/s','of':'members','node':'{key}','fields':[{'pointer':'','name':'v'}]"),
         "{'s':{'a b':1,'c':2}}", "a_b/v=1; c/v=2"},
        {EACH("'pointer':'/s','fields':[{'pointer':'','name':'t{i}'}]"), "{}", ""},
        {EACH("'pointer':'/s','fields':[{'pointer':'','name':'t{i}'}]"), "{'s':null}", ""},
        {EACH("'pointer':'/s','required':true,'fields':[{'pointer':'','name':'t{i}'}]"), "{}", "bad-value"},
        {EACH("'pointer':'/s','fields':[{'pointer':'','name':'t{i}'}]"), "{'s':{}}", "bad-value"},
        {EACH("'pointer':'/s','of':'members','fields':[{'pointer':'','name':'{key}'}]"), "{'s':[]}",
         "bad-value"},
        {EACH("'pointer':'/s','fields':[{'pointer':'/v','name':'t'}]"), "", "/each/0: \"t\" is repeated"},
        {EACH("'pointer':'/s','fields':[{'pointer':'/v','name':'{key}'}]"), "", "/each/0/fields/0/name"},
        {EACH("'pointer':'/s','node':{'pointer':'/id'},'fields':[{'pointer':'/v','name':'t'}]"),
         "{'s':[{'v':1,'id':'a'},{'v':2}]}", "a/t=1; t=2"},
        {EACH("'pointer':'/s','time':{'pointer':'/ts'},'fields':[{'pointer':'/v','name':'t'}]"),
         "{'s':[{'v':1,'ts':1763690000},{'v':2}]}", "t=1 @1763690000d; t=2"},
        {"'time':{'pointer':'/ts','unit':'ms'},'node':{'pointer':'/id'}," EACH(
             "'pointer':'/s','time':{'pointer':'/d','as':'age'},'fields':[{'pointer':'/v','name':'t{i}'}]"),
         "{'s':[{'v':1,'d':10},{'v':2}],'ts':1763690000500,'id':'h-1'}",
         "h-1/t0=1 @1763689990.5b; h-1/t1=2 @1763690000.5d"},
        {"'time':{'pointer':'/ts','unit':'rfc3339'}," F("{'pointer':'/a','name':'x'}"),
         "{'a':1,'ts':'2025-11-21T02:40:00.25Z'}", "x=1 @1763692800.25d"},
        {"'time':{'field':'x','unit':'s'}," F(
             "{'pointer':'/a','name':'x','hidden':true},{'pointer':'/b','name':'b'}"),
         "{'a':60,'b':1}", "b=1 @60d"},
        {"'time':{'pointer':'/ts'}," F("{'pointer':'/a','name':'x'}"), "{'a':1,'ts':'noon'}", "bad-value"},
        {"'time':{'pointer':'/ts'}," F("{'pointer':'/a','name':'x'}"), "{'a':1}", "x=1"},
        {"'time':{'pointer':'/ts','field':'x'}," F("{'pointer':'/a','name':'x'}"), "", "/time"},
        {"'node':{'field':'x'}," F("{'pointer':'/a','name':'x'}"), "{'a':'me'}", "me/x=me"},
        {"'node':{'pointer':'/n'}," F("{'pointer':'/a','name':'x'}"), "{'a':1,'n':'!'}", "bad-name"},
        {EACH("'pointer':'/s','fields':[{'pointer':'/n','name':'n','hidden':true}],'each':[{'pointer':'/"
              "c','fields':[{'pointer':'','name':'t{n}.{i}'}]}]"),
         "{'s':[{'n':1,'c':[5,6]},{'n':2,'c':[7]}]}", "t1.0=5; t1.1=6; t2.0=7"},
        {EACH("'pointer':'/a','each':[{'pointer':'/b','each':[{'pointer':'/c','each':[{'pointer':'/"
              "d','each':[{'pointer':'/e','fields':[{'pointer':'','name':'{i}'}]}]}]}]}]"),
         "", "/each/0/each/0/each/0/each/0/each/0: Groups"},
        {"'each':[]", "", "/each"},
        {"'each':{}", "", "/each"},
        {EACH("'pointer':'/s','fields':[]"), "", "/each/0/fields"},
    };
    check_custom_table("json", rows, COUNT_OF(rows));
}

Test(custom_json, lines)
{
    static const struct custom_row rows[] = {
        {"'lines':true," F("{'pointer':'/a','name':'x'}"), "", ""},
        {"'lines':true," F("{'pointer':'/a','name':'x'}"), "{'a':7}", "x=7"},
        {"'lines':true," F("{'pointer':'/a','name':'x'}"), "noise", "malformed"},
    };
    check_custom_table("json", rows, COUNT_OF(rows));
}

Test(custom_json, limits_of_a_payload)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct custom_error error;
    struct custom *custom = custom_compile(
        custom_wrap(arena, "json", EACH("'pointer':'','fields':[{'pointer':'','name':'t{i}'}]")), &error);
    cr_assert(custom);
    char *text = arena_alloc(arena, 4096), *at = text;
    *at++ = '[';
    for (int i = 0; i < 1025; i++)
        at += sprintf(at, "%s1", i ? "," : "");
    *at++ = ']';
    struct format_input input = custom_input(bytes_of(text, (size_t)(at - text)));
    cr_expect_str_eq(custom_result_of(custom, &input, arena), "too-complex");
    input.limits.items = 100;
    cr_expect_str_eq(custom_result_of(custom, &input, arena), "too-complex");
    custom_free(custom);
    arena_free(arena);
}
