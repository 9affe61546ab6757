"""Writes synthetic notes with marked identifiers, one JSON object a line.

`identifiers` are what must go, `keep` is what must stay; offsets count Unicode scalar values. The carrier prose is read from
the corpus folder, only sentences without a capital inside and without a number of more than two digits, so that what a note
identifies is what was put in. The sets differ in templates, blocks, sources of names and places, prose and seed: the rules were
written with the first two in view, the third was kept for measuring.
"""

import argparse
import csv
import json
import pathlib
import random
import re

import templates
import values

RELATIONS = ["daughter", "son", "wife", "husband", "sister", "brother", "mother", "father", "mom", "partner", "niece", "grandson", "neighbor", "aunt", "cousin", "friend"]
KINDS = {
    "name": "NAME", "city": "LOCATION", "state": "LOCATION", "street": "LOCATION", "address": "LOCATION", "county": "LOCATION", "zip": "LOCATION",
    "postcode": "LOCATION", "box": "LOCATION", "room": "LOCATION", "org": "ORGANIZATION", "date": "DATE", "age": "AGE", "phone": "PHONE", "email": "EMAIL",
    "url": "URL", "ip": "IP", "ipv6": "IP", "mac": "DEVICE", "ssn": "SSN", "nhs": "ID", "mrn": "MRN", "plan": "HEALTH-PLAN", "account": "ACCOUNT",
    "license": "LICENSE", "npi": "LICENSE", "dea": "LICENSE", "plate": "VEHICLE", "vin": "VEHICLE", "serial": "DEVICE", "udi": "DEVICE", "biometric": "BIOMETRIC",
    "photo": "PHOTO", "accession": "ID", "employee": "ID", "user": "ID", "uuid": "ID",
}


def name(person, form, draw):
    first, last, middle = person.first, person.last, person.middle
    if form == "first" or form == "last":
        return getattr(person, form)
    initial = (middle or first)[0]
    if form == "full":
        return draw.choice([f"{first} {last}"] * 5 + [f"{first} {initial}. {last}", f"{first[0]}. {last}", f"{first} {initial} {last}",
                           f"{first} {middle} {last}" if middle else f"{first} {last}", f"{first[0]}.{initial}. {last}"])
    if form == "rev":
        return draw.choice([f"{last}, {first}", f"{last.upper()}, {first.upper()}", f"{last}, {first} {initial}.", f"{last.upper()}, {first}", f"{last.upper()},{first.upper()}"])
    if form == "caps":
        return draw.choice([f"{first} {last}", f"{first} {initial}. {last}"]).upper()
    if form == "initials":
        return draw.choice([f"{first[0]}{last[0]}", f"{first[0]}.{last[0]}.", f"{first} {last[0]}."])
    raise KeyError(form)


def value(kind, form, source, draw):
    if kind == "name":
        return name(source.person(draw), form, draw)
    if kind in ("city", "state", "street", "address", "county"):
        return source.place(kind, draw)
    if kind == "org":
        return source.organisation(form, draw)
    if kind in ("email", "url", "user"):
        return source.net(kind, draw)
    if kind == "date":
        return values.month_day(draw) if form == "md" else values.date(draw, [form] if form else None)
    if kind == "phone":
        return source.numbers("pager", draw) if form == "pager" else values.phone(draw)
    if kind == "ip" and draw.random() < 0.2:
        return source.numbers("ipv6", draw)
    return source.numbers(kind, draw)


def fill(template, source, draw):
    """Pieces (text, kind or None, kept thing or None)."""
    pieces = []
    for part in re.split(r"(\{[a-z./A-Z]+\})", template.replace("{{", "\1").replace("}}", "\2")):
        if not (part.startswith("{") and part.endswith("}")):
            pieces.append((part.replace("\1", "{").replace("\2", "}"), None, None))
            continue
        kind, _, form = part[1:-1].partition("/")
        if kind == "relation":
            pieces.append((draw.choice(RELATIONS), None, None))
        elif kind == "keep.age":
            pieces.append((f"{draw.randint(18, 88)}-year-old {draw.choice(['man', 'woman', 'male', 'female'])}", None, "age"))
        elif kind.startswith("keep."):
            what = kind.removeprefix("keep.")
            pieces.append((draw.choice(templates.KEEP[what]), None, what))
        else:
            pieces.append((value(kind, form, source, draw), KINDS[kind], None))
    return pieces


def sentences(corpus, files):
    """Sentences of public prose that identify nobody."""
    out = []
    for file, column in files:
        with open(corpus / "corpus/notes" / file, newline="", encoding="utf-8") as handle:
            for row in csv.DictReader(handle):
                for sentence in re.split(r"(?<=[.!?])\s+|\n+", row[column]):
                    inner = re.sub(r"^\W*\w+", "", sentence)
                    if 25 < len(sentence) < 300 and not re.search(r"[A-Z]|\d{3}|\d[/-]\d|th\b|Mr|Ms|ninet", inner) and re.match(r"(The|She|He|There|No|It|This|Her|His|On|We|I|Denies|Patient|Exam)\b", sentence):
                        out.append(sentence)
    return out


def upper(pieces):
    return [(text.upper(), kind, keep) for text, kind, keep in pieces]


def lower(pieces):
    return [(text.lower(), kind, keep) for text, kind, keep in pieces]


def noise(pieces, draw):
    """A scan that was read by a machine: spaces doubled, letters of the prose mistaken, lines broken."""
    out = []
    for text, kind, keep in pieces:
        if kind is None and keep is None:
            text = "".join({"l": "1", "o": "0", "rn": "m"}.get(c, c) if draw.random() < 0.02 else c for c in text)
        if draw.random() < 0.15:
            text = text.replace(" ", draw.choice(["  ", " \n", "\n"]), 1)
        out.append((text, kind, keep))
    return out


def hidden(pieces, draw):
    """Copied from a browser: spaces that do not break, characters without width."""
    out = []
    for text, kind, keep in pieces:
        if kind and len(text) > 4 and draw.random() < 0.3:
            at = draw.randint(1, len(text) - 1)
            text = text[:at] + draw.choice(["\u200b", "\u00ad", "\u2060"]) + text[at:]
        elif draw.random() < 0.2:
            text = text.replace(" ", "\u00a0")
        out.append((text, kind, keep))
    return out


def hl7(pieces):
    """A text field of HL7 v2: escape sequences in place of delimiters and line ends."""
    out = []
    for text, kind, keep in pieces:
        for plain, escape in (("&", r"\T"), ("|", r"\F"), ("^", r"\S"), ("\n", r"\.br")):
            text = text.replace(plain, escape + "\\")
        out.append((text, kind, keep))
    return out


def note(source, sentence_templates, blocks, prose, draw):
    pieces = []
    layout = draw.choices(["prose", "lines", "upper", "lower", "noise", "hidden", "hl7", "telegraphic"], [40, 22, 8, 5, 6, 4, 6, 9])[0]
    glue = "\n" if layout in ("lines", "telegraphic") else draw.choice([" ", " ", "\n"])
    for _ in range(draw.randint(0, 2)):
        for line in draw.choice(blocks):
            pieces += fill(line, source, draw) + [("\n", None, None)]
    for _ in range(draw.randint(4, 9)):
        if draw.random() < 0.5 and layout != "telegraphic":
            pieces.append((draw.choice(prose), None, "prose"))
            pieces.append((glue, None, None))
        if draw.random() < 0.4:
            pieces.append((draw.choice(templates.KEEP["clinical"]), None, "clinical"))
            pieces.append((glue, None, None))
        filled = fill(draw.choice(sentence_templates), source, draw)
        if layout == "telegraphic":
            filled = [(re.sub(r"\b(The|the|was|is|a|on)\s", "", text).rstrip("."), kind, keep) if kind is None and keep is None else (text, kind, keep) for text, kind, keep in filled]
        pieces += filled
        pieces.append((glue, None, None))
    if draw.random() < 0.3:
        for line in draw.choice(blocks):
            pieces += [("\n", None, None)] + fill(line, source, draw)
    if layout == "upper":
        pieces = upper(pieces)
    elif layout == "lower":
        pieces = lower(pieces)
    elif layout == "noise":
        pieces = noise(pieces, draw)
    elif layout == "hidden":
        pieces = hidden(pieces, draw)
    elif layout == "hl7":
        pieces = hl7(pieces)
    text, identifiers, keeps = "", [], []
    for piece, kind, keep in pieces:
        if kind:
            identifiers.append({"start": len(text), "end": len(text) + len(piece), "kind": kind})
        if keep:
            keeps.append({"start": len(text), "end": len(text) + len(piece), "what": keep})
        text += piece
    return {"layout": layout, "text": text, "identifiers": identifiers, "keep": keeps}


def notes(which, seed, count, corpus):
    draw = random.Random(f"{which} {seed}")
    if which == "development":
        source, sentence_templates, blocks = values.Development(seed), templates.DEVELOPMENT, templates.DEVELOPMENT_BLOCKS
        prose = sentences(corpus, [("mts_TrainingSet.csv", "section_text")])
    elif which == "second":
        source, sentence_templates, blocks = values.Second(seed), templates.SECOND, templates.SECOND_BLOCKS
        prose = sentences(corpus, [("aci_train.csv", "note"), ("mts_ValidationSet.csv", "section_text")])
    else:
        source, sentence_templates, blocks = values.Unseen(seed), templates.UNSEEN, templates.UNSEEN_BLOCKS
        prose = sentences(corpus, [("aci_valid.csv", "note")])
    for index in range(count):
        yield {"id": f"{which}-{seed}-{index}"} | note(source, sentence_templates, blocks, prose, draw)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", choices=["development", "second", "unseen"], default="development")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--corpus", type=pathlib.Path, required=True)
    options = parser.parse_args()
    for line in notes(options.set, options.seed, options.count, options.corpus):
        print(json.dumps(line, ensure_ascii=False))
