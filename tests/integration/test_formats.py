# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/formats.md and docs/codecs.md: each request on these pages works, and brings the records that are written there.

Blocks of a page, by their info string: `setup`, weir's own commands, run first; `http`, a request (method and target,
fields, an empty line, the body); `stream`, the records that must follow from the request before it.
"""
import json
import os
import re

import lib
from lib import curl, equal

WORKERS = (1,)
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGES = ("formats.md", "codecs.md")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
TENANT = "home"


def read_page(name):
    path = os.path.join(ROOT, "docs", name)
    if not os.path.exists(path):
        return ""
    with open(path) as file:
        return file.read()


class Request:
    """One block `http`; expected is its block `stream`."""

    def __init__(self, page, line, text):
        self.where = "%s:%d" % (page, line)
        head, _, body = text.partition("\n\n")
        first, *fields = head.strip().splitlines()
        self.method, self.target = first.split(" ")
        self.fields = dict(re.split(r":\s*", field, maxsplit=1) for field in fields)
        body = body.rstrip("\n")
        self.body = bytes.fromhex(body[4:]) if body.startswith("hex:") else body.encode()
        self.expected = None

    def send(self, gateway, words):
        target = fill(self.target, words)
        options = []
        for name, value in self.fields.items():
            if name != "Content-Type":
                options += ["-H", "%s: %s" % (name, fill(value, words))]
        if "Authorization" not in self.fields and "APIKEY" not in self.target and b"APIKEY" not in self.body:
            options += ["-H", "Authorization: Bearer " + words["TOKEN"]]
        body = fill(self.body.decode("latin-1"), words).encode("latin-1")
        return curl("http://127.0.0.1:%d%s" % (gateway.http_port, target), "-g", *options, method=self.method,
                    content_type=self.fields.get("Content-Type"), data=body if self.method != "GET" else None)


def fill(text, words):
    for word, value in words.items():
        text = text.replace(word, value)
    return text


def read_requests():
    requests, setup = [], []
    for page in PAGES:
        text = read_page(page)
        for match in BLOCK.finditer(text):
            kind, body = match.groups()
            line = text.count("\n", 0, match.start()) + 1
            if kind == "setup":
                setup.append((page, body))
            elif kind == "http":
                requests.append(Request(page, line, body))
            elif kind == "stream":
                assert requests and requests[-1].expected is None, "%s:%d: a stream without a request" % (page, line)
                requests[-1].expected = [read_record(record) for record in body.splitlines()]
    return requests, setup


def read_record(line):
    """DEVICE NAME VALUE UNIT [TIME]; a value with spaces is in quotes, as in JSON."""
    parts = [json.loads(part) if part.startswith('"') else part
             for part in re.findall(r'"(?:[^"\\]|\\.)*"|\S+', line)]
    assert len(parts) in (4, 5), line
    return parts


def run_setup(gateway, blocks):
    """Returns the words that stand for what is only known now."""
    words = {}
    for page, text in blocks:
        files = {}
        for line in text.replace("\\\n", "").splitlines():
            if not line.strip():
                continue
            program, *arguments = line.split()
            assert program == "weir", "%s: %s" % (page, line)
            arguments = [codec_file(gateway, argument, files) for argument in arguments]
            out = gateway.cli(*arguments).out
            for name, word in (("token", "TOKEN"), ("apikey", "APIKEY")):
                found = re.search(r"(?m)^%s:\s+(\S+)" % name, out)
                if found:
                    words[word] = found.group(1)
                    gateway.secrets.append(found.group(1))
    return words


def codec_file(gateway, argument, files):
    """NAME.json of a setup is the block `json` of docs/codecs.md whose codec has that name."""
    if not argument.endswith(".json"):
        return argument
    for match in BLOCK.finditer(read_page("codecs.md")):
        if match.group(1) == "json" and json.loads(match.group(2)).get("name") == argument[:-5]:
            path = os.path.join(gateway.folder, argument)
            with open(path, "w") as file:
                file.write(match.group(2))
            return path
    raise AssertionError("docs/codecs.md has no codec " + argument)


def records_of(gateway):
    return [entry for entry in gateway.observations(tenant=TENANT)]


def test_every_request_of_the_pages(gateway):
    """every request on docs/formats.md and docs/codecs.md works and brings its records"""
    requests, setup = read_requests()
    words = run_setup(gateway, setup)
    lib.wait_until(lambda: curl("http://127.0.0.1:%d/time" % gateway.http_port, token=words["TOKEN"]).status == 200,
                   "the token is known")
    wrong, seen = [], 0
    for request in requests:
        answer = request.send(gateway, words)
        entries = records_of(gateway)
        actual, seen = entries[seen:], len(entries)
        if answer.status >= 300:
            wrong.append("%s: %r" % (request.where, answer))
        elif request.expected is None:
            wrong.append("%s: no block `stream` behind it; it brought %r" % (request.where, actual))
        else:
            got = [[e["d"], e["n"], e["v"], e["u"] or "-", e["t"]] for e in actual]
            want = request.expected
            if len(got) != len(want) or any(g[:len(w)] != w for g, w in zip(got, want)):
                wrong.append("%s: the stream has %r, the page %r" % (request.where, got, want))
    assert not wrong, "\n".join(wrong)


def test_every_format_has_a_request(gateway):
    """every row of the table of formats has a request on its page"""
    text = read_page("formats.md")
    rows = re.findall(r"(?m)^\| `([a-z-]+)` \| (\d+) \| `([^`]+)` \| (\d+) \|[^|]*\|[^|]*\| `([^`]+)` \|$", text)
    assert len(rows) >= 19, rows
    requests = [request for request in read_requests()[0] if request.where.startswith("formats.md")]
    routes = {"emoncms-post": "/input/post", "emoncms-bulk": "/input/bulk", "ultralight": "/iot/d", "rkdap": "/rkdap",
              "influx": "/write", "sgmp": "/gismolab_sgmp_read"}
    missing = []
    for name, _number, media_type, _carrier, file in rows:
        assert os.path.exists(os.path.join(ROOT, file)), file
        named = re.compile(r"[?&](f|format)=%s(&|$)" % re.escape(name))
        if not any(named.search(request.target) or request.fields.get("Content-Type") == media_type
                   or (name in routes and request.target.startswith(routes[name])) for request in requests):
            missing.append(name)
    equal(missing, [], "formats without a request on docs/formats.md")
