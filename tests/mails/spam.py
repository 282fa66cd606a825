"""Has SpamAssassin look at mails that Tidings produced, without asking the network: no rule may give more than half a point.

usage: spam.py FOLDER    (FOLDER has *.eml)
needs: spamassassin of the distribution, with the rules that come with it
"""

import email
import pathlib
import subprocess
import sys

LIMIT = 0.5

# Each must be found out; a check that finds nothing at fault checks nothing.
PLANTED = {
    "shouting": (b"Subject: BUY NOW!!! CHEAP V1AGRA AND FREE MONEY", b"Content-Type: text/plain\r\n\r\nDear friend, click here for FREE MONEY!!!\r\n"),
    "nothing but HTML": (b"Subject: A letter", b"Content-Type: text/html\r\n\r\n<html><body><a href=\"http://1.2.3.4/x\"><img src=\"http://1.2.3.4/x.gif\"></a></body></html>\r\n"),
}


def planted():
    for name, (subject, body) in PLANTED.items():
        head = b"From: a@example.org\r\nTo: b@example.org\r\nMessage-ID: <" + name.replace(" ", ".").encode() + b"@example.org>\r\n"
        yield head + subject + b"\r\nMIME-Version: 1.0\r\n" + body


def scores(raw_mails):
    """By Message-ID, the rules that each mail meets with their points; one run of SpamAssassin for all, which gives them in an order of its own."""
    box = b"".join(b"From a@example.org Tue Feb  3 09:00:00 2026\n" + quoted(raw) + b"\n" for raw in raw_mails)
    command = ["spamassassin", "--local", "--mbox", "--cf=use_bayes 0", "--cf=report_safe 0", "--cf=add_header all Points _TESTSSCORES(,)_"]
    done = subprocess.run(command, input=box, capture_output=True, timeout=300, check=True)
    out = (b"\n" + done.stdout).split(b"\nFrom a@example.org ")[1:]
    found = {}
    for raw in out:
        mail = email.message_from_bytes(raw.split(b"\n", 1)[1])
        points = mail["X-Spam-Points"]
        if points is None:
            sys.exit("SpamAssassin gave no points: is it installed whole?")
        pairs = [pair.strip().split("=") for pair in "".join(points.split()).split(",") if "=" in pair]
        found[name_of(mail)] = {rule: float(score) for rule, score in pairs}
    return found


def name_of(mail):
    return "".join(mail["Message-ID"].split())


def quoted(raw):
    return b"\n".join(b">" + line if line.startswith(b"From ") else line for line in raw.replace(b"\r\n", b"\n").split(b"\n"))


def main(folder):
    paths = sorted(pathlib.Path(folder).glob("*.eml"))
    if len(paths) < 40:
        sys.exit(f"{folder} has {len(paths)} mails: expected every template with every sample")
    bad = list(planted())
    mails = [path.read_bytes() for path in paths]
    found = scores(mails + bad)
    assert len(found) == len(paths) + len(bad), f"{len(found)} answers for {len(paths) + len(bad)} mails"
    answers = [found[name_of(email.message_from_bytes(raw))] for raw in mails + bad]
    problems = []
    for path, points in zip(paths, answers):
        problems += [f"{path.name}: {rule} gives {score}" for rule, score in points.items() if score > LIMIT]
    for name, points in zip(PLANTED, answers[len(paths):]):
        if not any(score > LIMIT for score in points.values()):
            problems.append(f"the planted fault “{name}” was not found: {points}")
    print("\n".join(problems), end="\n" if problems else "")
    highest = max((score, rule, path.name) for path, points in zip(paths, answers) for rule, score in points.items())
    print(f"{len(paths)} mails; the highest of all points: {highest[0]} ({highest[1]}, {highest[2]})")
    print(f"{max(len(found) - len(problems), 0)} passed, {len(problems)} failed")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
