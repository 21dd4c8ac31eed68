"""Guide 07: JSON, Avro from schemas and from files, and an encoding of one's own."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from fastkafka import ConfigError
from fastkafka.encoder import avro_encoder, avsc_to_pydantic
from fastkafka.testing import Tester
from tests.compat.guides import Running, load, running

GUIDE = "g07-encoding"
APPS = ("json", "avro", "avsc", "rot13")
SETOSA = {
    "sepal_length": 0.1,
    "sepal_width": 0.2,
    "petal_length": 0.3,
    "petal_width": 0.4,
}
MODEL = avsc_to_pydantic(
    {
        "type": "record",
        "name": "IrisInputData",
        "fields": [{"name": name, "type": "double"} for name in SETOSA],
    }
)
JSON = json.dumps(SETOSA).encode()
AVRO = avro_encoder(MODEL(**SETOSA))
ROT13 = codecs.encode(JSON.decode(), "rot13").encode()

# The text of pydantic's `json()`, which the guide's encoder calls, is still the same.
pytestmark = pytest.mark.filterwarnings("ignore:The `json` method is deprecated")


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Running]]:
    """Run the guide's command for each of its apps."""
    run = "fastkafka run --num-workers=1 --kafka-broker localhost"
    commands = {name: f"{run} {name}_application:kafka_app" for name in APPS}
    folder = tmp_path_factory.mktemp("encoding")
    topics = ("input_data", "predictions")
    with running({GUIDE: commands}, folder, topics=topics) as started:
        yield started


@pytest.mark.parametrize(
    ("name", "record", "answer"),
    [
        ("json", JSON, b'{"species":"setosa"}'),
        ("avro", AVRO, b"\x0csetosa"),
        ("avsc", AVRO, b"\x0csetosa"),
        ("rot13", ROT13, b'{"fcrpvrf":"frgbfn"}'),
    ],
    ids=APPS,
)
def test_an_app_answers_in_its_encoding(
    apps: Mapping[str, Running], name: str, record: bytes, answer: bytes
) -> None:
    apps[name].ready()
    apps[name].send("input_data", record)

    assert apps[name].sent("predictions") == [answer]


@pytest.mark.parametrize("name", APPS)
async def test_a_tester_uses_the_apps_encoding(name: str, tmp_path: Path) -> None:
    app = load(GUIDE, f"{name}_application", tmp_path)

    async with Tester(app.kafka_app) as tester:
        await tester.to_input_data(app.IrisInputData(**SETOSA))
        await tester.awaited_mocks.on_predictions.assert_awaited_with(
            app.IrisPrediction(species="setosa"), timeout=2
        )


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "swapped_consumer",
            "`on_input_data`: `encoder=` belongs to the other direction. "
            "Write `decoder='avro'`.",
        ),
        (
            "swapped_producer",
            "`to_predictions`: `decoder=` belongs to the other direction. "
            "Write `encoder='avro'`.",
        ),
    ],
    ids=["consumer", "producer"],
)
def test_a_codec_the_wrong_way_round_names_the_right_argument(
    name: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}$"):
        load(GUIDE, name, tmp_path)
