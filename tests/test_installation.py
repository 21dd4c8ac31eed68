"""Where Apache Kafka comes from, with a Java and a Maven that only pretend."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from fastkafka.errors import ConfigError
from fastkafka.testing.installation import (
    KAFKA_VERSION,
    find_java,
    find_kafka,
    install,
    kafka_folder,
)

JAVA_17 = "echo 'openjdk version \"17.0.15\" 2025-04-15' >&2"
JAVA_8 = "echo 'java version \"1.8.0_412\"' >&2"
MAVEN = """
[ -f pom.xml ] || exit 9
mkdir libs && echo jar > libs/kafka.jar
echo "[INFO] Downloading from registry: scheme://registry/kafka.jar"
echo "[INFO] Downloaded from registry: scheme://registry/org/kafka.jar (1 kB at 2 kB/s)"
echo "[INFO] Downloaded from registry: scheme://registry/org/log4j.jar (1 kB at 2 kB/s)"
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that are put before the system's, and an empty cache."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("FASTKAFKA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KAFKA_HOME", raising=False)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    add(folder, "java", JAVA_17)
    return folder


def add(folder: Path, name: str, script: str) -> Path:
    program = folder / name
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def test_it_is_fetched_once(programs: Path) -> None:
    files: list[str] = []
    add(programs, "mvn", MAVEN)
    folder = install(files.append)
    assert files == ["kafka.jar", "log4j.jar"]
    assert folder == kafka_folder()
    assert [path.name for path in folder.iterdir()] == ["kafka.jar"]
    assert find_kafka() == f"{folder}/*"

    add(programs, "mvn", "exit 1")
    assert install() == folder


def test_two_that_fetch_it_at_once_both_have_it(programs: Path) -> None:
    # Each waits until the other has begun, so that both find no folder.
    together = (
        f"cd '{programs}'; touch one.$$; until [ $(ls one.* | wc -l) = 2 ]; do :; done"
    )
    add(programs, "mvn", f"({together})\n{MAVEN}")
    folders: list[Path] = []
    threads = [
        threading.Thread(target=lambda: folders.append(install())) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert folders == [kafka_folder()] * 2
    assert list(kafka_folder().parent.iterdir()) == [kafka_folder()]


def test_a_maven_that_fails_leaves_nothing_and_is_quoted(programs: Path) -> None:
    add(programs, "mvn", "mkdir libs\necho '[ERROR] Unknown host'\nexit 1")
    with pytest.raises(ConfigError) as error:
        install()
    assert str(error.value) == (
        f"Apache Kafka {KAFKA_VERSION} could not be fetched. Maven ended with exit "
        "code 1 and said:\n[ERROR] Unknown host"
    )
    assert list(kafka_folder().parent.iterdir()) == []


def test_a_fetch_that_is_interrupted_leaves_nothing(programs: Path) -> None:
    def interrupt(name: str) -> None:
        raise KeyboardInterrupt

    add(programs, "mvn", f"{MAVEN}\nexec sleep 60")
    with pytest.raises(KeyboardInterrupt):
        install(interrupt)
    assert list(kafka_folder().parent.iterdir()) == []


def test_without_maven_it_says_what_else_there_is(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(ConfigError) as error:
        install()
    assert str(error.value) == (
        "Maven installation not found! It fetches Apache Kafka, and there is no `mvn` "
        "on the PATH. Install Maven, or set KAFKA_HOME to the folder of an Apache "
        "Kafka."
    )


def test_without_kafka_it_says_which_command_fetches_it(programs: Path) -> None:
    with pytest.raises(ConfigError) as error:
        find_kafka()
    assert str(error.value) == (
        f"Kafka installation not found! There is no {str(kafka_folder())!r}. Run "
        "`fastkafka testing install_deps`, or set KAFKA_HOME to the folder of an "
        "Apache Kafka."
    )


def test_kafka_home_is_used_when_it_is_set(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_HOME", str(tmp_path))
    with pytest.raises(ConfigError) as error:
        find_kafka()
    assert str(error.value) == (
        f"Kafka installation not found! KAFKA_HOME is {str(tmp_path)!r}, and there is "
        "no jar in its folder `libs`. Correct it, or unset it and run "
        "`fastkafka testing install_deps`."
    )
    libs = tmp_path / "libs"
    libs.mkdir()
    (libs / "kafka.jar").touch()
    assert find_kafka() == f"{libs}/*"


def test_java_home_comes_before_the_path(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_java() == str(programs / "java")
    java = add(tmp_path / "jdk" / "bin", "java", JAVA_17)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    assert find_java() == str(java)


def test_a_java_home_that_is_too_old_or_empty_is_passed_over(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    assert find_java() == str(programs / "java")
    add(tmp_path / "jdk" / "bin", "java", JAVA_8)
    assert find_java() == str(programs / "java")


def test_without_java_it_says_which_is_needed(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java = add(programs, "java", JAVA_8)
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(ConfigError) as error:
        find_java()
    assert str(error.value) == (
        f"JDK installation not found! Apache Kafka {KAFKA_VERSION} needs Java 17 or "
        f"newer, and {str(java)!r} is Java 8. Install one and put it on the PATH, or "
        "set JAVA_HOME."
    )
    java.unlink()
    with pytest.raises(ConfigError) as error:
        find_java()
    assert str(error.value) == (
        f"JDK installation not found! Apache Kafka {KAFKA_VERSION} needs Java 17 or "
        "newer. Install one and put it on the PATH, or set JAVA_HOME."
    )
