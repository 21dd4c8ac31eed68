"""Whether an app will work on its cluster, before it is started there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fastkafka.app import FastKafka
from fastkafka.errors import ConfigError
from fastkafka.tools.declarations import acks_of, declaration_findings
from fastkafka.tools.findings import Finding
from fastkafka.tools.limits import (
    Settings,
    altering,
    size_findings,
    time_findings,
)
from fastkafka.tools.topics import (
    AppTopic,
    Clusters,
    app_topics,
    declared_topics,
    facts_of,
)
from fastkafka.transport.librdkafka.inspection import Inspection, TopicFacts

_ORDER = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True, slots=True)
class Checked:
    """A topic that exists, with what the cluster says of it."""

    topic: AppTopic
    facts: TopicFacts
    settings: Settings
    brokers: int


def check(
    app: FastKafka, clusters: Clusters, *, workers: int | None = None
) -> list[Finding]:
    """Return what will not work, or not as one may think; the worst first.

    Args:
        app: Which app; nothing of it is run.
        clusters: What it is checked against.
        workers: How many processes are to run it; None is not known.

    Raises:
        BrokerUnavailableError: No broker answers.
        ClientError: One refuses: credentials, TLS.
    """
    try:
        declared_topics(app)
    except ConfigError as error:
        return [Finding("error", "the app", str(error), "It cannot start like this.")]
    topics = app_topics(app, clusters)
    facts = facts_of(topics, clusters)
    findings = [*declaration_findings(app, topics)]
    for servers in dict.fromkeys(topic.servers for topic in topics):
        here = [topic for topic in topics if topic.servers == servers]
        there = {
            topic.name: facts[servers, topic.name]
            for topic in here
            if (servers, topic.name) in facts
        }
        findings += _of_cluster(here, there, clusters.of(here[0]), workers)
    return sorted(findings, key=lambda finding: _ORDER[finding.severity])


def _of_cluster(
    topics: Sequence[AppTopic],
    facts: Mapping[str, TopicFacts],
    cluster: Inspection,
    workers: int | None,
) -> Iterator[Finding]:
    names = [topic.name for topic in topics if not topic.is_pattern]
    allowed = {} if cluster.embedded else cluster.allowed(names)
    for topic in topics:
        if topic.name not in facts and topic.name not in allowed:
            yield _missing(topic, facts)
    yield from _of_permissions(topics, allowed, cluster)
    if cluster.embedded:
        yield Finding(
            "note",
            cluster.servers,
            "This is the embedded broker, which cannot be asked for replicas, settings "
            "and permissions.",
            "Check against the cluster that the app is to run on: `--kafka-broker`.",
        )
        settings: Mapping[str, Settings] = {}
        offsets_kept = None
    else:
        settings = cluster.topic_settings(facts.keys())
        of_broker = cluster.broker_settings() or {}
        offsets_kept = of_broker.get("offsets.retention.minutes")
    for topic in topics:
        if topic.name in facts:
            yield from _of_groups(topic, facts[topic.name], cluster)
    brokers = cluster.broker_count()
    there = {
        topic.name: Checked(topic, facts[topic.name], settings.get(topic.name), brokers)
        for topic in topics
        if topic.name in facts
    }
    for checked in there.values():
        yield from _of_partitions(checked, workers)
        if not cluster.embedded:
            yield from _of_replicas(checked)
        source = checked.topic.source
        parent = there.get(source.name) if source is not None else None
        of_source = None if parent is None else parent.settings
        yield from size_findings(checked.topic, checked.settings, of_source)
        yield from time_findings(
            checked.topic, checked.settings, of_source, offsets_kept
        )
        if parent is not None:
            yield from _of_dead_letters(checked, parent)


def _missing(topic: AppTopic, facts: Mapping[str, TopicFacts]) -> Finding:
    where = f"at {topic.servers}"
    if topic.source is not None:
        return Finding(
            "warning",
            topic.name,
            f"It does not exist {where}. It is made with the first dead letter, if "
            "this user may create topics; until that works, the record that failed "
            "waits, and its partition or key with it.",
            f"Create it beforehand: {creation(topic, facts)}",
        )
    if topic.is_pattern:
        return Finding(
            "warning",
            topic.name,
            f"No topic {where} matches this pattern, which "
            f"{_named(topic.functions)} reads.",
            "Nothing has to be done if they are yet to come.",
        )
    what = "reads it, so it gets nothing" if topic.readers else "writes it, and fails"
    return Finding(
        "error",
        topic.name,
        f"It does not exist {where}. {_named(topic.functions)} {what}.",
        f"Create it: {creation(topic, facts)}",
    )


def creation(topic: AppTopic, facts: Mapping[str, TopicFacts]) -> str:
    """Return the command that creates a topic.

    Args:
        topic: Which.
        facts: The existing topics of its cluster.
    """
    source = facts.get(topic.source.name) if topic.source is not None else None
    partitions = 6 if source is None else len(source.partitions)
    return (
        f"`kafka-topics.sh --bootstrap-server {topic.servers} --create --topic "
        f"{topic.name} --partitions {partitions}`, or `fastkafka topics MODULE:APP "
        "--create`."
    )


def _of_partitions(checked: Checked, workers: int | None) -> Iterator[Finding]:
    topic, facts = checked.topic, checked.facts
    count = len(facts.partitions)
    headless = [p for p, f in facts.partitions.items() if f.leader < 0]
    if headless:
        yield Finding(
            "error",
            topic.name,
            f"{_partitions(headless)} no leader: nothing can be read from there or "
            "written to it.",
            "Start the brokers that hold it: `kafka-topics.sh --describe "
            f"--unavailable-partitions --bootstrap-server {topic.servers}`.",
        )
    if workers is not None and topic.readers and count < workers:
        idle = workers - count
        more = "For more at once in one worker: `order='key'`."
        if all(reader.handler.order != "partition" for reader in topic.readers):
            more = "For more at once in one worker: more `concurrency`."
        yield Finding(
            "warning",
            topic.name,
            f"It has {_counted(count, 'partition')} for {_counted(workers, 'worker')}, "
            f"and a partition is read by one worker: {idle} will stand by, idle.",
            f"Run {_counted(count, 'worker')}, or give it more partitions: "
            f"`kafka-topics.sh --alter --topic {topic.name} --partitions {workers} "
            f"--bootstrap-server {topic.servers}`. Keys then move to other partitions. "
            f"{more}",
        )


def _of_replicas(checked: Checked) -> Iterator[Finding]:
    topic, facts = checked.topic, checked.facts
    replicas = facts.replication
    least = int((checked.settings or {}).get("min.insync.replicas", 1))
    writers = [(acks_of(writer.config), f"`{writer.name}`") for writer in topic.writers]
    if topic.source is not None:
        writers.append((acks_of(topic.producer), "the engine, for dead letters"))
    all_acks = [who for acks, who in writers if acks == "all"]
    one_ack = [who for acks, who in writers if acks != "all"]
    if all_acks and least > replicas:
        yield Finding(
            "error",
            topic.name,
            f"It has {_counted(replicas, 'replica')}, but min.insync.replicas is "
            f"{least}, so every record with acks=all is refused. It is written by "
            f"{', '.join(all_acks)}.",
            f"Give it {least + 1} replicas (kafka-reassign-partitions.sh), or lower "
            "the setting: "
            f"{altering(topic, 'min.insync.replicas', max(1, replicas - 1))}.",
        )
    elif all_acks and least == replicas > 1:
        yield Finding(
            "warning",
            topic.name,
            f"It has {replicas} replicas and min.insync.replicas is {least}: as soon "
            "as one broker is away, for an upgrade too, every record is refused.",
            f"Set min.insync.replicas to {replicas - 1}, or add a replica.",
        )
    if replicas == 1 and checked.brokers > 1:
        yield Finding(
            "warning",
            topic.name,
            f"It has one replica, on a cluster of {checked.brokers} brokers: when that "
            "broker is away nothing goes on, and when its disk is lost so are the "
            "records.",
            "Give it 3 replicas: kafka-reassign-partitions.sh.",
        )
    if one_ack and least > 1:
        yield Finding(
            "warning",
            topic.name,
            f"{', '.join(one_ack)} does not wait for all replicas (`acks`), so "
            f"min.insync.replicas={least} does not protect what it sends.",
            "Remove `acks`, which is 'all' by default.",
        )
    short = [p for p, f in facts.partitions.items() if 0 < len(f.in_sync) < least]
    if all_acks and short and least <= replicas:
        yield Finding(
            "error",
            topic.name,
            f"{_partitions(short)} at this moment fewer replicas in sync than "
            f"min.insync.replicas, {least}: records are refused.",
            "Look after the brokers: `kafka-topics.sh --describe "
            f"--under-min-isr-partitions --bootstrap-server {topic.servers}`.",
        )


def _of_dead_letters(checked: Checked, source: Checked) -> Iterator[Finding]:
    topic = checked.topic
    own, others = len(checked.facts.partitions), len(source.facts.partitions)
    if own < others:
        yield Finding(
            "note",
            topic.name,
            f"It has {_counted(own, 'partition')}, '{source.topic.name}' has {others}: "
            "dead letters of the others go by their keys.",
            "Nothing has to be done. To keep the partitions' numbers: "
            f"`kafka-topics.sh --alter --topic {topic.name} --partitions {others} "
            f"--bootstrap-server {topic.servers}`.",
        )
    policy = (checked.settings or {}).get("cleanup.policy", "delete")
    if "compact" in policy:
        yield Finding(
            "error",
            topic.name,
            f"Its cleanup.policy is {policy!r}: a later dead letter of a key deletes "
            "the earlier one, and one without a key is refused.",
            f"{altering(topic, 'cleanup.policy', 'delete')}.",
        )


def _of_groups(
    topic: AppTopic, facts: TopicFacts, cluster: Inspection
) -> Iterator[Finding]:
    """Yield where a group's offset is no longer there."""
    ranges = cluster.ranges(topic.name, facts.partitions) if topic.groups else {}
    for group in topic.groups:
        commits = cluster.committed(group, topic.name, facts.partitions)
        gone = {
            p: ranges[p].low - commit.offset
            for p, commit in commits.items()
            if commit.offset < ranges[p].low
        }
        if not gone:
            continue
        [first, *_] = [r for r in topic.readers if r.group == group]
        on_gap = first.handler.on_gap
        stops = on_gap == "stop"
        yield Finding(
            "error" if stops else "warning",
            topic.name,
            f"Group '{group}' has not read {sum(gone.values()):,} offsets that the "
            f"topic no longer holds, in {_counted(len(gone), 'partition')}: they were "
            "deleted before. "
            + ("It stops when it gets there." if stops else f"`on_gap={on_gap!r}`."),
            "Keep records longer (retention.ms), or start the group elsewhere: "
            "`on_gap='earliest'` goes on with what there is."
            if stops
            else "Keep records longer: retention.ms.",
        )


def _of_permissions(
    topics: Sequence[AppTopic],
    allowed: Mapping[str, Collection[str] | None],
    cluster: Inspection,
) -> Iterator[Finding]:
    for topic in topics:
        rights = allowed.get(topic.name)
        if rights is None:
            continue
        needed = [("READ", f"`{r.name}` reads it") for r in topic.readers[:1]]
        needed += [("WRITE", f"`{w.name}` writes it") for w in topic.writers[:1]]
        if topic.source is not None:
            needed.append(("WRITE", "dead letters are written to it"))
        for right, why in needed:
            if right not in rights:
                yield Finding(
                    "error",
                    topic.name,
                    f"This user has no right to {right} it, but {why}.",
                    "Allow it: `kafka-acls.sh --add --allow-principal User:... "
                    f"--operation {right.title()} --topic {topic.name} "
                    f"--bootstrap-server {topic.servers}`.",
                )
    if cluster.embedded:
        return
    groups = dict.fromkeys(group for topic in topics for group in topic.groups)
    for group, operations in cluster.allowed_groups(groups).items():
        if operations is not None and "READ" not in operations:
            yield Finding(
                "error",
                group,
                "This user has no right to READ this consumer group, so it cannot join "
                "it.",
                "Allow it: `kafka-acls.sh --add --allow-principal User:... --operation "
                f"Read --group {group} --bootstrap-server {cluster.servers}`; or set "
                "another `group_id`.",
            )


def _named(functions: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in functions) or "The app"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _partitions(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"Partition {numbers[0]} has"
    return f"Partitions {', '.join(map(str, numbers))} have"
