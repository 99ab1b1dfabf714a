// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Anything a stranger can send to a live association, and to a handshake that is under way (T15): the input is cut into
 * datagrams (two bytes of length each) that are fed as they are. Property: the association lives and reads its peer's
 * next genuine record.
 */
#include "tests/unit/gateway/dtls_lab.h"

static struct lab lab;

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void open_once(void)
{
    static bool is_open;
    if (is_open)
        return;
    is_open = true;
    lab_prepare(&lab);
    lab.settings.dtls_handshakes_per_s = lab.settings.dtls_handshakes_per_network_per_s = 1000000;
    lab.settings.dtls_handshakes_per_identity_per_minute = 1000000;
    must(lab_open(&lab));
}

static void feed_all(struct lab_pair *pair, const uint8_t *data, size_t size)
{
    while (size > 2 && pair->session) {
        size_t len = (size_t)data[0] << 8 | data[1];
        struct bytes message, datagram;
        bool newest = false;
        len = len < size - 2 ? len : size - 2;
        len = len < ENDPOINT_DATAGRAM_MAX ? len : ENDPOINT_DATAGRAM_MAX;
        datagram = bytes_of(data + 2, len);
        while (datagram.len && pair->session) {
            enum dtls_event event = lab_serve(pair, datagram, &message, &newest);
            must(event == DTLS_NOTHING || (event == DTLS_CLOSED && !pair->established));
            datagram = (struct bytes){0};
        }
        data += 2 + len;
        size -= 2 + len;
    }
}

static void talk(struct lab_pair *pair)
{
    struct bytes datagram, message;
    bool newest;
    must(wolfSSL_write(pair->client.ssl, "ping", 4) == 4 && lab_pop(&pair->to_server, &datagram));
    must(lab_serve(pair, datagram, &message, &newest) == DTLS_DATA && bytes_equal_text(message, "ping"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct lab_pair pair;
    if (size < 2)
        return 0;
    open_once();
    lab.now_ms += 100000;
    struct lab_client_options options = {.identity = "acme/boiler-7", .no_cid = data[0] & 1, .version13 = data[0] & 2};
    if (!options.version13)
        options.suites = "PSK-AES128-CCM-8";
    must(lab_pair_open(&pair, &lab, &options));
    for (unsigned i = 0; i < 2; i++) { /* up to the server's flight */
        lab_client_step(&pair.client);
        lab_serve_all(&pair);
    }
    must(pair.session != NULL);
    if (data[0] & 4) { /* a handshake may fail, but not with memory errors */
        feed_all(&pair, data + 1, size - 1);
    } else {
        must(lab_handshake(&pair));
        if (data[0] & 8)
            talk(&pair);
        feed_all(&pair, data + 1, size - 1);
        must(pair.session != NULL);
        talk(&pair);
    }
    lab_pair_close(&pair);
    return 0;
}
