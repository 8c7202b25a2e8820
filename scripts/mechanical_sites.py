#!/usr/bin/env python3
"""Where the bodies of the engine's functions can be changed by one operator, and the text of the change.

`scripts/mutants --mechanical` draws from these sites and plays them. A site replaces an expression or
statement E by `(MECHANICAL(n) ? (E changed) : (E))`, so that one build holds all of them and a run chooses.
It works on tokens of code formatted by clang-format: there a `<` between spaces compares, and any other
opens template arguments. What it takes for an expression and is none does not compile, and is dropped then.

Not changed, because they are not behaviour: assertions and functions named assert_*, marks and the
conditions of nothing but a mark, poison for the address sanitizer, what is decided at compile time
(consteval functions, constexpr and static declarations, template arguments, case labels, attributes).

Which sites a seed draws depends on each site alone: a source that changes leaves the others' draws as
they are.

  scripts/mechanical_sites.py              how many sites there are of each kind
  scripts/mechanical_sites.py --list       all of them
  scripts/mechanical_sites.py --self-test
"""

import bisect
import hashlib
import os
import random
import re
import sys
from collections import Counter, namedtuple

import tidy

# `begin`, `end`: what is replaced in the file. `text`: what identifies it in sim/mutants/survivors.tsv.
Site = namedtuple("Site", "path function line kind text begin end changed")

TOKEN = re.compile(r'"[^"\n]*"|[A-Za-z_]\w*|\d[\w.\']*|<=>|<<=|>>=|->|::|\+\+|--|<=|>=|==|!=|&&|\|\||'
                   r"<<|[-+*/%&|^]=|\S")
ASSIGN = {"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="}
COMPARE = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
LOGIC = {"&&": "||", "||": "&&"}
# What is on the other side: members and functions.
TURNED = [("min", "max"), ("front", "back"), ("first", "last"), ("ascending", "descending"),
          ("lower_bound", "upper_bound"), ("key_min", "key_max"), ("push_back", "push_front"),
          ("begin", "end"), ("previous", "next"), ("oldest", "newest")]
TURN = dict(TURNED) | {there: here for here, there in TURNED}
CHECKS = {"ASSERT", "ASSERT_IMPLIES", "UNREACHABLE", "mark", "static_assert", "poison", "unpoison"}
CHECKS_NAMED = ("assert_", "poison_")
COMPILE_TIME_CALLS = {"sizeof", "alignof", "alignas", "decltype", "noexcept", "offsetof"}
COMPILE_TIME_WORDS = {"constexpr", "consteval", "static", "using", "typedef", "enum", "struct", "class"}
KEYWORDS = {"if", "for", "while", "do", "else", "switch", "case", "default", "return", "break", "continue",
            "goto", "delete", "new", "throw", "const", "auto"} | COMPILE_TIME_WORDS
SPECIFIERS = r"^(?:inline |static |constexpr |virtual |\[\[nodiscard\]\] )*"
NUMBER_TYPES = re.compile(SPECIFIERS + r"(?:u8|u16|u32|u64|i32|i64|u128|int)\s")
BOOL_TYPE = re.compile(SPECIFIERS + r"bool\s")
SHOWN = 100  # Characters of a change that are shown, around what is changed.


class Body:
    """The tokens of one function, which of them are off limits, and what encloses what."""

    def __init__(self, code, head, begin, end):
        self.code = code
        self.head = head
        found = [match for match in TOKEN.finditer(code, begin, end)]
        self.at = [match.start() for match in found]
        self.to = [match.end() for match in found]
        self.words = [match.group() for match in found]
        self.partner = {}
        self.off = [False] * len(found)
        self.pair_brackets()
        self.pair_template_arguments()
        self.starts = self.statement_starts()
        self.mark_off_limits()

    def pair_brackets(self):
        open_ones = []
        for i, word in enumerate(self.words):
            if word in "([{":
                open_ones.append(i)
            elif word in ")]}" and open_ones:
                self.partner[i] = open_ones.pop()
                self.partner[self.partner[i]] = i

    def spaced(self, i):
        return self.code[self.at[i] - 1] in " \n" and self.code[self.to[i]] in " \n"

    def pair_template_arguments(self):
        open_ones = []
        for i, word in enumerate(self.words):
            if word == "<" and not self.spaced(i):
                open_ones.append(i)
            elif word == ">" and open_ones and self.code[self.at[i] - 1] != " ":
                self.partner[i] = open_ones.pop()
                self.partner[self.partner[i]] = i
        for i in [i for i, word in enumerate(self.words) if word == "<" and i in self.partner]:
            self.put_off(i, self.partner[i])

    def put_off(self, first, last):
        for i in range(first, min(last, len(self.off) - 1) + 1):
            self.off[i] = True

    def statement_starts(self):
        starts = {0}
        for i, word in enumerate(self.words[:-1]):
            if word in (";", "else", "do") or (word in "{}" and self.is_block(i)):
                starts.add(i + 1)
            elif word == ")" and i in self.partner:
                before = self.words[self.partner[i] - 1] if self.partner[i] > 0 else ""
                if before in ("if", "for", "while", "switch", "constexpr"):
                    starts.add(i + 1)
            elif word == ":" and self.is_label(i):
                starts.add(i + 1)
        return starts

    # Not the brace of an initialiser.
    def is_block(self, i):
        opening = i if self.words[i] == "{" else self.partner.get(i, 0)
        before = self.words[opening - 1] if opening > 0 else ";"
        return before in (")", "else", "do", ";", "{", "}", ":", "const", "mutable")

    def is_label(self, i):
        j = i - 1
        while j >= 0 and self.words[j] not in (";", "{", "}", "?", "case", "default"):
            j = self.partner[j] - 1 if self.words[j] in ")]" and j in self.partner else j - 1
        return j >= 0 and self.words[j] in ("case", "default")

    def mark_off_limits(self):
        for i, word in enumerate(self.words):
            after = self.words[i + 1] if i + 1 < len(self.words) else ""
            if (word in CHECKS | COMPILE_TIME_CALLS or word.startswith(CHECKS_NAMED)) and after in ("(", "{"):
                self.put_off(i, self.partner.get(i + 1, i))
            elif word == "if" and after == "(" and self.marks_only(self.partner[i + 1] + 1):
                self.put_off(i, self.partner[i + 1])
            elif word == "if" and after == "constexpr":
                self.put_off(i, self.partner.get(i + 2, i))
            elif word in COMPILE_TIME_WORDS:
                self.put_off(i, self.find(i, ";"))
            elif word == "case":
                self.put_off(i, self.find(i, ":"))
            elif word == "[" and after == "[":
                self.put_off(i, self.partner.get(i, i))

    # The statement at token i is a mark, in braces or not, and no `else` belongs to it.
    def marks_only(self, i):
        braced = self.words[i] == "{"
        end = self.find(i + 1 if braced else i, ";")
        if braced:
            i, end = i + 1, self.partner[i] if self.partner[i] == end + 1 else i
        return self.words[i:i + 2] == ["mark", "("] and self.words[end + 1:end + 2] != ["else"] and end > i

    def find(self, i, word):
        while i < len(self.words) and self.words[i] != word:
            i = self.partner.get(i, i) + 1 if self.words[i] in ("(", "[", "{") else i + 1
        return i

    def expression(self, i, stops):
        """(first, last token) of the whole expression around token i; None if it is something else."""
        first = i
        while first > 0 and first not in self.starts:
            word = self.words[first - 1]
            if word in "([{" or word in stops:
                break
            first = self.partner[first - 1] if word in ")]}>" and first - 1 in self.partner else first - 1
        last = i
        while last + 1 < len(self.words):
            word = self.words[last + 1]
            if word in ")]}" or word in stops:
                break
            jump = last + 1 in self.partner and word in "([{<"
            last = self.partner[last + 1] if jump else last + 1
        after = self.words[last + 1] if last + 1 < len(self.words) else ";"
        if after in ASSIGN or self.words[first] in KEYWORDS or (first in self.starts and after == ":"):
            return None
        # A lambda twice would be two types.
        words = self.words[first:last + 1]
        if any(word == "[" and (k == 0 or words[k - 1] in ("(", ",", "=")) for k, word in enumerate(words)):
            return None
        return first, last


STOPS = ASSIGN | {",", ";", "?", ":", "return", "&&", "||"}
STOPS_LOGIC = STOPS - {"&&", "||"}


def token_changes(body, i):
    """(kind, replacement of the token, stops) for what one token can become."""
    word = body.words[i]
    before = body.words[i - 1] if i > 0 else ""
    after = body.words[i + 1] if i + 1 < len(body.words) else ""
    if word in COMPARE and body.spaced(i):
        yield "compare", COMPARE[word], STOPS
    elif word in LOGIC and body.spaced(i):
        yield "logic", LOGIC[word], STOPS_LOGIC
    elif word in "+-" and body.spaced(i):
        yield "arithmetic", "-" if word == "+" else "+", STOPS
        yield "off by one", f"+ 1 {word}", STOPS
        yield "off by one", f"- 1 {word}", STOPS
    elif re.fullmatch(r"\d+U?", word):
        yield "off by one", f"({word} + 1)", STOPS
        if word.rstrip("U") != "0":
            yield "off by one", f"({word} - 1)", STOPS
    elif word in ("true", "false"):
        yield "bool", "false" if word == "true" else "true", STOPS
    elif word in TURN and (after == "(" or before in (".", "->", "::")):
        yield "turned", TURN[word], STOPS


def is_place(body, first, last):
    """Tokens first..last are a chain of names, members, indices and calls: no declaration, no operator."""
    i = first
    while i <= last and body.words[i] == "*":
        i += 1
    name_wanted = True
    while i <= last:
        word = body.words[i]
        if re.match(r"[A-Za-z_]", word):
            if not name_wanted or word in KEYWORDS:
                return False
            name_wanted = False
        elif word in (".", "->", "::"):
            name_wanted = True
        elif word in ("(", "[", "<") and i in body.partner and not name_wanted:
            i = body.partner[i]
        else:
            return False
        i += 1
    return not name_wanted


def statement_changes(body, i):
    """(kind, first, last) of a statement that can be left out."""
    end = body.find(i, ";")
    if end >= len(body.words) or end == i or body.off[i]:
        return
    words = body.words
    if words[end - 1] == ")" and is_place(body, i, end - 1):
        yield "dropped call", i, end - 1
    elif words[i] in ("++", "--") and is_place(body, i + 1, end - 1):
        yield "dropped assignment", i, end - 1
    else:
        equals = next((k for k in range(i, end) if words[k] in ASSIGN), None)
        if equals is not None and is_place(body, i, equals - 1):
            yield "dropped assignment", i, end - 1


def return_change(body, i):
    """What `return E` can return instead."""
    end = body.find(i, ";")
    words = body.words[i + 1:end]
    if not words or "{" in words or words in (["true"], ["false"]) or re.fullmatch(r"\d+", " ".join(words)):
        return None
    if BOOL_TYPE.match(body.head):
        return "return", "!({})", i + 1, end - 1
    if NUMBER_TYPES.match(body.head):
        return "return", "({}) + 1", i + 1, end - 1
    return None


def condition_change(body, i):
    """The condition of the `if` at token i; behind an initialiser, if it has one."""
    if body.words[i + 1] != "(":
        return None
    first, last = i + 2, body.partner[i + 1] - 1
    semicolon = body.find(first, ";")
    if semicolon < last:
        first = semicolon + 1
    if any(word in ASSIGN for word in body.words[first:last + 1]):
        return None
    return "negated", "!({})", first, last


def one_line(text):
    return re.sub(r"\s+", " ", text).strip()


def cut(text, position):
    """At most SHOWN characters of it, around the position."""
    if len(text) <= SHOWN:
        return text
    begin = max(0, min(position - SHOWN // 2, len(text) - SHOWN))
    end = begin + SHOWN
    return ("..." if begin > 0 else "") + text[begin:end].strip() + ("..." if end < len(text) else "")


def described(kind, was, changed):
    if kind.startswith("dropped"):
        return cut(was, 0)
    same = len(os.path.commonprefix([was, changed]))
    return f"{cut(was, same)}  ->  {cut(changed, same)}"


def changes_of(body, bare):
    """(kind, token position, first, last, text of the change) of every site of a function."""
    for i, word in enumerate(body.words):
        if i in body.starts:
            for kind, first, last in statement_changes(body, i):
                yield kind, i, first, last, ""
        if body.off[i]:
            continue
        if word in ("return", "if") and i + 1 < len(body.words):
            whole = return_change(body, i) if word == "return" else condition_change(body, i)
            if whole and whole[2] <= whole[3]:
                kind, form, first, last = whole
                yield kind, i, first, last, form.format(bare[body.at[first]:body.to[last]])
            continue
        for kind, replacement, stops in token_changes(body, i):
            span = body.expression(i, stops)
            if span:
                first, last = span
                changed = bare[body.at[first]:body.at[i]] + replacement + bare[body.to[i]:body.to[last]]
                yield kind, i, first, last, changed


def without_comments(text):
    """The same text, strings and all, with blanks for comments."""
    keep = lambda match: tidy.blank(match.group()) if match.lastgroup == "comment" else match.group()
    return tidy.TOKEN.sub(keep, text)


def sites_of(path, text):
    code = tidy.DIRECTIVE.sub(lambda match: tidy.blank(match.group()), tidy.code_only(text))
    bare = without_comments(text)
    seen = Counter()
    for head, function, _, opening, closing in tidy.bodies(text):
        if function.startswith(CHECKS_NAMED) or re.search(r"\bconsteval\b", head):
            continue
        body = Body(code, head, opening + 1, closing)
        for kind, i, first, last, changed in changes_of(body, bare):
            begin, end = body.at[first], body.to[last]
            words = described(kind, one_line(bare[begin:end]), one_line(changed))
            shown = f"{kind}: {words}"
            seen[function, shown] += 1
            if seen[function, shown] > 1:  # The same once more in one function.
                shown += f" #{seen[function, shown]}"
            yield Site(path, function, tidy.line_of(text, body.at[i]), kind, shown, begin, end,
                       one_line(changed))


def is_behaviour(path):
    """Sources of the engine, but for tests and for what only checks and announces."""
    name = os.path.basename(path)
    return (path.endswith((".cpp", ".h")) and not name.startswith("test_") and not name.endswith("_test.cpp")
            and name not in ("assert.h", "assert.cpp", "mark.h", "mark.cpp", "mutant.h"))


def all_sites(root):
    found = []
    for folder, folders, names in os.walk(os.path.join(root, "src")):
        folders.sort()
        for name in sorted(names):
            path = os.path.relpath(os.path.join(folder, name), root)
            if is_behaviour(path):
                with open(os.path.join(root, path), encoding="utf-8") as file:
                    found += sites_of(path, file.read())
    return found


def rank(site, seed):
    words = f"{seed}\t{site.path}\t{site.function}\t{site.text}"
    return hashlib.sha256(words.encode()).digest()


def shuffled(sites, seed):
    """In the seed's order, every kind as often as the others: a third of the sites are numbers."""
    kinds = {}
    for site in sites:
        kinds.setdefault(site.kind, []).append(site)
    for group in kinds.values():
        group.sort(key=lambda site: rank(site, seed), reverse=True)
    choices = random.Random(seed)
    while kinds:
        kind = choices.choice(sorted(kinds))
        yield kinds[kind].pop()
        if not kinds[kind]:
            del kinds[kind]


def draw(order, count, taken):
    """The next so many of `order` that overlap neither each other nor `taken`."""
    spans = {}
    for site in taken:
        bisect.insort(spans.setdefault(site.path, []), (site.begin, site.end))
    drawn = []
    while len(drawn) < count and (site := next(order, None)):
        others = spans.setdefault(site.path, [])
        k = bisect.bisect_left(others, (site.begin, site.end))
        if any(site.begin < end and begin < site.end for begin, end in others[max(0, k - 1):k + 1]):
            continue
        bisect.insort(others, (site.begin, site.end))
        drawn.append(site)
    return drawn


def rewrite(text, numbered):
    """The file with these (number, site) in it. Lines stay where they are."""
    for number, site in sorted(numbered, key=lambda pair: -pair[1].begin):
        was = text[site.begin:site.end]
        if site.kind.startswith("dropped"):
            became = f"(MECHANICAL({number}) ? (void)0 : (void)({was}))"
        else:
            became = f"(MECHANICAL({number}) ? ({site.changed}) : ({was}))"
        text = text[:site.begin] + became + text[site.end:]
    return text


# --- self test

EXAMPLE = '''
#define TWICE(x) ((x) + (x))
inline bool Level::fits(u32 count, const Key& key) const {
  ASSERT(count < max_ + 1);
  static_assert(sizeof(Key) > 3);
  constexpr u32 spare = 7;  // 1 < 2
  if (const Table* table = find(key)) mark(Mark::found, 9);
  if (count + 2 > 1) mark(Mark::several);
  if (count + 3 > 1) {
    mark(Mark::many);
  }
  poison(list_.data() + 1, count - 1);
  if (count == 0 || ends_[0]) return false;
  for (u32 i = 0; i < count; ++i) list_.push_back(static_cast<u32>(min(i, spare)));
  u64 sum = std::array<u32, 4>{}.size() + count;
  tail_ = "a < b";
  switch (count) {
    case 3: close(); break;
  }
  assert_sound();
  return first_ < key;
}
u32 Level::assert_sound() { return 1 + 1; }
consteval u32 levels() { return 1 + 1; }
'''
EXPECTED = {
    "compare: count == 0 -> count != 0", "off by one: count == 0 -> count == (0 + 1)",
    "logic: count == 0 || ends_[0] -> count == 0 && ends_[0]", "off by one: 0 -> (0 + 1)",
    "negated: count == 0 || ends_[0] -> !(count == 0 || ends_[0])", "bool: false -> true",
    "compare: i < count -> i <= count", "off by one: 0 -> (0 + 1) #2",
    "turned: list_.push_back(static_cast<u32>(min(i, spare))) -> "
    "list_.push_front(static_cast<u32>(min(i, spare)))",
    "turned: min(i, spare) -> max(i, spare)",
    "dropped call: list_.push_back(static_cast<u32>(min(i, spare)))",
    "arithmetic: std::array<u32, 4>{}.size() + count -> std::array<u32, 4>{}.size() - count",
    "off by one: std::array<u32, 4>{}.size() + count -> std::array<u32, 4>{}.size() + 1 + count",
    "off by one: std::array<u32, 4>{}.size() + count -> std::array<u32, 4>{}.size() - 1 + count",
    'dropped assignment: tail_ = "a < b"', "dropped call: close()",
    "compare: first_ < key -> first_ <= key", "return: first_ < key -> !(first_ < key)",
}


def self_test():
    sites = list(sites_of("src/example.cpp", EXAMPLE))
    found = {re.sub(r"  ->  ", " -> ", site.text) for site in sites}
    for text in sorted(EXPECTED - found):
        print(f"not found: {text}")
    for text in sorted(found - EXPECTED):
        print(f"found: {text}")
    dropped = next(site for site in sites if site.text == "dropped call: close()")
    compare = next(site for site in sites if site.text.startswith("compare: i <"))
    text = rewrite(EXAMPLE, [(1, dropped), (2, compare)])
    good = ("case 3: (MECHANICAL(1) ? (void)0 : (void)(close()));" in text and
            "; (MECHANICAL(2) ? (i <= count) : (i < count)); ++i)" in text)
    if not good:
        print(text)
    good = good and found == EXPECTED and text.count("\n") == EXAMPLE.count("\n")
    print("mechanical: the example is understood" if good else "mechanical: the example is not understood")
    return 0 if good else 1


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    sites = all_sites(tidy.ROOT)
    if sys.argv[1:] == ["--list"]:
        for site in sites:
            print(f"{site.path}:{site.line}: {site.function}: {site.text}")
    for kind, count in sorted(Counter(site.kind for site in sites).items()):
        print(f"{count:6} {kind}")
    print(f"{len(sites):6} in all")
    return 0


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.exit(main())
