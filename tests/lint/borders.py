#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The borders between the folders hold: who may include whom, and which file may include which library.

Run with the source root as argument; prints each violation as file:line and exits 1. With --self-test it plants
violations in a temporary tree and exits 1 if one of them is not found, or if clean code is reported."""
import fnmatch
import pathlib
import re
import sys
import tempfile

# Each folder may include itself and the folders before it. gateway/rt knows codec/ and itself only.
LAYERS = ['codec', 'registry', 'gateway', 'proxy', 'cmd']
RT_MAY_INCLUDE = ['codec/', 'gateway/rt/']

# Library header (pattern) -> files that may include it, also by way of a header of ours. All else goes through those
# files' own headers, which do not show the library.
FENCES = {
    'coap3/*': ['gateway/message.c', 'gateway/client.c'],
    'wolfssl/*': ['gateway/dtls.c', 'gateway/dtls_*.c', 'gateway/crypto.c', 'gateway/crypto_sign.c',
                  'gateway/crypto_cert.c', 'gateway/crypto_tls.c'],
    'hiredis/*': ['gateway/store_wire.c'],
    'hiredis.h': [],
    'microhttpd.h': ['proxy/http.c', 'proxy/http_*.c', 'proxy/http_*.h'],
    'yyjson.h': ['codec/json.c'],
    'cbor.h': ['codec/cborin.c'],
    'cbor/*': ['codec/cborin.c'],
    'zlib.h': ['codec/inflate.c'],
    'urcu.h': ['registry/*.c', 'gateway/worker.c', 'gateway/rt/*.c'],
    'urcu-*.h': ['registry/*.c', 'gateway/worker.c', 'gateway/rt/*.c'],
    'urcu/*': ['registry/*.c', 'gateway/worker.c', 'gateway/rt/*.c'],
    # It changes the layout of wolfSSL's structures: ours is user_settings.h.
    'wolfssl/options.h': [],
}

# System headers that bring an effect into the two pure layers.
IMPURE = ['arpa/inet.h', 'fcntl.h', 'netinet/*', 'poll.h', 'sys/epoll.h', 'sys/mman.h', 'sys/socket.h',
          'sys/stat.h', 'syslog.h', 'unistd.h']
IMPURE_LAYERS = {'codec': IMPURE + ['pthread.h', 'threads.h', 'sys/time.h'], 'registry': IMPURE}

# hiredis' printf-like calls: a '%' or a space in data becomes part of the command. Only the Argv forms are allowed.
FORMAT_CALLS = re.compile(r'\bredisv?(?:Async|Append|Format)?Command(?:To)?\s*\(')

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
COMMENT = re.compile(r'//[^\n]*|/\*.*?\*/', re.S)
STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')


def without_comments(text):
    """The same lines without comments. A '//' inside a string literal is not a comment."""
    both = re.compile(STRING.pattern + '|' + COMMENT.pattern, re.S)
    return both.sub(lambda m: m[0] if m[0].startswith('"') else re.sub(r'[^\n]', ' ', m[0]), text)


def matches(path, patterns):
    # A '*' does not cross a folder: 'registry/*.c' is not 'registry/x/y.c'.
    return any(fnmatch.fnmatchcase(path, p) and path.count('/') == p.count('/') for p in patterns)


def is_fenced(target):
    return any(fnmatch.fnmatchcase(target, pattern) for pattern in FENCES)


def check_project_include(path, target, root):
    layer = path.split('/')[0]
    top = target.split('/')[0]
    if not (root / target).is_file():
        return f'"{target}" is not a path from the source root'
    if top not in LAYERS:
        return f'"{target}" is in no layer'
    if LAYERS.index(top) > LAYERS.index(layer):
        return f'{layer}/ must not include {top}/ ("{target}")'
    if path.startswith('gateway/rt/') and not target.startswith(tuple(RT_MAY_INCLUDE)):
        return f'gateway/rt/ must not include "{target}"'
    for library in sorted(libraries_behind(target, root, set())):
        wrong = check_library_include(path, library)
        if wrong:
            return f'by way of "{target}": {wrong}'
    return None


def check_library_include(path, target):
    for pattern, allowed in FENCES.items():
        if fnmatch.fnmatchcase(target, pattern) and not matches(path, allowed):
            return f'<{target}> may be included by {" ".join(allowed) or "nobody"} only'
    for pattern in IMPURE_LAYERS.get(path.split('/')[0], []):
        if fnmatch.fnmatchcase(target, pattern):
            return f'<{target}> in {path.split("/")[0]}/, which has no effects'
    return None


def libraries_behind(target, root, seen):
    """The fenced library headers that a header of ours brings in, directly or by others of ours."""
    found = set()
    if target in seen or not (root / target).is_file():
        return found
    seen.add(target)
    for line in without_comments((root / target).read_text()).split('\n'):
        include = INCLUDE.match(line)
        if include and is_fenced(include[2]):
            found.add(include[2])
        elif include and include[1] == '"':
            found |= libraries_behind(include[2], root, seen)
    return found


def check_file(path, text, root):
    """Yields (line number, what is wrong) for one file, whose path is relative to the root."""
    for number, line in enumerate(without_comments(text).split('\n'), 1):
        include = INCLUDE.match(line)
        if include:
            project = include[1] == '"' and not is_fenced(include[2])
            wrong = (check_project_include(path, include[2], root) if project
                     else check_library_include(path, include[2]))
            if wrong:
                yield number, wrong
        elif FORMAT_CALLS.search(STRING.sub('""', line)):
            yield number, 'format-string command: use the Argv form'


def check(root):
    wrong, count = [], 0
    for layer in LAYERS:
        for file in sorted((root / layer).rglob('*.[ch]')):
            count += 1
            path = file.relative_to(root).as_posix()
            wrong += [f'{path}:{line}: {what}' for line, what in check_file(path, file.read_text(), root)]
    if count == 0:
        wrong.append(f'no source files under {root}')
    return wrong, count


def self_test():
    clean = {
        'codec/a.h': '#include <stdint.h>\n',
        'codec/json.c': '#include "codec/a.h"\n#include <yyjson.h>\n',
        'codec/inflate.c': '#include <zlib.h>\n',
        'registry/r.h': '#include "codec/a.h"\n',
        'registry/r.c': '#include "registry/r.h"\n#include <urcu/urcu-qsbr.h>\n',
        'gateway/rt/loop.h': '#include "codec/a.h"\n',
        'gateway/rt/loop.c': '#include "gateway/rt/loop.h"\n#include <sys/epoll.h>\n',
        'gateway/g.h': '#include "registry/r.h"\n#include "gateway/rt/loop.h"\n',
        'gateway/message.c': '#include <coap3/coap.h>\n',
        'gateway/dtls_wake.c': '#include <wolfssl/ssl.h>\n',
        'gateway/crypto_tls.c': '#include <wolfssl/ssl.h>\n',
        'gateway/store_wire.c': '#include <hiredis/async.h>\n// redisCommand(c, "SET %s")\n'
                           'char *s = "// redisCommand(";\nint f(void) { return redisCommandArgv(c, 1, v, l); }\n',
        'proxy/http_io.h': '#include <microhttpd.h>\n',
        'proxy/http.c': '#include "gateway/g.h"\n#include "proxy/http_io.h"\n#include <microhttpd.h>\n',
        'cmd/main.c': '#include "proxy/p.h"\n',
        'proxy/p.h': '',
    }
    planted = {
        'codec/up.c': '#include "registry/r.h"\n',
        'codec/effect.c': '#include <unistd.h>\n',
        'codec/thread.c': '#include <pthread.h>\n',
        'codec/other.c': '#include <yyjson.h>\n',
        'codec/quoted.c': '#include "yyjson.h"\n',
        'codec/items.c': '#  include <cbor.h>\n',
        'codec/gunzip.c': '#include <zlib.h>\n',
        'codec/relative.c': '#include "a.h"\n',
        'registry/up.c': '#include "gateway/g.h"\n',
        'registry/head.h': '#include <urcu/urcu-qsbr.h>\n',
        'gateway/up.c': '#include "proxy/p.h"\n',
        'gateway/rt/up.c': '#include "gateway/g.h"\n',
        'gateway/rt/over.c': '#include "registry/r.h"\n',
        'gateway/session.c': '#include <wolfssl/ssl.h>\n',
        'gateway/dtls.c': '#include <wolfssl/options.h>\n',
        'gateway/udp.c': '#include <coap3/coap.h>\n',
        'gateway/sink.c': '#include <hiredis/hiredis.h>\n',
        'gateway/rcu.c': '#include <urcu-qsbr.h>\n',
        'gateway/store.c': '#include <hiredis/hiredis.h>\n',
        'gateway/store_wire.c': '#include <hiredis/hiredis.h>\nint f(void) { redisCommand(c, "GET %s", k); }\n',
        'gateway/store2.c': 'int f(void) { redisAsyncCommand (c, cb, p, "GET %s", k); }\n',
        'proxy/page.c': '#include <microhttpd.h>\n',
        'cmd/behind.c': '#include "proxy/http_io.h"\n',
        'cmd/sim.c': '#include <coap3/coap.h>\n',
    }
    ok = True
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for path, text in clean.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        for wrong in check(root)[0]:
            print('clean code reported:', wrong)
            ok = False
        for path, text in planted.items():
            before = (root / path).read_text() if (root / path).exists() else None
            (root / path).write_text(text)
            if not any(wrong.startswith(path + ':') for wrong in check(root)[0]):
                print('not found:', path, text.strip())
                ok = False
            (root / path).unlink() if before is None else (root / path).write_text(before)
    print(f'self-test: {len(planted)} planted violations, {"all found" if ok else "FAILED"}')
    return ok


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if sys.argv[1] == '--self-test':
        sys.exit(0 if self_test() else 1)
    violations, files = check(pathlib.Path(sys.argv[1]))
    print('\n'.join(violations) or f'{files} files keep the borders')
    sys.exit(1 if violations else 0)
