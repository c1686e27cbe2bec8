"""One framework, one owner; what is light stays light; nothing that runs code out of data."""

import ast
import importlib.metadata
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest

# The modules that may import a framework, by prefix. What is not named here is anybody's.
_OWNERS: dict[str, tuple[str, ...]] = {
    "alembic": ("core.database",),
    "argon2": ("core.identity",),
    "pydantic_settings": ("core.settings",),
    "duckdb": ("warehouse",),
    "pandera": ("warehouse",),
    "openpyxl": ("warehouse",),
    "charset_normalizer": ("warehouse",),
    "featuretools": ("features",),
    "woodwork": ("features",),
    "optbinning": ("features",),
    "dask": ("features", "automl"),
    "plotly": ("reporting",),
    "jinja2": ("reporting",),
    "docx": ("reporting",),
    "weasyprint": ("reporting",),
    "xlsxwriter": ("reporting",),
    "optuna": ("automl",),
    "onnx": ("automl",),
    "shap": ("automl",),
    "lightgbm": ("automl.families",),
    "xgboost": ("automl.families",),
    "catboost": ("automl.families",),
    "mlflow": ("model_registry",),
    "evidently": ("monitoring",),
    "rule_engine": ("risk_control",),
    "networkx": ("risk_control",),
    "defusedxml": ("risk_control",),
    "fastapi": ("serving",),
    "starlette": ("serving", "workbench.server"),
    "uvicorn": ("serving", "workbench.server"),
    "prometheus_client": ("serving",),
    "streamlit": ("workbench",),
    "cronsim": ("workbench.jobs",),
    "typer": ("workbench",),
}
# Streamlit stays in the app itself: the headless parts of the workbench know no page.
_PAGES = ("workbench.app", "workbench.app_pages", "workbench.server", "workbench.ui")
_BANNED_MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "cloudpickle",
    "dill",
    "marshal",
    "shelve",
    "jsonpickle",
    "skops",
    "code",
}
_BANNED_NAMES = {"eval", "exec", "compile", "__import__"}
_BANNED_CALLS = {
    "joblib.load",
    "joblib.dump",
    "os.system",
    "os.popen",
    "yaml.unsafe_load",
    "yaml.full_load",
}
_BANNED_METHODS = {"read_pickle", "to_pickle"}
_LIGHT = [
    "core.identity",
    "features.engine",
    "features.plan",
    "automl.calibration",
    "automl.reasons",
    "automl.scale",
    "model_registry.scorer",
    "monitoring.score_log",
    "serving.app",
    "workbench.cli",
]
_HEAVY = [
    "pyarrow",
    "threadpoolctl",
    "cronsim",
    "plotly",
    "openpyxl",
    "pandas",
    "sklearn",
    "streamlit",
    "mlflow",
    "evidently",
    "featuretools",
    "woodwork",
    "shap",
    "optuna",
    "optbinning",
    "duckdb",
    "pandera",
    "plotly",
    "matplotlib",
    "numba",
    "babel",
]


def _imports(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """Yield every imported module, wherever the import stands, and those imported by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args:
            yield node, str(node.args[0].value) if isinstance(node.args[0], ast.Constant) else "?"


def _for_types_only(tree: ast.Module) -> set[int]:
    """Return the ids of the nodes below ``if TYPE_CHECKING:``."""
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    return {id(inner) for block in blocks for statement in block.body for inner in ast.walk(statement)}


def _is_inside(module: str, prefixes: tuple[str, ...]) -> bool:
    return any(module == prefix or module.startswith(f"{prefix}.") for prefix in prefixes)


def test_each_framework_is_imported_by_its_owner_only(sources):
    strangers = []
    for source in sources:
        types_only = _for_types_only(source.tree)
        for node, name in _imports(source.tree):
            owners = _OWNERS.get(name.partition(".")[0])
            if owners and not _is_inside(source.module, owners) and id(node) not in types_only:
                strangers.append(f"{source.at(node)} imports {name}, which belongs to {', '.join(owners)}")
    assert not strangers, "\n" + "\n".join(strangers)


def test_only_the_app_knows_streamlit(sources):
    strangers = [
        source.at(node)
        for source in sources
        for node, name in _imports(source.tree)
        if name.partition(".")[0] == "streamlit" and not _is_inside(source.module, _PAGES)
    ]
    assert strangers == []


def test_every_owner_in_the_table_exists(sources):
    modules = {source.module for source in sources} | {source.package for source in sources}
    assert {prefix for prefixes in _OWNERS.values() for prefix in prefixes} <= modules


def _dangers(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """Yield what would run code that came as data, or hand a line to a shell."""
    for node, name in _imports(tree):
        if name.partition(".")[0] in _BANNED_MODULES:
            yield node, f"imports {name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in _BANNED_NAMES | _BANNED_CALLS or called.rpartition(".")[2] in _BANNED_METHODS:
                yield node, f"calls {called}"
            for keyword in node.keywords:
                if keyword.arg in {"allow_pickle", "shell"} and ast.unparse(keyword.value) != "False":
                    yield node, f"calls {called} with {ast.unparse(keyword)}"
            if called == "yaml.load" and not _safe_loaders(tree) & set(map(ast.unparse, _loader(node))):
                yield node, "calls yaml.load without a safe loader"


def _loader(call: ast.Call) -> list[ast.expr]:
    return call.args[1:2] + [keyword.value for keyword in call.keywords if keyword.arg == "Loader"]


def _safe_loaders(tree: ast.Module) -> set[str]:
    """Return the safe loaders of PyYAML, and the classes of this file that are made from it."""
    made = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and "yaml.SafeLoader" in map(ast.unparse, node.bases)
    }
    return made | {"yaml.SafeLoader", "yaml.CSafeLoader"}


def test_no_product_code_runs_what_it_loads(sources):
    found = [f"{source.at(node)} {danger}" for source in sources for node, danger in _dangers(source.tree)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "def f():\n    import cloudpickle as c",
        "joblib.load(p)",
        "eval('1')",
        "exec(x)",
        "np.load(p, allow_pickle=True)",
        "subprocess.run(x, shell=True)",
        "pd.read_pickle(p)",
        "importlib.import_module('pickle')",
        "yaml.load(f)",
        "yaml.load(f, Loader=yaml.Loader)",
    ],
)
def test_the_rule_against_running_loaded_code_catches(code):
    assert list(_dangers(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        "cursor.execute(q)",
        "np.load(p, allow_pickle=False)",
        "joblib.Parallel(2)(x)",
        "re.compile(x)",
        "model.eval()",
        "yaml.load(f, Loader=yaml.SafeLoader)",
        "yaml.load(f, Loader=yaml.CSafeLoader)",
    ],
)
def test_the_rule_against_running_loaded_code_lets_pass(code):
    assert not list(_dangers(ast.parse(code)))


_IMPORT_WITHOUT = """
    import importlib, sys
    hidden = set(sys.argv[2].split(","))

    class Hide:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in hidden:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    sys.meta_path.insert(0, Hide())
    importlib.import_module(sys.argv[1])
    print(*sorted(hidden & {name.partition(".")[0] for name in sys.modules}))
"""


@pytest.mark.parametrize("module", _LIGHT)
def test_light_modules_need_none_of_the_heavy_frameworks(root, module):
    """They are imported where the heavy packages do not exist (LightGBM takes pandas and scikit-learn where it can)."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_IMPORT_WITHOUT), module, ",".join(_HEAVY)],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_nothing_in_the_workbench_folder_hides_another_package(root, packages):
    """`streamlit run workbench/app.py` puts ``workbench/`` first on the path."""
    names = {path.stem for path in (root / "workbench").iterdir() if path.suffix == ".py" or path.is_dir()}
    installed = set(importlib.metadata.packages_distributions()) - set(packages)
    others = set(sys.stdlib_module_names) | set(packages) | installed | {"tests", "benchmarks"}
    assert names & others <= {"__init__", "__pycache__"}


def test_every_package_says_that_it_is_typed(root, packages):
    assert [package for package in packages if not (root / package / "py.typed").is_file()] == []
