// SPDX-License-Identifier: GPL-3.0-or-later
/* Lines of InfluxDB's line protocol. NOW is 1763692800.125. */
#include "codec/influx.h"

#include "tests/unit/codec/oem_support.h"

#define INFLUX CONTENT_FORMAT_INFLUX
#define X " @1763692800.125x\n"
#define T " @1465839830.1004002d\n"

Test(influx, lines)
{
    static const struct request_expectation table[] = {
        /* The example of InfluxDB's documentation. */
        {"", "weather,location=us-midwest temperature=82 1465839830100400200",
         "weather.temperature.location-us-midwest=82" T},
        {"", "weather temperature=82,bug_concentration=98i",
         "weather.temperature=82" X "weather.bug_concentration=98" X},
        {"", "m value=1.50", "m=1.50" X},
        {"", "m,device=roof value=1", "roof/m=1" X},
        {"", "m,device=roof,host=pi value=1", "roof/m.host-pi=1" X},
        {"", "cpu,host=pi,cpu=cpu0 usage=1", "pi/cpu.usage.cpu-cpu0=1" X},
        {"", "m,b=2,a=1,ab=3 f=1", "m.f.a-1.ab-3.b-2=1" X},
        {"", "m,a=1,b=2 f=1", "m.f.a-1.b-2=1" X},
        {"node_tag=sensor", "m,device=roof,sensor=s1 f=1", "s1/m.f.device-roof=1" X},
        {"node_tag=sensor", "m,device=roof f=1", "m.f.device-roof=1" X},
        {"", "m a=t,b=T,c=true,d=True,e=TRUE,f=f,g=F,h=false,i=False,j=FALSE",
         "m.a=true" X "m.b=true" X "m.c=true" X "m.d=true" X "m.e=true" X
         "m.f=false" X "m.g=false" X "m.h=false" X "m.i=false" X "m.j=false" X},
        {"", "m a=-1.5e2,b=1E3,c=.5,d=5.,e=+3,f=-3i,g=5u", 
         "m.a=-1.5e2" X "m.b=1e3" X "m.c=0.5" X "m.d=5" X "m.e=3" X "m.f=-3" X "m.g=5" X},
        {"", "m a=9223372036854775807i,b=-9223372036854775808i,c=18446744073709551615u",
         "m.a=9223372036854775807" X "m.b=-9223372036854775808" X "m.c=18446744073709551615" X},
        {"", "m a=\"text\",b=\"\",c=\"a, b=c d\",d=\"say \\\"hi\\\"\",e=\"a\\\\b\",f=\"a\\nb\"",
         "m.a=\"text\"" X "m.b=\"\"" X "m.c=\"a, b=c d\"" X "m.d=\"say \"hi\"\"" X "m.e=\"a\\b\"" X "m.f=\"a\\nb\"" X},
        {"", "m a=\"\xc3\xa4\"", "m.a=\"\xc3\xa4\"" X},
        /* Backslashes: escaped ones go, all others stay; what is no name becomes '_'. */
        {"", "my\\ m\\,x,t\\ k\\==v\\,\\ w f\\ g\\=h=1", "my_m_x.f_g_h.t_k_-v__w=1" X},
        {"", "m,device=a\\b f=1", "a_b/m.f=1" X},
        {"", "m,device=a\\\\b f=1", "a__b/m.f=1" X},
        {"", "m=x f=1", "m_x.f=1" X},
        {"", "  m  f=1   1465839830100400200  ", "m.f=1" T},
        {"", "m f=1 -1500000000", "m.f=1 @-1.5d\n"},
        {"", "m f=1 0", "m.f=1 @0d\n"},
        {"precision=ns", "m f=1 1465839830100400200", "m.f=1" T},
        {"precision=us", "m f=1 1465839830100400", "m.f=1 @1465839830.1004d\n"},
        {"precision=u", "m f=1 1465839830100400", "m.f=1 @1465839830.1004d\n"},
        {"precision=ms", "m f=1 1465839830100", "m.f=1 @1465839830.1d\n"},
        {"precision=s", "m f=1 1465839830", "m.f=1 @1465839830d\n"},
        {"precision=second", "m f=1 1465839830", "m.f=1 @1465839830d\n"},
        {"precision=m", "m f=1 24430663", "m.f=1 @1465839780d\n"},
        {"precision=h", "m f=1 -1", "m.f=1 @-3600d\n"},
        {"precision=s", "m f=1", "m.f=1" X},
        {"", "", ""},
        {"", "  ", ""},
        {"", "# weather f=1", ""},
    };
    check_request_table(INFLUX, table, COUNT_OF(table));
}

Test(influx, refusals)
{
    static const struct request_expectation table[] = {
        {"", "m", "malformed"},
        {"", "m ", "malformed"},
        {"", "m 1465839830100400200", "malformed"},
        {"", ",a=1 f=1", "malformed"},
        {"", "m, f=1", "malformed"},
        {"", "m,a f=1", "malformed"},
        {"", "m,a= f=1", "malformed"},
        {"", "m,=1 f=1", "malformed"},
        {"", "m,a=1=2 f=1", "malformed"},
        {"", "m f", "malformed"},
        {"", "m f=", "malformed"},
        {"", "m =1", "malformed"},
        {"", "m f=1,", "malformed"},
        {"", "m f=1,,g=2", "malformed"},
        {"", "m f=\"abc", "malformed"},
        {"", "m f=\"abc\\\"", "malformed"},
        {"", "m f=\"abc\"d", "malformed"},
        {"", "m f=1 soon", "malformed"},
        {"", "m f=1 1.5", "malformed"},
        {"", "m f=1 1 2", "malformed"},
        {"", "m f=1 -", "malformed"},
        {"", "m f=1 9223372036854775808", "malformed"},
        {"", "m f=x", "bad-value"},
        {"", "m f=tRUE", "bad-value"},
        {"", "m f=i", "bad-value"},
        {"", "m f=1.5i", "bad-value"},
        {"", "m f=-5u", "bad-value"},
        {"", "m f=9223372036854775808i", "bad-value"},
        {"", "m f=-9223372036854775809i", "bad-value"},
        {"", "m f=18446744073709551616u", "bad-value"},
        {"", "m f=NaN", "bad-value"},
        {"", "m f=1e999", "bad-value"},
        {"", "m f=\"\xff\"", "bad-value"},
        {"", "m,a=1,a=2 f=1", "duplicate-key"},
        {"", "m f=1,f=2", "duplicate-key"},
        {"", "m f\\ g=1,f_g=2", "duplicate-key"},
        {"", "m,device=// f=1", "bad-name"},
        {"", "// f=1", "bad-name"},
        {"precision=days", "m f=1 1", "bad-value"},
        {"precision=", "m f=1 1", "bad-value"},
        {"precision=h", "m f=1 9223372036854775807", "bad-value"},
    };
    check_request_table(INFLUX, table, COUNT_OF(table));
}

Test(influx, limits)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    char line[1024] = "m";
    for (unsigned i = 0; i < 33; i++)
        sprintf(line + strlen(line), ",t%u=1", i);
    strcat(line, " f=1");
    cr_expect_str_eq(decoded_with(INFLUX, "", bytes_of_text(line), arena), "too-complex");
    struct format_input input = {.now = NOW, .limits = {.depth = 1, .items = 4096, .records = 3}};
    struct observation_list list;
    input.payload = BYTES_LITERAL("m a=1,b=2,c=3");
    cr_expect_eq(influx_decode(&input, arena, &list, NULL), OUTCOME_CHANGED);
    input.payload = BYTES_LITERAL("m a=1,b=2,c=3,d=4");
    cr_expect_eq(influx_decode(&input, arena, &list, NULL), OUTCOME_TOO_COMPLEX);
    arena_free(arena);
    arena = arena_new(64);
    cr_expect_eq(influx_decode(&input, arena, &list, NULL), OUTCOME_OUT_OF_MEMORY);
    arena_free(arena);
}

/* More fields than fit at first. */
Test(influx, many_fields)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    char line[4096] = "m ";
    for (unsigned i = 0; i < 100; i++)
        sprintf(line + strlen(line), "%sf%u=%u", i ? "," : "", i, i);
    struct format_input input = {.now = NOW, .limits = FORMAT_LIMITS_DEFAULT, .payload = bytes_of_text(line)};
    struct observation_list list;
    cr_assert_eq(influx_decode(&input, arena, &list, NULL), OUTCOME_CHANGED);
    cr_assert_eq(list.count, 100);
    for (size_t i = 0; i < list.count; i++)
        cr_expect_eq(list.items[i].number.approx, (double)i);
    arena_free(arena);
}
