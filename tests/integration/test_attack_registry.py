# SPDX-License-Identifier: GPL-3.0-or-later
"""Records that were switched off, and keys that are no records: whoever is in doubt may not speak."""
import coap
import lib
from coap import GET, POST, Peer, request
from lib import curl, equal
from test_redis_faults import Stand, ask, stored


def change(client, object, tenant, id=""):
    client("XADD", "weir:changes", "*", "o", object, "t", tenant, "d", id)


def operator_status(gateway):
    return curl("http://127.0.0.1:%d/obs" % gateway.http_port, token=gateway.operator_token).status


def test_disabled_tenant_on_a_mapped_network(workers):
    """a mapped network neither writes nor reads for a tenant that is disabled; its observers are told"""
    with Stand(workers) as (gateway, redis), redis.client() as client, Peer(gateway.coap_port) as watcher:
        equal(ask(gateway, 1).code_text, "2.04")
        observing = request(GET, "/obs", query=["device=r"], options=[(coap.OBSERVE, b"")])
        assert watcher.ask(observing).option(coap.OBSERVE) is not None
        client("HSET", "weir:{demo}:meta", "disabled", "1")
        change(client, "tenant", "demo")
        lib.wait_until(lambda: ask(gateway, 0, name="probe").code_text == "4.03", "the tenant may not write")
        with Peer(gateway.coap_port) as p:
            equal(p.ask(request(GET, "/obs", query=["device=r"])).code_text, "4.03")
            equal(p.ask(request(GET, "/time")).code_text, "4.03")
            equal(p.ask(request(GET, "/.well-known/core")).code_text, "2.05")
        equal(ask(gateway, 2).code_text, "4.03")
        client("HSET", "weir:{demo}:meta", "disabled", "0")
        change(client, "tenant", "demo")
        lib.wait_until(lambda: ask(gateway, 0, name="probe").code_text == "2.04", "the tenant may write again")
        equal(stored(redis), [1])


def test_no_hash_at_a_record(workers):
    """a key that is no hash is nobody's record: a disabled tenant does not come to life by it"""
    with Stand(workers) as (gateway, redis), redis.client() as client:
        client("HSET", "weir:{demo}:meta", "disabled", "1")
        change(client, "tenant", "demo")
        lib.wait_until(lambda: operator_status(gateway) == 401, "the tenant is disabled")
        client("DEL", "weir:{demo}:meta")
        client("SET", "weir:{demo}:meta", "x")
        change(client, "tenant", "demo")
        client("HSET", "weir:{demo}:dev:marker", "disabled", "1")
        change(client, "device", "demo", "marker")
        lib.wait_until(lambda: ask(gateway, 1, device="marker").code_text == "4.03" or
                       operator_status(gateway) != 401, "the change has been read")
        equal(operator_status(gateway), 401)


def test_no_set_at_an_index(workers):
    """a tenant whose list of devices is no set has none; the others are loaded all the same"""
    with Stand(workers) as (gateway, redis), redis.client() as client:
        gateway.cli("tenant", "add", "acme")
        client("SET", "weir:{acme}:devices", "x")
        gateway.terminate()
        gateway.start()
        lib.wait_until(lambda: operator_status(gateway) == 200, "the demo tenant is known")
        equal(curl("http://127.0.0.1:%d/ready" % gateway.ops_port).status, 200)


def test_disabled_device_on_a_mapped_network(gateway):
    """a mapped network does not write for a device that is disabled, by query or by base name"""
    gateway.add_device("demo/off-1")
    gateway.cli("device", "disable", "demo/off-1")
    with Peer(gateway.coap_port) as p:
        def post(body, *query):
            return p.ask(request(POST, "/obs", query=query, payload=body, format=coap.SENML_JSON)).code_text
        lib.wait_until(lambda: post('[{"n":"probe","v":1}]', "d=off-1") == "4.03", "the device is known as disabled")
        equal(post('[{"bn":"off-1:","n":"x","v":1}]'), "4.03")
        equal(post('[{"n":"x","v":1},{"n":"off-1:x","v":1}]', "d=off-2"), "4.03")
    equal([e for e in gateway.observations() if "off-1:x" in e["n"] or e["d"] == "off-2"], [])
