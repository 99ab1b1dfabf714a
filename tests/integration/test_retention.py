# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules send observations to streams of their own; retention trims, and never what a consumer group has not read.

The tests go on from each other: what the first ones add the later ones remove or list.
"""
import json
import time

import lib
from lib import curl, equal, wait_until

SETTINGS = {"retention_period_s": 1}
WORKERS = (1,)
OBS = "weir:{demo}:obs"


def stream_key(name):
    return "weir:{demo}:stream:" + name


def post(gateway, *names):
    body = json.dumps([{"n": name, "v": 1} for name in names])
    answer = curl("http://127.0.0.1:%d/obs" % gateway.http_port, data=body, content_type="application/senml+json",
                  token=gateway.device_token)
    equal(answer.status, 204)


def entries(gateway, key, name=None):
    """[{field: value}] in the order in which they are written; name: of this name only."""
    found = []
    for _, fields in gateway.redis("XRANGE", key, "-", "+"):
        words = [field.decode() for field in fields]
        entry = dict(zip(words[::2], words[1::2]))
        if name in (None, entry.get("n")):
            found.append(entry)
    return found


def posted(gateway, name, key):
    """Posts until an entry of the name is in this stream: rules take effect within a second."""
    def attempt():
        post(gateway, name)
        return entries(gateway, key, name)
    return wait_until(attempt, "%s is in %s" % (name, key))


def fill(gateway, key, count):
    for i in range(count):
        gateway.redis("XADD", key, "*", "i", str(i))


def set_stream(gateway, name, *options):
    gateway.cli("stream", "set", "demo", name, *options)


def length(gateway, key):
    return gateway.redis("XLEN", key)


def test_default(gateway):
    """nothing is trimmed by default, and everything is in obs"""
    posted(gateway, "plain", OBS)
    fill(gateway, OBS, 300)
    time.sleep(2.5)  # two rounds: what must not happen cannot be waited for
    assert length(gateway, OBS) >= 301
    equal(gateway.metric("weir_stream_trimmed_total"), 0)


def test_route(gateway):
    """a rule sends a series to its own stream with its tags, and no other series"""
    gateway.cli("rule", "add", "demo", "hot", "--name=hot*", "--stream=heat", "--tag=floor=2nd,house=north wing")
    entry = posted(gateway, "hot1", stream_key("heat"))[0]
    names = list(entry)
    equal(names, ["d", "n", "u", "t", "q", "k", "v", "s", "c", "a", "b", "m", "w", "y", "floor", "house"])
    equal((entry["floor"], entry["house"], entry["v"]), ("2nd", "north wing", "1"))
    post(gateway, "cold", "hot2")
    cold = wait_until(lambda: entries(gateway, OBS, "cold"), "cold is in obs")
    hot = wait_until(lambda: entries(gateway, stream_key("heat"), "hot2"), "hot2 is in heat")
    equal((len(cold), len(hot)), (1, 1))
    equal(entries(gateway, OBS, "hot2"), [])
    equal(hot[0]["m"], cold[0]["m"], "one message")
    equal("floor" in cold[0], False)


def test_latest(gateway):
    """rules and latest values are there after a restart, also those from a stream of their own"""
    gateway.terminate()
    gateway.start()
    posted(gateway, "hot4", stream_key("heat"))
    equal(entries(gateway, OBS, "hot4"), [])
    def known():
        answer = curl("http://127.0.0.1:%d/obs" % gateway.http_port, token=gateway.operator_token)
        return answer.status == 200 and any(r["n"].endswith(":hot2") for r in answer.json())
    wait_until(known, "GET /obs has hot2")


def test_order(gateway):
    """the first rule that matches decides; without a stream it only adds tags"""
    gateway.cli("rule", "add", "demo", "first", "--name=hot9", "--order=1", "--tag=kind=special")
    entry = posted(gateway, "hot9", OBS)[0]
    equal(entry["kind"], "special")
    listed = json.loads(gateway.cli("rule", "list", "demo", "--json").out)
    equal([rule["rule"] for rule in listed], ["first", "hot"])
    equal(listed[0]["tags"], {"kind": "special"})
    assert "north wing" in gateway.cli("rule", "show", "demo", "hot").out


def test_removed(gateway):
    """a rule that is removed takes effect live"""
    stored = len(entries(gateway, stream_key("heat"), "hot2"))
    gateway.cli("rule", "remove", "demo", "hot")
    posted(gateway, "hot3", OBS)
    equal(len(entries(gateway, stream_key("heat"), "hot2")), stored, "what is stored stays")
    equal(gateway.cli("rule", "remove", "demo", "hot", check=False).status, 1)


def test_bad_rules(gateway):
    """what cannot be a rule is refused with a reason"""
    for options in (["--tag=d=x"], ["--tag=Bad=x"], ["--tag=aa=1,aa=2"], ["--stream=A"], ["--class=x"],
                    ["--name=a b"], ["--order=-1"]):
        result = gateway.cli("rule", "add", "demo", "bad", *options, check=False)
        equal(result.status, 2, str(options))
        assert result.err, options
    equal(gateway.cli("rule", "add", "nobody", "r", check=False).status, 1)


def test_length(gateway):
    """a stream without groups is trimmed to its length, exactly"""
    key = stream_key("short")
    fill(gateway, key, 250)
    set_stream(gateway, "short", "--max-entries=100")
    wait_until(lambda: length(gateway, key) == 100, "100 entries are left")
    equal(gateway.redis("XRANGE", key, "-", "+", "COUNT", "1")[0][1], [b"i", b"150"], "the oldest went")
    assert gateway.metric("weir_stream_trimmed_total") >= 150


def test_long_stream(gateway):
    """a surplus of many thousands goes too, whether groups are asked or not"""
    for name in ("long", "long-read"):
        key = stream_key(name)
        gateway.redis("EVAL", "for i = 1, 25000 do redis.call('XADD', KEYS[1], '*', 'i', i) end", 1, key)
        if name == "long-read":
            gateway.redis("XGROUP", "CREATE", key, "g", "$")
        set_stream(gateway, name, "--max-entries=10")
        wait_until(lambda: length(gateway, key) == 10, "10 entries are left of " + name)


def test_age(gateway):
    """entries that are too old go, younger ones stay"""
    key = stream_key("aged")
    now = int(gateway.redis("TIME")[0]) * 1000
    for i in range(300):
        gateway.redis("XADD", key, "%d-%d" % (now - 3600000, i), "i", str(i))
    gateway.redis("XADD", key, "%d-0" % (now - 60000), "i", "young")
    set_stream(gateway, "aged", "--max-age=30m")
    wait_until(lambda: length(gateway, key) == 1, "one entry is left")


def read(gateway, key, count, ack=True):
    answer = gateway.redis("XREADGROUP", "GROUP", "slow", "c", "COUNT", str(count), "STREAMS", key, ">")
    ids = [entry[0] for entry in answer[0][1]]
    if ack:
        gateway.redis("XACK", key, "slow", *ids)
    return ids


def check_group_blocks(gateway, name, *options):
    key = stream_key(name)
    now = int(gateway.redis("TIME")[0]) * 1000
    for i in range(200):
        gateway.redis("XADD", key, "%d-%d" % (now - 3600000, i), "i", str(i))
    gateway.redis("XGROUP", "CREATE", key, "slow", "0")
    gateway.redis("XGROUP", "CREATE", key, "fast", "$")
    read(gateway, key, 50)
    set_stream(gateway, name, *options)
    wait_until(lambda: length(gateway, key) == 150, "what was read is gone, the rest is there")
    wait_until(lambda: gateway.metric("weir_stream_trim_blocked") == 1, "it is counted")
    wait_until(lambda: "trimming waits for a consumer group" in gateway.log(), "and told")
    assert 'group=\\"slow\\"' in gateway.log() or 'group="slow"' in gateway.log(), gateway.log()[-500:]
    pending = read(gateway, key, 60, ack=False)
    read(gateway, key, 200)
    time.sleep(2.5)  # two rounds: read but not acknowledged must stay
    equal(length(gateway, key), 150)
    gateway.redis("XACK", key, "slow", *pending)
    wait_until(lambda: length(gateway, key) == 0 or length(gateway, key) == 10, "the rest went")
    wait_until(lambda: gateway.metric("weir_stream_trim_blocked") == 0, "nothing waits any more")


def test_group_blocks_age(gateway):
    """trimming by age waits for a group: entries that it has not read and acknowledged stay"""
    check_group_blocks(gateway, "lag-age", "--max-age=60")


def test_group_blocks_length(gateway):
    """and so does trimming by length"""
    check_group_blocks(gateway, "lag-length", "--max-entries=10", "--groups=slow")


def test_missing_group(gateway):
    """a group that is named and does not exist holds everything"""
    key = stream_key("unread")
    fill(gateway, key, 50)
    set_stream(gateway, "unread", "--max-entries=10", "--groups=never")
    wait_until(lambda: gateway.metric("weir_stream_trim_blocked") == 1, "it is counted")
    equal(length(gateway, key), 50)
    gateway.cli("stream", "remove", "demo", "unread")
    wait_until(lambda: gateway.metric("weir_stream_trim_blocked") == 0, "the limit is gone")
    equal(length(gateway, key), 50)


def test_nobody_is_asked(gateway):
    """with empty groups a stream is trimmed, whoever has not read it"""
    key = stream_key("careless")
    fill(gateway, key, 50)
    gateway.redis("XGROUP", "CREATE", key, "slow", "0")
    set_stream(gateway, "careless", "--max-entries=10", "--groups=")
    wait_until(lambda: length(gateway, key) == 10, "10 are left")


def test_two_gateways(gateway):
    """two gateways that trim the same streams do no harm"""
    key, read_key = stream_key("two"), stream_key("two-read")
    with lib.Gateway(demo=False, redis=gateway.redis_address, retention_period_s=1) as other:
        for each in (key, read_key):
            gateway.redis("EVAL", "for i = 1, 3000 do redis.call('XADD', KEYS[1], '*', 'i', i) end", 1, each)
        gateway.redis("XGROUP", "CREATE", read_key, "slow", "0")
        read(gateway, read_key, 1234)
        set_stream(gateway, "two", "--max-entries=100")
        set_stream(gateway, "two-read", "--max-entries=100")
        wait_until(lambda: other.metric("weir_stream_trim_blocked") == 1, "the other gateway trims too")
        wait_until(lambda: (length(gateway, key), length(gateway, read_key)) == (100, 3000 - 1234), "both are trimmed")
        time.sleep(2.5)  # two rounds of both
        equal((length(gateway, key), length(gateway, read_key)), (100, 3000 - 1234))
        gateway.cli("stream", "remove", "demo", "two-read")


def test_obs_itself(gateway):
    """the default stream may have retention as well"""
    fill(gateway, OBS, 50)
    set_stream(gateway, "obs", "--max-entries=20")
    wait_until(lambda: length(gateway, OBS) == 20, "20 are left")
    gateway.cli("stream", "remove", "demo", "obs")


def test_list(gateway):
    """stream list shows length, oldest entry, memory, retention and the lag of groups"""
    listed = {stream["stream"]: stream for stream in json.loads(gateway.cli("stream", "list", "demo", "--json").out)}
    assert "obs" in listed and "heat" in listed, listed
    careless = listed["careless"]
    equal(careless["entries"], 10)
    assert careless["memory"] > 0 and careless["oldest"] > 1700000000
    equal(careless["retention"], {"max_age_s": 0, "max_entries": 10, "groups": ""})
    equal([group["group"] for group in careless["groups"]], ["slow"])
    equal(listed["heat"]["retention"], None)
    assert "careless" in gateway.cli("stream", "list", "demo").out


def test_memory(gateway):
    """memory of Redis is in the metrics"""
    wait_until(lambda: gateway.metric("weir_redis_memory_bytes", 'kind="used"') > 0, "used")
    assert gateway.metric("weir_redis_memory_bytes", 'kind="max"') > gateway.metric("weir_redis_memory_bytes",
                                                                                     'kind="used"')
    assert gateway.metric("weir_redis_memory_full_seconds") >= -1
