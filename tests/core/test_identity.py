"""Users, roles, keys: who gets in, who does not, and that refusals tell nothing."""

import hashlib
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, update

from core.audit import AuditTrail
from core.errors import AuthenticationError, ConflictError, InputError, NotFoundError, PermissionDeniedError
from core.identity import PERMISSIONS, ROLES, SYSTEM, Actor, Identity, KeyRing, passwords
from core.identity.keys import hash_secret
from core.tables import api_key, login_failure, user_account

PASSWORD = "correct horse"
STRONG = passwords._HASHER


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch):
    """Argon2 as ever, but without the work that makes it slow on purpose."""
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    passwords._hash_of_nobody.cache_clear()
    yield
    passwords._hash_of_nobody.cache_clear()


@pytest.fixture
def identity(database):
    return Identity(database)


@pytest.fixture
def lin(identity):
    identity.create_user("lin", PASSWORD, ["analyst"], "zh", by=SYSTEM)
    return identity.actor("lin")


@pytest.fixture
def boss(identity):
    identity.create_user("boss", PASSWORD, ["admin"], by=SYSTEM)
    return identity.actor("boss")


def _refused(identity, name, password):
    with pytest.raises(AuthenticationError) as caught:
        identity.authenticate(name, password)
    return str(caught.value)


def _actions(identity):
    return [record.action for record in reversed(AuditTrail(identity.database).records())]


def test_a_user_gets_in_with_the_password_and_as_what_they_are(identity, lin):
    assert identity.authenticate("lin", PASSWORD) == Actor("lin", frozenset({"analyst"}), "zh") == lin
    assert identity.authenticate(" lin ", PASSWORD) == lin  # as pasted


def test_the_password_is_kept_as_argon2id_only_with_at_least_rfc_9106_parameters(identity, lin, monkeypatch):
    monkeypatch.setattr(passwords, "_HASHER", STRONG)
    identity.set_password("lin", PASSWORD, by=lin)
    with identity.database.connect() as connection:
        stored = connection.execute(select(user_account.c.password_hash)).scalar_one()
    kind, _, parameters = stored.split("$")[1:4]
    assert kind == "argon2id"
    assert parameters == "m=65536,t=3,p=4"  # RFC 9106, section 4, second recommendation
    assert PasswordHasher().verify(stored, PASSWORD)


def test_an_outdated_hash_is_renewed_at_the_next_login(identity, lin, monkeypatch):
    monkeypatch.setattr(passwords, "_HASHER", STRONG)
    identity.authenticate("lin", PASSWORD)
    with identity.database.connect() as connection:
        stored = connection.execute(select(user_account.c.password_hash)).scalar_one()
    assert not STRONG.check_needs_rehash(stored)
    assert identity.authenticate("lin", PASSWORD) == lin


def test_every_refusal_reads_the_same(identity, lin, boss):
    identity.create_user("gone", PASSWORD, ["viewer"], by=boss)
    identity.set_active("gone", False, by=boss)
    sentences = {
        _refused(identity, "lin", "wrong password"),
        _refused(identity, "nobody", PASSWORD),
        _refused(identity, "gone", PASSWORD),
        _refused(identity, "'; drop table user_account; --", PASSWORD),
        _refused(identity, "\udcb5\x00", "\udcb5\x00" * 5000),
    }
    for _ in range(5):
        _refused(identity, "lin", "wrong password")
    sentences.add(_refused(identity, "lin", PASSWORD))
    assert len(sentences) == 1


def test_an_unknown_name_costs_as_much_work_as_a_known_one(identity, lin, monkeypatch):
    class Counting(PasswordHasher):
        n_verified = 0

        def verify(self, *arguments):
            Counting.n_verified += 1
            return super().verify(*arguments)

    monkeypatch.setattr(passwords, "_HASHER", Counting())
    for name, n_so_far in (("lin", 1), ("nobody", 2), ("nobody", 3), ("no/name", 4)):
        _refused(identity, name, "wrong password")
        assert Counting.n_verified == n_so_far


@pytest.mark.parametrize("name", ["lin", "nobody"])
def test_five_failures_lock_a_name_known_or_not_for_fifteen_minutes(identity, lin, name):
    for _ in range(5):
        _refused(identity, name, "wrong password")
    _refused(identity, name, PASSWORD)
    refusals = [record.details["locked"] for record in AuditTrail(identity.database).records(actor="anonymous")]
    assert refusals == [True, False, False, False, False, False]
    _let_pass(identity, timedelta(minutes=14))
    _refused(identity, name, PASSWORD)
    _let_pass(identity, timedelta(minutes=2))
    if name == "lin":
        assert identity.authenticate("lin", PASSWORD) == lin


def test_a_good_login_forgets_the_failures_before_it(identity, lin):
    for _ in range(3):
        for _ in range(4):
            _refused(identity, "lin", "wrong password")
        assert identity.authenticate("lin", PASSWORD) == lin


def test_a_new_password_lifts_the_lock(identity, lin, boss):
    for _ in range(6):
        _refused(identity, "lin", "wrong password")
    identity.set_password("lin", "a new password", by=boss)
    assert identity.authenticate("lin", "a new password") == lin
    _refused(identity, "lin", PASSWORD)


def test_many_attempts_at_once_are_not_more_attempts(identity, lin):
    threads = [threading.Thread(target=_refused, args=(identity, "lin", f"guess {n}")) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refusals = [record.details["locked"] for record in AuditTrail(identity.database).records(actor="anonymous")]
    assert sorted(refusals) == [False] * 5 + [True] * 7


def _let_pass(identity, time):
    with identity.database.begin() as connection:
        then = connection.execute(select(login_failure.c.last_failure_at)).scalar_one()
        connection.execute(update(login_failure).values(last_failure_at=then - time))


@pytest.mark.parametrize(
    ("name", "password", "roles", "language", "where"),
    [
        ("", PASSWORD, ["viewer"], "en", "name"),
        ("a b", PASSWORD, ["viewer"], "en", "name"),
        ("x" * 65, PASSWORD, ["viewer"], "en", "name"),
        ("System", PASSWORD, ["viewer"], "en", "name"),
        ("lin", "short", ["viewer"], "en", "password"),
        ("lin", "x" * 1025, ["viewer"], "en", "password"),
        ("longname", "LongName", ["viewer"], "en", "password"),
        ("lin", PASSWORD, ["emperor"], "en", "role"),
        ("lin", PASSWORD, [], "en", "role"),
        ("lin", PASSWORD, ["viewer"], "fr", "language"),
    ],
)
def test_an_unusable_account_is_refused_by_the_part_that_is_wrong(identity, name, password, roles, language, where):
    with pytest.raises(InputError) as caught:
        identity.create_user(name, password, roles, language, by=SYSTEM)
    assert caught.value.where == where
    assert not password or password not in str(caught.value)
    assert identity.users() == []


def test_the_first_account_may_be_made_by_nobody_and_no_other(identity):
    identity.create_user("first", PASSWORD, ["admin"], by=None)
    with pytest.raises(PermissionDeniedError):
        identity.create_user("second", PASSWORD, ["admin"], by=None)
    assert [user.name for user in identity.users()] == ["first"]


def test_a_name_is_given_once(identity, lin):
    with pytest.raises(ConflictError, match="lin"):
        identity.create_user("lin", PASSWORD, ["viewer"], by=SYSTEM)
    assert identity.users()[0].roles == {"analyst"}


def test_only_who_manages_users_makes_and_changes_them(identity, lin, boss):
    steps = [
        lambda: identity.create_user("new", PASSWORD, ["viewer"], by=lin),
        lambda: identity.set_roles("lin", ["admin"], by=lin),
        lambda: identity.set_active("boss", False, by=lin),
        lambda: identity.set_password("boss", "another word", by=lin),
        lambda: identity.set_language("boss", "zh", by=lin),
        lambda: identity.create_key("lin", ["model.score"], by=lin),
        lambda: identity.revoke_key("0", by=lin),
    ]
    before = identity.users()
    for step in steps:
        with pytest.raises(PermissionDeniedError, match=r"user\.manage"):
            step()
    assert identity.users() == before
    assert identity.keys() == []


def test_people_change_their_own_password_and_language(identity, lin):
    identity.set_password("lin", "another word", by=lin)
    identity.set_language("lin", "en", by=lin)
    assert identity.authenticate("lin", "another word") == replace(lin, language="en")


def test_a_key_cannot_change_its_owners_password(identity, lin):
    _, secret = identity.create_key("lin", ["model.score"], by=SYSTEM)
    with pytest.raises(PermissionDeniedError):
        identity.set_password("lin", "another word", by=identity.authenticate_key(secret))


def test_the_last_administrator_stays(identity, boss):
    with pytest.raises(ConflictError):
        identity.set_roles("boss", ["viewer"], by=boss)
    with pytest.raises(ConflictError):
        identity.set_active("boss", False, by=boss)
    identity.create_user("deputy", PASSWORD, ["admin"], by=boss)
    identity.set_roles("boss", ["viewer"], by=boss)
    assert identity.actor("boss").roles == {"viewer"}


def test_an_actor_is_found_by_name_while_active(identity, lin, boss):
    assert identity.actor("lin") == lin
    assert identity.actor("system") == SYSTEM
    identity.set_active("lin", False, by=boss)
    for name in ("lin", "nobody"):
        with pytest.raises(NotFoundError, match=name):
            identity.actor(name)


def test_who_builds_does_not_review_and_who_reviews_does_not_deploy():
    for role, permissions in ROLES.items():
        assert not {"model.train", "model.review"} <= permissions, role
        assert not {"model.review", "model.deploy"} <= permissions, role
    assert SYSTEM.permissions == PERMISSIONS


def test_require_names_who_what_and_whom_to_ask():
    with pytest.raises(PermissionDeniedError) as caught:
        Actor("lin", frozenset({"analyst"})).require("model.review")
    sentence = str(caught.value)
    assert all(word in sentence for word in ("lin", "model.review", "reviewer"))


def test_a_permission_that_does_not_exist_is_a_mistake_of_ours():
    with pytest.raises(ValueError, match=r"model\.fly"):
        SYSTEM.require("model.fly")


def test_a_key_gives_its_scopes_and_nothing_else(identity, boss):
    key, secret = identity.create_key("business-system", ["model.score"], by=boss)
    actor = identity.authenticate_key(secret)
    assert (actor.name, actor.permissions) == ("business-system", {"model.score"})
    _, secret = identity.create_key("boss", ["view"], by=boss)
    with pytest.raises(PermissionDeniedError):
        identity.authenticate_key(secret).require("user.manage")
    assert secret.startswith(identity.keys()[0].prefix)
    assert identity.keys()[1] == key


def test_the_secret_is_kept_as_its_sha256_only(identity, boss):
    key, secret = identity.create_key("business-system", ["model.score"], by=boss)
    with identity.database.connect() as connection:
        row = connection.execute(select(api_key)).one()
    assert row.secret_hash == hashlib.sha256(secret.encode()).hexdigest()
    random_part = secret.removeprefix(key.prefix)
    assert len(random_part) >= 43  # 32 bytes
    assert random_part not in repr(row._asdict()) + repr(key) + repr(AuditTrail(identity.database).records())


def test_secrets_differ(identity, boss):
    secrets = {identity.create_key("business-system", ["model.score"], by=boss)[1] for _ in range(20)}
    assert len(secrets) == 20


def test_every_unusable_key_is_refused_in_the_same_words(identity, lin, boss):
    soon = datetime.now(UTC) + timedelta(hours=1)
    good, good_secret = identity.create_key("business-system", ["model.score"], soon, by=boss)
    withdrawn, withdrawn_secret = identity.create_key("business-system", ["model.score"], by=boss)
    identity.revoke_key(withdrawn.id, by=boss)
    identity.revoke_key(withdrawn.id, by=boss)
    _, closed_secret = identity.create_key("lin", ["model.score"], by=boss)
    identity.set_active("lin", False, by=boss)
    assert identity.authenticate_key(good_secret).name == "business-system"
    with identity.database.begin() as connection:
        past = datetime.now(UTC) - timedelta(seconds=1)
        connection.execute(update(api_key).where(api_key.c.id == good.id).values(expires_at=past))
    wrong = [
        good_secret,
        withdrawn_secret,
        closed_secret,
        good_secret[:-1] + "~",
        good.prefix,
        "",
        "gw__",
        "\udcb5" * 999,
    ]
    sentences = set()
    for secret in wrong:
        with pytest.raises(AuthenticationError) as caught:
            identity.authenticate_key(secret)
        sentences.add(str(caught.value))
    assert len(sentences) == 1
    assert _actions(identity).count("key.revoke") == 1


@pytest.mark.parametrize(
    ("scopes", "expires_in", "where"),
    [(["model.fly"], None, "scope"), ([], None, "scope"), (["view"], timedelta(0), "expires_at")],
)
def test_an_unusable_key_is_not_made(identity, boss, scopes, expires_in, where):
    expires_at = None if expires_in is None else datetime.now(UTC) + expires_in
    with pytest.raises(InputError) as caught:
        identity.create_key("business-system", scopes, expires_at, by=boss)
    assert caught.value.where == where
    assert identity.keys() == []


def test_an_unknown_key_cannot_be_withdrawn(identity, boss):
    with pytest.raises(NotFoundError, match="abc"):
        identity.revoke_key("abc", by=boss)


def test_a_key_ring_knows_the_callers_without_the_database(identity, lin, boss):
    _, secret = identity.create_key("business-system", ["model.score"], by=boss)
    withdrawn, withdrawn_secret = identity.create_key("business-system", ["model.score"], by=boss)
    identity.revoke_key(withdrawn.id, by=boss)
    ring = KeyRing.from_json(identity.key_ring().to_json())
    assert ring == identity.key_ring()
    assert ring.authenticate(secret) == identity.authenticate_key(secret)
    assert secret not in repr(ring.to_json())
    with pytest.raises(AuthenticationError):
        ring.authenticate(withdrawn_secret)


def test_a_key_ring_minds_the_end_of_a_key(identity, boss):
    end = datetime.now(UTC) + timedelta(days=1)
    _, secret = identity.create_key("business-system", ["model.score"], end, by=boss)
    ring = identity.key_ring()
    assert ring.authenticate(secret, end - timedelta(seconds=1)).name == "business-system"
    with pytest.raises(AuthenticationError):
        ring.authenticate(secret, end)


def test_secrets_are_compared_in_constant_time(monkeypatch):
    compared = []

    def compare(left, right):
        compared.append((left, right))
        return left == right

    monkeypatch.setattr("core.identity.keys.hmac.compare_digest", compare)
    with pytest.raises(AuthenticationError):
        KeyRing({}).authenticate("gw_abc_def")
    assert compared == [(hash_secret("gw_abc_def"), hash_secret(""))]


def test_every_step_leaves_its_line_in_the_audit_trail(identity, lin, boss):
    key, secret = identity.create_key("lin", ["model.score"], by=boss)
    identity.revoke_key(key.id, by=boss)
    identity.set_roles("lin", ["viewer", "analyst"], by=boss)
    identity.set_language("lin", "en", by=boss)
    identity.set_password("lin", "another word", by=boss)
    identity.authenticate("lin", "another word")
    _refused(identity, "lin", "wrong password")
    _refused(identity, "my-secret-password-in-the-wrong-field", "x")
    identity.set_active("lin", False, by=boss)
    assert _actions(identity) == [
        "user.create",
        "user.create",
        "key.create",
        "key.revoke",
        "user.set_roles",
        "user.set_language",
        "user.set_password",
        "user.login",
        "user.login_refused",
        "user.login_refused",
        "user.set_active",
    ]
    trail = AuditTrail(identity.database)
    assert trail.verify() == []
    told = repr(trail.records())
    assert not any(word in told for word in (secret, "another word", "wrong-field"))
