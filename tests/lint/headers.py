#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every header of ours compiles alone, and twice in one file, with the flags of its layer.

Arguments: source root, build root (for compile_commands.json). Prints what is wrong and exits 1. With --self-test it
checks that a header that is not self-contained is found."""
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

LAYERS = ['codec', 'registry', 'gateway', 'proxy', 'cmd']


def layer_flags(root, build):
    """{layer: (folder to run in, compiler and flags)}, taken from the first file of each layer that is compiled."""
    flags = {}
    for entry in json.loads((build / 'compile_commands.json').read_text()):
        folder = pathlib.Path(entry['directory'])
        path = pathlib.Path(os.path.normpath(folder / entry['file']))
        layer = path.relative_to(root).parts[0] if path.is_relative_to(root) else ''
        if layer not in LAYERS or layer in flags:
            continue
        # All but input, output and dependency file.
        words, kept, skip = shlex.split(entry.get('command', '')), [], False
        for word in words:
            if skip:
                skip = False
            elif word in ('-o', '-MF', '-MQ', '-MT'):
                skip = True
            elif word not in ('-c', '-MD', '-MMD') and word != entry['file']:
                kept.append(word)
        flags[layer] = (folder, kept)
    return flags


def compile_header(name, folder, command):
    """None, or the compiler's words. -include would hide a missing guard: the header is included twice in a file."""
    # Not -Wpragmas and the like: only whether it compiles. A header of inline functions may be unused.
    text = f'#include "{name}"\n#include "{name}"\nextern int header_compiles;\n'
    run = subprocess.run(command + ['-fsyntax-only', '-Wno-unused-function', '-x', 'c', '-'], cwd=folder, input=text,
                         capture_output=True, text=True)
    return None if run.returncode == 0 else run.stderr


def check(root, build):
    flags = layer_flags(root, build)
    jobs, wrong = [], []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for layer in LAYERS:
            for header in sorted((root / layer).rglob('*.h')):
                name = header.relative_to(root).as_posix()
                if layer not in flags:
                    wrong.append(f'{name}: no file of {layer}/ is compiled, so no flags to check it with')
                    continue
                jobs.append((name, pool.submit(compile_header, name, *flags[layer])))
    wrong += [f'{name} does not compile alone:\n{job.result()}' for name, job in jobs if job.result()]
    if not jobs:
        wrong.append('no headers found')
    return wrong, len(jobs)


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        def fails(text):
            pathlib.Path(folder, 'h.h').write_text(text)
            return compile_header('h.h', folder, [os.environ.get('CC', 'cc'), '-I.']) is not None
        good = '#ifndef H_H\n#define H_H\n#include <stdint.h>\nstruct h { uint8_t x; };\n#endif\n'
        return not fails(good) and fails(good.replace('#include <stdint.h>\n', '')) and fails('struct h { int x; };\n')


if __name__ == '__main__':
    if sys.argv[1:] == ['--self-test']:
        sys.exit(0 if self_test() else 1)
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    problems, count = check(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve())
    print('\n'.join(problems) or f'{count} headers compile alone')
    sys.exit(1 if problems else 0)
