# SPDX-License-Identifier: GPL-3.0-or-later
"""People: roles, sites, other tenants, bad tokens; why a device was refused; who changed what."""
import json
import re

from lib import curl, equal, wait_until

WORKERS = (1,)
NOT_THERE = 404
# Routes of people: method, path, least role. The unit test of the route table has all of them.
ROUTES = [
    ("GET", "/devices", "viewer"), ("GET", "/devices/lamp", "viewer"), ("GET", "/devices/lamp/log", "viewer"),
    ("GET", "/codecs", "viewer"), ("GET", "/codecs/c", "viewer"), ("PUT", "/codecs/c", "operator"),
    ("DELETE", "/codecs/c", "operator"), ("POST", "/codecs/c/release", "operator"), ("GET", "/audit", "admin"),
    ("GET", "/tokens", "admin"),
]
ROLES = ["viewer", "operator", "admin"]


def ask(gateway, method, path, token=None):
    data = "{}" if method == "PUT" else None
    return curl("http://127.0.0.1:%d%s" % (gateway.http_port, path), method=method, token=token, data=data,
                content_type="application/json" if data else None)


def add_house(gateway, tenant):
    """A tenant with a lamp in the hall and a pump in the cellar; tokens of each role."""
    gateway.cli("tenant", "add", tenant)
    gateway.add_device(tenant + "/lamp", None, "--site", "hall")
    gateway.add_device(tenant + "/pump", None, "--site", "cellar")
    tokens = {role: gateway.add_token(tenant, "--role=" + role, "--label=" + role[:2]) for role in ROLES}
    wait_until(lambda: ask(gateway, "GET", "/devices/pump", tokens["admin"]).status == 200, "the gateway knows " + tenant)
    return tokens


def id_of(token):
    return token.split("_")[1]


def spoilt(token):
    return token[:30] + ("a" if token[30] != "a" else "b") + token[31:]


def test_roles_and_tenants(gateway):
    """each route against each role, another tenant, and tokens that are wrong, revoked or in the URL"""
    east, west = add_house(gateway, "east"), add_house(gateway, "west")
    for method, path, least in ROUTES:
        for role in ROLES:
            equal(ask(gateway, method, path + "?tenant=west", east[role]).status, NOT_THERE)
            status = ask(gateway, method, path, east[role]).status
            equal(status == 403, ROLES.index(role) < ROLES.index(least))
            assert status != 401, (path, role)
    equal(ask(gateway, "GET", "/obs?tenant=west", east["admin"]).status, NOT_THERE)
    equal(ask(gateway, "GET", "/obs?device=lamp&tenant=west", east["admin"]).status, NOT_THERE)
    equal(ask(gateway, "GET", "/devices?token=%s&access_token=%s" % (west["admin"], west["admin"])).status, 401)
    gateway.cli("token", "revoke", id_of(west["viewer"]))
    wait_until(lambda: ask(gateway, "GET", "/devices", west["viewer"]).status == 401, "it is revoked")
    equal(ask(gateway, "GET", "/devices", spoilt(west["admin"])).status, 401)
    statuses = []
    while 429 not in statuses and len(statuses) < 60:  # a slow machine forgets some meanwhile
        statuses.append(ask(gateway, "GET", "/devices", spoilt(west["admin"])).status)
    assert statuses[-1] == 429 and set(statuses) <= {401, 429}, statuses
    equal(ask(gateway, "GET", "/devices", west["admin"]).status, 200)


def test_sites(gateway):
    """a token with sites sees nothing else"""
    add_house(gateway, "north")
    token = gateway.add_token("north", "--role", "viewer", "--sites", "hall,attic", "--expires=30d")
    wait_until(lambda: ask(gateway, "GET", "/devices/lamp", token).status == 200, "the token is known")
    equal([row["id"] for row in ask(gateway, "GET", "/devices", token).json()["devices"]], ["lamp"])
    for path in "/devices/pump", "/devices/pump/log", "/obs?device=pump", "/codecs":
        equal(ask(gateway, "GET", path, token).status, NOT_THERE)
    assert "hall,attic" in gateway.cli("token", "list", "north").out
    admin = gateway.add_token("--tenant", "north", "--role", "admin", "--sites", "hall")
    wait_until(lambda: ask(gateway, "GET", "/devices/lamp", admin).status == 200, "the token is known")
    equal(ask(gateway, "GET", "/audit", admin).status, NOT_THERE)


def test_why_was_it_refused(gateway):
    """/devices/{id}/log: a bad payload and a wrong token, nothing of others, no secret"""
    admin = add_house(gateway, "south")["admin"]
    token = gateway.add_token("--tenant", "south", "--device", "lamp")

    def log(device="lamp"):
        return ask(gateway, "GET", "/devices/%s/log" % device, admin).json()["log"]

    def post(body, token):
        return curl("http://127.0.0.1:%d/obs" % gateway.http_port, data=body, token=token,
                    content_type="application/senml+json").status

    wait_until(lambda: post('[{"n":"on","vb":true}]', token) == 204, "the token is known")
    equal(post("{", token), 400)
    assert post("[]", spoilt(token)) in (401, 429)
    events = log()
    stages = [(event["stage"], event["accepted"]) for event in events]
    assert ("request", False) in stages and ("request", True) in stages, stages
    refused = events[stages.index(("request", False))]
    equal(refused["bytes"], 1)
    assert re.match(r"127\.0\.0\.1:\d+$", refused["from"]), refused
    equal(refused["key"], id_of(token))
    assert all(secret not in json.dumps(events) for secret in gateway.secrets)
    equal(log("pump"), [])
    equal(ask(gateway, "GET", "/devices/nobody/log", admin).status, NOT_THERE)


def test_audit(gateway):
    """who did it stands in the audit, by the CLI and over HTTP"""
    tokens = add_house(gateway, "mid")
    gateway.cli("device", "disable", "mid/pump")
    equal(ask(gateway, "DELETE", "/codecs/none", tokens["operator"]).status, 404)
    equal(ask(gateway, "DELETE", "/devices/pump", tokens["operator"]).status, 204)
    entries = ask(gateway, "GET", "/audit", tokens["admin"]).json()["audit"]
    removed, disabled = entries[:2]
    equal([removed[name] for name in ("who", "label", "action", "object", "id")],
          ["token:" + id_of(tokens["operator"]), "op", "remove", "device", "pump"])
    assert removed["from"].startswith("127.0.0.1:"), removed
    equal([disabled[name] for name in ("action", "object", "id", "from")], ["disable", "device", "pump", "cli"])
    assert disabled["who"].startswith("cli:"), disabled
    equal({entry["action"] for entry in entries if entry["object"] == "token"}, {"add"})
    page = ask(gateway, "GET", "/audit?limit=1", tokens["admin"]).json()["audit"]
    equal(page, entries[:1])
    equal(ask(gateway, "GET", "/audit?limit=1&before=" + page[0]["at"], tokens["admin"]).json()["audit"], entries[1:2])
    equal(ask(gateway, "GET", "/audit?before=x", tokens["admin"]).status, 400)
    shown = gateway.cli("audit", "mid", "--count=2").out.strip().splitlines()
    equal(len(shown), 2)
    assert shown[0].endswith("disable device pump") and shown[1].endswith("remove device pump"), shown
    text = json.dumps(entries) + gateway.cli("audit", "mid").out
    assert all(secret not in text for secret in gateway.secrets)
