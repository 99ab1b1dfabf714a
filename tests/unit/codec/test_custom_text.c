// SPDX-License-Identifier: GPL-3.0-or-later
/* The kind "text", member by member. */
#include "tests/unit/codec/custom_support.h"

#define PAIRS(members) "'separator':';','assign':'=','fields':[" members "]"
#define COLUMNS(members) "'separator':',','fields':[" members "]"
#define ONE(members) "'fields':[{'column':0,'name':'a'," members "}]"

Test(custom_text, pairs)
{
    static const struct custom_row rows[] = {
        {PAIRS("{'key':'T','name':'temp','unit':'Cel'},{'key':'H','name':'hum'}"), "T=21.5;H=40",
         "temp=21.5 Cel; hum=40"},
        {PAIRS("{'key':'T','name':'temp'},{'key':'H','name':'hum'}"), "H=40;T=21.50;", "temp=21.50; hum=40"},
        {PAIRS("{'key':'T','name':'temp'}"), " T = 21.5 ; \r\n", "temp=21.5"},
        {"'trim':false," PAIRS("{'key':'T','name':'temp'}"), "T= 21.5", "bad-value"},
        {PAIRS("{'key':'T','name':'temp'}"), "T=", ""},
        {PAIRS("{'key':'T','name':'temp','required':true}"), "T=", "bad-value"},
        {PAIRS("{'key':'T','name':'temp','required':true}"), ";;", "bad-value"},
        {PAIRS("{'key':'T','name':'temp'}"), "T=1=2", "bad-value"},
        {PAIRS("{'key':'T','name':'temp'}"), "T=1;T=2", "duplicate-key"},
        {PAIRS("{'key':'T','name':'temp'}"), "t=1", "bad-value"},
        {PAIRS("{'key':'T','name':'temp'}"), "T=1;X=2", "bad-value"},
        {"'unknown':'ignore'," PAIRS("{'key':'T','name':'temp'}"), "T=1;X=2;Y", "temp=1"},
        {PAIRS("{'key':'T','name':'temp'}"), "T=1;Y", "malformed"},
        {"'unknown':'keep'," PAIRS("{'key':'T','name':'temp'}"), "T=1;x y=2.50;z=up",
         "x_y=2.50; z=up; temp=1"},
        {"'unknown':'keep'," PAIRS(""), "T=+1;U=0x", "T=1; U=0x"},
        {"'unknown':'keep'," PAIRS(""), "?=1", "bad-name"},
        {"'unknown':'keep'," PAIRS(""), "x=1;y=2;x=2", "duplicate-key"},
        {"'unknown':'keep'," PAIRS(""), "b!=1;b_=2", "duplicate-key"},
        {"'unknown':'keep'," PAIRS("{'key':'T','name':'temp'}"), "temp=1;T=2", "duplicate-key"},
        {"'unknown':'keep'," PAIRS("{'key':'T','name':'temp'},{'key':'U','name':'temp'}"), "x=1;T=2;U=3",
         "x=1; temp=2; temp=3"},
        {"'unknown':'keep'," COLUMNS("{'column':0,'name':'a'}"), "", "/unknown"},
        {PAIRS("{'column':0,'name':'id','as':'text','hidden':true},{'key':'T','name':'t{id}'}"), "roof;T=1",
         "troof=1"},
        {"'separator':', ','assign':': ','fields':[{'key':'T','name':'t'},{'key':'H','name':'h'}]",
         "T: 1, H: 2", "t=1; h=2"},
        {"'assign':'=','fields':[{'key':'T','name':'t'}]", "T=1", "t=1"},
        {"'separator':'\\n','assign':':','fields':[{'key':'T','name':'t'},{'key':'H','name':'h'}]",
         "T: 1\r\nH: 2\r\n", "t=1; h=2"},
        {"'separator':';','fields':[{'key':'T','name':'t'}]", "", "/fields"},
        {"'separator':'','fields':[{'key':'T','name':'t'}]", "", "/separator"},
        {"'separator':'123456789','fields':[{'key':'T','name':'t'}]", "", "/separator"},
        {PAIRS("{'key':'T','name':'t'},{'key':'T','name':'u'}"), "", "/fields: A key"},
        {PAIRS("{'name':'t'}"), "", "/fields/0: A field has either"},
        {PAIRS("{'key':'T','column':0,'name':'t'}"), "", "/fields/0: A field has either"},
        {PAIRS("{'key':'T','name':'t','type':'u8'}"), "", "/fields/0/type"},
        {PAIRS(""), "", "/fields"},
    };
    check_custom_table("text", rows, COUNT_OF(rows));
}

Test(custom_text, columns)
{
    static const struct custom_row rows[] = {
        {COLUMNS("{'column':0,'name':'a'},{'column':1,'name':'b'}"), "1,2", "a=1; b=2"},
        {COLUMNS("{'column':1,'name':'b'},{'column':0,'name':'a'}"), "1,2", "b=2; a=1"},
        {COLUMNS("{'column':0,'name':'a'},{'column':2,'name':'b'}"), "1,,3", "a=1; b=3"},
        {COLUMNS("{'column':0,'name':'a'},{'column':2,'name':'b'}"), "1,9,3", "a=1; b=3"},
        {COLUMNS("{'column':0,'name':'a'},{'column':1,'name':'b'}"), "1", "a=1"},
        {COLUMNS("{'column':0,'name':'a'},{'column':1,'name':'b','required':true}"), "1", "bad-value"},
        {COLUMNS("{'column':0,'name':'a'}"), "1,2", "malformed"},
        {COLUMNS("{'column':0,'name':'a'}"), "1,", "a=1"},
        {"'unknown':'ignore'," COLUMNS("{'column':0,'name':'a'}"), "1,2,3", "a=1"},
        {"'separator':' ','collapse':true,'fields':[{'column':1,'name':'a'}]", "x    7  ", "a=7"},
        {"'separator':'\\t','trim':false,'fields':[{'column':1,'name':'a'}]", "\t7", "a=7"},
        {COLUMNS("{'column':0,'name':'a'},{'column':0,'name':'b'}"), "", "/fields: A column"},
        {COLUMNS("{'column':256,'name':'a'}"), "", "/fields/0/column"},
        {"'fields':[{'column':0,'name':'a'}]", "21.5", "a=21.5"},
        {"'fields':[{'column':0,'name':'a'}]", "", "malformed"},
        {"'fields':[{'column':0,'name':'a'}]", "  ", ""},
    };
    check_custom_table("text", rows, COUNT_OF(rows));
}

Test(custom_text, values)
{
    static const struct custom_row rows[] = {
        {ONE("'as':'any'"), "21.50", "a=21.50"},
        {ONE("'as':'number'"), "+021.50", "a=21.50"},
        {ONE("'as':'number'"), ".5", "a=0.5"},
        {ONE("'as':'number'"), "-.5", "a=-0.5"},
        {ONE("'as':'number'"), "5.", "a=5"},
        {ONE("'as':'number'"), "1E3", "a=1000"},
        {ONE("'as':'number'"), "5.e1", "a=50"},
        {ONE("'as':'number'"), "-00", "a=-0"},
        {ONE("'as':'number'"), "1,5", "bad-value"},
        {ONE("'as':'number'"), "--5", "bad-value"},
        {ONE("'as':'number'"), "+-5", "bad-value"},
        {ONE("'as':'number'"), "+", "bad-value"},
        {ONE("'as':'number'"), ".", "bad-value"},
        {ONE("'as':'number'"), "0x10", "bad-value"},
        {ONE("'as':'number'"), "nan", "bad-value"},
        {ONE("'as':'number'"), "1e999", "bad-value"},
        {ONE("'as':'number'"), "21.5C", "bad-value"},
        {ONE("'suffix':'C'"), "21.5 C", "a=21.5"},
        {ONE("'prefix':'T','suffix':'C'"), "T21.5C", "a=21.5"},
        {ONE("'suffix':'C'"), "21.5", "bad-value"},
        {ONE("'suffix':'C','missing':'--'"), "--", ""},
        {ONE("'missing':-127"), "-127.00", ""},
        {ONE("'missing':['nan',-127]"), "nan", ""},
        {ONE("'scale':'0.1'"), "2150", "a=215"},
        {ONE("'scale':'0.1','unit':'Cel'"), "215", "a=21.5 Cel"},
        {ONE("'as':'text'"), "up", "a=up"},
        {ONE("'as':'bool'"), "ON", "a=true"},
        {ONE("'as':'bool'"), "0", "a=false"},
        {ONE("'as':'bool'"), "maybe", "bad-value"},
        {ONE("'as':'hex'"), "", "/fields/0/as"},
        {ONE("'map':{'1':'open','x':null}"), "1", "a=open"},
        {ONE("'map':{'1':'open','x':null}"), "x", ""},
        {ONE("'map':{'1':'open','x':null}"), "2", "bad-value"},
        {ONE("'map':{'1':'open','x':null},'unmapped':'keep'"), "2", "a=2"},
        {ONE("'form':'hex'"), "ff", "a=255"},
        {ONE("'form':'hex'"), "0FFf", "a=4095"},
        {ONE("'form':'hex','bits':8,'scale':'0.5'"), "FF", "a=-0.5"},
        {ONE("'form':'hex','bits':8"), "1FF", "bad-value"},
        {ONE("'form':'hex'"), "fg", "bad-value"},
        {ONE("'form':'hex'"), "-1", "bad-value"},
        {ONE("'form':'hex'"), "00000000000000001", "bad-value"},
        {ONE("'form':'hex','missing':'ffff'"), "ffff", ""},
        {ONE("'form':'hex','missing':'0xffff'"), "FFFF", ""},
        {ONE("'bits':8"), "", "/fields/0/bits"},
        {"'decimal':','," ONE("'unit':'V'"), "3,30", "a=3.30 V"},
        {"'decimal':','," ONE("'unit':'V'"), "3.30", "bad-value"},
        {"'decimal':','," ONE("'unit':'V'"), "1.000,5", "bad-value"},
        {"'decimal':','," ONE("'unit':'V'"), ",5", "a=0.5 V"},
    };
    check_custom_table("text", rows, COUNT_OF(rows));
}

Test(custom_text, around_the_values)
{
    static const struct custom_row rows[] = {
        {"'prefix':'OK '," ONE("'as':'any'"), "OK 5", "a=5"},
        {"'prefix':'OK '," ONE("'as':'any'"), "NO 5", "malformed"},
        {"'prefix':'OK ','mismatch':'ignore'," ONE("'as':'any'"), "NO 5", ""},
        {"'prefix':'<','suffix':'>'," ONE("'as':'any'"), "<5>", "a=5"},
        {"'prefix':'<','suffix':'>'," ONE("'as':'any'"), "<", "malformed"},
        {"'prefix':'aa','suffix':'aa'," ONE("'as':'any'"), "aaa", "malformed"},
        {"'comment':'#'," ONE("'as':'any'"), "# 5", ""},
        {"'lines':true," ONE("'as':'any'"), "", ""},
        {"'lines':true," ONE("'as':'any'"), " ", ""},
        {"'lines':true," ONE("'as':'any'"), "x", "bad-value"},
        {ONE("'as':'text'"), "\xff", "malformed"},
        {"'mismatch':'ignore','prefix':'>'," ONE("'as':'text'"), "\xff", ""},
        {"'time':{'field':'t'}," COLUMNS("{'column':0,'name':'t','hidden':true},{'column':1,'name':'a'}"),
         "1763690000,5", "a=5 @1763690000d"},
        {"'node':'{t}'," COLUMNS("{'column':0,'name':'t','as':'text','hidden':true},{'column':1,'name':'a'}"),
         "a b,5", "a_b/a=5"},
    };
    check_custom_table("text", rows, COUNT_OF(rows));
}
