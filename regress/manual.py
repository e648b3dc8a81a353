# SPDX-License-Identifier: ISC
"""The manual against the program: commands of fifectl and words of fife.conf, both ways.

A check yields (name, what is wrong or "").
"""
import itertools
import os
import re

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DAEMONS = ("authd keyd dnsd queued policyd logd deliverd mboxd filterd scand smtpd imapd pop3d "
           "sieved execd listd fifed").split()
# Sections of fife.conf that stand under another title.
TITLES = {"host": ["The host", "Listeners", "Programs"], "class": ["queue"]}


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as f:
        return f.read()


def sources(folder):
    for at, _, files in sorted(os.walk(os.path.join(TOP, folder))):
        for f in sorted(files):
            if f.endswith(".c"):
                yield os.path.relpath(os.path.join(at, f), TOP)


def expand(words):
    """«access allow|deny list» is two commands."""
    return {" ".join(w) for w in itertools.product(*(w.split("|") for w in words.split()))}


def answered_commands():
    """What the daemons, and fifectl itself, know."""
    found = set()
    for daemon in DAEMONS:
        for path in sources(daemon):
            found |= set(re.findall(r'\{\s*"([a-z-]+(?: [a-z-]+)*)",\s*-?\d+,\s*-?\d+,\s*\w+\s*\}', read(path)))
    # Behind them fifectl keeps off what it has no way for yet.
    program = read("fifectl/command.c")
    later = program[program.index("} later[] = {"):]
    later = later[:later.index("};")]
    for first, second in re.findall(r'\{ "([a-z-]+)", (?:"([a-z-]+)"|NULL) \}', later):
        found = {c for c in found if not (c + " ").startswith((first + " " + second).strip() + " ")}
    return found | set(re.findall(r'\{ "([a-z-]+)", NULL, NULL, 0, \w+ \}', program))


def manual_commands():
    found = set()
    for line in re.findall(r"^\.It (Ic .*)", read("man/fifectl.8"), re.M):
        line = line.replace(" Ns | Ns Ic ", "|")
        for words in re.findall(r"\bIc ((?:[a-z|-]+ ?)+)", line):
            found |= expand(words.strip(" |"))
    return found


def usage_commands():
    text = read("fifectl/main.c")
    text = text[text.index("commands:"):]
    found = set()
    for line in re.findall(r'"  (.*?)\\n"', text[:text.index("out);")]):
        for part in line.split(" | ") if line[0] != " " else []:
            found |= expand(re.match(r"[a-z| -]*", part).group().strip())
    return found


def knows(commands, c):
    """A page may say more of a command («queue freeze add»), and of a usage the same."""
    return any(c == k or c.startswith(k + " ") for k in commands)


def says(commands, c):
    return any(c == k or k.startswith(c + " ") for k in commands)


def check_commands():
    code, man, usage = answered_commands(), manual_commands(), usage_commands()
    assert len(code) > 70, code
    for name, said in (("fifectl.8", man), ("the usage of fifectl", usage)):
        missing = sorted(c for c in code if not says(said, c))
        unknown = sorted(c for c in said if not knows(code, c))
        yield "commands in " + name, "; ".join(
            [f"does not tell of «{c}»" for c in missing] + [f"tells of «{c}», which nobody answers" for c in unknown])


def unfold(text):
    """Macros of settings in place of their names."""
    for name, params, body in re.findall(r"#define (\w+)\(([^)]*)\)(.*CONF_.*)", text):
        def put(m, params=params.split(", "), body=body):
            for param, value in zip(params, m.group(1).split(", ")):
                body = re.sub(r"(?<![\w-])" + param + r"\b", lambda _, v=value: v, body)
            return body
        text = re.sub(r"(?<!#define )\b" + name + r"\(([^()]*)\)", put, text)
    return text


def conf_words():
    """section: {word: default or None}; and the words that are values."""
    arrays, sections, values = {}, {}, set()
    for path in sources("common/conf"):
        text = unfold(read(path).replace("\\\n", " "))
        here = {}
        for name, body in re.findall(r"struct conf_setting (\w+)\[\w*\] = \{(.*?)\n?\};", text, re.S):
            here[name] = {}
            for word, rest in re.findall(r'\{\s*"([a-z0-9-]+)",\s*(CONF_[^{}]*)\}', body):
                quoted = re.findall(r'"([^"]*)"', rest)
                here[name][word] = quoted[-1] if quoted else None
        for name, body in re.findall(r"struct conf_special (\w+)\[\w*\] = \{(.*?)\};", text, re.S):
            here[name] = {w: None for w in re.findall(r'\{ "([a-z-]+)", \w+ \}', body)}
        for word, settings, specials in re.findall(
                r'conf_section_\w+ = \{\s*"([a-z0-9-]+)",\s*(\w+),\s*(\w+)', text):
            sections[word] = dict(here.get(settings, {}), **here.get(specials, {}))
        for body in re.findall(r"struct conf_choice \w+\[\w*\] = \{(.*?)\};", text, re.S):
            values |= set(re.findall(r'\{\s*"([a-z0-9-]+)",', body))
        values |= set(re.findall(r'conf_accept\(p, "([a-z-]+)"\)', text))
    sections["queue"] = dict(sections.pop("class"), **sections["queue"])
    sections["host"] = {**sections.pop("command"), **sections.pop("maildir"), **sections["host"]}
    return sections, values


def manual_words():
    """title: {word: text of its entry}"""
    found, words, title = {}, [], None
    lines = read("man/fife.conf.5").split("\n")
    for i, line in enumerate(lines):
        if line.startswith(".Ss "):
            title, words = line[4:], []
            found[title] = {}
        elif line.startswith(".Sh FILES"):
            break
        elif line.startswith(".It Ic ") or line == ".It Xo" and lines[i + 1].startswith(".Ic "):
            head = line if line != ".It Xo" else ".It " + lines[i + 1][1:]
            words = re.findall(r"\bIc ([a-z0-9-]+(?: , [a-z0-9-]+)*)", head)
            words = [w for group in words for w in group.split(" , ")]
            for w in words:
                found[title].setdefault(w, "")
        elif title:
            for w in words:
                found[title][w] += line + "\n"
    return found


def tells_default(entry, default):
    text = re.sub(r"^\.[A-Z][a-z] ", "", entry, flags=re.M)
    text = re.sub(r"\b(Ns|Cm|No|Ar|Li|Pa)\b ?", "", text).replace("\n", " ").replace(" .", ".").replace(" ,", ",")
    same = {default, default[:-1]} if default in ("0s", "0ms") else {default}
    return any("efault" in s and any(re.search(r"(?<![\w./-])" + re.escape(d) + r"(?![\w-])", s) for d in same)
               for s in re.split(r"(?<=\.) ", text))


def check_conf():
    sections, values = conf_words()
    man, page = manual_words(), read("man/fife.conf.5")
    assert len(sections) > 12 and sum(map(len, sections.values())) > 120, sections
    for section, words in sorted(sections.items()):
        titles = TITLES.get(section) or [t for t in man if section in re.split(r"[ ,]+", t)]
        told = {w: text for t in titles for w, text in man.get(t, {}).items()}
        wrong = [] if titles else ["has no section in it"]
        for word, default in sorted(words.items()):
            if word in ("listen", "tls", "class"):
                continue  # with blocks and forms of their own
            if word not in told:
                wrong.append(f"«{word}» is missing")
            elif default is not None and not tells_default(told[word], default):
                wrong.append(f"«{word}» lacks its default, {default}")
        wrong += [f"«{w}» is no such word" for w in sorted(told) if w not in words]
        yield f"fife.conf.5: {section}", "; ".join(wrong)
    missing = sorted(v for v in values if not re.search(r"(?<![\w-])" + re.escape(v) + r"(?![\w-])", page))
    yield "fife.conf.5: values", ", ".join(missing)


def checks():
    yield from check_commands()
    yield from check_conf()


if __name__ == "__main__":
    for name, wrong in checks():
        print(("not ok - " if wrong else "ok - ") + name + (": " + wrong if wrong else ""))
