"""Cases of the official validator's test suite that need nothing but base R4, each with the official verdict."""

import hashlib
import json
import os
import re
import xml.etree.ElementTree as ElementTree
from typing import NamedTuple

from as_json import Unlike, text_of

# A case with one of these is about other packages, other models, or is run with settings that change the verdict.
SETTINGS = frozenset(
    "advisor allow-comments allowed-extension-domain assumeValidRestReferences best-practice bundle-param certificate "
    "examples fetcher fhir-validator-cli-options for-publication ids-in-errors ips language logical matchetype "
    "new-xver-mode no-experimental-content no-tx noHtmlInMarkdown package-map packages profiles "
    "r5-bundle-relative-reference-policy scoring sct security-checks supporting supporting5 validateContains "
    "validateReference wrong-displays".split()
)
MODULES = frozenset(
    "cda cdshooks dsig json5 logical matchetype package-versioning scoring sd shc tx tx-advanced v2 xver".split()
)
# Errors for want of another publisher's package, or of an external terminology, or by a publisher's policy.
ELSEWHERE = re.compile(
    r"^The extension \S+ could not be found so is not allowed here|^Wrong Display Name '[^']*' for "
    r"(http://(snomed|loinc|www\.nlm)|urn:)|Example URLs are not allowed|When HL7 is publishing|"
    r"Experimental content is not allowed"
)
XML_ONLY = re.compile(r"XML|namespace|attribute|DTD|encoding|processing instruction", re.IGNORECASE)
SERVER = "operationoutcome-issue-server"


class Case(NamedTuple):
    name: str
    path: str
    valid: bool
    errors: list
    # "looked at" while the validator was written, or "unseen".
    part: str


def part(name):
    """One half, and a quarter of the whole from the other half, were looked at."""
    number = int(hashlib.sha256(name.encode()).hexdigest(), 16)
    return "looked at" if number % 2 == 0 or number // 2 % 2 == 0 else "unseen"


class Suite:
    def __init__(self, folder, definitions):
        self.folder, self.definitions = os.path.join(folder, "validator"), definitions

    def cases(self, folder):
        """Writes what is XML into the folder as JSON."""
        with open(os.path.join(self.folder, "manifest.json"), encoding="utf-8") as file:
            listed = json.load(file)["test-cases"]
        for case in listed:
            base = case.get("version") in ("4.0", "4.0.1") and case.get("use-test") is not False and "java" in case
            if not base or SETTINGS & set(case) or case.get("module") in MODULES:
                continue
            errors = self.errors(case)
            path = errors is not None and self.path(case, errors, folder)
            if path:
                yield Case(case["name"], path, not errors, errors, part(case["name"]))

    def errors(self, case):
        """What the official validator calls errors; None where that is not known or rests on something else than R4."""
        expected = case["java"]
        if isinstance(expected, str):
            names = [expected, f"java/R4.{case['name'].replace('/', '-')}-base.json"]
            paths = [os.path.join(self.folder, "outcomes", name) for name in names]
            path = next((path for path in paths if os.path.exists(path)), None)
            if path is None:
                return None
            with open(path, encoding="utf-8") as file:
                expected = json.load(file)
        issues = expected.get("outcome", expected).get("issue", [])
        issues = [issue for issue in issues if issue["severity"] in ("error", "fatal")]
        texts = [issue.get("details", {}).get("text") or issue.get("diagnostics", "") for issue in issues]
        outside = [
            any(extension["url"].endswith(SERVER) for extension in issue.get("extension", [])) or ELSEWHERE.search(text)
            for issue, text in zip(issues, texts)
        ]
        return None if issues and all(outside) else texts

    def path(self, case, errors, folder):
        path = os.path.join(self.folder, case["file"])
        if path.endswith(".json"):
            return path
        if not path.endswith(".xml") or any(XML_ONLY.search(error) for error in errors):
            return None
        try:
            text = text_of(ElementTree.parse(path).getroot(), self.definitions)
        except (Unlike, ElementTree.ParseError, OSError):
            return None
        path = os.path.join(folder, re.sub(r"\W", "_", case["name"]) + ".json")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path
