"""Two people, one hash, one winner; and slots that only hold what may be there."""

import shutil
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.audit import AuditTrail
from core.database import Database
from core.errors import ConflictError, InputError, IntegrityError, NotFoundError, PermissionDeniedError
from core.identity import SYSTEM, Actor
from model_registry import rules
from model_registry.registry import Registry
from model_registry.tables import model_version
from model_registry.versions import State
from tests.model_registry.conftest import AUTHOR, EVERYTHING, OPERATOR, REVIEWER, RUN

P = "guarantee"
MakeBundle = Callable[[str], Path]


def approve_new(registry: Registry, make_bundle: MakeBundle, content: str) -> int:
    number = registry.register(P, make_bundle(content), author=AUTHOR, run=RUN).number
    registry.submit(P, number, by=AUTHOR, note="")
    return registry.approve(P, number, by=REVIEWER).number


# Registering


def test_versions_count_up_within_a_project(registry: Registry, make_bundle: MakeBundle) -> None:
    numbers = [registry.register(P, make_bundle(name), author=AUTHOR, run=RUN).number for name in ("a", "b", "c")]
    other = registry.register("credit", make_bundle("d"), author=AUTHOR, run=RUN)
    assert (numbers, other.number) == ([1, 2, 3], 1)
    assert [version.number for version in registry.versions(P)] == [3, 2, 1]


def test_a_registered_bundle_no_longer_depends_on_its_source(registry: Registry, make_bundle: MakeBundle) -> None:
    source = make_bundle("one")
    version = registry.register(P, source, author=AUTHOR, run=RUN)
    shutil.rmtree(source)
    assert registry.bundle(P, version.number).info == {"content": "one"}
    assert version.run == RUN


def test_the_same_bundle_is_the_same_version(registry: Registry, make_bundle: MakeBundle) -> None:
    source = make_bundle("one")
    first = registry.register(P, source, author=AUTHOR, run=RUN)
    assert registry.register(P, source, author=AUTHOR, run=RUN) == first
    assert len(registry.versions(P)) == 1


def test_many_who_register_at_once_get_different_numbers(registry: Registry, make_bundle: MakeBundle) -> None:
    sources = [make_bundle(f"b{i}") for i in range(8)]
    numbers: list[int] = []
    threads = [
        threading.Thread(target=lambda s=s: numbers.append(registry.register(P, s, author=AUTHOR, run=RUN).number))
        for s in sources
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 9))


def test_a_viewer_may_not_register(registry: Registry, make_bundle: MakeBundle) -> None:
    with pytest.raises(PermissionDeniedError):
        registry.register(P, make_bundle("one"), author=Actor("sun", frozenset({"viewer"})), run=RUN)
    assert registry.versions(P) == []


def test_an_unknown_version_is_not_found(registry: Registry) -> None:
    with pytest.raises(NotFoundError):
        registry.version(P, 7)


# Review


def test_the_whole_way_is_in_the_events_and_in_the_audit_trail(
    registry: Registry, database: Database, approved: int
) -> None:
    registry.deploy(P, approved, by=OPERATOR, reason="first model")
    events = registry.review_events(P, approved)
    assert [(event.actor, event.action) for event in events] == [
        ("lin", "register"),
        ("lin", "submit"),
        ("wang", "approve"),
    ]
    assert {event.bundle_hash for event in events} == {registry.version(P, approved).bundle_hash}
    trail = AuditTrail(database)
    actions = [record.action for record in reversed(trail.records())]
    assert actions == ["model.register", "model.submit", "model.approve", "model.deploy"]
    assert trail.verify() == []


@pytest.mark.parametrize("decide", ["approve", "reject", "request_changes"])
def test_who_built_a_version_does_not_decide_on_it(
    registry: Registry, database: Database, make_bundle: MakeBundle, decide: str
) -> None:
    number = registry.register(P, make_bundle("own"), author=EVERYTHING, run=RUN).number
    registry.submit(P, number, by=AUTHOR, note="")
    with pytest.raises(PermissionDeniedError) as caught:
        getattr(registry, decide)(P, number, by=EVERYTHING, note="good")
    assert caught.value.code == "own_work"
    assert registry.version(P, number).state is State.SUBMITTED
    assert "model.review_refused" in [record.action for record in AuditTrail(database).records()]


def test_who_submitted_a_version_does_not_approve_it(registry: Registry, draft: int) -> None:
    registry.submit(P, draft, by=EVERYTHING, note="")
    with pytest.raises(PermissionDeniedError):
        registry.approve(P, draft, by=EVERYTHING)


def test_the_system_does_not_approve_what_it_built(registry: Registry, make_bundle: MakeBundle) -> None:
    number = registry.register(P, make_bundle("auto"), author=SYSTEM, run=RUN).number
    registry.submit(P, number, by=SYSTEM, note="")
    with pytest.raises(PermissionDeniedError):
        registry.approve(P, number, by=SYSTEM)


def test_an_analyst_does_not_review_and_a_reviewer_does_not_deploy(registry: Registry, submitted: int) -> None:
    with pytest.raises(PermissionDeniedError):
        registry.approve(P, submitted, by=Actor("gao", frozenset({"analyst"})))
    registry.approve(P, submitted, by=REVIEWER)
    with pytest.raises(PermissionDeniedError):
        registry.deploy(P, submitted, by=REVIEWER, reason="go")


def test_a_draft_cannot_be_approved(registry: Registry, draft: int) -> None:
    with pytest.raises(ConflictError, match="draft"):
        registry.approve(P, draft, by=REVIEWER)


def test_changes_requested_lead_back_through_a_new_submission(registry: Registry, submitted: int) -> None:
    registry.request_changes(P, submitted, by=REVIEWER, note="explain the drop in 2022")
    with pytest.raises(ConflictError):
        registry.approve(P, submitted, by=REVIEWER)
    registry.submit(P, submitted, by=AUTHOR, note="explained")
    assert registry.approve(P, submitted, by=REVIEWER).state is State.APPROVED


def test_a_rejected_version_stays_rejected(registry: Registry, submitted: int) -> None:
    registry.reject(P, submitted, by=REVIEWER, note="unstable")
    for step in (registry.submit, registry.approve):
        with pytest.raises(ConflictError):
            step(P, submitted, by=AUTHOR if step == registry.submit else REVIEWER, note="again")


@pytest.mark.parametrize("decide", ["reject", "request_changes"])
def test_a_refusal_needs_its_reason(registry: Registry, submitted: int, decide: str) -> None:
    with pytest.raises(InputError):
        getattr(registry, decide)(P, submitted, by=REVIEWER, note="  ")
    assert registry.version(P, submitted).state is State.SUBMITTED


def test_of_two_approvals_at_once_one_wins(registry: Registry, database: Database, submitted: int) -> None:
    barrier = threading.Barrier(6)
    outcomes: list[str] = []

    def approve(name: str) -> None:
        barrier.wait()
        try:
            registry.approve(P, submitted, by=Actor(name, frozenset({"reviewer"})), note=name)
            outcomes.append("won")
        except ConflictError:
            outcomes.append("lost")

    threads = [threading.Thread(target=approve, args=(f"r{i}",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["lost"] * 5 + ["won"]
    approvals = [event for event in registry.review_events(P, submitted) if event.action == "approve"]
    assert [event.actor for event in approvals] == [registry.version(P, submitted).decided_by]
    assert AuditTrail(database).verify() == []


def test_files_changed_after_submission_cannot_be_approved(registry: Registry, submitted: int) -> None:
    folder = registry.bundle_folder(registry.version(P, submitted))
    (folder / "info.json").write_text('{"content":"two"}')
    with pytest.raises(IntegrityError):
        registry.approve(P, submitted, by=REVIEWER)
    assert registry.version(P, submitted).state is State.SUBMITTED


def test_a_bundle_swapped_for_another_whole_one_cannot_be_approved_or_deployed(
    registry: Registry, approved: int, make_bundle: MakeBundle
) -> None:
    folder = registry.bundle_folder(registry.version(P, approved))
    shutil.rmtree(folder)
    shutil.copytree(make_bundle("impostor"), folder)
    with pytest.raises(IntegrityError) as caught:
        registry.deploy(P, approved, by=OPERATOR, reason="go")
    assert caught.value.code == "bundle_changed"
    assert registry.deployment(P) is None


def test_the_hash_that_was_shown_is_the_hash_that_is_approved(registry: Registry, submitted: int) -> None:
    with pytest.raises(ConflictError):
        registry.approve(P, submitted, by=REVIEWER, reviewed_hash="0" * 64)
    shown = registry.bundle(P, submitted).hash
    version = registry.approve(P, submitted, by=REVIEWER, reviewed_hash=shown, conditions="loans below 5 million")
    assert version.approved_hash == version.submitted_hash == version.bundle_hash == shown
    assert version.conditions == "loans below 5 million"


def test_a_step_and_its_audit_record_are_kept_both_or_neither(
    registry: Registry, submitted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(registry._audit, "append", fail)
    with pytest.raises(OSError, match="disk full"):
        registry.approve(P, submitted, by=REVIEWER)
    assert registry.version(P, submitted).state is State.SUBMITTED
    assert [event.action for event in registry.review_events(P, submitted)] == ["register", "submit"]


# Deployment


def test_only_an_approved_version_becomes_champion(registry: Registry, submitted: int) -> None:
    with pytest.raises(ConflictError) as caught:
        registry.deploy(P, submitted, by=OPERATOR, reason="go")
    assert caught.value.code == "not_approved"
    registry.approve(P, submitted, by=REVIEWER)
    entry = registry.deploy(P, submitted, by=OPERATOR, reason="go")
    assert registry.deployment(P) == entry
    assert entry.bundle_hash == registry.version(P, submitted).approved_hash


def test_a_submitted_version_may_be_a_shadow_and_a_draft_may_not(registry: Registry, draft: int) -> None:
    with pytest.raises(ConflictError):
        registry.deploy(P, draft, "challenger", by=OPERATOR, reason="compare")
    registry.submit(P, draft, by=AUTHOR, note="")
    registry.deploy(P, draft, "challenger", by=OPERATOR, reason="compare")
    assert registry.deployment(P) is None
    assert registry.deployment(P, "challenger").number == draft


def test_an_approval_that_expired_does_not_deploy(
    registry: Registry, submitted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = datetime.now(UTC) + timedelta(hours=1)
    registry.approve(P, submitted, by=REVIEWER, expires_at=end)
    monkeypatch.setattr(rules, "now", lambda: end)
    with pytest.raises(ConflictError) as caught:
        registry.deploy(P, submitted, by=OPERATOR, reason="go")
    assert caught.value.code == "approval_expired"
    monkeypatch.setattr(rules, "now", lambda: end - timedelta(seconds=1))
    registry.deploy(P, submitted, by=OPERATOR, reason="go")


@pytest.mark.parametrize("expires_at", [datetime(2030, 1, 1), datetime(2020, 1, 1, tzinfo=UTC)])  # noqa: DTZ001
def test_an_approval_cannot_end_in_the_past_or_nowhere(
    registry: Registry, submitted: int, expires_at: datetime
) -> None:
    with pytest.raises(InputError):
        registry.approve(P, submitted, by=REVIEWER, expires_at=expires_at)


def test_a_rollback_goes_back_step_by_step_and_not_forth(registry: Registry, make_bundle: MakeBundle) -> None:
    for name in ("a", "b", "c"):
        registry.deploy(P, approve_new(registry, make_bundle, name), by=OPERATOR, reason=name)
    back = [registry.rollback(P, by=OPERATOR, reason="worse").number for _ in range(2)]
    assert back == [2, 1]
    with pytest.raises(ConflictError):
        registry.rollback(P, by=OPERATOR, reason="once more")
    assert [entry.number for entry in registry.deployment_history(P)] == [1, 2, 3, 2, 1]
    assert registry.deployment(P).number == 1


def test_a_rollback_passes_over_what_is_retired_or_damaged(registry: Registry, make_bundle: MakeBundle) -> None:
    for name in ("a", "b", "c", "d"):
        registry.deploy(P, approve_new(registry, make_bundle, name), by=OPERATOR, reason=name)
    registry.retire(P, 2, by=OPERATOR, note="superseded")
    (registry.bundle_folder(registry.version(P, 3)) / "info.json").unlink()
    assert registry.rollback(P, by=OPERATOR, reason="worse").number == 1


def test_what_is_deployed_cannot_be_retired(registry: Registry, approved: int) -> None:
    registry.deploy(P, approved, by=OPERATOR, reason="go")
    with pytest.raises(ConflictError, match="champion"):
        registry.retire(P, approved, by=OPERATOR, note="old")
    registry.withdraw(P, "champion", by=OPERATOR, reason="stop")
    assert registry.deployment(P) is None
    assert registry.retire(P, approved, by=OPERATOR, note="old").state is State.RETIRED


def test_a_version_is_not_deployed_twice_to_one_slot(registry: Registry, approved: int) -> None:
    registry.deploy(P, approved, by=OPERATOR, reason="go")
    with pytest.raises(ConflictError):
        registry.deploy(P, approved, by=OPERATOR, reason="go again")
    assert len(registry.deployment_history(P)) == 1


@pytest.mark.parametrize("slot", ["", "Champion", "a b", "../x", "x" * 33])
def test_a_slot_has_a_plain_name(registry: Registry, approved: int, slot: str) -> None:
    with pytest.raises(InputError):
        registry.deploy(P, approved, slot, by=OPERATOR, reason="go")


# Hands off the rows


def test_a_row_changed_behind_our_back_does_not_deploy(
    registry: Registry, database: Database, make_bundle: MakeBundle, draft: int
) -> None:
    with database.begin() as connection:
        connection.execute(sa.update(model_version).values(state="approved"))
    with pytest.raises(IntegrityError):
        registry.deploy(P, draft, by=OPERATOR, reason="go")


def test_a_live_challenger_takes_a_share_and_obeys_the_rules_of_a_champion(
    registry: Registry, make_bundle: MakeBundle, draft: int
) -> None:
    champion = approve_new(registry, make_bundle, "a")
    rival = approve_new(registry, make_bundle, "b")
    slot = "live-challenger"
    with pytest.raises(ConflictError) as alone:
        registry.deploy(P, rival, slot, by=OPERATOR, reason="try", share=0.1)
    assert alone.value.code == "no_rival"
    registry.deploy(P, champion, by=OPERATOR, reason="go")
    for share in (None, 0.0, 1.0, -0.1, 1.5, float("nan")):
        with pytest.raises(InputError) as wrong:
            registry.deploy(P, rival, slot, by=OPERATOR, reason="try", share=share)
        assert wrong.value.code == "bad_share"
    with pytest.raises(InputError, match="live-challenger"):
        registry.deploy(P, rival, by=OPERATOR, reason="try", share=0.1)
    with pytest.raises(ConflictError) as itself:
        registry.deploy(P, champion, slot, by=OPERATOR, reason="try", share=0.1)
    assert itself.value.code == "no_rival"
    registry.submit(P, draft, by=AUTHOR, note="")
    with pytest.raises(ConflictError) as unsigned:
        registry.deploy(P, draft, slot, by=OPERATOR, reason="try", share=0.1)
    assert unsigned.value.code == "not_approved"
    with pytest.raises(PermissionDeniedError):
        registry.deploy(P, rival, slot, by=AUTHOR, reason="try", share=0.1)
    registry.deploy(P, rival, slot, by=OPERATOR, reason="try", share=0.1)
    with pytest.raises(ConflictError):
        registry.deploy(P, rival, slot, by=OPERATOR, reason="again", share=0.1)
    more = registry.deploy(P, rival, slot, by=OPERATOR, reason="it does well", share=0.25)
    assert (more.action, more.share) == ("share", 0.25)
    assert [(entry.slot, entry.share) for entry in registry.deployments(P)] == [("champion", 0.0), (slot, 0.25)]


def test_a_live_challenger_leaves_its_slot_when_it_becomes_the_champion_or_is_withdrawn(
    registry: Registry, make_bundle: MakeBundle
) -> None:
    slot = "live-challenger"
    first, second, third = (approve_new(registry, make_bundle, name) for name in ("a", "b", "c"))
    registry.deploy(P, first, by=OPERATOR, reason="go")
    registry.deploy(P, second, slot, by=OPERATOR, reason="try", share=0.1)
    registry.deploy(P, second, slot, by=OPERATOR, reason="more", share=0.5)
    registry.deploy(P, second, by=OPERATOR, reason="it is better")
    assert registry.deployment(P, slot) is None
    registry.deploy(P, third, slot, by=OPERATOR, reason="try", share=0.2)
    registry.withdraw(P, slot, by=OPERATOR, reason="enough")
    assert registry.deployment(P, slot) is None
    back = registry.rollback(P, slot, by=OPERATOR, reason="a little longer")
    assert (back.number, back.share) == (third, 0.2)
    registry.withdraw(P, slot, by=OPERATOR, reason="enough")
    # The champion of before comes back; and what would challenge itself is refused.
    assert registry.rollback(P, by=OPERATOR, reason="worse").number == first
