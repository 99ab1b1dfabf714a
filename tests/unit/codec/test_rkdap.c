// SPDX-License-Identifier: GPL-3.0-or-later
/* RKDAP 1.1. */
#include "codec/rkdap.h"

#include "tests/unit/codec/legacy.h"

#define DATA(items) "{\"method\":\"dad_data\",\"ver\":\"1.1\",\"dad_id\":\"ED_25\",\"data\":[" items "]}"
#define ITEM(id, value) "{\"id\":\"" id "\",\"period\":\"2014-08-23T10:25:12\",\"value\":" value "}"
#define AT " @1408789512"

Test(rkdap, table)
{
    static const struct expectation table[] = {
        {DATA(ITEM("A45_T", "21.75") "," ITEM("A45_L", "35") "," ITEM("A45_O", "1")),
         "A45.T=21.75 Cel" AT "; A45.L=35" AT "; A45.O=1" AT},
        {DATA(ITEM("CDFB_H", "87") "," ITEM("CDFB_B", "256") "," ITEM("CDFB_T", "18.625") "," ITEM("CDFB_+", "2")),
         "CDFB.H=87 %RH" AT "; CDFB.B=2.56 V" AT "; CDFB.T=18.625 Cel" AT},
        {DATA(ITEM("CDFB_B", "3300") "," ITEM("CDFB_B", "3.3") "," ITEM("CDFB_B", "999") "," ITEM("CDFB_B", "1000")),
         "CDFB.B=3.3 V" AT "; CDFB.B=3.3 V" AT "; CDFB.B=9.99 V" AT "; CDFB.B=1 V" AT},
        {DATA(ITEM("A_v", "42") "," ITEM("A_vC", "1158") "," ITEM("A_vac", "2") "," ITEM("A_occ", "50")),
         "A.v=0.42 /" AT "; A.vC=11.58 / +" AT "; A.vac=7200 s" AT "; A.occ=0.5 /" AT},
        {DATA(ITEM("A_tT", "20") "," ITEM("A_tS", "2") "," ITEM("A_x_y", "1.50") "," ITEM("A_s", "\"on\"")),
         "A.tT=20 Cel" AT "; A.tS=2 Cel" AT "; A.x_y=1.50" AT "; A.s='on'" AT},
        {DATA("{\"id\":\"A45_T\",\"period\":\"2014-08-23T10:25:12Z\",\"value\":1,\"more\":[]}"), "A45.T=1 Cel" AT},
        {DATA(), ""},
        {"{\"data\":[],\"ver\":\"1.1\",\"method\":\"dad_data\"}", ""},
        {"{\"data\":[],\"ver\":\"1.0\",\"method\":\"dad_data\"}", "bad-version"},
        {"{\"data\":[],\"ver\":1.1,\"method\":\"dad_data\"}", "bad-version"},
        {"{\"data\":[],\"method\":\"dad_data\"}", "bad-version"},
        {"{\"data\":[],\"ver\":\"1.1\",\"method\":\"dad_config\"}", "bad-value"},
        {"{\"data\":[],\"ver\":\"1.1\"}", "bad-value"},
        {"{\"ver\":\"1.1\",\"method\":\"dad_data\"}", "bad-value"},
        {"{\"data\":{},\"ver\":\"1.1\",\"method\":\"dad_data\"}", "bad-value"},
        {DATA("7"), "bad-value"},
        {DATA("{\"id\":\"A45_T\",\"value\":1}"), "bad-value"},
        {DATA("{\"id\":\"A45_T\",\"period\":\"2014-08-23T10:25:12\"}"), "bad-value"},
        {DATA("{\"period\":\"2014-08-23T10:25:12\",\"value\":1}"), "bad-value"},
        {DATA("{\"id\":\"A45_T\",\"period\":\"yesterday\",\"value\":1}"), "bad-value"},
        {DATA("{\"id\":\"A45_T\",\"period\":1408789512,\"value\":1}"), "bad-value"},
        {DATA(ITEM("A45", "1")), "bad-name"},
        {DATA(ITEM("_T", "1")), "bad-name"},
        {DATA(ITEM("A45_", "1")), "bad-name"},
        {DATA(ITEM("--_T", "1")), "bad-name"},
        {DATA(ITEM("A45_--", "1")), "bad-name"},
        {DATA(ITEM("A45_T", "null")), "bad-value"},
        {DATA(ITEM("A45_T", "1e999")), "bad-value"},
        {DATA(ITEM("A45_T", "1") "," ITEM("A45_L", "{}")), "bad-value"},
        {"[]", "bad-value"},
        {"", "malformed"},
    };
    check_told(CONTENT_FORMAT_RKDAP, table, COUNT_OF(table), false);
}
