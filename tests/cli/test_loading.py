"""`module:attribute`: what is found, and each sentence when nothing is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fastkafka.app import FastKafka
from fastkafka.cli.loading import UserModuleError, load_app, user_traceback
from fastkafka.errors import ConfigError

APP = """
from fastkafka import FastKafka

class Shops:
    first = FastKafka(title="First")

kafka_app = FastKafka(title="Shop")
settings = {"a": 1}
"""


@pytest.fixture
def module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., None]]:
    """Give a function that writes a module into the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = set(sys.modules)

    def write(source: str, name: str = "shop_app") -> None:
        path = tmp_path / (name.replace(".", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)

    yield write
    for name in set(sys.modules) - known:
        del sys.modules[name]


def refusal(import_string: str) -> str:
    """Return the message with which *import_string* is refused."""
    with pytest.raises(ConfigError) as caught:
        load_app(import_string)
    return str(caught.value)


def test_an_app_is_found(module: Callable[..., None]) -> None:
    module(APP)

    assert isinstance(load_app("shop_app:kafka_app"), FastKafka)


def test_the_attribute_and_the_module_may_have_dots(
    module: Callable[..., None],
) -> None:
    module(APP, "shop_package.main")

    app = load_app("shop_package.main:Shops.first")

    assert app is sys.modules["shop_package.main"].Shops.first


def test_an_installed_module_goes_before_a_file_in_the_current_directory(
    module: Callable[..., None], tmp_path: Path
) -> None:
    module(APP, "json")

    assert refusal("json:kafka_app").startswith(
        'Attribute "kafka_app" not found in module "json". There is no app in '
    )
    assert sys.path[-1] == str(tmp_path)


@pytest.mark.parametrize("import_string", ["shop", "shop:", "shop.py", "./shop.py"])
def test_an_import_string_without_an_attribute(import_string: str) -> None:
    assert refusal(import_string) == (
        f'Import string "{import_string}" must be in format "<module>:<attribute>". '
        "Write `shop:app` if the app is called `app`."
    )


def test_an_import_string_without_a_module() -> None:
    assert refusal(":app") == (
        'Import string ":app" must be in format "<module>:<attribute>". '
        "Write `module:app` if the app is called `app`."
    )


@pytest.mark.parametrize("file", ["src/shop.py", "./src/shop", "src/shop"])
def test_a_file_instead_of_a_module(file: str) -> None:
    assert refusal(f"{file}:app") == (
        f'Could not import module "{file}". That is a file; write the name of the '
        "module: `src.shop:app`."
    )


@pytest.mark.parametrize("name", ["no_such_shop", "no_such_shop.main", "json.shop"])
def test_a_module_that_is_not_there(
    name: str, module: Callable[..., None], tmp_path: Path
) -> None:
    assert refusal(f"{name}:app") == (
        f'Could not import module "{name}". There is none of this name in '
        f"{str(tmp_path)!r} or among the installed packages."
    )


def test_an_attribute_that_is_not_there(module: Callable[..., None]) -> None:
    module(APP)

    assert refusal("shop_app:app") == (
        'Attribute "app" not found in module "shop_app". Write `shop_app:kafka_app`.'
    )
    assert refusal("shop_app:kafka_app.first") == (
        'Attribute "kafka_app.first" not found in module "shop_app". '
        "Write `shop_app:kafka_app`."
    )


def test_a_module_without_an_app(module: Callable[..., None], tmp_path: Path) -> None:
    module("")

    assert refusal("shop_app:app") == (
        'Attribute "app" not found in module "shop_app". There is no app in '
        f"{str(tmp_path / 'shop_app.py')!r}."
    )


def test_an_attribute_that_is_no_app(module: Callable[..., None]) -> None:
    module(APP)

    assert refusal("shop_app:settings") == (
        'Attribute "settings" of module "shop_app" is no FastKafka app, but a '
        "`dict`. Write `shop_app:kafka_app`."
    )


def test_a_module_that_raises_is_shown_from_its_first_line_on(
    module: Callable[..., None], tmp_path: Path
) -> None:
    module("import helper")
    module("def load():\n    return 1 / 0\nload()", "helper")

    with pytest.raises(UserModuleError) as caught:
        load_app("shop_app:app")

    assert str(caught.value) == (
        'Could not import module "shop_app". It raised '
        "ZeroDivisionError: division by zero"
    )
    cause = caught.value.__cause__
    assert cause is not None
    text = user_traceback(cause)
    assert text.startswith(
        "Traceback (most recent call last):\n"
        f'  File "{tmp_path / "shop_app.py"}", line 1, in <module>\n'
    )
    assert text.endswith("ZeroDivisionError: division by zero\n")


def test_a_module_that_needs_one_that_is_not_installed(
    module: Callable[..., None],
) -> None:
    module("import no_such_package.sub")

    assert refusal("shop_app:app") == (
        'Could not import module "shop_app". It raised '
        "ModuleNotFoundError: No module named 'no_such_package'"
    )


def test_a_module_that_is_no_python(
    module: Callable[..., None], tmp_path: Path
) -> None:
    module("app = FastKafka(\n")

    with pytest.raises(UserModuleError) as caught:
        load_app("shop_app:app")

    assert str(caught.value) == (
        'Could not import module "shop_app". It raised '
        "SyntaxError: '(' was never closed"
    )
    cause = caught.value.__cause__
    assert cause is not None
    assert user_traceback(cause).startswith(
        f'  File "{tmp_path / "shop_app.py"}", line 1\n'
    )


def test_a_module_that_ends_the_program(module: Callable[..., None]) -> None:
    module("import sys\nsys.exit('no licence')")

    assert refusal("shop_app:app") == (
        'Could not import module "shop_app". It ended the program: '
        "`sys.exit('no licence')`."
    )


def test_a_wrong_declaration_is_one_sentence_with_its_line(
    module: Callable[..., None],
) -> None:
    module(
        "from fastkafka.errors import ConfigError\n\n"
        "raise ConfigError('`on_order` is wrong.')"
    )

    assert refusal("shop_app:app") == "shop_app.py:3: `on_order` is wrong."


def test_an_error_of_ours_is_shown_whole() -> None:
    error = ValueError("never raised")

    assert user_traceback(error) == "ValueError: never raised\n"
