#!/usr/bin/env python3
"""An explicit-state model of the commit protocol (docs/commit-protocol.md).

    python3 docs/model/commit_model.py short    the smallest source, in seconds; part of `cargo ci`
    python3 docs/model/commit_model.py full     everything; part of `cargo proof`
    python3 docs/model/commit_model.py 0 3 7    some rows of the full table, with the path of a violation

The source is two partitions. `a` holds A_ROWS rows. `b` holds B_ROWS rows and may be split, before its first save,
into two children, `c` and `d`, which hold its halves. A stream's cursor is the vector of all partition states, and a
batch covers one partition or several of them. Two workers on two nodes share the database and the bucket.

Faults: crash, loss of a node's disk, a lease taken over while its owner still runs, a request delayed past its owner's
death or dropped, an answer lost, a database restored from an old copy or short of its last transaction, slots deleted.

Checked after every transition:
  I1  the log shows, of each partition, an exact prefix of its rows, no source row twice, and each batch starts where
      the log stood before it
  I2  every batch in the log has its object in the bucket
  I3  epochs in the log never fall
  I5  a deleted slot is never made again
And from a sample of states:
  I4  a fresh worker without further faults brings every source row into the log
Each mutation takes one guard away; it must be caught.
"""
import collections
import random
import sys
import time

IDLE = ("idle", 0, 0, None, None)
SPLIT = "split"
SAMPLES = 2_000
STATES_MAX = 4_000_000


class Source:
    """Which rows a partition holds, and how a cursor vector moves over them.

    A vector is (a, b, c, d): rows read so far; b may be SPLIT; c and d are None until then.
    """

    START = (0, 0, None, None)

    def __init__(self, a_rows, b_rows, narrow=False):
        self.narrow = narrow
        self.all_rows = {f"a{n}" for n in range(a_rows)} | {f"b{n}" for n in range(b_rows)}
        half = b_rows // 2
        b = [f"b{n}" for n in range(b_rows)]
        self.rows = ([f"a{n}" for n in range(a_rows)], b, b[:half], b[half:])

    def steps(self, at):
        """The vectors that one more batch may reach from `at`."""
        a, b, c, d = at
        on_a = [a + 1] if a < len(self.rows[0]) else []
        on_b = []
        if b == SPLIT:
            if c < len(self.rows[2]):
                on_b.append((SPLIT, c + 1, d))
            if d < len(self.rows[3]):
                on_b.append((SPLIT, c, d + 1))
        elif b < len(self.rows[1]):
            if not self.narrow:
                on_b.append((b + 1, None, None))
            if b == 0:
                on_b.append((SPLIT, 0, 0))
        if self.narrow:  # `b` always splits, and its children are read in order, with `a` or after it
            rest = on_b[0] if on_b else (b, c, d)
            return [(a2, *rest) for a2 in on_a] + ([(a, *rest)] if on_b else [])
        out = [(a2, b, c, d) for a2 in on_a]
        out += [(a, *rest) for rest in on_b]
        out += [(a2, *rest) for a2 in on_a for rest in on_b[-1:]]
        return out

    def between(self, before, after):
        """The rows of a batch, partition by partition."""
        out = []
        for p in range(4):
            if after[p] in (None, SPLIT):
                continue
            start = before[p] if before[p] not in (None, SPLIT) else 0
            out += [(p, n) for n in range(start, after[p])]
        return out

    def name(self, row):
        return self.rows[row[0]][row[1]]

    def behind(self, one, other):
        """Whether vector `one` is strictly before vector `other`."""
        return one != other and all(self.rank(x) <= self.rank(y) for x, y in zip(one, other))

    @staticmethod
    def rank(value):
        # None (not planned) < 0 < 1 < ... ; a split partition is past all its own states
        return -1 if value is None else 1_000 if value == SPLIT else value


# A state is (db, log, data, disks, net, workers, budget).
#   db       (epoch, published, staged, intents); an intent is (epoch, before, after)
#   log      entries by slot: ("F", epoch) fence, ("M", epoch, before, after) batch, ("X", vector) deleted,
#            ("R",) made again after its deletion
#   data     objects in the bucket, named by their intent
#   disks    staged files of each node
#   net      puts in flight without a waiting owner: (slot, entry)
#   worker   (step, epoch, slot, cursor, intent)
#   budget   faults left: (takeovers, crashes, disk, delay, lost, database, deletion)


class Model:
    def __init__(self, source, mutations=(), takeovers=2, crashes=1, disk=1, delay=1, lost=1, database=0, deletion=0):
        self.source = source
        self.without = frozenset(mutations)
        budget = (takeovers, crashes, disk, delay, lost, database, deletion)
        start = Source.START
        self.initial = ((0, start, start, ()), (), frozenset(), (frozenset(),) * 2, frozenset(), (IDLE,) * 2, budget)

    # ---- what the log shows

    def cursor(self, log):
        at = Source.START
        for entry in log:
            if entry[0] == "M":
                at = entry[3]
            elif entry[0] == "X" and entry[1] is not None and self.source.behind(at, entry[1]):
                at = entry[1]
        return at

    def visible(self, log):
        rows = []
        consumed = Source.START
        for entry in log:
            if entry[0] == "M":
                rows += self.source.between(entry[2], entry[3])
            elif entry[0] == "X" and entry[1] is not None and self.source.behind(consumed, entry[1]):
                rows = self.source.between(Source.START, entry[1])
                consumed = entry[1]
        return rows

    # ---- the conditional put

    def put(self, log, slot, entry):
        """Creates a slot unless it is there: (the log after it, whether it was made)."""
        taken = slot < len(log) and log[slot][0] != "X"
        deleted = slot < len(log) and log[slot][0] == "X" and log[slot][1] is not None
        if "plain put" not in self.without:
            if taken:
                return log, False
            if deleted:
                if "boundary" in self.without:
                    return log[:slot] + (("R",) + entry[1:],) + log[slot + 1 :], True
                return log, False
        longer = log + (("X", None),) * (slot + 1 - len(log))
        return longer[:slot] + (entry,) + longer[slot + 1 :], True

    # ---- all transitions

    def successors(self, state, only=None):
        db, log, data, disks, net, workers, budget = state
        takeovers, crashes, disk, delay, lost, database, deletion = budget
        out = []

        def spent(index):
            return budget[:index] + (budget[index] - 1,) + budget[index + 1 :]

        if only is None:
            for request in net:
                after, _ = self.put(log, *request)
                out.append((f"late {request}", (db, after, data, disks, net - {request}, workers, budget)))
            if database and db[3]:
                short = (db[0], db[1], db[3][-1][1], db[3][:-1])
                out.append(("the database loses its last transaction", (short, log, data, disks, net, workers, spent(5))))
            if database and db[0]:
                old = (0, Source.START, Source.START, ())
                out.append(("the database is restored", (old, log, data, disks, net, workers, spent(5))))
            if deletion and len(log) > 1:
                gone = tuple(("X", e[3] if e[0] == "M" else Source.START) if e[0] != "X" else e for e in log[:-1])
                out.append(("old slots are deleted", (db, gone + log[-1:], data, disks, net, workers, spent(6))))

        untouched = db[0] == 0 and not log and not net and workers == (IDLE, IDLE) and disks == (frozenset(),) * 2
        for me, worker in enumerate(workers):
            if only is not None and me != only or only is None and untouched and me == 1:
                continue  # the two nodes are alike, so the first owner is the first node
            step, epoch, slot, cursor, intent = worker

            def to(label, became, db=db, log=log, data=data, disks=disks, net=net, budget=budget):
                others = workers[:me] + (became,) + workers[me + 1 :]
                out.append((f"{me}: {label}", (db, log, data, disks, net, others, budget)))

            def mine(files):
                return disks[:me] + (files,) + disks[me + 1 :]

            owner = db[0] == epoch or "epoch guard" in self.without
            if step != "idle" and crashes:
                to("crash", IDLE, budget=spent(1))
                if disk and disks[me]:
                    fewer = spent(1)
                    fewer = fewer[:2] + (disk - 1,) + fewer[3:]
                    to("crash, and its disk is lost", IDLE, disks=mine(frozenset()), budget=fewer)

            if step == "idle":  # A0
                if takeovers:
                    in_log = [] if "epoch from the log" in self.without else [e[1] for e in log if e[0] in "FM"]
                    token = 0 if "owner token" in self.without else takeovers  # drawn anew by each owner
                    mine_now = (max([db[0], *in_log]) // 10 + 1) * 10 + token
                    to(f"A0 epoch {mine_now}", ("recover", mine_now, 0, None, None), db=(mine_now, *db[1:]), budget=spent(0))
            elif step == "recover":  # A1
                if "adoption" in self.without:
                    to("A1 skipped", ("reconcile", epoch, len(log), db[1], None))
                elif any(e[1] > epoch for e in log if e[0] in "FM"):
                    to("A1 fenced", IDLE)
                else:
                    then = "reconcile" if "fence" in self.without else "fence"
                    to("A1", (then, epoch, len(log), self.cursor(log), None))
            elif step == "fence":  # A2
                self.attempt(to, log, net, worker, ("F", epoch), ("reconcile", epoch, slot + 1, cursor, None), budget, spent)
            elif step == "fence?":
                self.read_back(to, log, worker, ("F", epoch), "fence", ("reconcile", epoch, slot + 1, cursor, None))
            elif step == "reconcile":  # A3
                if owner:
                    kept, staged = self.keep(db, data, disks[me], cursor)
                    to("A3", ("run", epoch, slot, staged, None), db=(db[0], cursor, staged, kept))
                else:
                    to("A3 fenced", IDLE)
            elif step == "run":
                intents = db[3] if owner else ()
                if intents:  # S4
                    first = intents[0]
                    if first in disks[me] or first in data:
                        to(f"S4 {first}", ("commit", epoch, slot, cursor, first), data=data | {first})
                    else:
                        to("S4 without bytes", IDLE)
                if len(intents) < 2:  # S1, S2
                    for after in self.source.steps(cursor):
                        new = (epoch, cursor, after)
                        files = disks if "fsync before seal" in self.without else mine(disks[me] | {new})
                        to(f"S2 {cursor}->{after}", ("seal", epoch, slot, cursor, new), disks=files)
            elif step == "seal":  # S3
                chained = db[2] == intent[1] or "staged cursor compared" in self.without
                if owner and chained:
                    then = "late fsync" if "fsync before seal" in self.without else "run"
                    kept = intent if then == "late fsync" else None
                    to("S3", (then, epoch, slot, intent[2], kept), db=(db[0], db[1], intent[2], db[3] + (intent,)))
                else:
                    to("S3 fenced", IDLE)
            elif step == "late fsync":
                to("S2 too late", ("run", epoch, slot, cursor, None), disks=mine(disks[me] | {intent}))
            elif step == "commit":  # S6
                entry = ("M", epoch, intent[1], intent[2])
                self.attempt(to, log, net, worker, entry, ("mark", epoch, slot, cursor, intent), budget, spent)
            elif step == "commit?":
                entry = ("M", epoch, intent[1], intent[2])
                self.read_back(to, log, worker, entry, "commit", ("mark", epoch, slot, cursor, intent))
            elif step == "mark":  # S7, S8
                if owner:
                    published = intent[2] if self.source.behind(db[1], intent[2]) else db[1]
                    rest = tuple(i for i in db[3] if i != intent)
                    files = mine(disks[me] - {intent})
                    to("S7", ("run", epoch, slot + 1, cursor, None), db=(db[0], published, db[2], rest), disks=files)
                else:
                    to("S7 fenced", IDLE)
        return out

    def attempt(self, to, log, net, worker, entry, made, budget, spent):
        """A put and its three outcomes: made, refused, unknown."""
        step, epoch, slot, cursor, intent = worker
        after, ok = self.put(log, slot, entry)
        trusting = "412 read back" in self.without and step == "commit"
        unknown = ("commit", epoch, slot + 1, cursor, intent) if trusting else (step + "?", *worker[1:])
        if ok:
            to(f"{entry[0]} made at {slot}", made, log=after)
        elif step == "fence":
            to("fence refused", ("recover", epoch, 0, None, None))
        else:
            to("412", unknown)
        if ok and budget[4]:
            to("made, answer lost", unknown, log=after, budget=spent(4))
        if budget[3]:
            to("delayed", unknown, net=net | {(slot, entry)}, budget=spent(3))

    def read_back(self, to, log, worker, entry, again, made):
        step, epoch, slot, cursor, intent = worker
        there = log[slot] if slot < len(log) else ("X", None)
        if there == entry:
            to("ours", made)
        elif there[0] == "X":
            to("not there, once more", (again, *worker[1:]))
        else:
            to("not ours", ("recover", epoch, 0, None, None))

    def keep(self, db, data, files, published):
        """A3: the intents that chain from the log and whose bytes exist, and the staged vector after them."""
        open_intents = [i for i in db[3] if self.source.behind(published, i[2])]
        if "rewind" in self.without:
            kept = tuple(i for i in open_intents if i in files or i in data)
            return kept, db[2] if self.source.behind(published, db[2]) else published
        kept, at = [], published
        for intent in open_intents:
            if intent[1] != at or not (intent in files or intent in data):
                break
            kept.append(intent)
            at = intent[2]
        return tuple(kept), at

    # ---- the checks

    def violation(self, state):
        _, log, data, _, _, _, _ = state
        if any(e[0] == "R" for e in log):
            return "I5 a deleted slot was made again"
        rows = self.visible(log)
        names = [self.source.name(row) for row in rows]
        if len(set(names)) != len(names):
            return f"I1 a row is there twice: {names}"
        for partition in range(4):
            read = [n for p, n in rows if p == partition]
            if read != list(range(len(read))):
                return f"I1 a row is missing or out of order: {names}"
        for slot, entry in enumerate(log):
            if entry[0] == "M" and self.cursor(log[:slot]) != entry[2]:
                return f"I1 rows are missing before slot {slot}, which starts at {entry[2]}"
            if entry[0] == "M" and not any(d[1:] == entry[2:] for d in data):
                return f"I2 no object for {entry}"
        epochs = [e[1] for e in log if e[0] in "FM"]
        if epochs != sorted(epochs):
            return f"I3 epochs {epochs}"
        return None

    def finishes(self, state):
        """I4: no more faults, nothing in flight, and a fresh worker on the second node."""
        db, log, data, disks, _, _, _ = state
        state = (db, log, data, disks, frozenset(), (IDLE,) * 2, (1, 0, 0, 0, 0, 0, 0))
        for _ in range(300):
            following = self.successors(state, only=1)
            if not following:
                break
            state = following[0][1]
        rows = [self.source.name(row) for row in self.visible(state[1])]
        return len(rows) == len(self.source.all_rows) and set(rows) == self.source.all_rows

    def explore(self):
        came_from = {self.initial: None}
        queue = collections.deque([self.initial])
        rng, sample, taken, transitions = random.Random(1), [], 0, 0
        while queue:
            state = queue.popleft()
            taken += 1
            if len(sample) < SAMPLES:
                sample.append(state)
            elif rng.random() < SAMPLES / taken:
                sample[rng.randrange(SAMPLES)] = state
            for label, following in self.successors(state):
                transitions += 1
                if following in came_from:
                    continue
                came_from[following] = (state, label)
                wrong = self.violation(following)
                if wrong:
                    return "VIOLATION", len(came_from), transitions, wrong, self.path(came_from, following)
                queue.append(following)
            if len(came_from) > STATES_MAX:
                return "LIMIT", len(came_from), transitions, "too many states", []
        stuck = [state for state in sample if not self.finishes(state)]
        if stuck:
            wrong = f"I4 {len(stuck)} of {len(sample)} sampled states never finish"
            return "VIOLATION", len(came_from), transitions, wrong, self.path(came_from, stuck[0])
        return "SAFE", len(came_from), transitions, "", []

    @staticmethod
    def path(came_from, state):
        labels = []
        while came_from[state]:
            state, label = came_from[state]
            labels.append(label)
        return labels[::-1]


# name, expected verdict, settings, part of the short run
RUNS = [
    ("protocol: crash, delayed put, lost answer", "SAFE", dict(disk=0), False),
    ("protocol: crash, lost disk, delayed put", "SAFE", dict(lost=0), False),
    ("protocol: crash, lost disk", "SAFE", dict(lost=0, delay=0), True),
    ("protocol: crash, restored database", "SAFE", dict(disk=0, delay=0, lost=0, database=1), True),
    ("protocol: crash, lost disk, lost answer, restored database", "SAFE", dict(delay=0, database=1), False),
    ("protocol: three owners, crash, lost answer; narrow source", "SAFE",
     dict(takeovers=3, disk=0, delay=0, narrow=True), False),
    ("protocol: deleted slots, boundary read again; narrow source", "SAFE",
     dict(disk=0, lost=0, deletion=1, narrow=True), False),
    ("variant: no fence slot, adoption alone", "SAFE", dict(mutations=["fence"], disk=0), False),
    ("variant: seal before fsync, with rewind", "SAFE", dict(mutations=["fsync before seal"], disk=0, lost=0), False),
    ("without If-None-Match", "VIOLATION", dict(mutations=["plain put"]), True),
    ("without rewind when bytes are gone", "VIOLATION", dict(mutations=["rewind"]), True),
    ("without fsync before seal, nor rewind", "VIOLATION", dict(mutations=["fsync before seal", "rewind"], disk=0), True),
    ("without reading back a 412", "VIOLATION", dict(mutations=["412 read back"]), True),
    ("without the epoch guard of the database", "VIOLATION", dict(mutations=["epoch guard"]), True),
    ("without adoption of the log", "VIOLATION", dict(mutations=["adoption"]), True),
    ("without owner token, restored database", "VIOLATION", dict(mutations=["owner token"], database=1, delay=0), True),
    ("without comparing the staged cursor", "VIOLATION",
     dict(mutations=["staged cursor compared"], database=1, delay=0, disk=0), True),
    ("without the log's epoch, restored database", "VIOLATION",
     dict(mutations=["epoch from the log"], disk=0, delay=0, lost=0, database=1), True),
    ("without boundary, deleted slots", "VIOLATION", dict(mutations=["boundary"], deletion=1, disk=0), True),
]


def main():
    words = sys.argv[1:] or ["short"]
    short = words == ["short"]
    picked = [] if words[0] in ("short", "full") else [int(word) for word in words]
    failed = 0
    for number, (name, expected, settings, in_short) in enumerate(RUNS):
        if (short and not in_short) or (picked and number not in picked):
            continue
        narrow = settings.get("narrow", short)
        settings = {key: value for key, value in settings.items() if key != "narrow"}
        source = Source(1, 2, narrow)
        began = time.monotonic()
        verdict, states, transitions, wrong, path = Model(source, **settings).explore()
        note = "" if verdict == expected else f"  EXPECTED {expected}"
        failed += verdict != expected
        took = time.monotonic() - began
        print(f"[{number:2}] {name:<60} {verdict:<9} {states:>9} states {transitions:>9} steps {took:6.1f} s{note}", flush=True)
        if wrong and (picked or note):
            print("    ", wrong, "\n    ", " ; ".join(path))
        elif wrong:
            print("    ", wrong)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
