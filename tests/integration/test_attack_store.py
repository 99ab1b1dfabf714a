# SPDX-License-Identifier: GPL-3.0-or-later
"""Packs made to fill the way to Redis: nothing is cut off in the middle, nothing is acknowledged that is not stored."""
import json

import coap
import lib
from coap import POST, Peer, request
from http_raw import Connection
from lib import curl, equal
from test_redis_faults import Stand, ask, stored

WORKERS = (2,)

SENML = "application/senml+json"
CONNECTIONS = 240


def pack(unit_length, records, name="fill"):
    return json.dumps([{"bu": "u" * unit_length, "n": name, "v": 1}] + [{"n": name, "v": 1}] * (records - 1),
                      separators=(",", ":"))


def test_repeated_base_unit(gateway):
    """a long base unit that hundreds of records repeat is refused, a short one is not"""
    url = "http://127.0.0.1:%d/obs" % gateway.http_port
    for unit_length, status in ((50000, 413), (40, 204)):
        answer = curl(url, data=pack(unit_length, 700, "rep"), content_type=SENML, token=gateway.device_token)
        equal(answer.status, status, "base unit of %d bytes" % unit_length)
    equal(len(gateway.observations(name="rep")), 700)


def has_no_room(gateway):
    return gateway.metric("weir_outcomes_total", 'outcome="out-of-memory"') + gateway.metric(
        "weir_outcomes_total", 'outcome="overloaded"') > 0


def test_unsent_transactions(workers):
    """more transactions than the way to a Redis that stands still can hold: later single records are really stored"""
    # What is refused by a time-out is done by Redis all the same when it goes on: none must come.
    with Stand(workers, redis_connections=1, redis_timeout_ms=60000, answer_deadline_ms=90000) as (gateway, redis):
        body = pack(350, 700).encode()
        head = ("POST /obs HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d"
                "\r\n\r\n" % (gateway.device_token, SENML, len(body))).encode()
        equal(ask(gateway, 1).code_text, "2.04")
        redis.freeze()
        connections = []
        try:
            for i in range(CONNECTIONS * workers):
                connection = Connection(gateway.http_port, source="127.0.4.%d" % (i % 250 + 1))
                connections.append(connection)
                connection.send(head + body)
                if i % 20 == 19 and has_no_room(gateway):
                    break
            lib.wait_until(lambda: has_no_room(gateway), "no more room")
            redis.thaw()
            statuses = [connection.answer().status for connection in connections]
        finally:
            for connection in connections:
                connection.sock.close()
        assert set(statuses) == {204, 503}, set(statuses)
        for value in range(2, 6):
            equal(ask(gateway, value, device="victim").code_text, "2.04")
        equal(stored(redis), [1, 2, 3, 4, 5])
        equal(len(stored(redis, "fill")), 700 * statuses.count(204))


def test_other_things_at_the_keys(workers):
    """a stream key of another type: 5.03 for single records and for packs, and recovery"""
    with Stand(workers) as (gateway, redis):
        with redis.client() as client:
            client("SET", "weir:{demo}:obs", "x")
            equal(ask(gateway, 1).code_text, "5.03")
            with Peer(gateway.coap_port) as p:
                equal(p.ask(request(POST, "/obs", query=["d=r"], format=coap.SENML_JSON,
                                    payload='[{"n":"r","v":2},{"n":"r","v":3}]')).code_text, "5.03")
            client("DEL", "weir:{demo}:obs")
        equal(ask(gateway, 4).code_text, "2.04")
        equal(stored(redis), [4])


def test_redis_out_of_memory(workers):
    """a full Redis: 5.03 for single records and for packs, nothing of them stored"""
    with Stand(workers) as (gateway, redis):
        with redis.client() as client:
            client("CONFIG", "SET", "maxmemory", "1mb")
            equal(ask(gateway, 1).code_text, "5.03")
            with Peer(gateway.coap_port) as p:
                equal(p.ask(request(POST, "/obs", query=["d=r"], format=coap.SENML_JSON,
                                    payload='[{"n":"r","v":2},{"n":"r","v":3}]')).code_text, "5.03")
            client("CONFIG", "SET", "maxmemory", "0")
        equal(ask(gateway, 4).code_text, "2.04")
        equal(stored(redis), [4])
