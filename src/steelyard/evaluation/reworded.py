"""The reference questions of the backtest benchmark in other words: what tuned answers learn, while they are asked the reference."""

from __future__ import annotations

import re

FORMS: tuple[tuple[str, str], ...] = (
    # docs_endoflife
    (
        r"According to endoflife\.date, what is the end-of-life date of (?P<x>.+)\?",
        r"On which day does support for \g<x> end?",
    ),
    (
        r"What is the latest release in the (?P<c>\S+) release cycle of (?P<x>.+)\?",
        r"Which version is newest in the \g<x> \g<c> series?",
    ),
    (r"Which release cycle of (?P<x>.+) was released most recently\?", r"Name the youngest release line of \g<x>."),
    (
        r"On what date was the latest release in the (?P<c>\S+) release cycle of (?P<x>.+) published\?",
        r"When did the newest version of \g<x> \g<c> come out?",
    ),
    # docs_electron
    (
        r"According to Electron's release timeline, what is the (?P<x>.+) of Electron (?P<c>\d+)\?",
        r"Electron \g<c>: which day does the table of releases give as its \g<x>?",
    ),
    (
        r"Which Chrome \(Chromium\) milestone does Electron (?P<c>\d+) use according to the release timeline\?",
        r"Electron \g<c> is built on which milestone of Chromium?",
    ),
    (
        r"Which Node\.js version does Electron (?P<c>\d+) use according to the release timeline\?",
        r"What Node.js is inside Electron \g<c>?",
    ),
    (
        r'In which Electron major version is "(?P<x>.+)" listed as (?P<c>.+) in the breaking changes document\?',
        r"Since which major version of Electron is this \g<c>: \g<x>?",
    ),
    (
        r"What is the newest major version listed in Electron's release timeline table\?",
        r"Up to which Electron does the table of releases go?",
    ),
    (
        r"In Electron's (?P<c>.+) object, what is the default value of (?P<x>.+)\?",
        r"I leave \g<x> out of \g<c>. What does Electron assume?",
    ),
    (r"Is Electron (?P<c>\d+) listed as supported in the release timeline\?", r"Does Electron \g<c> still get fixes?"),
    # docs_fastapi
    (
        r"What is the newest released FastAPI version listed in the release notes\?",
        r"Up to which release do the notes of FastAPI go?",
    ),
    (
        r"Which exact FastAPI version is pinned with == in the requirements example on the (?P<x>.+) page\?",
        r"\g<x>: to what does its example of requirements fix FastAPI?",
    ),
    (
        r'Which FastAPI version includes PR #(?P<c>\d+), "(?P<x>.+)"\?',
        r"In which release of FastAPI did #\g<c> land: \g<x>?",
    ),
    # docs_prometheus
    (
        r"In the Prometheus configuration file \(top level\), what is the default value of (?P<x>.+)\?",
        r"What does Prometheus use for \g<x> where its file does not set it?",
    ),
    (
        r"In the (?P<c>.+) section of the Prometheus configuration, what is the default value of (?P<x>.+)\?",
        r"\g<x> is not set under \g<c>: what does Prometheus use?",
    ),
    (
        r'Which value of `--enable-feature` turns on the Prometheus feature described as "(?P<x>.+)"\?',
        r"What to write behind --enable-feature to get this: \g<x>?",
    ),
    (
        r"What is the default value of the Prometheus server command-line flag (?P<x>.+)\?",
        r"Started without \g<x>, what does the server of Prometheus assume?",
    ),
)
"""Reference questions are made by a few templates; one row for each, with a sentence of another build over the same names."""

_FORMS = [(re.compile(asked), taught) for asked, taught in FORMS]


def reworded(question: str) -> str | None:
    """The question in other words; None where no form fits.

    >>> reworded("Which release cycle of Angular was released most recently?")
    'Name the youngest release line of Angular.'
    """
    for asked, taught in _FORMS:
        match = asked.fullmatch(question)
        if match is not None:
            return match.expand(taught)
    return None
