"""Checks mails that Tidings produced with programs that are not ours: dkimpy, and Python's own mail parser.

usage: dkim_verify.py FOLDER    (FOLDER has *.eml and records.json, see tests/message.rs)
needs: pip install dkimpy pynacl
"""

import email
import email.policy
import json
import pathlib
import sys

import dkim

ONCE = ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"]
LIST = ["List-Id", "List-Unsubscribe", "List-Unsubscribe-Post"]
KNOWN = {name.lower() for name in ONCE + LIST + ["DKIM-Signature", "Content-Language"]}


def wrong_signatures(raw, records):
    def dns(name, timeout=5):
        value = records.get(name.decode() if isinstance(name, bytes) else name)
        return value.encode() if value else None

    count = raw.lower().count(b"\ndkim-signature:") + raw.lower().startswith(b"dkim-signature:")
    if count != 2:
        yield f"{count} signatures, expected RSA and Ed25519"
    for index in range(count):
        if not dkim.DKIM(raw).verify(idx=index, dnsfunc=dns):
            yield f"signature {index} does not hold"
        changed = raw[:-40] + bytes([raw[-40] ^ 1]) + raw[-39:]
        try:
            if dkim.DKIM(changed).verify(idx=index, dnsfunc=dns):
                yield f"signature {index} holds for a changed body"
        except dkim.DKIMException:
            pass


def wrong_form(raw):
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    names = [name.lower() for name in mail.keys()]
    if set(names) - KNOWN:
        yield f"unexpected headers {set(names) - KNOWN}"
    for name in ONCE:
        if names.count(name.lower()) != 1:
            yield f"{names.count(name.lower())} times {name}"
    if len({names.count(name.lower()) for name in LIST}) != 1:
        yield "some of the List- headers, not all"
    if len(mail["To"].addresses) != 1 or len(mail["From"].addresses) != 1:
        yield "not one sender and one recipient"
    parts = list(mail.iter_parts())
    if [part.get_content_type() for part in parts] != ["text/plain", "text/html"]:
        yield "not text and then HTML"
    for part in [mail, *parts]:
        for defect in part.defects:
            yield f"defect {defect!r}"
    for name in mail.keys():
        for defect in getattr(mail[name], "defects", ()):
            yield f"defect in {name}: {defect!r}"
    for part in parts:
        if part["Content-Transfer-Encoding"] not in ("quoted-printable", "base64"):
            yield f"encoding {part['Content-Transfer-Encoding']}"
        part.get_content()
    if any(len(line) > 998 for line in raw.split(b"\r\n")):
        yield "a line of more than 998 octets"
    if b"\r" in raw.replace(b"\r\n", b"") or b"\n" in raw.replace(b"\r\n", b""):
        yield "a bare CR or LF"


def main(folder):
    records = json.loads((folder / "records.json").read_text())
    mails = sorted(folder.glob("*.eml"))
    if not mails:
        sys.exit(f"{folder} has no mails")
    wrong = 0
    for path in mails:
        raw = path.read_bytes()
        for finding in [*wrong_signatures(raw, records), *wrong_form(raw)]:
            wrong += 1
            print(f"{path.name}: {finding}")
    print(f"{len(mails)} mails, {wrong} findings")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
