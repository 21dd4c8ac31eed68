"""Where a real Apache Kafka comes from: Java, and jars that Maven fetches once."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from fastkafka.errors import ConfigError

KAFKA_VERSION = "4.3.1"
_SCALA_VERSION = "2.13"
_LOG4J_VERSION = "2.25.4"  # what this Kafka brings; alone it has nothing to log with
_OLDEST_JAVA = 17

_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_POM = f"""\
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>fastkafka</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_{_SCALA_VERSION}</artifactId>
      <version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>{_LOG4J_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""
_DOWNLOADED = re.compile(r"Downloaded from \S+: \S+/(\S+)")
_JAVA_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


def kafka_folder() -> Path:
    """Return the folder of jars that `install` fills.

    It is in ``FASTKAFKA_CACHE``, or in ``~/.cache/fastkafka``.
    """
    cache = os.environ.get("FASTKAFKA_CACHE") or "~/.cache/fastkafka"
    return Path(cache).expanduser() / f"kafka_{_SCALA_VERSION}-{KAFKA_VERSION}"


def find_kafka() -> str:
    """Return Java's class path for Kafka: ``KAFKA_HOME``'s jars, or the installed ones.

    Raises:
        ConfigError: There are none.
    """
    if home := os.environ.get("KAFKA_HOME"):
        libs = Path(home).expanduser() / "libs"
        if not any(libs.glob("*.jar")):
            raise ConfigError(
                f"Kafka installation not found! KAFKA_HOME is {home!r}, and there is "
                "no jar in its folder `libs`. Correct it, or unset it and run "
                "`fastkafka testing install_deps`."
            )
    else:
        libs = kafka_folder()
        if not libs.is_dir():
            raise ConfigError(
                f"Kafka installation not found! There is no {str(libs)!r}. Run "
                "`fastkafka testing install_deps`, or set KAFKA_HOME to the folder of "
                "an Apache Kafka."
            )
    return str(libs / "*")


def find_java() -> str:
    """Return the path of the first Java that is new enough: JAVA_HOME's or PATH's.

    Raises:
        ConfigError: There is none.
    """
    too_old = ""
    for java in _javas():
        version = _java_version(java)
        if version >= _OLDEST_JAVA:
            return java
        if version:
            too_old = f", and {java!r} is Java {version}"
    raise ConfigError(
        f"JDK installation not found! Apache Kafka {KAFKA_VERSION} needs Java "
        f"{_OLDEST_JAVA} or newer{too_old}. Install one and put it on the PATH, or set "
        "JAVA_HOME."
    )


def install(on_file: Callable[[str], None] = lambda name: None) -> Path:
    """Fetch Kafka's jars into `kafka_folder`, unless they are there.

    The folder appears complete or not at all, so that an interrupted download leaves
    nothing behind that looks like Kafka; of two processes that do this at once, one
    wins and both can go on.

    Args:
        on_file: Called with the name of each file that Maven has downloaded. There is
            no total: Maven knows it no sooner, and what it has from before it does
            not download.

    Raises:
        ConfigError: Java or Maven is missing, or Maven failed.
    """
    folder = kafka_folder()
    if folder.is_dir():
        return folder
    find_java()  # said now rather than when the first test runs
    maven = shutil.which("mvn")
    if maven is None:
        raise ConfigError(
            "Maven installation not found! It fetches Apache Kafka, and there is no "
            "`mvn` on the PATH. Install Maven, or set KAFKA_HOME to the folder of an "
            "Apache Kafka."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as work:
        Path(work, "pom.xml").write_text(_POM, encoding="utf-8")
        _run_maven(maven, work, on_file)
        try:
            Path(work, "libs").rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    return folder


def _run_maven(maven: str, work: str, on_file: Callable[[str], None]) -> None:
    """Copy the jars that *work*'s pom.xml asks for to its folder `libs`."""
    command = [maven, "-B", _COPY, "-DincludeScope=runtime", "-DoutputDirectory=libs"]
    errors = []
    with subprocess.Popen(
        command,
        cwd=work,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if downloaded := _DOWNLOADED.search(line):
                    on_file(downloaded[1])
                elif "ERROR" in line:
                    errors.append(line.strip())
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise ConfigError(
            f"Apache Kafka {KAFKA_VERSION} could not be fetched. Maven ended with exit "
            f"code {process.returncode} and said:\n" + "\n".join(errors[:5])
        )


def _javas() -> Iterator[str]:
    if home := os.environ.get("JAVA_HOME"):
        yield str(Path(home, "bin", "java"))
    if java := shutil.which("java"):
        yield java


def _java_version(java: str) -> int:
    """Return 17 for Java 17, 8 for 1.8, and 0 for what is no Java at all."""
    with contextlib.suppress(OSError):
        answer = subprocess.run(
            [java, "-version"], capture_output=True, text=True, check=False
        )
        if version := _JAVA_VERSION.search(answer.stderr + answer.stdout):
            return int(version[1])
    return 0
