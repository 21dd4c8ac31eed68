"""Break each invariant on purpose, one line at a time, and see a test fail.

    python -m tests.mutations [-k WORD]

A copy of the package gets one change; the named tests run against that copy and must
fail. A mutation that no test notices, or whose line is not there any more, is reported
and makes the exit code 1. It is not part of the test suite: it takes minutes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "fastkafka"
MOST_SECONDS = 180


@dataclass(frozen=True)
class Mutation:
    """One change that breaks an invariant.

    Attributes:
        breaks: What it breaks, for the report.
        file: Below the package.
        line: What stands there, once.
        instead: What stands there in the copy.
        tests: Who must notice.
        simulated: Random schedules must notice, too.
    """

    breaks: str
    file: str
    line: str
    instead: str
    tests: str
    simulated: bool = False


OFFSETS = "engine/offsets.py"
LANES, POOL = "engine/lanes.py", "engine/pool.py"
ASSIGNMENT, FAILURE = "engine/assignment.py", "engine/failure.py"
MEMBER, SUPERVISOR = "engine/consumer.py", "engine/supervisor.py"
RECOVERY = "engine/recovery.py"
CONSUMER = "transport/librdkafka/consumer.py"
ASSIGNMENTS = "transport/librdkafka/assignments.py"
COMMITS = "transport/librdkafka/commits.py"
BACKPRESSURE = "transport/librdkafka/backpressure.py"
SIMULATION = "tests/simulation/test_schedules.py"

MUTATIONS = [
    Mutation(
        "I1: the highest seen offset is committed, not the highest done",
        OFFSETS,
        "        lowest = min(self._positions)",
        "        lowest = self._arrived",
        "tests/test_offsets.py tests/test_engine.py -k i1_or_both_or_unfinished",
        simulated=True,
    ),
    Mutation(
        "I1: one of two functions is enough",
        OFFSETS,
        "        lowest = min(self._positions)",
        "        lowest = max(self._positions)",
        "tests/test_offsets.py tests/test_engine.py -k both",
        simulated=True,
    ),
    Mutation(
        "I1: a gap is jumped over before what came first is done",
        OFFSETS,
        "        if start != position:\n            return False",
        "        if start != position:\n            position = start",
        "tests/test_offsets.py",
        simulated=True,
    ),
    Mutation(
        "I1: committed when handled, not when acknowledged",
        "engine/delivery.py",
        "        if len(self._acknowledged) == len(self.sent):\n"
        "            self._settle(self._opening)",
        "        if True:\n            self._settle(self._opening)",
        "tests/test_engine.py -k i1_nothing",
        simulated=True,
    ),
    Mutation(
        "I1: a refused output is taken for an acknowledged one",
        "engine/delivery.py",
        "        if error is not None:\n            self._failures.append",
        "        if error is None:\n            self._failures.append",
        "tests/test_failures.py -k refused",
        simulated=True,
    ),
    Mutation(
        "I1: an output that is refused once more is taken for an acknowledged one",
        "engine/delivery.py",
        "        if error is not None:\n            self._failures.append",
        "        if error is None:\n            self._failures.append",
        "tests/test_delivery.py",
    ),
    Mutation(
        "I1: a record that failed for good counts as done before the app stops",
        RECOVERY,
        "            owner.failed(error)\n            return False\n        attempts",
        "            at = error.offset\n"
        "            owner.finished(chunk.handler, at, at + 1)\n"
        "            owner.failed(error)\n            return False\n        attempts",
        "tests/test_engine.py -k i1_a_record",
        simulated=True,
    ),
    Mutation(
        "I1: a record is done before its dead letter is acknowledged",
        "engine/deadletters.py",
        "        for _, error, report, refusing in await done:",
        "        for _, error, report, refusing in ():",
        "tests/test_failures.py -k nothing_is_committed",
        simulated=True,
    ),
    Mutation(
        "I1: a dead letter that cannot be written is given up",
        RECOVERY,
        "park(record, error, attempts, owner.stopped):",
        "park(record, error, attempts, owner.stopped) or True:",
        "tests/test_failures.py -k a_stop_while",
    ),
    Mutation(
        "a refused output is not retried",
        LANES,
        "            self._crew.return_to(\n",
        "            (lambda chunk: owner.finished(handler, before, start))(\n",
        "tests/test_failures.py -k refused",
        simulated=True,
    ),
    Mutation(
        "what is given back for a retry forgets its attempts",
        LANES,
        "                    attempt=attempt,\n",
        "",
        "tests/test_failures.py -k no_broker_takes",
    ),
    Mutation(
        "I1: the failing record itself is finished",
        LANES,
        "            done, failed = outbox.index,",
        "            done, failed = outbox.index + 1,",
        "tests/test_engine.py -k i1_a_failing",
        simulated=True,
    ),
    Mutation(
        "I1: two commits of a partition are on their way at once",
        "transport/librdkafka/commits.py",
        "        return sent is not None and now < sent + PATIENCE_SECONDS",
        "        return False",
        "tests/test_librdkafka_commits.py -k one_commit",
    ),
    Mutation(
        "I1: what could not be committed is forgotten",
        "transport/librdkafka/commits.py",
        "            if problem is not None and partition in self._offsets:",
        "            if False:",
        "tests/test_librdkafka_commits.py -k could_not",
    ),
    Mutation(
        "I2: two lanes may handle one key",
        POOL,
        "        key.chunks.append(chunk)\n        if not key.taken:\n",
        "        key.chunks.append(chunk)\n        if len(key.chunks) == 1:\n",
        "tests/test_engine.py tests/test_invariants.py tests/test_order.py -k i2_or_i3",
        simulated=True,
    ),
    Mutation(
        "I2: every record has a key of its own",
        POOL,
        "            own = offset if name is None else name",
        "            own = offset",
        "tests/test_order.py -k of_a_key",
        simulated=True,
    ),
    Mutation(
        "I3: a revoke does not wait",
        MEMBER,
        "            await self._all_idle(revoked, timeout=None)",
        "            await self._all_idle(revoked, timeout=0)",
        "tests/test_invariants.py -k i3_a_revoke",
        simulated=True,
    ),
    Mutation(
        "I3: a revoke waits for ever",
        ASSIGNMENTS,
        "            waiting.result(self._revoke_timeout)",
        "            waiting.result(60)",
        "tests/test_invariants.py -k i3_what_ends",
    ),
    Mutation(
        "I3: what ends late is committed",
        ASSIGNMENT,
        "        if self.offsets.finish(handler, start, end) and self.live:",
        "        if self.offsets.finish(handler, start, end):",
        "tests/test_member.py",
    ),
    Mutation(
        "I3: what finished is not committed by the revoke",
        ASSIGNMENTS,
        "        self._commit(client, partitions)\n        self._forget(partitions)",
        "        self._forget(partitions)",
        "tests/test_invariants.py -k i3_a_revoke",
    ),
    Mutation(
        "I4: the poll thread waits for the loop",
        CONSUMER,
        "        self._caught_up.wait(PATIENCE_SECONDS)",
        "        self._caught_up.wait()",
        "tests/test_invariants.py -k i4",
    ),
    Mutation(
        "I4: a member that drains polls no more",
        CONSUMER,
        "    def pause(self) -> None:\n"
        '        """See `Consumer`."""\n'
        "        self._pressure.stop()",
        "    def pause(self) -> None:\n"
        '        """See `Consumer`."""\n'
        "        self._closing = True",
        "tests/test_invariants.py -k drains",
    ),
    Mutation(
        "I5: intake has no bound",
        BACKPRESSURE,
        "if self.intake[run.partition].full]",
        "if False]",
        "tests/test_invariants.py -k i5",
    ),
    Mutation(
        "I5: a held partition is not resumed",
        BACKPRESSURE,
        "            client.resume(_plain(resuming))",
        "            pass",
        "tests/test_invariants.py -k i5",
    ),
    Mutation(
        "I6: the event loop calls the client",
        CONSUMER,
        "        self._commits.finished(partition, offset)\n",
        "        self._commits.finished(partition, offset)\n"
        "        self._store(self._client)\n",
        "tests/test_invariants.py -k i6",
    ),
    Mutation(
        "I6: the poll thread runs the dispatch",
        CONSUMER,
        "            self._loop.call_soon_threadsafe(function, *args)",
        "            function(*args)",
        "tests/test_invariants.py -k i6",
    ),
    Mutation(
        "I7: a stop waits for a handler that hangs",
        SUPERVISOR,
        "*(m.drain(drained - loop.time()) for m in self.members)",
        "*(m.drain(3600) for m in self.members)",
        "tests/test_invariants.py -k i7_a_stop_has",
        simulated=True,
    ),
    Mutation(
        "I7: a stop does not wait for the current record",
        MEMBER,
        "        if await self._all_idle(self._assignments.values(), timeout):",
        "        if await self._all_idle(self._assignments.values(), 0):",
        "tests/cli/test_run.py -k ends_what",
    ),
    Mutation(
        "I8: a lane that breaks is not noticed",
        POOL,
        "            lane.task.add_done_callback(self._lane_ended)",
        "            pass",
        "tests/test_invariants.py -k i8_what_breaks",
    ),
    Mutation(
        "I8: an error of a client is only logged",
        MEMBER,
        '        """End the app."""\n        self.failed(error)',
        '        """End the app."""\n        logger.error("%s", error)',
        "tests/test_invariants.py -k i8_a_fatal",
    ),
    Mutation(
        "I8: a broker that is away is said at every try",
        "transport/librdkafka/connection.py",
        "        except KafkaException:\n            self._next_probe",
        "        except KafkaException:\n"
        "            logger.warning('No broker answers')\n"
        "            self._next_probe",
        "tests/test_invariants.py -k i8_a_broker",
    ),
    Mutation(
        "I9: declaring a producer starts a thread",
        "routing.py",
        "        self.call = self._wrap(route.function)",
        "        self.call = self._wrap(route.function)\n"
        "        __import__('threading').Timer(1, print).start()",
        "tests/test_invariants.py -k i9",
    ),
    Mutation(
        "latest: the start is not pinned",
        "transport/librdkafka/starts.py",
        "        if pinned:\n            client.commit(",
        "        if False:\n            client.commit(",
        "tests/test_engine.py -k latest",
    ),
    Mutation(
        "a full queue drops the record",
        "transport/librdkafka/producer.py",
        "        self._backlog.append(\n",
        "        deque().append(\n",
        "tests/test_engine.py -k full_queue",
    ),
    Mutation(
        "what was queued is overtaken",
        "transport/librdkafka/producer.py",
        "        if not self._backlog:\n            try:",
        "        if True:\n            try:",
        "tests/test_librdkafka_producer.py",
    ),
    Mutation(
        "I1: a commit does not say for which topic it is",
        "transport/topic_ids.py",
        "    return metadata if topic_id is None else",
        "    return metadata if True else",
        "tests/contract/test_made_again.py -k outlive",
    ),
    Mutation(
        "I1: behind a gap the old offsets go on",
        MEMBER,
        '            if further_down or gap.kind == "made_again":',
        "            if False:",
        "tests/test_gaps.py -k old_topic",
    ),
    Mutation(
        "I1: in a log that has become shorter the old offsets go on",
        MEMBER,
        '            if further_down or gap.kind == "made_again":',
        '            if gap.kind == "made_again":',
        "tests/test_gaps.py -k lost",
    ),
    Mutation(
        "L: a gap drops what was read before it",
        MEMBER,
        '            if further_down or gap.kind == "made_again":',
        "            if True:",
        "tests/test_gaps.py -k in_work",
    ),
    Mutation(
        "I1: what must not be committed any more is committed",
        COMMITS,
        "        self._offsets.pop(partition, None)\n",
        "        pass\n",
        "tests/test_librdkafka_commits.py -k given_up",
    ),
    Mutation(
        "I1: what is finished of another log counts until the engine hears of it",
        COMMITS,
        "        self._closed.add(partition)\n",
        "",
        "tests/test_librdkafka_commits.py -k heard",
    ),
    Mutation(
        "I8: who waits for a commit that cannot come is cancelled",
        COMMITS,
        "        awaited.acknowledged.set_exception(_given",
        "        awaited.acknowledged.cancel(_given",
        "tests/test_librdkafka_commits.py -k waits",
    ),
    Mutation(
        "I8: a door that is cancelled stalls its partition",
        ASSIGNMENT,
        "        elif not self.stopped.is_set():",
        "        elif False:",
        "tests/test_member.py -k door",
    ),
    # What random schedules notice.
    Mutation(
        "I1: what failed for good is finished before it is parked",
        RECOVERY,
        "        owner.entered()\n        try:\n            if await",
        "        owner.entered()\n"
        "        owner.finished(chunk.handler, start, record.offset() + 1)\n"
        "        try:\n            if await",
        SIMULATION,
    ),
    Mutation(
        "I1: what failed for good is finished before `on_failure` has returned",
        RECOVERY,
        "        owner.entered()\n        try:\n            if decision",
        "        owner.entered()\n"
        "        owner.finished(chunk.handler, start, record.offset() + 1)\n"
        "        try:\n            if decision",
        "tests/test_failures.py -k deciding",
    ),
    Mutation(
        "I3: a revoke does not stop what has not begun",
        ASSIGNMENT,
        "        self.stopped.set()\n",
        "        pass\n",
        SIMULATION,
    ),
    Mutation(
        "I3: the epoch is ignored",
        MEMBER,
        "                assignment.live = False\n",
        "                pass\n",
        "tests/test_member.py tests/test_invariants.py -k i3",
    ),
    Mutation(
        "I5: room is never given back",
        LANES,
        "                crew.waiting -= len(chunk.records)\n",
        "                continue\n",
        SIMULATION,
    ),
    Mutation(
        "I5: room is given back before the records are handled",
        LANES,
        "            try:\n                if chunk.failure is None:\n",
        "            chunk.owner.taken(chunk.handler, len(chunk.records), chunk.size)\n"
        "            try:\n                if chunk.failure is None:\n",
        SIMULATION,
    ),
    Mutation(
        "I7: what a stop leaves unhandled is committed",
        LANES,
        "        while at < len(records) and not stopped.is_set():\n",
        "        while at < len(records):\n"
        "            if stopped.is_set():\n"
        "                end = records[-1].offset() + 1\n"
        "                return chunk.owner.finished(chunk.handler, start, end)\n",
        SIMULATION,
    ),
    Mutation(
        "D: what finished out of order is not said in the commit",
        ASSIGNMENT,
        "        if not self._opened or not self.live:\n            return",
        "        return",
        SIMULATION,
    ),
    Mutation(
        "D: what earlier owners finished is handled again",
        ASSIGNMENT,
        "        if self._done_before:\n",
        "        if False:\n",
        SIMULATION,
    ),
    Mutation(
        "D: what a batch produced is blamed on its first record",
        LANES,
        "range(len(records)) if self._is_batch else (index,)",
        "(index,)",
        "tests/simulation/test_found.py",
    ),
    Mutation(
        "D: a step is taken before it is said",
        "engine/assignment.py",
        "(first, end) if said else None\n            await self._mark(first)",
        "(first, end) if said else None",
        "tests/test_care.py -k kills",
    ),
    Mutation(
        "D: nothing is said before the first record",
        "engine/assignment.py",
        "        await self._mark(max(first, self.offsets.arrived))",
        "        pass",
        "tests/test_care.py -k kills",
    ),
    Mutation(
        "D: a record that kills is tried for ever",
        "engine/care.py",
        "            and self.deaths >= self._most",
        "            and False",
        "tests/test_care.py -k kills",
    ),
    Mutation(
        "D: a clean stop counts as a death",
        ASSIGNMENT,
        "opened=not self._closed).text",
        "opened=True).text",
        "tests/test_care.py -k clean_stop",
    ),
    Mutation(
        "O: a failing record is retried after the others of its slice",
        LANES,
        "                recovered = await recovery.recover("
        "chunk, failed, first, outcome.error)\n",
        "                recovered = crew.return_to(\n"
        "                    Chunk(chunk.owner, chunk.handler, chunk.key, failed[:1],\n"
        "                          (first,), 0, outcome.error)\n"
        "                ) or 1\n",
        SIMULATION,
    ),
    Mutation(
        "the attempts of all partitions are counted together",
        RECOVERY,
        "        attempt, over = chunk.attempt, 0\n",
        "        attempt = Recovery.all = getattr(Recovery, 'all', 0) + 1\n"
        "        over = 0\n",
        SIMULATION,
    ),
    Mutation(
        "a record gets one attempt too many",
        FAILURE,
        "            and attempt < self.retry.attempts",
        "            and attempt <= self.retry.attempts",
        SIMULATION,
    ),
    Mutation(
        "what no retry cures is retried",
        FAILURE,
        "            not hopeless\n            and ",
        "            ",
        "tests/test_failures.py -k decision",
    ),
    Mutation(
        "pause: what is in hand does not end, it goes on with what follows",
        LANES,
        "            if crew.limits.any and crew.must_leave(chunk.owner):",
        "            if False:",
        "tests/test_control.py -k in_hand",
    ),
    Mutation(
        "pause: a lane takes what is paused",
        POOL,
        "            if not self.limits.holds(self._ready[0].chunks[0].owner):",
        "            if True:",
        "tests/test_control.py -k one_partition_is_paused",
    ),
    Mutation(
        "pause: a retry does not wait",
        RECOVERY,
        "            if not await self._limits.over(owner):",
        "            if owner.stopped.is_set():",
        "tests/test_control.py -k retry",
    ),
    Mutation(
        "pause: what is held of a lost partition stays",
        ASSIGNMENT,
        "            if pool.limits.any:",
        "            if False:",
        "tests/test_control.py -k lost_partition",
    ),
    Mutation(
        "pause: the watchdog takes it for a stall",
        ASSIGNMENT,
        "if busy and not paused_for else",
        "if busy else",
        "tests/test_control.py -k stalled",
    ),
    Mutation(
        "concurrency: what is above a lower one goes on",
        POOL,
        "return self._most is not None and self.awake > self._most",
        "return False",
        "tests/test_control.py -k shrinks",
    ),
    Mutation(
        "concurrency: threads do not grow",
        MEMBER,
        "max(self._max_workers, min(most, MOST_THREADS))",
        "self._max_workers",
        "tests/test_control.py -k threads",
    ),
    Mutation(
        "seek: what is in flight is not waited for",
        MEMBER,
        "            if not await self._all_idle([assignment], timeout):",
        "            if not assignment.stop() and False:",
        "tests/test_control.py -k waits_for_what_is_in_hand",
    ),
    Mutation(
        "seek: the last assignment goes on",
        MEMBER,
        '            self._assign(partition, Committed(offset, ""))',
        "            pass",
        "tests/test_control.py -k seek_back",
    ),
    Mutation(
        "seek: it is not committed",
        CONSUMER,
        '            self._commits.want(partition, offset, "", seek.committed)',
        "            self._tell(_set_result, seek.committed, None)",
        "tests/contract/test_seeks.py",
    ),
    Mutation(
        "seek: what was finished before is committed after it",
        CONSUMER,
        "        self._commits.rewind(partition)\n        try:",
        "        try:",
        "tests/contract/test_seeks.py",
    ),
    Mutation(
        "seek: a full partition stays paused",
        BACKPRESSURE,
        "            client.resume(_plain([partition]))\n",
        "            pass\n",
        "tests/contract/test_seeks.py -k full",
    ),
    Mutation(
        "seek: it is done to the assignment that follows",
        "transport/memory/consumer.py",
        "intakes.get(partition) is intake",
        "partition in intakes",
        "tests/simulation/test_found.py -k follows_a_revoke",
    ),
]


def caught(mutation: Mutation) -> bool | None:
    """Return whether the tests noticed; None if the line is not there any more."""
    original = (PACKAGE / mutation.file).read_text()
    if original.count(mutation.line) != 1:
        return None
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "fastkafka"
        shutil.copytree(PACKAGE, copy)  # with its bytecode: that saves most of the time
        changed = original.replace(mutation.line, mutation.instead)
        (copy / mutation.file).write_text(changed)
        tests = [mutation.tests, *([SIMULATION] if mutation.simulated else [])]
        return all(_fails(each, folder, mutation.breaks) for each in tests)


def _fails(tests: str, folder: str, breaks: str) -> bool:
    """Return whether tests fail with the package in a folder."""
    words = tests.replace("_or_", " or ").split(" -k ")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p"]
    command += ["no:cacheprovider", "--timeout", "45", *words[0].split()]
    if len(words) > 1:
        command += ["-k", words[1]]
    try:
        ran = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": folder, "MUTATION": breaks},
            capture_output=True,
            timeout=MOST_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return True
    if ran.returncode not in (0, 1):
        sys.exit(f"{breaks}: pytest could not run\n{ran.stdout.decode()}")
    return ran.returncode == 1


def main() -> int:
    """Try the mutations; return 0 when every one was caught."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-k", dest="word", default="", help="only those that name it")
    word = parser.parse_args().word
    answers = {True: "caught", False: "NOT CAUGHT", None: "LINE NOT FOUND"}
    wanted = [mutation for mutation in MUTATIONS if word in mutation.breaks]
    results = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for mutation, result in zip(wanted, pool.map(caught, wanted), strict=True):
            results.append(result)
            sys.stdout.write(f"{answers[result]:14} {mutation.breaks}\n")
            sys.stdout.flush()
    bad = sum(result is not True for result in results)
    sys.stdout.write(f"{len(results) - bad} of {len(results)} caught\n")
    return 1 if bad or not results else 0


if __name__ == "__main__":
    sys.exit(main())
