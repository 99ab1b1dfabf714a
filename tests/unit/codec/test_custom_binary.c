// SPDX-License-Identifier: GPL-3.0-or-later
/* The kind "binary", member by member. */
#include "tests/unit/codec/custom_support.h"

#define F(members) "'fields':[" members "]"
#define LITTLE(members) "'endian':'little','fields':[" members "]"

Test(custom_binary, integers)
{
    static const struct custom_row rows[] = {
        {F("{'type':'u8','name':'a'}"), "ff", "a=255"},
        {F("{'type':'i8','name':'a'}"), "ff", "a=-1"},
        {F("{'type':'i8','name':'a'}"), "80", "a=-128"},
        {F("{'type':'u16','name':'a'}"), "0102", "a=258"},
        {LITTLE("{'type':'u16','name':'a'}"), "0102", "a=513"},
        {F("{'type':'u16','endian':'little','name':'a'},{'type':'u16','name':'b'}"), "01020102",
         "a=513; b=258"},
        {F("{'type':'u24','name':'a'}"), "010203", "a=66051"},
        {LITTLE("{'type':'u24','name':'a'}"), "010203", "a=197121"},
        {F("{'type':'i24','name':'a'}"), "fffffe", "a=-2"},
        {LITTLE("{'type':'i24','name':'a'}"), "feffff", "a=-2"},
        {F("{'type':'u32','name':'a'}"), "ffffffff", "a=4294967295"},
        {F("{'type':'i32','name':'a'}"), "80000000", "a=-2147483648"},
        {F("{'type':'u40','name':'a'}"), "0100000000", "a=4294967296"},
        {F("{'type':'u64','name':'a'}"), "ffffffffffffffff", "a=18446744073709551615"},
        {F("{'type':'i64','name':'a'}"), "8000000000000000", "a=-9223372036854775808"},
        {F("{'type':'i64','name':'a'}"), "ffffffffffffffff", "a=-1"},
        {F("{'type':'u32','endian':'cdab','name':'a'}"), "03040102", "a=16909060"},
        {F("{'type':'u32','endian':'badc','name':'a'}"), "02010403", "a=16909060"},
        {F("{'type':'u64','endian':'cdab','name':'a'}"), "0708050603040102", "a=72623859790382856"},
        {"'endian':'cdab'," F("{'type':'u8','name':'a'},{'type':'u16','name':'b'}"), "010203", "a=1; b=515"},
        {F("{'type':'u24','endian':'cdab','name':'a'}"), "", "/fields/0/endian"},
        {F("{'type':'u16','name':'a'}"), "01", "malformed"},
        {F("{'type':'u16','name':'a'}"), "", "malformed"},
        {F("{'type':'u16','name':'a'}"), "010203", "malformed"},
        {"'trailing':'ignore'," F("{'type':'u16','name':'a'}"), "010203", "a=258"},
        {F("{'type':'bool','name':'a'},{'type':'bool','name':'b'}"), "0002", "a=false; b=true"},
        {F("{'type':'u8','as':'bool','name':'a'}"), "07", "a=true"},
        {F("{'type':'u8','as':'text','name':'a'}"), "07", "a=7"},
        {F("{'type':'i16','as':'hex','name':'a'}"), "fffe", "a=fffe"},
        {F("{'type':'u65','name':'a'}"), "", "/fields/0/type"},
        {F("{'type':'u0','name':'a'}"), "", "/fields/0/type"},
        {F("{'type':'i1','name':'a'}"), "", "/fields/0/type"},
        {F("{'type':'u08','name':'a'}"), "", "/fields/0/type"},
        {F("{'type':'x8','name':'a'}"), "", "/fields/0/type"},
    };
    check_custom_table("binary", rows, COUNT_OF(rows));
}

Test(custom_binary, floats)
{
    static const struct custom_row rows[] = {
        {F("{'type':'f32','name':'a'}"), "41b8cccd", "a=23.1"},
        {F("{'type':'f32','name':'a'}"), "c1b8cccd", "a=-23.1"},
        {LITTLE("{'type':'f32','name':'a'}"), "cdccb841", "a=23.1"},
        {F("{'type':'f32','endian':'cdab','name':'a'}"), "cccd41b8", "a=23.1"},
        {F("{'type':'f32','name':'a'}"), "4b800000", "a=16777216"},
        {F("{'type':'f32','name':'a'}"), "7f7fffff", "a=34028235e31"},
        {F("{'type':'f32','name':'a'}"), "00000001", "a=1e-45"},
        {F("{'type':'f32','name':'a'}"), "80000000", "a=-0"},
        {F("{'type':'f16','name':'a'}"), "4dc6", "a=23.1"},
        {F("{'type':'f16','name':'a'}"), "7bff", "a=65504"},
        {F("{'type':'f16','name':'a'}"), "0001", "a=0.00000006"},
        {F("{'type':'f64','name':'a'}"), "403719999999999a", "a=23.1"},
        {F("{'type':'f64','name':'a'}"), "7fefffffffffffff", "a=17976931348623157e292"},
        {F("{'type':'f32','scale':'0.1','name':'a'}"), "41b8cccd", "a=2.31"},
        {F("{'type':'f32','name':'a'}"), "7fc00000", "bad-value"},
        {F("{'type':'f32','name':'a'}"), "7f800000", "bad-value"},
        {F("{'type':'f16','name':'a'}"), "7c00", "bad-value"},
        {F("{'type':'f32','missing':'nan','name':'a'}"), "7fc00000", ""},
        {F("{'type':'f32','missing':'nan','name':'a'}"), "ff800000", ""},
        {F("{'type':'f32','missing':'0x7f800000','name':'a'}"), "7f800000", ""},
        {F("{'type':'f32','missing':-999.5,'name':'a'}"), "c479e000", ""},
    };
    check_custom_table("binary", rows, COUNT_OF(rows));
}

Test(custom_binary, decimals_texts_octets)
{
    static const struct custom_row rows[] = {
        {F("{'type':'bcd','length':3,'name':'a'}"), "012345", "a=12345"},
        {LITTLE("{'type':'bcd','length':3,'name':'a'}"), "452301", "a=12345"},
        {F("{'type':'bcd','length':8,'scale':'0.01','name':'a'}"), "1234567890123456", "a=12345678901234.56"},
        {F("{'type':'bcd','length':1,'name':'a'}"), "1a", "bad-value"},
        {F("{'type':'bcd','length':1,'missing':'0xff','name':'a'}"), "ff", ""},
        {F("{'type':'bcd','length':9,'name':'a'}"), "", "/fields/0/length"},
        {F("{'type':'bcd','length':'rest','name':'a'}"), "", "/fields/0/length"},
        {F("{'type':'bytes','length':2,'name':'a'},{'type':'u8','name':'b'}"), "0aff07", "a=0aff; b=7"},
        {F("{'type':'bytes','length':2,'as':'hex','name':'a'}"), "0aff", "a=0aff"},
        {F("{'type':'bytes','length':'rest','name':'a'}"), "0aff07", "a=0aff07"},
        {F("{'type':'bytes','length':'rest','name':'a'}"), "", "a="},
        {F("{'type':'u8','name':'n','hidden':true},{'type':'bytes','length':'n','name':'a'}"), "020aff",
         "a=0aff"},
        {F("{'type':'u8','name':'n','hidden':true},{'type':'bytes','length':'n','name':'a'}"), "030aff",
         "malformed"},
        {F("{'type':'u64','name':'n','hidden':true},{'type':'bytes','length':'n','name':'a'}"),
         "ffffffffffffffff00", "malformed"},
        {F("{'type':'u8','name':'n','hidden':true},{'type':'bytes','length':{'field':'n','plus':-1},'name':'"
           "a'}"),
         "03 0aff", "a=0aff"},
        {F("{'type':'u8','name':'n','hidden':true},{'type':'bytes','length':{'field':'n','plus':-1},'name':'"
           "a'}"),
         "00", "malformed"},
        {F("{'type':'u8','name':'n','missing':2},{'type':'bytes','length':'n','name':'a'}"), "020aff",
         "malformed"},
        {F("{'type':'bytes','name':'a'}"), "", "/fields/0/length"},
        {F("{'type':'bytes','length':'n','name':'a'}"), "", "/fields/0/length: There is no field"},
        {F("{'type':'text','length':5,'name':'a'}"), "6869000000", "a=hi"},
        {F("{'type':'text','length':5,'name':'a'}"), "6869202020", "a=hi"},
        {F("{'type':'text','length':5,'name':'a'}"), "686900ffff", "a=hi"},
        {F("{'type':'text','length':'rest','name':'a'}"), "c3a9", "a=\xc3\xa9"},
        {F("{'type':'text','length':'rest','name':'a'}"), "e9", "bad-value"},
        {F("{'type':'text','length':4,'as':'number','unit':'Cel','name':'a'}"), "32312e35", "a=21.5 Cel"},
        {F("{'type':'text','length':4,'as':'number','name':'a'}"), "2d2d2d2d", "bad-value"},
        {F("{'type':'text','length':4,'as':'number','missing':'----','name':'a'}"), "2d2d2d2d", ""},
        {F("{'type':'text','length':2,'map':{'ON':true,'OF':false},'name':'a'}"), "4f4e", "a=true"},
    };
    check_custom_table("binary", rows, COUNT_OF(rows));
}

Test(custom_binary, bits)
{
    static const struct custom_row rows[] = {
        {F("{'type':'u4','name':'a'},{'type':'u12','name':'b'}"), "abcd", "a=10; b=3021"},
        {F("{'type':'u1','name':'a','as':'bool'},{'type':'i7','name':'b'}"), "ff", "a=true; b=-1"},
        {F("{'type':'u3','name':'a'},{'type':'u16','name':'b'},{'type':'u5','name':'c'}"), "a0001f",
         "a=5; b=0; c=31"},
        {F("{'type':'u3','name':'a'}"), "a0", "a=5"},
        {F("{'type':'u3','name':'a'}"), "a000", "malformed"},
        {F("{'type':'u3','name':'a'},{'type':'u8','name':'b'}"), "a0", "malformed"},
        {LITTLE("{'type':'u4','name':'a'},{'type':'u8','name':'b'},{'type':'u4','name':'c'}"), "1234",
         "a=1; b=35; c=4"},
        {LITTLE("{'type':'u4','name':'a'},{'type':'u16','name':'b'},{'type':'u4','name':'c'}"), "123456",
         "malformed"},
        {F("{'type':'u4','name':'a'},{'type':'text','length':1,'name':'b'}"), "1234", "malformed"},
        {F("{'type':'u4','name':'a'},{'skip':1}"), "1234", "malformed"},
        {F("{'type':'u16','bits':[{'bit':0,'name':'a'},{'bit':4,'width':8,'name':'b'},{'bit':12,'width':4,'"
           "name':'c'}]}"),
         "fab1", "a=1; b=171; c=15"},
        {LITTLE("{'type':'u16','bits':[{'bit':0,'name':'a'},{'bit':4,'width':8,'name':'b'}]}"), "b1fa",
         "a=1; b=171"},
        {F("{'type':'u8','name':'w','bits':[{'bit':0,'width':4,'signed':true,'scale':'0.5','unit':'V','name':"
           "'a'}]}"),
         "0f", "w=15; a=-0.5 V"},
        {F("{'type':'u64','bits':[{'bit':63,'name':'a'},{'bit':0,'width':64,'name':'b'}]}"),
         "8000000000000000", "a=1; b=9223372036854775808"},
        {F("{'type':'u8','bits':[{'bit':7,'expect':1},{'bit':0,'name':'a'}]}"), "81", "a=1"},
        {F("{'type':'u8','bits':[{'bit':7,'expect':1},{'bit':0,'name':'a'}]}"), "01", "malformed"},
        {F("{'type':'u8','bits':[{'bit':8,'name':'a'}]}"), "", "/fields/0/bits/0/bit"},
        {F("{'type':'u8','bits':[{'name':'a'}]}"), "", "/fields/0/bits/0/bit"},
        {F("{'type':'u8','bits':[{'bit':7,'width':2,'name':'a'}]}"), "", "/fields/0/bits/0/width"},
        {F("{'type':'i8','bits':[{'bit':7,'name':'a'}]}"), "", "/fields/0/bits"},
    };
    check_custom_table("binary", rows, COUNT_OF(rows));
}

Test(custom_binary, values)
{
    static const struct custom_row rows[] = {
        {F("{'type':'i16','scale':'0.1','unit':'Cel','name':'a'}"), "0110", "a=27.2 Cel"},
        {F("{'type':'i16','scale':0.1,'unit':'Cel','name':'a'}"), "0110", "a=27.2 Cel"},
        {F("{'type':'u16','scale':'0.01','name':'a'}"), "0064", "a=1"},
        {F("{'type':'u16','scale':'0.01','name':'a'}"), "0866", "a=21.5"},
        {F("{'type':'u16','divide':16,'name':'a'}"), "0159", "a=21.5625"},
        {F("{'type':'u8','divide':3,'name':'a'}"), "01", "a=0.33333333333333333333"},
        {F("{'type':'u16','scale':'175.72','divide':65536,'offset':'-46.85','name':'a'}"), "6350",
         "a=21.318720703125"},
        {F("{'type':'u8','offset':-40,'name':'a'}"), "28", "a=0"},
        {F("{'type':'u8','bias':-32,'scale':5,'divide':9,'name':'a'}"), "d4", "a=100"},
        {F("{'type':'i8','scale':-1,'name':'a'}"), "80", "a=128"},
        {F("{'type':'u8','scale':0,'name':'a'}"), "07", "a=0"},
        {F("{'type':'i8','scale':'0.5','name':'a'}"), "00", "a=0"},
        {F("{'type':'u8','scale':100,'name':'a'}"), "07", "a=700"},
        {F("{'type':'u8','scale':'1e3','name':'a'}"), "07", "a=7000"},
        {F("{'type':'u8','unit':'mV','name':'a'}"), "07", "a=0.007 V"},
        {F("{'type':'u16','unit':'hPa','scale':'0.1','name':'a'}"), "2786", "a=101180 Pa"},
        {F("{'type':'u8','unit':'dBm','scale':-1,'name':'a'}"), "3d", "a=-91 dBW"},
        {F("{'type':'u8','unit':'degC','name':'a'}"), "", "/fields/0/unit: \"degC\""},
        {F("{'type':'u8','divide':0,'name':'a'}"), "", "/fields/0/divide"},
        {F("{'type':'group','fields':[{'type':'u8','name':'a'}]}"), "", "/fields/0/type: This is no type"},
        {F("{'type':'u8','divide':'7.00000000000000003','name':'a'}"), "07", "a=0.99999999999999999571"},
        {F("{'type':'u8','divide':'7.000000000000000003','name':'a'}"), "", "/fields/0/divide: At most 18 digits"},
        {F("{'type':'u8','bias':'1.000000000000000003','name':'a'}"), "", "/fields/0/bias: At most 18 digits"},
        {F("{'type':'u8','scale':'x','name':'a'}"), "", "/fields/0/scale"},
        {F("{'type':'u8','scale':true,'name':'a'}"), "", "/fields/0/scale"},
        {F("{'type':'u8','scale':'1e390','name':'a'}"), "", "/fields/0: An integer of 64 bits"},
        {F("{'type':'u8','divide':'1e-300','name':'a'}"), "", "/fields/0: An integer of 64 bits"},
        {F("{'type':'u8','scale':'1.000000000000000001','name':'a'}"), "", "/fields/0/scale: At most 18 digits"},
        {F("{'type':'u8','scale':'1e-70','offset':1,'name':'a'}"), "", "/fields/0: An integer of 64 bits"},
        {F("{'type':'u8','scale':'1.00000000000000001','name':'a'}"), "02", "a=2.00000000000000002"},
        {F("{'type':'f64','scale':'1e30','name':'a'}"), "7fefffffffffffff", "bad-value"},
        {F("{'type':'u8','map':{'1':1e306},'unit':'kW','name':'a'}"), "", "/fields/0/map"},
        {F("{'type':'u8','map':{'1':1e400},'name':'a'}"), "", "/fields/0/map"},
        {F("{'type':'u8','missing':255,'name':'a'}"), "ff", ""},
        {F("{'type':'u8','missing':[254,'0xff'],'name':'a'},{'type':'u8','missing':[254,'0xff'],'name':'b'}"),
         "fefd", "b=253"},
        {F("{'type':'i16','missing':'0x8000','name':'a'}"), "8000", ""},
        {F("{'type':'i16','missing':-32768,'name':'a'}"), "8000", ""},
        {F("{'type':'i16','missing':32768,'name':'a'}"), "8000", "a=-32768"},
        {F("{'type':'i16','missing':327.67,'name':'a'}"), "7fff", "a=32767"},
        {F("{'type':'u8','min':1,'max':3,'name':'a'}"), "02", "a=2"},
        {F("{'type':'u8','min':1,'max':3,'name':'a'}"), "00", "bad-value"},
        {F("{'type':'u8','min':1,'max':3,'name':'a'}"), "04", "bad-value"},
        {F("{'type':'u8','min':1,'max':3,'outside':'missing','name':'a'}"), "04", ""},
        {F("{'type':'u8','scale':'0.1','max':'0.3','name':'a'}"), "03", "a=0.3"},
        {F("{'type':'u8','min':3,'max':1,'name':'a'}"), "", "/fields/0/min"},
        {F("{'type':'u8','map':{'0':'closed','1':'open','0x02':'ajar','3':null,'4':true,'5':'7','6':6.50},'"
           "name':'a'}"),
         "00", "a=closed"},
        {F("{'type':'u8','map':{'0':'closed','0x02':'ajar','3':null},'name':'a'}"), "02", "a=ajar"},
        {F("{'type':'u8','map':{'0':'closed','3':null},'name':'a'}"), "03", ""},
        {F("{'type':'u8','map':{'4':true},'name':'a'}"), "04", "a=true"},
        {F("{'type':'u8','map':{'6':6.50},'unit':'mV','name':'a'}"), "06", "a=0.0065 V"},
        {F("{'type':'u8','map':{'6':6},'name':'a'}"), "07", "bad-value"},
        {F("{'type':'u8','map':{'6':6},'unmapped':'missing','name':'a'}"), "07", ""},
        {F("{'type':'u8','map':{'6':null},'unmapped':'keep','scale':2,'name':'a'}"), "07", "a=14"},
        {F("{'type':'i8','map':{'-1':'no'},'name':'a'}"), "ff", "a=no"},
        {F("{'type':'u8','map':[],'name':'a'}"), "", "/fields/0/map"},
        {F("{'type':'u8','map':{'1':[]},'name':'a'}"), "", "/fields/0/map/1"},
        {F("{'type':'u8','cumulative':true,'name':'a'}"), "07", "a=7 +"},
        {F("{'type':'u8','cumulative':true,'modulus':256,'scale':'0.5','unit':'Wh','name':'a'}"), "07",
         "a=12600 J +460800"},
        {F("{'type':'u8','modulus':256,'name':'a'}"), "", "/fields/0/modulus"},
        {F("{'type':'u8','cumulative':true,'modulus':0,'name':'a'}"), "", "/fields/0/modulus"},
        {F("{'type':'u8','cumulative':true,'as':'text','name':'a'}"), "", "/fields/0/as"},
        {F("{'type':'u8','expect':'0x5a'},{'type':'u8','name':'a'}"), "5a01", "a=1"},
        {F("{'type':'u8','expect':[1,2],'name':'a'}"), "02", "a=2"},
        {F("{'type':'u8','expect':[1,2],'name':'a'}"), "03", "malformed"},
        {F("{'type':'bytes','length':2,'expect':'0x5aa5'},{'type':'u8','name':'a'}"), "5aa501", "a=1"},
        {F("{'type':'text','length':2,'expect':'OK'},{'type':'u8','name':'a'}"), "4f4b01", "a=1"},
        {F("{'type':'u8','name':'a'},{'type':'u8','optional':true,'name':'b'}"), "07", "a=7"},
        {F("{'type':'u8','name':'a'},{'type':'u8','optional':true,'name':'b'}"), "0708", "a=7; b=8"},
        {F("{'type':'u8','name':'a'},{'type':'u16','optional':true,'name':'b'}"), "0708", "malformed"},
        {F("{'type':'u8','name':'a','unit':'V','hidden':true}"), "07", ""},
        {F("{'type':'u8'}"), "07", ""},
        {F("{'type':'u8','name':'a','sclae':2}"), "", "/fields/0/sclae: There is no such member"},
        {F("{'name':'a'}"), "", "/fields/0: One of"},
        {F(""), "", "/fields"},
        {"", "", "/fields"},
    };
    check_custom_table("binary", rows, COUNT_OF(rows));
}

Test(custom_binary, places)
{
    static const struct custom_row rows[] = {
        {F("{'skip':2},{'type':'u8','name':'a'}"), "ffff07", "a=7"},
        {F("{'type':'u8','name':'a'},{'skip':'rest'}"), "07ffff", "a=7"},
        {F("{'skip':2}"), "07", "malformed"},
        {F("{'type':'u8','name':'n','hidden':true},{'skip':'n'},{'type':'u8','name':'a'}"), "01ff07", "a=7"},
        {F("{'at':2,'type':'u8','name':'a'}"), "ffff07", "a=7"},
        {F("{'at':-1,'type':'u8','name':'a'}"), "ffff07", "a=7"},
        {F("{'at':-1,'type':'u8','name':'a'},{'at':0,'type':'u16','name':'b'},{'skip':1}"), "010207",
         "a=7; b=258"},
        {F("{'at':1,'bit':3,'type':'u5','name':'a'}"), "ffe7", "a=7"},
        {F("{'at':4,'type':'u8','name':'a'}"), "ffff07", "malformed"},
        {F("{'at':-4,'type':'u8','name':'a'}"), "ffff07", "malformed"},
        {F("{'at':3,'type':'u8','name':'a'}"), "ffff07", "malformed"},
        {F("{'type':'u8','bit':3,'name':'a'}"), "", "/fields/0/bit"},
        {"'length':2," F("{'type':'u16','name':'a'}"), "0007", "a=7"},
        {"'length':3," F("{'type':'u16','name':'a'}"), "0007", "malformed"},
        {"'length':{'min':2,'max':3},'trailing':'ignore'," F("{'type':'u16','name':'a'}"), "000799", "a=7"},
        {"'length':{'max':3},'trailing':'ignore'," F("{'type':'u16','name':'a'}"), "00079999", "malformed"},
        {"'length':{'min':4,'max':3}," F("{'type':'u16','name':'a'}"), "", "/length"},
        {"'whitening':{'xor':'55'}," F("{'type':'u16','name':'a'}"), "5552", "a=7"},
        {"'whitening':{'xor':'55aa'}," F("{'type':'u24','name':'a'}"), "55aa52", "a=7"},
        {"'whitening':{'xor':'55','from':1,'to':-1}," F("{'type':'u24','name':'a'}"), "005207", "a=1799"},
        {"'whitening':{'xor':'55','from':4}," F("{'type':'u24','name':'a'}"), "005207", "malformed"},
        {"'whitening':{'xor':''}," F("{'type':'u8','name':'a'}"), "", "/whitening/xor"},
        {"'whitening':{'xor':'5'}," F("{'type':'u8','name':'a'}"), "", "/whitening/xor"},
    };
    check_custom_table("binary", rows, COUNT_OF(rows));
}

Test(custom_binary, groups)
{
    static const struct custom_row rows[] = {
        {F("{'repeat':2,'group':[{'type':'u8','name':'a{i}'}]}"), "0708", "a0=7; a1=8"},
        {F("{'repeat':2,'first':1,'group':[{'type':'u8','name':'a{i}'}]}"), "0708", "a1=7; a2=8"},
        {F("{'repeat':2,'group':[{'type':'u8','name':'a{i}'}]}"), "07", "malformed"},
        {F("{'repeat':'rest','group':[{'type':'u8','name':'a{i}'}]}"), "070809", "a0=7; a1=8; a2=9"},
        {F("{'repeat':'rest','group':[{'type':'u8','name':'a{i}'}]}"), "", ""},
        {F("{'type':'u8','name':'n','hidden':true},{'repeat':'n','group':[{'type':'u8','name':'a{i}'}]}"),
         "020708", "a0=7; a1=8"},
        {F("{'type':'u8','name':'n','hidden':true},{'repeat':'n','group':[{'type':'u8','name':'a{i}'}]}"),
         "00", ""},
        {F("{'type':'u64','name':'n','hidden':true},{'repeat':'n','group':[{'type':'u8','name':'a{i}'}]}"),
         "ffffffffffffffff07", "malformed"},
        {F("{'type':'u8','name':'n','hidden':true},{'repeat':{'field':'n','plus':1},'group':[{'type':'u8','"
           "name':'a{i}'}]}"),
         "0007", "a0=7"},
        {F("{'type':'u8','name':'c','hidden':true},{'repeat':'rest','group':[{'type':'u8','when':{'field':'c'"
           ",'is':1},'name':'a{i}'}]}"),
         "0007", "malformed"},
        {F("{'repeat':'rest','group':[{'at':0,'type':'u8','name':'a{i}'}]}"), "0708", "a0=7; a1=8"},
        {F("{'type':'u8','name':'b'},{'repeat':'rest','group':[{'at':-1,'type':'u8','name':'a{i}'}]}"),
         "010708", "b=1; a0=8"},
        {F("{'repeat':2,'group':[{'repeat':2,'group':[{'type':'u8','name':'a{i}'}]}]}"), "01020304",
         "a0=1; a1=2; a0=3; a1=4"},
        {F("{'repeat':2,'group':[{'type':'u8','name':'c','hidden':true},{'repeat':2,'group':[{'type':'u4','"
           "name':'a{c}.{i}'}]}]}"),
         "01230245", "a1.0=2; a1.1=3; a2.0=4; a2.1=5"},
        {F("{'repeat':2,'group':[{'type':'u8','name':'a'}]}"), "", "/fields/0: \"a\" is repeated"},
        {F("{'repeat':2,'group':[{'type':'u8','name':'a','hidden':true}]}"), "0102", ""},
        {F("{'repeat':2,'node':'n{i}','group':[{'type':'u8','name':'a'}]}"), "0102", "n0/a=1; n1/a=2"},
        {F("{'type':'u8','name':'a{i}'}"), "", "/fields/0/name: Nothing is repeated"},
        {F("{'repeat':0,'group':[{'type':'u8','name':'a{i}'}]}"), "", "/fields/0/repeat"},
        {F("{'repeat':2,'group':[]}"), "", "/fields/0/group"},
        {F("{'length':2,'group':[{'type':'u8','name':'a'}]}"), "0708", "malformed"},
        {F("{'length':2,'trailing':'ignore','group':[{'type':'u8','name':'a'}]},{'type':'u8','name':'b'}"),
         "07ff08", "a=7; b=8"},
        {F("{'length':2,'group':[{'type':'bytes','length':'rest','name':'a'}]},{'type':'u8','name':'b'}"),
         "07ff08", "a=07ff; b=8"},
        {F("{'length':2,'group':[{'type':'u24','name':'a'}]}"), "070809", "malformed"},
        {F("{'length':3,'repeat':'rest','group':[{'at':-1,'type':'u8','name':'a{i}'}]}"), "000007000008",
         "a0=7; a1=8"},
        {F("{'length':3,'repeat':'rest','group':[{'type':'u24','name':'a{i}'}]}"), "00000700", "malformed"},
        {F("{'group':[{'type':'u16','name':'a'}],'endian':'little'},{'type':'u16','name':'b'}"), "01000001",
         "a=1; b=1"},
        {F("{'group':[{'group':[{'group':[{'group':[{'type':'u8','name':'a'}]}]}]}]}"), "07", "a=7"},
        {F("{'group':[{'group':[{'group':[{'group':[{'group':[{'type':'u8','name':'a'}]}]}]}]}]}"), "",
         "/fields/0/group/0/group/0/group/0/group/0: Groups"},
    };
    check_custom_table("binary", rows, COUNT_OF(rows));
}

Test(custom_binary, conditions)
{
#define FLAGS "{'type':'u8','name':'f','hidden':true}"
    static const struct custom_row rows[] = {
        {F(FLAGS ",{'when':{'field':'f','bit':0},'type':'u8','name':'a'},{'when':{'field':'f','bit':7},'type'"
                 ":'u8','name':'b'}"),
         "8007", "b=7"},
        {F(FLAGS ",{'when':{'field':'f','is':3},'type':'u8','name':'a'}"), "0307", "a=7"},
        {F(FLAGS ",{'when':{'field':'f','is':[1,3]},'type':'u8','name':'a'}"), "02", ""},
        {F(FLAGS ",{'when':{'field':'f','is':3,'not':true},'type':'u8','name':'a'}"), "0207", "a=7"},
        {F(FLAGS ",{'when':{'field':'f'},'type':'u8','name':'a'}"), "0207", "a=7"},
        {F("{'type':'u8','name':'f','missing':2},{'when':{'field':'f'},'type':'u8','name':'a'}"), "02", ""},
        {F("{'type':'u8','name':'f','missing':2},{'when':{'field':'f','is':1,'not':true},'type':'u8','name':'"
           "a'}"),
         "02", ""},
        {F("{'type':'text','length':1,'name':'f'},{'when':{'field':'f','is':'T'},'type':'u8','name':'a'}"),
         "5407", "f=T; a=7"},
        {F("{'type':'u8','map':{'1':'one'},'name':'f'},{'when':{'field':'f','is':1},'type':'u8','name':'a'}"),
         "0107", "f=one; a=7"},
        {F(FLAGS ",{'when':{'field':'f','bit':0},'group':[{'type':'u8','name':'a'},{'type':'u8','name':'b'}]}"
                 ",{'when':{'field':'f','bit':1},'skip':1}"),
         "010708", "a=7; b=8"},
        {F(FLAGS ",{'when':{'field':'f','bit':0,'is':1},'type':'u8','name':'a'}"), "", "/fields/1/when"},
        {F("{'when':{'field':'f'},'type':'u8','name':'f'}"), "", "/fields/0/when: There is no field"},
        {F(FLAGS ",{'when':{'field':'f','bits':0},'type':'u8','name':'a'}"), "", "/fields/1/when/bits"},
        {F(FLAGS
           ",{'switch':'f','cases':{'1':[{'type':'u8','name':'a'}],'0x02,3':[{'type':'u16','name':'b'}]}}"),
         "0107", "a=7"},
        {F(FLAGS
           ",{'switch':'f','cases':{'1':[{'type':'u8','name':'a'}],'0x02, 3':[{'type':'u16','name':'b'}]}}"),
         "030007", "b=7"},
        {F(FLAGS ",{'switch':'f','cases':{'1':[{'type':'u8','name':'a'}]}}"), "0407", "malformed"},
        {F(FLAGS ",{'switch':'f','cases':{'1':[{'type':'u8','name':'a'}]},'default':[{'skip':'rest'}]}"),
         "0407", ""},
        {F(FLAGS ",{'switch':'f','cases':{'1':[]}},{'type':'u8','name':'a'}"), "0107", "a=7"},
        {F("{'type':'i8','name':'f','hidden':true},{'switch':'f','cases':{'-1':[{'type':'u8','name':'a'}]}}"),
         "ff07", "a=7"},
        {F(FLAGS ",{'switch':'f','cases':{'1':[],'0x01':[]}}"), "", "/fields/1/cases/0x01"},
        {F(FLAGS ",{'switch':'f','cases':{'x':[]}}"), "", "/fields/1/cases/x"},
        {F(FLAGS ",{'switch':'f','cases':{}}"), "", "/fields/1/cases"},
        {F(FLAGS ",{'switch':'f'}"), "", "/fields/1/cases"},
        {F(FLAGS ",{'switch':'g','cases':{'1':[]}}"), "", "/fields/1/switch"},
        {F(FLAGS
           ",{'switch':'f','cases':{'1':[{'type':'u8','name':'g'}],'2':[{'type':'u8','name':'a{g}'}]}}"),
         "", "/fields/1/cases/2/0/name"},
    };
    check_custom_table("binary", rows, COUNT_OF(rows));
}

Test(custom_binary, values_of_the_last_round_are_forgotten)
{
    static const struct custom_row rows[] = {
        {F("{'repeat':'rest','group':[{'type':'u8','name':'f','hidden':true},{'when':{'field':'f','is':1},'"
           "type':'u8','name':'x','hidden':true},{'when':{'field':'x'},'type':'u8','name':'a{i}'}]}"),
         "01 02 07 00 01 03 08", "a0=7; a2=8"},
    };
    check_custom_table("binary", rows, COUNT_OF(rows));
}

Test(custom_binary, names)
{
#define ID "{'type':'u8','name':'id','hidden':true}"
    static const struct custom_row rows[] = {
        {F(ID ",{'type':'u8','name':'t{id}.x'}"), "0307", "t3.x=7"},
        {F("{'type':'u8','name':'id','map':{'3':'indoor air'},'hidden':true},{'type':'u8','name':'{id}'}"),
         "0307", "indoor_air=7"},
        {F("{'type':'u8','name':'id','scale':'0.1','hidden':true},{'type':'u8','name':'t{id}'}"), "0f07",
         "t1.5=7"},
        {F("{'type':'bytes','length':2,'name':'id','hidden':true},{'type':'u8','name':'t-{id}'}"), "0aff07",
         "t-0aff=7"},
        {F("{'type':'text','length':2,'name':'id','hidden':true},{'type':'u8','name':'{id}'}"), "2d2d07",
         "bad-name"},
        {F("{'type':'u8','name':'id','missing':3,'hidden':true},{'type':'u8','name':'t{id}'}"), "0307",
         "bad-name"},
        {"'node':'probe{id}'," F(ID ",{'type':'u8','name':'a'}"), "0307", "probe3/a=7"},
        {"'node':'fixed'," F("{'type':'u8','name':'a'}"), "07", "fixed/a=7"},
        {"'node':'{id}'," F("{'type':'u8','name':'a'},{'type':'u8','missing':0,'name':'id','hidden':true}"),
         "0703", "3/a=7"},
        {"'node':'{id}'," F("{'type':'u8','name':'a'},{'type':'u8','missing':0,'name':'id','hidden':true}"),
         "0700", "a=7"},
        {"'node':'{id}'," F("{'type':'u8','name':'a'}"), "", "/node: There is no field"},
        {"'node':'a:b'," F("{'type':'u8','name':'a'}"), "", "/node"},
        {F("{'type':'u8','name':'a/b'}"), "", "/fields/0/name"},
        {F("{'type':'u8','name':'a:b'}"), "", "/fields/0/name"},
        {F("{'type':'u8','name':'_a'}"), "", "/fields/0/name"},
        {F("{'type':'u8','name':''}"), "", "/fields/0/name"},
        {F("{'type':'u8','name':'a{'}"), "", "/fields/0/name"},
        {F("{'type':'u8','name':'a{}'}"), "", "/fields/0/name"},
        {F("{'type':'u8','name':'a}'}"), "", "/fields/0/name"},
        {F("{'type':'u8','name':'{key}'}"), "", "/fields/0/name"},
        {F("{'type':'u8','name':5}"), "", "/fields/0/name"},
    };
    check_custom_table("binary", rows, COUNT_OF(rows));
}

Test(custom_binary, times)
{
#define T32 "{'type':'u32','name':'t','hidden':true}"
#define A "{'type':'u8','name':'a'}"
    static const struct custom_row rows[] = {
        {"'time':{'field':'t'}," F(A "," T32), "07691fc610", "a=7 @1763690000d"},
        {"'time':{'field':'t','epoch':946684800}," F(A "," T32), "0700000001", "a=7 @946684801d"},
        {"'time':{'field':'t','epoch':'-0.5'}," F(A "," T32), "0700000001", "a=7 @0.5d"},
        {"'time':{'field':'t','unit':'ms'}," F(A ",{'type':'u64','name':'t','hidden':true}"),
         "070000019aa4297081", "a=7 @1763690770.561d"},
        {"'time':{'field':'t','unit':'us'}," F(A "," T32), "07000f4241", "a=7 @1.000001d"},
        {"'time':{'field':'t','unit':'ns'}," F(A "," T32), "073b9aca01", "a=7 @1.000000001d"},
        {"'time':{'field':'t','as':'age'}," F(A ",{'type':'u16','name':'t','hidden':true}"), "07003c",
         "a=7 @1763692740.125r"},
        {"'time':{'field':'t','as':'offset'}," F(A ",{'type':'i8','name':'t','hidden':true}"), "07ff",
         "a=7 @1763692799.125r"},
        {"'time':{'field':'t','as':'age'}," F(A ",{'type':'u8','name':'t','scale':60,'hidden':true}"), "0701",
         "a=7 @1763692740.125r"},
        {"'time':{'field':'t'}," F(A ",{'type':'u32','name':'t','missing':0,'hidden':true}"), "0700000000",
         "a=7"},
        {"'time':{'field':'t'}," F(A ",{'type':'f64','name':'t','hidden':true}"), "0743e0000000000000",
         "bad-value"},
        {"'time':{'field':'t','unit':'rfc3339'}," F(A
                                                    ",{'type':'text','length':20,'name':'t','hidden':true}"),
         "07323032352d31312d32315430323a34303a30305a", "a=7 @1763692800d"},
        {"'time':{'field':'t','unit':'rfc3339'}," F(A ",{'type':'text','length':1,'name':'t','hidden':true}"),
         "0732", "bad-value"},
        {"'time':{'field':'t'}," F(A ",{'type':'text','length':1,'name':'t','hidden':true}"), "0732",
         "bad-value"},
        {"'time':{'field':'t'}," F(
             T32 ",{'repeat':'rest','time':{'field':'d','as':'age'},'group':[{'type':'u8','name':'a'},{'type'"
                 ":'u8','name':'d','hidden':true}]},{'type':'u8','name':'b','optional':true}"),
         "691fc610 070a 0800", "a=7 @1763689990b; a=8 @1763690000b"},
        {F("{'repeat':'rest','time':{'field':'d','as':'age'},'group':[{'type':'u8','name':'a'},{'type':'u8','"
           "name':'d','missing':0,'hidden':true}]}"),
         "070a 0800", "a=7 @1763692790.125r; a=8"},
        {F("{'repeat':'rest','time':{'field':'d'},'group':[{'type':'u8','name':'a'},{'type':'u32','name':'d',"
           "'hidden':true}]}"),
         "07691fc610", "a=7 @1763690000d"},
        {"'time':{'field':'x'}," F(A), "", "/time/field"},
        {"'time':{}," F(A), "", "/time/field"},
        {"'time':{'field':'a','unit':'min'}," F(A), "", "/time/unit"},
        {"'time':{'field':'a','as':'age','epoch':1}," F(A), "", "/time"},
        {"'time':{'field':'a','pointer':'/a'}," F(A), "", "/time/pointer"},
        {"'time':{'field':'a','epoch':1e20}," F(A), "", "/time/epoch"},
    };
    check_custom_table("binary", rows, COUNT_OF(rows));
}

Test(custom_binary, checksums)
{
    /* Each preset against its check value: what it gives for the nine characters 1 to 9. */
#define NINE "313233343536373839"
#define SUM(members) "'checksum':{" members "},'fields':[{'type':'text','length':9,'name':'a'}]"
    static const struct custom_row rows[] = {
        {SUM("'type':'sum8'"), NINE "dd", "a=123456789"},
        {SUM("'type':'sum16'"), NINE "01dd", "a=123456789"},
        {SUM("'type':'lrc8'"), NINE "23", "a=123456789"},
        {SUM("'type':'xor8'"), NINE "31", "a=123456789"},
        {SUM("'type':'sum8','xorout':'0xff'"), NINE "22", "a=123456789"},
        {SUM("'type':'sum8','init':1"), NINE "de", "a=123456789"},
        {SUM("'type':'crc8'"), NINE "f4", "a=123456789"},
        {SUM("'type':'crc8-maxim'"), NINE "a1", "a=123456789"},
        {SUM("'type':'crc16'"), NINE "bb3d", "a=123456789"},
        {SUM("'type':'crc16-ccitt'"), NINE "29b1", "a=123456789"},
        {SUM("'type':'crc16-xmodem'"), NINE "31c3", "a=123456789"},
        {SUM("'type':'crc16-kermit'"), NINE "2189", "a=123456789"},
        {SUM("'type':'crc16-x25'"), NINE "906e", "a=123456789"},
        {SUM("'type':'crc16-modbus'"), NINE "4b37", "a=123456789"},
        {SUM("'type':'crc16-modbus','endian':'little'"), NINE "374b", "a=123456789"},
        {SUM("'type':'crc32'"), NINE "cbf43926", "a=123456789"},
        /* CRC-16/DNP, CRC-8/ROHC, CRC-32/BZIP2, CRC-16/RIELLO by their parameters; refin without refout. */
        {SUM("'type':'crc16','poly':'0x3d65','init':0,'refin':true,'refout':true,'xorout':'0xffff'"),
         NINE "ea82", "a=123456789"},
        {SUM("'type':'crc8','poly':7,'init':255,'refin':true,'refout':true"), NINE "d0", "a=123456789"},
        {SUM("'type':'crc32','refin':false,'refout':false"), NINE "fc891918", "a=123456789"},
        {SUM("'type':'crc16-kermit','init':'0xb2aa'"), NINE "63d0", "a=123456789"},
        {SUM("'type':'crc16-xmodem','refout':true"), NINE "c38c", "a=123456789"},
        {SUM("'type':'crc16-modbus'"), NINE "4b38", "malformed"},
        {SUM("'type':'crc32'"), "010203", "malformed"},
        {"'checksum':{'type':'sum8','at':0,'from':1}," F("{'skip':1},{'type':'u16','name':'a'}"), "030102",
         "a=258"},
        {"'checksum':{'type':'sum8','at':1,'to':1}," F(
             "{'type':'u8','name':'a'},{'skip':1},{'type':'u8','name':'b'}"),
         "070708", "a=7; b=8"},
        {"'checksum':{'type':'sum8','from':1}," F("{'type':'u8','name':'a'},{'type':'u8','name':'b'}"),
         "070808", "a=7; b=8"},
        {"'checksum':{'type':'sum8','from':3}," F("{'type':'u8','name':'a'}"), "0707", "malformed"},
        {"'checksum':{'type':'sum8','at':5}," F("{'type':'u8','name':'a'}"), "0707", "malformed"},
        {"'whitening':{'xor':'ff'},'checksum':{'type':'sum8'}," F("{'type':'u8','name':'a'}"), "f8f8", "a=7"},
        {"'whitening':{'xor':'ff'},'checksum':{'type':'sum8','of':'sent'}," F("{'type':'u8','name':'a'}"),
         "f8f8", "a=7"},
        {"'whitening':{'xor':'0f','to':-1},'checksum':{'type':'sum8','of':'sent'}," F(
             "{'type':'u8','name':'a'}"),
         "0808", "a=7"},
        {"'whitening':{'xor':'0f','to':-1},'checksum':{'type':'sum8'}," F("{'type':'u8','name':'a'}"), "0807",
         "a=7"},
        {SUM("'type':'crc17'"), "", "/checksum/type"},
        {SUM("'at':0"), "", "/checksum/type"},
        {SUM("'type':'sum8','poly':7"), "", "/checksum/poly"},
        {SUM("'type':'crc8','poly':256"), "", "/checksum/poly"},
    };
    check_custom_table("binary", rows, COUNT_OF(rows));
}

Test(custom_binary, limits_of_a_payload)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct custom_error error;
    uint8_t payload[2048] = {0};
    struct custom *custom = custom_compile(
        custom_wrap(arena, "binary", F("{'repeat':'rest','group':[{'type':'u8','name':'a{i}'}]}")), &error);
    cr_assert(custom);
    struct format_input input = custom_input(bytes_of(payload, 1025));
    cr_expect_str_eq(custom_result_of(custom, &input, arena), "too-complex");
    input.payload.len = 1024;
    cr_expect_str_neq(custom_result_of(custom, &input, arena), "too-complex");
    input.limits.records = 10;
    cr_expect_str_eq(custom_result_of(custom, &input, arena), "too-complex");
    custom_free(custom);

    /* Much work and no record: conditions that never hold. */
    custom = custom_compile(
        custom_wrap(arena, "binary",
                    F("{'type':'u8','name':'f','hidden':true},{'repeat':'rest','group':[{'type':'u1'},{'when'"
                      ":{'field':'f','is':1},'type':'u8','name':'a{i}'}]}")),
        &error);
    cr_assert(custom);
    input = custom_input(bytes_of(payload, sizeof(payload)));
    input.limits.items = 100;
    cr_expect_str_eq(custom_result_of(custom, &input, arena), "too-complex");
    custom_free(custom);
    arena_free(arena);
}

static enum outcome outcome_of(const struct custom *custom, const struct format_input *input)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct observation_list list;
    enum outcome outcome = custom_decode(custom, input, arena, &list, NULL);
    arena_free(arena);
    return outcome;
}

/* Values count whether they come out or not, floats for more, and what payloads share is shared. */
Test(custom_binary, work_of_a_payload)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct custom_error error;
    uint8_t payload[8200] = {0};
    struct format_limits limits = FORMAT_LIMITS_DEFAULT;
    struct custom *custom =
        custom_compile(custom_wrap(arena, "binary",
                                   F("{'type':'u8','name':'a'},{'repeat':'rest','group':[{'type':'u8','name':"
                                     "'z','hidden':true,'bias':'1e-20','scale':'1.23456789012345678',"
                                     "'divide':'7.00000000000000003'}]}")),
                       &error);
    cr_assert(custom, "%s", error.detail);
    struct format_input input = custom_input(bytes_of(payload, 8192));
    cr_expect_eq(outcome_of(custom, &input), OUTCOME_CHANGED);
    input.payload.len = 8193;
    cr_expect_eq(outcome_of(custom, &input), OUTCOME_TOO_COMPLEX);

    struct format_work work = custom_work(&limits, 1);
    cr_expect_eq(work.values, 8192);
    input.work = &work;
    input.payload.len = 4096;
    cr_expect_eq(outcome_of(custom, &input), OUTCOME_CHANGED);
    cr_expect_eq(work.values, 4096);
    cr_expect_eq(outcome_of(custom, &input), OUTCOME_CHANGED);
    cr_expect_eq(work.values, 0);
    cr_expect_eq(outcome_of(custom, &input), OUTCOME_TOO_COMPLEX);
    cr_expect_eq(custom_work(&limits, 1000).values, 4 * 8192);
    custom_free(custom);

    custom = custom_compile(custom_wrap(arena, "binary",
                                        F("{'type':'u8','name':'a'},{'repeat':'rest','group':[{'type':'f16',"
                                          "'name':'z','hidden':true}]}")),
                            &error);
    cr_assert(custom);
    input = custom_input(bytes_of(payload, 1 + 2 * 2047));
    cr_expect_eq(outcome_of(custom, &input), OUTCOME_CHANGED);
    input.payload.len += 2;
    cr_expect_eq(outcome_of(custom, &input), OUTCOME_TOO_COMPLEX);
    custom_free(custom);
    arena_free(arena);
}

/* Whatever the arena cannot give is said so, and nothing else happens. */
Test(custom_binary, survives_any_lack_of_memory)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    struct custom_error error;
    struct custom *custom = custom_compile(
        custom_wrap(arena, "binary",
                    "'whitening':{'xor':'01'},'node':'n{b}'," F(
                        "{'type':'u8','name':'b','hidden':true},{'repeat':'rest','group':[{'type':'i16','"
                        "name':'a{i}','scale':'0.1','cumulative':true,'modulus':5}]}")),
        &error);
    cr_assert(custom, "%s", error.detail);
    struct format_input input = custom_input(custom_octets(arena, "0102030405060708090a0b"));
    size_t failures = 0;
    for (size_t limit = 0;; limit += 24) {
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
