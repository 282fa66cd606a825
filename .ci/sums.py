"""Checks the demo's own summary: each edition's numbers add up, somebody was mailed, somebody signed up and was welcomed, and the
waitlist's opening is full."""

import json
import sys

report = json.load(open(sys.argv[1]))
editions = report["editions"]
assert editions, "no edition"
for edition in editions:
    ends = sum(edition[state] for state in ("sent", "failed", "skipped", "unconfirmed", "cancelled", "to_do"))
    assert edition["planned"] == ends, f"{edition['edition']}: planned {edition['planned']}, accounted for {ends}"
    assert edition["sent"] > 0 and edition["to_do"] == 0, edition
signups = report["signups"]
sent = sum(edition["sent"] for edition in editions)
waitlist = report["waitlist"]
answers = sum(signups["mails"].values()) + sum(waitlist["mails"].values())
assert report["mails"] == sent + answers, (report["mails"], sent, signups, waitlist)
opening = waitlist["opening"]
assert opening["state"] == "full" and opening["accepted"] == opening["seats"] == 5, opening
ends = sum(opening[end] for end in ("accepted", "given_back", "declined", "expired", "revoked", "open"))
assert opening["offers"] == ends == waitlist["mails"]["offer"], (opening, waitlist["mails"])
assert signups["confirmed"] > 0 and signups["mails"]["welcome"] == signups["confirmed"], signups
print(f"{len(editions)} editions, {sum(e['sent'] for e in editions)} mails: the numbers add up")
