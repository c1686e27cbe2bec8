"""Settings: defaults that work, variables that are checked, secrets that are not shown."""

import stat
from pathlib import Path

import pytest

from core.errors import ConfigurationError
from core.settings import Settings


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch, tmp_path):
    for name in Settings.model_fields:
        monkeypatch.delenv(f"WORKBENCH_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_everything_has_a_default_in_one_folder(tmp_path):
    settings = Settings.load()
    assert settings.home == tmp_path / ".workbench"
    assert settings.database_url_resolved == f"sqlite:///{tmp_path}/.workbench/workbench.db"
    assert settings.artifacts == tmp_path / ".workbench" / "artifacts"
    assert (settings.language, settings.ui_port, settings.scorer_port) == ("en", 8501, 8502)
    assert (settings.ui_host, settings.scorer_host) == ("127.0.0.1", "127.0.0.1")
    assert not settings.home.exists()  # reading settings makes nothing


def test_each_field_is_read_from_its_variable(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_HOME", "there")
    monkeypatch.setenv("WORKBENCH_ARTIFACT_ROOT", "~/files")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WORKBENCH_LANGUAGE", "zh")
    monkeypatch.setenv("WORKBENCH_UI_PORT", "9000")
    settings = Settings.load()
    assert settings.home == tmp_path / "there"
    assert settings.artifacts == tmp_path / "files"
    assert (settings.language, settings.ui_port) == ("zh", 9000)


def test_an_empty_variable_is_not_set(monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", "")
    assert Settings.load().database_url_resolved.startswith("sqlite:///")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_names_our_driver(scheme):
    settings = Settings(database_url=f"{scheme}://u:p@h/d")
    assert settings.database_url_resolved == "postgresql+psycopg://u:p@h/d"


@pytest.mark.parametrize(
    ("variable", "value"),
    [("WORKBENCH_LANGUAGE", "fr"), ("WORKBENCH_UI_PORT", "many"), ("WORKBENCH_SCORER_PORT", "70000")],
)
def test_a_bad_variable_is_named(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as caught:
        Settings.load()
    assert caught.value.where == variable
    assert [finding.where for finding in caught.value.findings] == [variable]


def test_passwords_and_keys_are_not_shown():
    settings = Settings(database_url="postgresql://u:hidden-word@h/d", secret_key="hidden-key")
    assert "hidden" not in repr(settings) + str(settings)


def test_the_secret_is_made_once_and_only_its_owner_reads_it(tmp_path):
    secret = Settings.load().secret()
    assert len(secret) >= 43
    assert Settings.load().secret() == secret
    assert stat.S_IMODE((tmp_path / ".workbench" / "secret_key").stat().st_mode) == 0o600
    assert Settings(home=Path("elsewhere")).secret() != secret


def test_processes_that_start_at_once_agree_on_the_secret(tmp_path, run_python):
    code = """
        import sys
        from pathlib import Path
        from core.settings import Settings
        print(Settings(home=Path(sys.argv[1])).secret(), end="")
    """
    secrets = set(run_python(code, tmp_path / "shared", n=2))
    assert secrets == {Settings(home=tmp_path / "shared").secret()}
    assert [path.name for path in (tmp_path / "shared").iterdir()] == ["secret_key"]


def test_a_given_secret_is_used_and_not_written(tmp_path):
    assert Settings(secret_key="given").secret() == "given"
    assert not (tmp_path / ".workbench").exists()


def test_secrets_are_read_from_files_and_variables_go_before_them(monkeypatch, tmp_path):
    (tmp_path / "workbench_database_url").write_text("postgresql://u:p@db/w\n")
    (tmp_path / "workbench_secret_key").write_text("from the file\n")
    monkeypatch.setenv("WORKBENCH_SECRETS_FOLDER", str(tmp_path))
    monkeypatch.setenv("WORKBENCH_SECRET_KEY", "from the variable")
    settings = Settings.load()
    assert settings.database_url == "postgresql://u:p@db/w"
    assert settings.secret() == "from the variable"


def test_a_folder_of_secrets_that_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_SECRETS_FOLDER", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigurationError) as refused:
        Settings.load()
    assert refused.value.where == "WORKBENCH_SECRETS_FOLDER"
