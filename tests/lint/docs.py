#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents say true things: functions they name exist, links lead somewhere, every decision is listed.

Run with the source root as argument; prints what is wrong and exits 1. With --self-test it checks itself."""
import pathlib
import re
import sys

# `name` or `name()` that looks like one of our functions: a module prefix and an underscore.
NAMED = re.compile(r'`([a-z][a-z0-9]*(?:_[a-z0-9]+)+)(?:\(\))?`')
LINK = re.compile(r'\]\(([^)#]+)(?:#[^)]*)?\)')


def code_words(root):
    words = set()
    for folder in ('codec', 'registry', 'gateway', 'proxy', 'cmd'):
        for path in (root / folder).rglob('*.[ch]'):
            words.update(re.findall(r'[a-z_][a-z0-9_]*', path.read_text(errors='replace')))
    return words


def check_text(name, text, words, exists):
    wrong = [f'{name}: `{word}` is nowhere in the code' for word in NAMED.findall(text) if word not in words]
    wrong += [f'{name}: link to {target} leads nowhere' for target in LINK.findall(text)
              if '://' not in target and not exists(target)]
    return wrong


def check(root):
    words = code_words(root)
    wrong = []
    for path in [root / 'README.md', *sorted((root / 'docs').rglob('*.md'))]:
        wrong += check_text(str(path.relative_to(root)), path.read_text(), words,
                            lambda target, base=path.parent: (base / target).exists())
    listed = (root / 'docs/decisions/README.md').read_text()
    wrong += [f'docs/decisions/README.md does not list {path.name}'
              for path in (root / 'docs/decisions').glob('0*.md') if path.name not in listed]
    return wrong


def self_test():
    words = {'real_function'}
    good = check_text('t', 'see `real_function` and [x](there.md)', words, lambda target: True)
    bad = check_text('t', 'see `gone_function` and [x](nowhere.md)', words, lambda target: False)
    return not good and len(bad) == 2


if __name__ == '__main__':
    if sys.argv[1] == '--self-test':
        sys.exit(0 if self_test() else 1)
    problems = check(pathlib.Path(sys.argv[1]))
    print('\n'.join(problems) or 'documents agree with the code')
    sys.exit(1 if problems else 0)
