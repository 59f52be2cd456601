"""The S3 side of the journal: what rules did to requests, and how the same ones fared afterwards."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import asdict
from typing import Any

from airbed.director.http1 import Head
from airbed.director.journal import Journal
from airbed.director.s3book import Chosen, S3RuleBook
from airbed.director.s3faults import BodyFaults
from airbed.director.s3rules import S3Request

_MAX_FOLLOWED = 10_000


class S3Watch:
    """Meets requests with rules and notes in the journal what came of it.

    After a fault, later requests of the same method, bucket and key are noted (`s3-followed`) up to the first that
    succeeds, so that a reader can tell a fault that was retried away from one that had an effect.
    """

    def __init__(self, rules: S3RuleBook, journal: Journal) -> None:
        self._rules = rules
        self._journal = journal
        self._followed: OrderedDict[tuple[str, str, str], None] = OrderedDict()
        for entry in journal.entries():  # of an earlier director
            if entry["kind"] in ("s3-fired", "s3-followed"):
                self._note_fate(entry)

    @property
    def needed(self) -> bool:
        """Whether there is anything to look at; without, requests are not even parsed."""
        return bool(self._rules) or bool(self._followed)

    def meet(self, request: S3Request) -> BodyFaults:
        """Count a request; returns the faults it has."""

        def claim(chosen: Chosen, at_byte: int | None) -> bool:
            if not self._rules.claim(chosen):
                return False
            detail: dict[str, Any] = {} if at_byte is None else {"at_byte": at_byte}
            if chosen.rule.action == "error":
                detail = {"status": chosen.rule.status, "code": chosen.rule.code}
            about = {"hit": chosen.hit, "rule": chosen.rule_id, "action": chosen.rule.action, **detail}
            self._note_fate(self._journal.add("s3-fired", **asdict(request), **about))
            return True

        faults = BodyFaults(request, claim, self._rules.holds)
        for chosen in self._rules.hit(request):
            faults.add(chosen)
        return faults

    def answered(self, request: S3Request, status: int, size: int, *, intact: bool) -> None:
        """The store answered; `size` bytes of its body were passed on, `intact`: all of them and unchanged."""
        where = (request.method, request.bucket, request.key)
        if where not in self._followed:
            return
        self._note_fate(self._journal.add("s3-followed", **asdict(request), status=status, bytes=size, intact=intact))

    def unreachable(self, head: Head) -> None:
        """The store did not take a connection."""
        request = S3Request.parse(head.first[0], head.first[1], head.headers)
        self._journal.add("s3-unreachable", **asdict(request))

    def _note_fate(self, entry: dict[str, Any]) -> None:
        where = (entry["method"], entry["bucket"], entry["key"])
        if entry["kind"] == "s3-followed":
            if entry["status"] < 400 and entry["intact"]:
                self._followed.pop(where, None)
            return
        self._followed[where] = None
        self._followed.move_to_end(where)
        if len(self._followed) > _MAX_FOLLOWED:
            self._followed.popitem(last=False)
