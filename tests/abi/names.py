#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""List all that a user API header defines, one fact a line.

    struct NAME            field NAME MEMBER[.MEMBER] / array ... / flex ...
    enum NAME              const NAME / string NAME / macro NAME

The header is parsed, not searched: a construct this does not know is an error,
so nothing can be left out in silence.  It knows what the kernel's user API
headers consist of: macros, enums, and structs of integers, arrays, structs
and anonymous or named inner structs and unions.
"""
import re
import subprocess
import sys

TOKEN = re.compile(r'"[^"]*"|\w+|<<|>>|[^\s\w]')
IGNORED = {'__attribute__', '__counted_by', '__packed'}


class Parser:
    def __init__(self, text):
        self.tokens = TOKEN.findall(text)
        self.at = 0
        self.facts = []

    def peek(self, ahead=0):
        i = self.at + ahead
        return self.tokens[i] if i < len(self.tokens) else None

    def take(self, expected=None):
        token = self.peek()
        if token is None or expected not in (None, token):
            near = ' '.join(self.tokens[max(0, self.at - 8):self.at + 4])
            raise SystemExit(f'names.py: expected {expected}, found {token} near: {near}')
        self.at += 1
        return token

    def skip_balanced(self, opening, closing):
        self.take(opening)
        depth = 1
        while depth:
            token = self.take()
            depth += (token == opening) - (token == closing)

    def skip_attributes(self):
        while self.peek() in IGNORED:
            self.take()
            if self.peek() == '(':
                self.skip_balanced('(', ')')

    def enum(self):
        self.take('enum')
        if self.peek() != '{':
            self.facts.append(f'enum {self.take()}')
        self.take('{')
        while self.peek() != '}':
            self.facts.append(f'const {self.take()}')
            while self.peek() not in (',', '}'):
                self.take()
            if self.peek() == ',':
                self.take()
        self.take('}')

    def member(self, struct, prefix):
        """One member; an inner struct or union is walked with its name as prefix."""
        if self.peek() in ('struct', 'union') and '{' in (self.peek(1), self.peek(2)):
            self.take()
            if self.peek() != '{':
                self.take()
            start = self.at
            self.skip_balanced('{', '}')
            name = self.take() if self.peek() != ';' else None
            self.take(';')
            after, self.at = self.at, start
            if name:
                self.facts.append(f'field {struct} {prefix}{name}')
            self.members(struct, f'{prefix}{name}.' if name else prefix)
            self.at = after
            return
        words = []
        while self.peek() not in (';', '['):
            words.append(self.take())
        name = words[-1]
        kind = 'field'
        while self.peek() == '[':
            kind = 'flex' if self.peek(1) == ']' else 'array'
            self.skip_balanced('[', ']')
        self.skip_attributes()
        self.take(';')
        if len(words) < 2 or not re.fullmatch(r'[A-Za-z_]\w*', name):
            raise SystemExit(f'names.py: struct {struct}: what is "{" ".join(words)}"?')
        self.facts.append(f'{kind} {struct} {prefix}{name}')

    def members(self, struct, prefix):
        self.take('{')
        while self.peek() != '}':
            self.member(struct, prefix)
        self.take('}')

    def struct(self):
        self.take('struct')
        name = self.take()
        self.facts.append(f'struct {name}')
        self.members(name, '')
        self.skip_attributes()

    def header(self):
        while self.peek() is not None:
            if self.peek() == 'enum':
                self.enum()
            elif self.peek() == 'struct':
                self.struct()
            else:
                self.take('enum or struct')
            self.take(';')
        return self.facts


def macros(text):
    """#defines with a meaning; a guard has no value."""
    for line in text.splitlines():
        match = re.match(r'#define (\w+)(\([^)]*\))?\s*(.*)', line)
        if not match or (not match[3] and not match[2]):
            continue
        kind = 'macro' if match[2] else 'string' if match[3].startswith('"') else 'const'
        yield f'{kind} {match[1]}'


def main():
    # Comments go, macros stay unexpanded, includes are not followed.
    text = subprocess.run(['gcc', '-fpreprocessed', '-dD', '-E', '-P', sys.argv[1]],
                          check=True, capture_output=True, text=True).stdout
    text = text.replace('\\\n', ' ')
    # Without the macros what is left is declarations; both sides of an #if count.
    plain = '\n'.join(line for line in text.splitlines() if not line.lstrip().startswith('#'))
    for fact in [*macros(text), *Parser(plain).header()]:
        print(fact)


main()
