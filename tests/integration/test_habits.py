# SPDX-License-Identifier: GPL-3.0-or-later
"""Old senders that only change their host name: the routes they know, their keys, their logs, and whose their nodes are."""
import base64
import concurrent.futures
import gzip
import hashlib
import hmac
import json
import os
import random
import re
import subprocess
import time
import urllib.parse
import zlib

import cbor
import coap
import lib
from coap import GET, POST, Peer, request
from lib import curl, equal

WORKERS = (1,)
NOW = 1763692800


class Home:
    """A tenant with a concentrator, two devices of their own and their keys."""

    def __init__(self, gateway):
        self.gateway = gateway
        gateway.cli("tenant", "add", "home")
        gateway.add_device("home/hub", None, "--concentrator", "--site=elm-street")
        gateway.add_device("home/meter", None, "--site=elm-street")
        gateway.add_device("home/414a")
        gateway.add_device("home/aa:bb")
        gateway.add_device("home/aa_bb")
        gateway.add_device("home/off")
        gateway.cli("device", "disable", "home/off")
        gateway.add_device("home/tracker", None, "--profile=ultralight")
        gateway.cli("device", "add", "home/aaaaaaaa", "--frame-key=" + "0" * 32, "--frame-id=aaaaaaaa5555")
        gateway.cli("device", "add", "home/ABCD", "--frame-key=" + "1" * 32, "--frame-id=abcd00005555")
        self.ids, self.keys = {}, {}
        for device in ("hub", "meter"):
            out = gateway.cli("token", "add", "--tenant", "home", "--device", device, "--apikey").out
            self.ids[device] = re.search(r"(?m)^id:\s+(\S+)", out).group(1)
            self.keys[device] = re.search(r"(?m)^apikey:\s+(\S+)", out).group(1)
            gateway.secrets.append(self.keys[device])
        self.tokens = {device: gateway.add_token("--tenant", "home", "--device", device)
                       for device in ("hub", "meter", "tracker")}
        self.operator = gateway.add_token("--tenant", "home", "--operator")
        lib.wait_until(lambda: curl(self.url("/time"), token=self.operator).status == 200, "the last token is known")
        self.seen = len(self.entries())

    def url(self, path):
        return "http://127.0.0.1:%d%s" % (self.gateway.http_port, path)

    def entries(self):
        return self.gateway.observations(tenant="home")

    def fresh(self, *fields):
        """What came into the stream since the last call."""
        entries = self.entries()
        new, self.seen = entries[self.seen:], len(entries)
        return [tuple(entry[field] for field in fields) for entry in new]


def home(gateway):
    if not hasattr(gateway, "home"):
        gateway.home = Home(gateway)
    return gateway.home


def says_ok(answer):
    equal((answer.status, answer.body), (200, b"ok"), repr(answer))
    equal(answer.headers["content-type"], "text/plain")
    equal(answer.headers["cache-control"], "no-store")


def test_emonhub(gateway):
    """emonHub posts its batch as it always does and gets the two letters it waits for"""
    h = home(gateway)
    batch = json.dumps([[NOW - 10, "emontx", 1137.5, 20], [NOW - 8, 17, 1437, {"temp": 21.5}]], separators=(",", ":"))
    fields = {"apikey": h.keys["hub"], "data": batch, "sentat": str(NOW)}
    form = "application/x-www-form-urlencoded"
    says_ok(curl(h.url("/input/bulk.json?"), data=urllib.parse.urlencode(fields), content_type=form))
    equal(h.fresh("d", "n", "v", "a", "q"),
          [("hub", "emontx.1", "1137.5", "apikey", "b"), ("hub", "emontx.2", "20", "apikey", "b"),
           ("hub", "17.1", "1437", "apikey", "b"), ("hub", "17.temp", "21.5", "apikey", "b")])
    del fields["apikey"]
    says_ok(curl(h.url("/input/bulk"), data=urllib.parse.urlencode(fields), content_type=form, token=h.keys["hub"]))
    equal(len(h.fresh("d")), 4)
    answer = curl(h.url("/input/bulk.json"), data="data=[[0,16,zzz&apikey=" + h.keys["hub"], content_type=form)
    equal(answer.status, 400)
    equal(answer.json()["success"], False)
    equal(h.fresh("d"), [])
    frames = json.dumps([[NOW + i, "emontx"] + list(range(13)) for i in range(100)], separators=(",", ":"))
    says_ok(curl(h.url("/input/bulk.json?apikey=" + h.keys["hub"]), data="data=" + frames, content_type=form))
    equal(len(h.fresh("d")), 1300, "its largest batch")


def post_rows(h, rows, sentat, *options, path="/input/bulk.json?", compressed=False, key="hub"):
    """As emonHub posts them; it compresses what becomes shorter by that, be it the first time or the second."""
    data = json.dumps(rows, separators=(",", ":"))
    path += "sentat=%s" % sentat
    if compressed:
        return curl(h.url(path + "&cb=1"), *options, data=zlib.compress(data.encode()), token=h.keys[key],
                    content_type="application/octet-stream")
    return curl(h.url(path), *options, data=urllib.parse.urlencode({"data": data}), token=h.keys[key],
                content_type="application/x-www-form-urlencoded")


def test_emonhub_repeats_its_batch(gateway):
    """a batch without an answer comes again, later, with more rows, compressed or not: each row is stored once"""
    h = home(gateway)
    now = int(time.time())
    rows = [[now - 20, "emontx", 1, {"T": 20.5}], [now - 20, 17, 1], [now - 10, "emontx", 2, {"T": 20.5}]]
    answer = post_rows(h, rows, now)
    says_ok(answer)
    equal(answer.headers.get("weir-duplicate"), None)
    first = h.fresh("d", "n", "v", "q")
    equal(first, [("hub", "emontx.1", "1", "b"), ("hub", "emontx.T", "20.5", "b"), ("hub", "17.1", "1", "b"),
                  ("hub", "emontx.1", "2", "b"), ("hub", "emontx.T", "20.5", "b")])
    stored = [float(entry["t"]) for entry in h.entries()[-5:]]
    assert all(0 <= t - said < 10 for t, said in zip(stored, [now - 20] * 3 + [now - 10] * 2)), (stored, now)
    for sentat, compressed in ((now, False), (now - 1, False), (now - 60, True)):
        answer = post_rows(h, rows, sentat, compressed=compressed)
        says_ok(answer)
        equal(answer.headers.get("weir-duplicate"), "true")
        equal(h.fresh("n"), [], "sentat %d" % sentat)
    rows.append([now - 1, "emontx", 3, {"T": 20.5}])
    answer = post_rows(h, rows, now + 1, "-H", "Accept: application/json")
    says_ok(answer)
    equal(answer.headers.get("weir-duplicate"), None)
    equal(h.fresh("n", "v"), [("emontx.1", "3"), ("emontx.T", "20.5")])
    says_ok(post_rows(h, rows[2:], now + 2))
    equal(h.fresh("n"), [], "the ones before have been answered")
    says_ok(post_rows(h, rows[:1], now, key="meter"))
    equal(len(h.fresh("n")), 2, "another speaker's")
    # The same over POST /obs, where the receipt counts all of them.
    ask = dict(data=json.dumps(rows[:2]), content_type="application/json", token=h.tokens["hub"])
    answer = curl(h.url("/obs?f=emoncms-bulk&level&sentat=%d" % now), **ask)
    equal(answer.json(), {"level": "spooled", "n": 3})
    answer = curl(h.url("/obs?f=emoncms-bulk&level=stored&sentat=%d" % (now + 3)), **ask)
    equal(answer.json(), {"level": "stored", "n": 3, "duplicate": True})
    equal(len(h.fresh("n")), 3)


def test_rows_that_are_no_messages(gateway):
    """offsets that no two requests mean alike, and batches with a sequence number, are one message each"""
    h = home(gateway)
    now = int(time.time())
    row = [now - 20, "emontx", 1]
    cases = ((post_rows, [[520, 16, 1]], 543), (post_rows, [[now - 90020, 16, 1]], now - 90000),
             (post_rows, [[5, 16, 1], row], now))
    for post, rows, sentat in cases:
        for _ in range(2):
            says_ok(post(h, rows, sentat))
        equal(len(h.fresh("n")), 2 * len(rows), repr(rows))
    for sentat, rows, status in ((now, [row, [now - 10, 17, 2]], 200), (now, [row, [now - 10, 17, 2]], 200),
                                 (now, [row], 409)):
        equal(post_rows(h, rows, sentat, "-H", "Weir-Seq: 8.1").status, status)
    equal(len(h.fresh("n")), 2)


def test_a_batch_with_a_bad_row(gateway):
    """one row that is wrong refuses all of them, and nothing of them is stored"""
    h = home(gateway)
    now = int(time.time())
    good = [[now - 30 + i, "emontx", i] for i in range(5)]
    for bad, status in (([now, "", 1], 400), ([now, 5, [1]], 400), ([now, 5, {"a": {}}], 400), ([None, 5, 1], 400),
                        ([now, "off", 1], 403), ([now, 5, 7, {"1": 2}], 400), ([1e15, 5, 1], 400)):
        for at in (0, 3, 5):
            answer = post_rows(h, good[:at] + [bad] + good[at:], now)
            equal(answer.status, status, repr(bad))
            equal(answer.json()["success"], False)
    h.gateway.cli("profile", "add", "home/near", "--clock=refuse", "--clock-window=100")
    h.gateway.cli("device", "set", "home/meter", "--profile=near")
    equal(post_rows(h, good + [[now - 200, 5, 1]], now, key="meter").status, 422)
    says_ok(post_rows(h, good[:1], now, key="meter"))
    equal(h.fresh("d", "n"), [("meter", "emontx.1")])
    h.gateway.cli("device", "set", "home/meter", "--profile=")


def test_a_batch_while_redis_is_away(gateway):
    """a batch that is to be stored and cannot be is refused as a whole and stored once when it comes again"""
    with lib.RedisServer() as redis, lib.Gateway(demo=False, redis=redis.address, stored_wait_ms=1000) as other:
        other.cli("tenant", "add", "home")
        other.add_device("home/hub", None, "--concentrator")
        token = other.add_token("--tenant", "home", "--device", "hub")
        now = int(time.time())
        data = json.dumps([[now - 20, "emontx", 1], [now - 10, "emontx", 2], [now - 10, 17, 3]])

        def post(sentat, level="stored"):
            return curl("http://127.0.0.1:%d/input/bulk?level=%s&sentat=%d" % (other.http_port, level, sentat),
                        data=data, token=token).status

        lib.wait_until(lambda: post(now) in (200, 503), "the token is known")
        equal(post(now + 1), 200)
        equal(len(other.observations(tenant="home")), 3)
        data = json.dumps([[now - 5, "emontx", 4], [now - 4, "emontx", 5]])
        redis.freeze()
        equal(post(now + 2), 503)
        redis.thaw()
        lib.wait_until(lambda: post(now + 3) == 200, "it is stored")
        equal(post(now + 4, "spooled"), 200)
        equal([entry["v"] for entry in other.observations(tenant="home")], ["1", "2", "3", "4", "5"])


def test_a_batch_that_is_taken_in_part(gateway):
    """where only some rows fit beside what is under way the request is refused, and each is stored once when it comes again"""
    with lib.RedisServer() as redis, lib.Gateway(demo=False, redis=redis.address, in_flight_max=16,
                                                 stored_wait_ms=1500) as other:
        other.cli("tenant", "add", "home")
        other.add_device("home/hub", None, "--concentrator")
        token = other.add_token("--tenant", "home", "--device", "hub")
        now = int(time.time())
        batches = [[[now - 50 + 10 * number + row, "emontx", number, row] for row in range(rows)]
                   for number, rows in enumerate((1, 8, 8, 9))]

        def post(rows, level="stored"):
            return curl("http://127.0.0.1:%d/input/bulk?level=%s&sentat=%d" % (other.http_port, level, time.time()),
                        data=json.dumps(rows), token=token)

        lib.wait_until(lambda: post([[now, 1, 1]]).status == 200, "the token is known")
        redis.freeze()
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            answers = []
            for rows, under_way in zip(batches, (1, 9, 16)):
                answers.append(pool.submit(post, rows))
                lib.wait_until(lambda: other.metric("weir_sink_in_flight") == under_way, "%d are under way" % under_way)
            equal([answer.result().status for answer in answers], [503] * 3)
        redis.thaw()
        for rows in batches:  # the last has more rows than may be messages here, and is one
            lib.wait_until(lambda: post(rows).status == 200, "it is stored")
            equal(post(rows).status, 200)
        equal(len(other.observations(tenant="home")), 1 + 2 * (1 + 8 + 8) + 2 * 2 * 9)


def test_emoncms_get_and_post(gateway):
    """input/post as GET and POST, with json, csv and fulljson, and the node in the path"""
    h = home(gateway)
    key = h.keys["meter"]
    says_ok(curl(h.url("/input/post?node=meter&json={power1:100,power2:200}&apikey=" + key), "-g"))
    equal(h.fresh("d", "n", "v"), [("meter", "power1", "100"), ("meter", "power2", "200")])
    says_ok(curl(h.url("/input/post/garage?csv=1,2.50&time=%d" % NOW), token=key))
    equal(h.fresh("d", "n", "v", "t", "q"), [("meter", "garage.1", "1", str(NOW), "d"),
                                             ("meter", "garage.2", "2.50", str(NOW), "d")])
    answer = curl(h.url("/input/post.json"), data="node=hub&fulljson=%7B%22a+b%22%3A1%7D&apikey=" + key,
                  content_type="application/x-www-form-urlencoded")
    equal((answer.status, answer.json()), (200, {"success": True}))
    equal(h.fresh("d", "n", "v"), [("meter", "hub.a_b", "1")])
    equal(curl(h.url("/input/post?node=1&csv=1&apikey=" + key), method="HEAD").status, 405)
    answer = curl(h.url("/input/post?node=1&csv=1&apikey=" + key), method="DELETE")
    equal((answer.status, answer.headers["allow"]), (405, "GET, POST"))
    equal(curl(h.url("/input/post?node=1&csv=1&apikey=" + key), "-H", "If-None-Match: *").status, 412)
    equal(h.fresh("d"), [])


def test_nodes_of_a_concentrator(gateway):
    """a node is a device of the tenant if a concentrator says so, never if another does, and not if it is disabled"""
    h = home(gateway)
    says_ok(curl(h.url("/input/post?node=meter&csv=7&apikey=" + h.keys["hub"])))
    equal(h.fresh("d", "n", "b"), [("meter", "1", "hub")])
    says_ok(curl(h.url("/input/post?node=414a&csv=7&apikey=" + h.keys["meter"])))
    equal(h.fresh("d", "n", "b"), [("meter", "414a.1", "")])
    answer = curl(h.url("/input/post?node=off&csv=7&apikey=" + h.keys["hub"]))
    equal((answer.status, answer.json()["success"]), (403, False))
    equal(h.fresh("d"), [])


def test_nodes_as_they_are_said(gateway):
    """a node is the device that is called so, and no other that looks alike as a part of a name, in every format"""
    h = home(gateway)
    said = {"aa:bb": ("aa:bb", ""), "aa_bb": ("aa_bb", ""), "-meter": ("hub", "meter.")}
    for node, (device, front) in said.items():
        says_ok(curl(h.url("/input/post?csv=7&node=%s&apikey=%s" % (node, h.keys["hub"]))))
        says_ok(curl(h.url("/input/bulk?apikey=" + h.keys["hub"]), data='data=[[0,"%s",7]]' % node,
                     content_type="application/x-www-form-urlencoded"))
        equal(curl(h.url("/iot/d?i=%s&d=1|7&k=%s" % (node, h.keys["hub"]))).status, 200)
        for query, kind, body in (("f=influx", "text/plain", "1,device=%s value=7" % node),
                                  ("f=sgmp&device_name=" + node, "application/json", '{"1":7}')):
            answer = curl(h.url("/obs?" + query), data=body, content_type=kind, token=h.tokens["hub"])
            equal(answer.status, 204, repr(answer))
        equal(h.fresh("d", "n", "v"), [(device, front + "1", "7")] * 5, node)
    # A control character is in no node.
    for path in ("/input/post?csv=7&node=a%01b&", "/iot/d?d=1|7&i=a%01b&", "/input/post/a%01b?csv=7&"):
        equal(curl(h.url(path + ("k" if "iot" in path else "apikey") + "=" + h.keys["hub"])).status, 400, path)
    answer = curl(h.url("/input/post?apikey=" + h.keys["hub"]), data="csv=7&node=a%01b",
                  content_type="application/x-www-form-urlencoded")
    equal(answer.status, 400)
    equal(h.fresh("d"), [])


def test_sealed(gateway):
    """emonCMS' encrypted form: proved by its content, answered by its digest"""
    h = home(gateway)
    key, text = bytes.fromhex(h.keys["meter"]), b"node=meter&csv=1,2&time=%d" % NOW
    iv = os.urandom(16)
    sealed = subprocess.run(["openssl", "enc", "-aes-128-cbc", "-K", key.hex(), "-iv", iv.hex()], input=text,
                            stdout=subprocess.PIPE, check=True).stdout
    body = base64.urlsafe_b64encode(iv + sealed)
    mac = hmac.new(key, text, hashlib.sha256).hexdigest()
    for user, digest, status in (("home/" + h.ids["meter"], mac, 200), ("home/" + h.ids["meter"], mac[::-1], 401),
                                 ("home/" + h.ids["hub"], mac, 401), ("demo/" + h.ids["meter"], mac, 401)):
        answer = curl(h.url("/input/post"), "-H", "Authorization: %s:%s" % (user, digest), data=body,
                      content_type="aes128cbc")
        equal(answer.status, status, repr(answer))
        if status == 200:
            equal(answer.body, base64.urlsafe_b64encode(hashlib.sha256(text).digest()))
            equal(h.fresh("d", "n", "v", "a"), [("meter", "1", "1", "apikey"), ("meter", "2", "2", "apikey")])
    equal(h.fresh("d"), [])


def test_ultralight(gateway):
    """Ultralight on /iot/d: GET and POST, a group with its time, and no commands"""
    h = home(gateway)
    where = "/iot/d?k=%s&i=meter&getCmd=1" % h.keys["meter"]
    answer = curl(h.url(where + "&t=2016-06-13T00:35:30Z&d=t|15|k|abc"))
    equal((answer.status, answer.body), (200, b""), repr(answer))
    equal(h.fresh("d", "n", "v", "k", "t"), [("meter", "t", "15", "n", "1465778130"), ("meter", "k", "abc", "s", "1465778130")])
    for content_type in ("text/plain", "application/x-www-form-urlencoded", None):
        equal(curl(h.url(where), data="t|16#h|40", content_type=content_type).status, 200)
        equal(h.fresh("n", "v"), [("t", "16"), ("h", "40")])
    equal(curl(h.url(where), data="t|16|h", content_type="text/plain").status, 400)
    for answer in (curl(h.url(where)), curl(h.url(where + "&d=")), curl(h.url(where), method="POST", data="")):
        equal((answer.status, answer.body), (200, b""), repr(answer))
    equal(curl(h.url("/iot/d?i=meter&getCmd=1&k=wrong")).status, 401)
    equal(curl(h.url(where.replace("getCmd=1", "getCmd=0"))).status, 400)
    equal(h.fresh("d"), [])


def test_influx(gateway):
    """InfluxDB 1 and 2: 204, keys in their places, and a partial write that says which line"""
    h = home(gateway)
    lines = "weather,host=roof temp=21.5 %d000000000\n" % NOW
    equal(curl(h.url("/ping")).status, 204)
    equal(curl(h.url("/write?db=x&u=telegraf&p=" + h.keys["hub"]), data=lines).status, 204)
    equal(h.fresh("d", "n", "v", "t"), [("hub", "roof.weather.temp", "21.5", str(NOW))])
    basic = base64.b64encode(b"telegraf:" + h.keys["hub"].encode()).decode()
    equal(curl(h.url("/write?db=x"), "-H", "Authorization: Basic " + basic, data=lines.replace("21.5", "22")).status, 204)
    answer = curl(h.url("/api/v2/write?bucket=b&org=o&precision=s"), "-H", "Authorization: Token " + h.tokens["hub"],
                  data="weather,host=roof temp=23 %d\nweather temp= 1\n" % NOW)
    equal((answer.status, answer.json()["code"]), (400, "invalid"), repr(answer))
    assert "line 2" in answer.json()["message"], answer
    equal(h.fresh("v", "a"), [("22", "apikey"), ("23", "token")])
    answer = curl(h.url("/write?db=x"), data=lines)
    equal((answer.status, list(answer.json())), (401, ["error"]))
    ask = dict(token=h.tokens["hub"], content_type="text/plain")
    zipped = gzip.compress(lines.replace("21.5", "24").encode())
    equal(curl(h.url("/api/v2/write"), "-H", "Content-Encoding: gzip", data=zipped, **ask).status, 204)
    equal(h.fresh("v"), [("24",)])
    for bad in (zipped[:-1], zipped + b"x", gzip.compress(lines.encode() * 2000), gzip.compress(b" " * 60000)):
        answer = curl(h.url("/api/v2/write"), "-H", "Content-Encoding: gzip", data=bad, **ask)
        assert answer.status in (400, 413), answer
    equal(h.fresh("v"), [])


def test_influx_batches_of_telegraf(gateway):
    """batches compress well and are taken; too much is 413, which Telegraf splits, and never 400, which it drops"""
    h = home(gateway)
    ask = dict(token=h.tokens["hub"], content_type="text/plain; charset=utf-8")
    fields = ",".join(name + "=0i" for name in ("state", "alarm", "mode", "fault", "manual", "remote", "local", "trip"))
    line = "relay,host=plc,line=%d " + fields + " %d000000000\n"
    lines = "".join(line % (i, NOW) for i in range(200)).encode()
    zipped = gzip.compress(lines)
    assert 20 < len(lines) / len(zipped) < 64, len(lines) / len(zipped)
    packed = ("-H", "Content-Encoding: gzip")
    equal(curl(h.url("/api/v2/write?bucket=b"), *packed, data=zipped, **ask).status, 204)
    equal(len(h.fresh("n")), 1600)
    # A file of several members, as pigz and cat make them.
    members = gzip.compress(b"m v=1 %d000000000\n" % NOW) + gzip.compress(b"m v=2 %d000000000\n" % (NOW + 1))
    equal(curl(h.url("/write?db=x"), *packed, data=members, **ask).status, 204)
    equal(h.fresh("n", "v"), [("m.v", "1"), ("m.v", "2")])
    many = "".join("m v=%d %d000000000\n" % (i, NOW + i) for i in range(1025)).encode()
    for body in (gzip.compress(b" " * 60000), gzip.compress(b"m v=1\n" * 20000), gzip.compress(many)):
        answer = curl(h.url("/api/v2/write?bucket=b"), *packed, data=body, **ask)
        equal((answer.status, answer.json()["code"]), (413, "request too large"), repr(answer))
        answer = curl(h.url("/write?db=x"), *packed, data=body, **ask)
        equal((answer.status, list(answer.json())), (413, ["error"]), repr(answer))
    equal(curl(h.url("/write?db=x"), data=many, **ask).status, 413)
    equal(h.fresh("n"), [])
    equal(curl(h.url("/write?db=x"), data=many[:many.rindex(b"m ")], **ask).status, 204)
    equal(len(h.fresh("n")), 1024)


def seal(h, device, text):
    """the options and the body of emonCMS' encrypted form"""
    key, iv = bytes.fromhex(h.keys[device]), os.urandom(16)
    sealed = subprocess.run(["openssl", "enc", "-aes-128-cbc", "-K", key.hex(), "-iv", iv.hex()], input=text,
                            stdout=subprocess.PIPE, check=True).stdout
    user = "home/%s:%s" % (h.ids[device], hmac.new(key, text, hashlib.sha256).hexdigest())
    return ("-H", "Authorization: " + user), base64.urlsafe_b64encode(iv + sealed)


def test_emonhub_compressed(gateway):
    """a batch of emonHub, compressed in the body or in its encrypted form, may be of many times its length"""
    h = home(gateway)
    rows = ("[" + ",".join('[%d,"emontx"%s]' % (NOW + i, 20 * ",0") for i in range(100)) + "]").encode()
    zipped = zlib.compress(rows, 9)
    assert len(rows) / len(zipped) > 16, len(rows) / len(zipped)
    says_ok(curl(h.url("/input/bulk?cb=1&time=1&apikey=" + h.keys["hub"]), data=zipped,
                 content_type="application/octet-stream"))
    equal(len(h.fresh("n")), 2000)
    options, body = seal(h, "hub", zlib.compress(b"time=2&data=" + rows, 9))
    answer = curl(h.url("/input/bulk"), *options, data=body, content_type="aes128cbcgz")
    equal(answer.status, 200, repr(answer))
    equal(len(h.fresh("n")), 2000)
    answer = curl(h.url("/input/bulk?cb=1&time=3&apikey=" + h.keys["hub"]), data=zlib.compress(b" " * 300000),
                  content_type="application/octet-stream")
    equal((answer.status, answer.json()["success"]), (413, False))


def test_plus_signs_of_queries(gateway):
    """in the query of a legacy route a plus sign is a blank, as to the servers that its senders were made for"""
    h = home(gateway)
    post = "/input/post?node=meter&apikey=" + h.keys["hub"]
    answer = curl(h.url(post + "&fulljson=%7B%22mode%22%3A%22heat+pump%22%7D"))
    equal((answer.status, answer.json()), (200, {"success": True}), repr(answer))
    equal(h.fresh("n", "v"), [("mode", "heat pump")])
    says_ok(curl(h.url(post + "&json=%7B%22power1%22%3A+100%7D")))
    equal(h.fresh("n", "v"), [("power1", "100")])
    # As emonCMS' own documentation has it, with the plus sign of the zone as it is.
    written = '&fulljson={"power1":100,"time":"2025-11-21T02:40:00+00:00"}'
    equal(curl(h.url(post + written.replace('"', "%22")), "-g").status, 200)
    says_ok(curl(h.url(post + "&csv=1&time=2025-11-21T03:40:00+01:00")))
    says_ok(curl(h.url(post + "&csv=1&time=2025-11-21T03:40:00%2B01:00")))
    says_ok(curl(h.url("/input/post?apikey=" + h.keys["hub"]), data="node=meter&csv=1&time=2025-11-21T02:40:00+00:00",
                 content_type="application/x-www-form-urlencoded"))
    equal(h.fresh("t"), [("1763692800",)] * 4)
    equal(curl(h.url("/iot/d?k=%s&i=meter&d=s%%7Chello+world%%7Cp%%7C1%%2B1" % h.keys["meter"])).status, 200)
    equal(h.fresh("n", "v"), [("s", "hello world"), ("p", "1+1")])
    for when in ("2025-11-21T03:40:00+01:00", "20251121T024000Z"):
        equal(curl(h.url("/iot/d?k=%s&i=meter&t=%s&d=%s|1" % (h.keys["meter"], when, when[:8])), "-g").status, 200)
    equal(h.fresh("t"), [("1763692800",)] * 2)
    # A plus sign in a path, and on routes of weir's own, is one.
    says_ok(curl(h.url("/input/post/a+b?csv=1&apikey=" + h.keys["hub"])))
    ask = dict(content_type="text/plain", token=h.tokens["hub"])
    equal(curl(h.url("/obs?f=ultralight&i=c+d"), data="t|1", **ask).status, 204)
    equal(h.fresh("n"), [("a_b.1",), ("c_d.t",)])
    equal(curl(h.url(post + "&a+b=1&a%20b=2&csv=1")).status, 400)
    equal(h.fresh("n"), [])


def test_emoncms_spellings(gateway):
    """paths as emonCMS takes them: behind /emoncms, with a slash at the end, with .json behind the node"""
    h = home(gateway)
    key = "apikey=" + h.keys["hub"]
    for path in ("/input/post/meter.json?", "/input/post/meter/?", "/input/post/?node=meter&",
                 "/input/post.json/?node=meter&", "/emoncms/input/post?node=meter&",
                 "/emoncms/input/post.json?node=meter&", "/emoncms/input/post/meter?",
                 "/emoncms/input/post/meter.json?", "/emoncms/input/post/?node=meter&"):
        for method in ("GET", "POST"):
            says_ok(curl(h.url(path + "csv=1&" + key), method=method))
        equal(h.fresh("d", "n"), [("meter", "1")] * 2, path)
    for path in ("/emoncms/input/bulk", "/emoncms/input/bulk.json", "/emoncms/input/bulk/", "/input/bulk/"):
        says_ok(curl(h.url(path + "?" + key), data='data=[[0,"meter",1]]&sentat=0',
                     content_type="application/x-www-form-urlencoded"))
        equal(h.fresh("d", "n"), [("meter", "1")], path)
    equal(curl(h.url("/iot/d/?k=%s&i=meter&d=t|1" % h.keys["meter"])).status, 200)
    says_ok(curl(h.url("/input/post/v1.json.json?csv=1&" + key)))
    says_ok(curl(h.url("/input/post/.json?csv=1&" + key)))
    equal(h.fresh("n"), [("t",), ("v1.json.1",), ("json.1",)])
    for path, status in (("/input/post//", 400), ("/input//post/", 400), ("/emoncms/", 400), ("/emoncms/obs", 404),
                         ("/obs/", 400), ("/input/post/meter/x", 404)):
        equal(curl(h.url(path + "?csv=1&" + key), method="POST", data="").status, status, path)
    equal(h.fresh("n"), [])


def test_forms(gateway):
    """a form with a charset is one; a parameter that is said twice, wherever, is refused like one of /obs"""
    h = home(gateway)
    form = "application/x-www-form-urlencoded"
    for charset in ("; charset=ISO-8859-1", ";charset=utf-8", "; charset=us-ascii"):
        said = "node=meter&csv=1&apikey=" + h.keys["hub"]
        says_ok(curl(h.url("/input/post"), data=said, content_type=form + charset))
        equal(h.fresh("d", "n"), [("meter", "1")], charset)
    key = "apikey=" + h.keys["hub"]
    for path, body in (("/input/post", "node=meter&csv=1&csv=2&" + key),
                       ("/input/post?csv=1&node=meter&" + key, "csv=2"), ("/input/post?csv=1&" + key, "a=1&" + key),
                       ("/input/post?csv=1", key + "&" + key), ("/input/post/meter?csv=1&" + key, "node=meter"),
                       ("/input/post/meter?node=meter&" + key, "csv=1"), ("/input/post?a=1", "a=1&csv=1"),
                       ("/input/post?csv=1&time=5&time=6&" + key, "")):
        answer = curl(h.url(path), data=body, content_type=form)
        equal(answer.status, 400, path + " " + body)
    for text, status in ((b"node=meter&csv=1&csv=2", 400), (b"node=meter&csv=1" + 63 * b"&a", 400),
                         (b"csv=1" + b"".join(b"&a%d" % i for i in range(64)), 400), (b"node=meter&csv=1&&", 200)):
        options, body = seal(h, "hub", text)
        answer = curl(h.url("/input/post"), *options, data=body, content_type="aes128cbc")
        equal(answer.status, status, repr(text))
    equal(h.fresh("d", "n"), [("meter", "1")])
    ask = "/iot/d?i=meter&d=a|1&k=%s&t=2025-11-21T02:40:00Z&t=2025-11-21T02:40:01Z"
    equal(curl(h.url(ask % h.keys["meter"])).status, 400)
    answer = curl(h.url("/write?db=x"), "-H", "Authorization: Token telegraf:" + h.keys["hub"], data="form v=1")
    equal(answer.status, 204)
    equal(h.fresh("n", "a"), [("form.v", "apikey")])


def test_names_that_become_one(gateway):
    """two names of one message that would be one series refuse it; the same name twice is two values"""
    h = home(gateway)
    ask = dict(content_type="text/plain; charset=utf-8", token=h.tokens["meter"])
    answer = curl(h.url("/obs?f=ultralight"), data="room-\u043a|1|room-\u0432|2".encode(), **ask)
    equal((answer.status, answer.json()["type"]), (400, "urn:weir:problem:duplicate-key"))
    equal(h.fresh("n"), [])
    equal(curl(h.url("/obs?f=ultralight"), data="room-\u043a|1|room-\u043a|2".encode(), **ask).status, 204)
    equal(h.fresh("n", "v"), [("room-_", "1"), ("room-_", "2")])


def test_sgmp(gateway):
    """SGMP: six levels, the house of the device that speaks, events of class e"""
    h = home(gateway)
    path = "/gismolab_sgmp_read/gismolab_sgmp_house_elm-street/7/%s/1763692800250/%s"
    ask = dict(content_type="application/json", token=h.tokens["hub"])
    equal(curl(h.url(path % ("egauge", "data")), data='{"A.Battery":-120.5}', **ask).status, 204)
    equal(curl(h.url(path % ("meter", "event")), data='{"on":true}', **ask).status, 204)
    equal(h.fresh("d", "n", "v", "t", "c"), [("hub", "egauge.A.Battery", "-120.5", "1763692800.25", "t"),
                                             ("meter", "on", "true", "1763692800.25", "e")])
    other = path.replace("elm-street", "oak-street")
    equal(curl(h.url(other % ("egauge", "data")), data='{"a":1}', **ask).status, 403)
    equal(curl(h.url(path % ("egauge", "data/more")), data='{"a":1}', **ask).status, 404)
    equal(curl(h.url(path % ("egauge", "config")), data='{"a":1}', **ask).status, 404)
    equal(curl(h.url(path.replace("1763692800250", "soon") % ("egauge", "data")), data='{"a":1}', **ask).status, 400)
    equal(curl(h.url(path % ("egauge", "data")), data='{"a":[1]}', **ask).status, 400)
    equal(h.fresh("d"), [])


# The third example of the protocol's text (tests/vectors/opentrv).
FRAME = bytes.fromhex("3ecf94aaaaaaaa20b345f92969570cb8286614b4f069b00871dad8fe47c1c353834888037d58757500002a000319293b3152"
                      "c326d26dd08d701e4b680dcb80")


def test_what_the_query_says_is_of_the_message(gateway):
    """on /obs too a time or a node in the query makes another message of the same body; how it is answered does not"""
    at = home(gateway)
    minutes = ["2025-11-21T02:0%d:00Z" % minute for minute in range(3)]

    for body, queries in (('{"A":1}', ["f=sgmp&device_name=egauge&timestamp=%d" % (1000 * (NOW + i)) for i in range(3)]),
                          ('{"A":2}', ["f=sgmp&device_name=e%d&timestamp=%d" % (i, 1000 * NOW) for i in range(3)]),
                          ("t|1", ["f=ultralight&t=" + minute for minute in minutes]),
                          ("m f=1 %d" % NOW, ["f=influx&precision=" + unit for unit in ("s", "ms", "us")])):
        at.fresh()
        for query in 2 * queries + [queries[0].replace("f=", "format=") + "&d=meter&level=spooled"]:
            answer = curl(at.url("/obs?" + query), token=at.tokens["meter"], data=body, content_type="text/plain")
            assert answer.status in (200, 204), answer
        gateway.wait_pushed()
        equal(len(at.fresh("n")), 3, body)


def test_what_is_said_of_the_delivery_is_not_of_the_message(gateway):
    """a message is the same one with ?level and with its sequence in the query, on all routes, of formats and codecs"""
    h = home(gateway)
    key = h.keys["meter"]
    definition = {"name": "csvt", "kind": "text", "lines": True, "separator": ",", "time": {"field": "ts"},
                  "fields": [{"column": 0, "name": "ts", "hidden": True, "required": True},
                             {"column": 1, "name": "temp"}],
                  "parameters": [{"parameter": "sort", "name": "sort", "as": "text"}],
                  "examples": [{"input": "%d,21.5" % NOW, "senml": [{"n": "temp", "v": 21.5, "t": NOW}]}]}
    path = os.path.join(gateway.folder, "csv.json")
    for name, more in (("csvt", {}), ("csvw", {"lines": False})):
        with open(path, "w") as file:
            json.dump({**definition, "name": name, **more}, file)
        gateway.cli("codec", "add", "home", path)
    ask = lambda path, seq=None, **more: curl(h.url(path), *(["-H", "Weir-Seq: " + seq] if seq else []),
                                              **{"token": h.tokens["meter"], "content_type": "text/plain", **more})
    lib.wait_until(lambda: ask("/obs?f=csvw", data="%d,1" % NOW).status == 204, "the codec is known")
    h.fresh()

    # Without a sequence: by what was sent.
    csv = "/input/post?node=e&time=%d&csv=1&apikey=%s" % (NOW, key)
    for path, more in ((csv, {"token": None}), ("/obs?f=csvt", {"data": "%d,2\n%d,3\n" % (NOW, NOW + 1)}),
                       ("/obs?f=csvw&sort=a", {"data": "%d,4" % NOW}),
                       ("/write?p=" + key, {"data": "m f=1 %d000000000" % NOW})):
        for query in ("", "&level", "&level=stored", ""):
            answer = ask(path + query, **more)
            assert answer.status in (200, 204), answer
    equal(len(h.fresh("n")), 1 + 2 + 2 + 1)
    for query in ("&sort=a", "&other=1", "&sort=b", "&other=2"):
        equal(ask("/obs?f=csvw" + query, data="%d,5" % NOW).status, 204, query)
    equal(h.fresh("v"), [("a",), ("5",), ("5",), ("b",), ("5",)], "a parameter is content that the codec reads")

    # With one: no conflict, whichever way it is said and whatever is asked for.
    rows = [("/input/post?node=e&csv=1&apikey=" + key, {"token": None}), ("/obs?f=ultralight", {"data": "t|1"}),
            ("/obs?f=csvw", {"data": "%d,6" % NOW}), ("/obs?f=emoncms-post&node=e&csv=1", {"data": ""}),
            ("/obs?f=emoncms-bulk", {"data": '[[0,"e",1]]'}),
            ("/obs?f=sgmp&device_name=e&timestamp=%d" % (1000 * NOW), {"data": '{"A":1}'})]
    for seq, (path, more) in enumerate(rows):
        said = "3.%d" % seq
        statuses = [ask(path + query, seq, **more).status for query, seq in
                    (("&n=" + said, None), ("", said), ("&level=stored", said), ("&level&n=" + said, said))]
        assert set(statuses) <= {200, 204}, (path, statuses)
        equal(len(h.fresh("n")), 1, path)
        equal(ask(path + "&sort=x&n=" + said, **more).status, 409, path)


def test_proven_frames(gateway):
    """a sealed frame speaks for its node, brought by a concentrator and nobody else, and is stored once"""
    h = home(gateway)
    ask = dict(data=FRAME, content_type="application/vnd.weir.opentrv-frame")
    answer = curl(h.url("/obs"), token=h.tokens["meter"], **ask)
    equal((answer.status, answer.json()["type"]), (403, "urn:weir:problem:foreign-name"))
    equal(curl(h.url("/obs"), token=h.tokens["hub"], **{**ask, "data": FRAME[:-2] + b"\x00\x80"}).status, 403)
    equal(h.fresh("d"), [])
    # The sequence is the node's: what the speaker says of its own is not of this message.
    answer = curl(h.url("/obs"), "-H", "Weir-Seq: 7.1", token=h.tokens["hub"], **ask)
    equal((answer.status, answer.headers.get("weir-duplicate")), (204, None), repr(answer))
    equal(set(h.fresh("d", "a", "b")), {("aaaaaaaa", "frame", "hub")})
    for options in ((), ("-H", "Weir-Seq: 7.2")):
        answer = curl(h.url("/obs"), *options, token=h.tokens["hub"], **ask)
        equal((answer.status, answer.headers.get("weir-duplicate")), (204, "true"), repr(answer))
    equal(h.fresh("d"), [])


def test_nodes_in_either_case(gateway):
    """hexadecimal nodes are a device in either case; nobody speaks so for one that has a key"""
    h = home(gateway)
    for data in ('{"@":"414A","O":1}', '{"@":"414a","O":1}', '{"@":"414B","O":1}'):
        answer = curl(h.url("/obs?f=opentrv-json"), data=data, token=h.tokens["hub"])
        equal(answer.status, 204, repr(answer))
    equal(h.fresh("d", "n"), [("414a", "O"), ("414a", "O"), ("hub", "414B.O")])
    # Insecure: with the id abcd, and without an id but {"@":"ABCD" in the stats.
    for frame in ("084f02abcd0200015c", "114f000d7f107b2240223a2241424344227c"):
        answer = curl(h.url("/obs"), data=bytes.fromhex(frame), token=h.tokens["hub"],
                      content_type="application/vnd.weir.opentrv-frame")
        equal((answer.status, answer.json()["type"]), (403, "urn:weir:problem:forbidden"))
    equal(h.fresh("d"), [])


LOG = ('[ "2016-02-18T10:45:40Z", "", {"@":"414a","T|C16":332} ]\r\n'
       '> help\n'
       '[ "2016-02-18T10:46:40Z", "", {"@":"414a","T|C16":332 ]\n'
       '\n'
       '[ "2016-02-18T10:46:41Z", "", {"@":"4b2f","L":130} ]')


def test_log(gateway):
    """a concentrator's log: each line has its verdict, and lines that come again are not stored again"""
    h = home(gateway)
    ask = dict(content_type="text/plain", token=h.tokens["hub"])
    answer = curl(h.url("/obs?f=opentrv-log"), data=LOG, **ask)
    equal(answer.status, 200, repr(answer))
    verdict = answer.json()
    equal([verdict[name] for name in ("stored", "refused", "ignored")], [2, 1, 2])
    equal([(line["line"], line["outcome"]) for line in verdict["lines"]], [(3, "malformed")])
    assert verdict["lines"][0]["detail"], verdict
    equal(h.fresh("d", "n", "v", "b"), [("414a", "T", "20.75", "hub"), ("hub", "4b2f.L", "130", "")])
    # Moved down by a line that is new: that one is stored and no other.
    more = '[ "2016-02-18T10:47:40Z", "", {"@":"414a","O":1} ]\n' + LOG
    answer = curl(h.url("/obs?f=opentrv-log"), data=more, accept="application/cbor", **ask)
    verdict = cbor.loads(answer.body)
    equal([verdict[name] for name in ("stored", "refused", "ignored")], [3, 1, 2])
    equal(h.fresh("d", "n"), [("414a", "O")])
    answer = curl(h.url("/obs?f=opentrv-log"), data=LOG.splitlines()[0], **ask)
    equal((answer.status, answer.body, answer.headers.get("weir-duplicate")), (204, b"", "true"))
    answer = curl(h.url("/obs?f=opentrv-log"), data="[ 1 ]\n> x\n", **ask)
    equal((answer.status, answer.json()["refused"], answer.json()["ignored"]), (400, 1, 1))
    equal(curl(h.url("/obs?f=opentrv-log"), "-H", "Weir-Seq: 1.1", data=LOG, **ask).status, 400)
    equal(curl(h.url("/obs?f=opentrv-log"), data="\n" * 1025, **ask).status, 413)
    equal(h.fresh("d"), [])


def test_a_long_log(gateway):
    """a log as long as a body may be is taken whole"""
    h = home(gateway)
    lines = ['[ "2016-02-19T10:%02d:%02dZ", "", {"@":"1","a":1,"L":%d} ]' % (i // 60 % 60, i % 60, i) for i in range(1024)]
    assert len("\n".join(lines)) < 65536
    answer = curl(h.url("/obs?f=opentrv-log&level"), data="\n".join(lines), content_type="text/plain",
                  token=h.tokens["hub"])
    equal((answer.status, answer.json()),
          (200, {"stored": 1024, "refused": 0, "ignored": 0, "level": "spooled", "lines": []}))
    equal(h.fresh("v"), [(v,) for i in range(1024) for v in ("1", str(i))])


def test_profile_and_declared_format(gateway):
    """the profile says what an undeclared body is, a declared format what a declared one is"""
    h = home(gateway)
    token = h.tokens["tracker"]
    for content_type in (None, "text/plain", "application/octet-stream", "application/x-www-form-urlencoded", "text/odd"):
        equal(curl(h.url("/obs"), data="t|15", content_type=content_type, token=token).status, 204, str(content_type))
        equal(h.fresh("d", "n", "v"), [("tracker", "t", "15")])
    equal(curl(h.url("/obs"), data='{"temp":16}', content_type="application/json", token=token).status, 204)
    equal(h.fresh("d", "n", "v"), [("tracker", "temp", "16")])
    equal(curl(h.url("/obs"), data="t|15", content_type="application/senml+json", token=token).status, 400)
    equal(curl(h.url("/obs"), data="t|15", content_type="application/senml+xml", token=token).status, 415)
    equal(curl(h.url("/obs"), data="t|15", token=h.tokens["meter"]).status, 415)
    answer = curl(h.url("/obs?f=nothing"), data="t|15", token=token)
    equal((answer.status, answer.json()["type"]), (415, "urn:weir:problem:unsupported-format"))
    equal(curl(h.url("/obs?f=ultralight"), data="t|15", content_type="application/senml+json", token=token).status, 415)
    # JSON that is declared is read as JSON, whatever else it may look like.
    equal(curl(h.url("/obs"), data='[{"n":"t","v":1}]', content_type="application/json", token=h.tokens["meter"]).status,
          400)
    equal(h.fresh("d"), [])


def test_keys(gateway):
    """keys count in their places on legacy routes only; an operator's token does not write; nothing tells a key"""
    h = home(gateway)
    wrong = "wrongwrongwrongwrongwrongwrong00"
    gateway.secrets.append(wrong)
    for url in ("/input/post?csv=1&apikey=" + wrong, "/iot/d?i=a&d=t|1&k=" + wrong, "/input/post?csv=1&apikey="):
        answer = curl(h.url(url))
        equal(answer.status, 401)
        assert wrong.encode() not in answer.body and "www-authenticate" in answer.headers, answer
    equal(curl(h.url("/input/post?csv=1")).body, b"Invalid API key")
    equal(curl(h.url("/input/post?csv=1"), token=h.operator).status, 403)
    says_ok(curl(h.url("/input/post?csv=1&apikey=" + h.tokens["meter"])))
    equal(h.fresh("d", "n", "a"), [("meter", "1", "token")])
    for url in ("/obs?apikey=", "/obs?f=ultralight&k="):
        equal(curl(h.url(url + h.keys["meter"]), data="t|1", content_type="text/plain").status, 401)
    equal(curl(h.url("/obs?f=ultralight"), "-H", "Authorization: Token " + h.tokens["meter"], data="t|1").status, 401)
    equal(h.fresh("d"), [])


def test_coap(gateway):
    """over CoAP: the format in the query, logs, and legacy routes by POST; a key there means nothing"""
    with Peer(gateway.coap_port) as p:
        log = '[ "2016-02-18T10:45:40Z", "", {"@":"414a","T|C16":332} ]\nnonsense{\n'
        answer = p.ask(request(POST, "/obs", query=["f=opentrv-log"], payload=log))
        equal(answer.code_text, "2.04")
        if answer.payload:
            equal(json.loads(answer.payload)["stored"], 1)
        equal([e["v"] for e in gateway.observations(device="414a", name="T")], ["20.75"])
        answer = p.ask(request(POST, "/input/post/emontx", query=["csv=5,6"]))
        equal((answer.code_text, answer.payload), ("2.04", b"ok"))
        equal([e["v"] for e in gateway.observations(device="emontx")], ["5", "6"])
        equal(p.ask(request(POST, "/iot/d", query=["i=ul-1"], payload="t|15")).code_text, "2.04")
        equal([e["a"] for e in gateway.observations(device="ul-1")], ["net"])
        equal(p.ask(request(GET, "/input/post", query=["node=emontx", "csv=5"])).code_text, "4.05")
        for path, query in (("/input/post/a\x01b", "csv=5"), ("/iot/d", "i=bo\0iler")):
            equal(p.ask(request(POST, path, query=[query], payload="t|15")).code_text, "4.00", path)
        # Who is named in the query is who speaks: the same message.
        said = "m,device=self f=1 %d000000000" % NOW
        for query in (["f=influx"], ["f=influx", "d=self"], ["f=influx"]):
            equal(p.ask(request(POST, "/obs", query=query, payload=said)).code_text, "2.04")
        equal(len(gateway.observations(device="self")), 1)
        equal(p.ask(request(POST, "/obs", query=["d=ul-1", "f=cayenne-lpp"],
                            payload=bytes.fromhex("03670110"))).code_text, "2.04")
        equal([e["v"] for e in gateway.observations(device="ul-1")][1:], ["27.2"])
        equal(p.ask(request(POST, "/obs", query=["d=ul-1"], format=310, payload="<a/>")).code_text, "4.15")


def test_many_wrong_keys(gateway):
    """who tries keys has to wait, and a good one gets in all the same"""
    h = home(gateway)
    for i in range(60):  # some more on a slow machine, which forgets some meanwhile
        answer = curl(h.url("/input/post?csv=1&apikey=notthisone%022d" % i))
        if answer.status == 429:
            break
        equal(answer.status, 401)
    equal(answer.status, 429)
    assert int(answer.headers["retry-after"]) >= 1, answer
    says_ok(curl(h.url("/input/post?csv=1&apikey=" + h.keys["meter"])))


def test_largest_batches(gateway):
    """as many frames as emonHub sends at once are taken; what is too much for one request is 413, which it keeps"""
    h = home(gateway)
    now = int(time.time())

    def frames(count, values, named=False, first=now - 1000):
        """Each with digits of its own, as what is scaled by a float has them."""
        rows = []
        for row in range(count):
            texts = [random.random() * 1000 for _ in range(values)]
            rows.append([first + row, "emontx"] + ([{"value%d" % i: texts[i] for i in range(values)}] if named else texts))
        return rows

    def newest(count):
        """The values of the last entries, in their order, and how many there are in all."""
        h.gateway.wait_pushed()
        entries = h.gateway.redis("XREVRANGE", "weir:{home}:obs", "+", "-", "COUNT", count) or []
        return ([float(dict(zip(fields[::2], fields[1::2]))[b"v"]) for _, fields in reversed(entries)],
                h.gateway.redis("XLEN", "weir:{home}:obs"))

    there = newest(0)[1]
    for rows, compressed, sentat in (
            (frames(250, 30), False, now), (frames(1000, 16), True, now), (frames(500, 30, True), True, now),
            ([[now - 1000 + i, "emontx"] + [i] * 13 for i in range(1000)], False, now),
            (frames(500, 32, first=0), True, 600), (frames(1100, 10), True, now)):
        says_ok(post_rows(h, rows, sentat, compressed=compressed))
        said = [value for row in rows for value in (row[2].values() if isinstance(row[2], dict) else row[2:])]
        there += len(said)
        assert newest(len(said)) == (said, there), "%d rows" % len(rows)
    for rows, compressed in ((frames(1000, 40), False), (frames(1000, 17), True), (frames(1000, 40, True), True),
                             ([[now, 1] + [None] * 70000], True)):
        answer = post_rows(h, rows, now, compressed=compressed)
        equal(answer.status, 413, "%d rows" % len(rows))
    equal(newest(0)[1], there)
