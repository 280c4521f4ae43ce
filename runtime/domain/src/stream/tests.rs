#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;

fn id(text: &str) -> PartitionId {
    PartitionId::parse(text).unwrap()
}

fn planned(text: &str) -> PlannedPartition {
    PlannedPartition {
        id: id(text),
        descriptor: "{}".to_owned(),
        window: None,
        estimated_records: None,
    }
}

fn begin(generation: u64) -> Change {
    let how = GenerationKind {
        mode: Mode::Incremental,
        landing: Landing::Append,
    };
    Change::Begin { generation, how }
}

fn plan(run: u64, names: &[&str]) -> Change {
    let partitions = names.iter().map(|name| planned(name)).collect();
    Change::Plan { run, partitions }
}

fn step(name: &str, before: Option<&str>, after: &str, end: End) -> Change {
    let step = Step {
        before: before.map(str::to_owned),
        after: Some(after.to_owned()),
        end,
    };
    Change::Commit {
        steps: BTreeMap::from([(id(name), step)]),
    }
}

fn fold(changes: &[Change]) -> Result<StreamState, Break> {
    changes
        .iter()
        .try_fold(StreamState::default(), |state, change| state.apply(change))
}

#[test]
fn a_cursor_moves_only_from_where_it_is() {
    let start = [begin(1), plan(1, &["a"]), step("a", None, "1", End::Open)];
    let state = fold(&start).unwrap();
    let skipped = state.apply(&step("a", Some("2"), "3", End::Open));
    assert_eq!(skipped, Err(Break::Cursor { partition: id("a") }));
    let repeated = state.apply(&step("a", None, "1", End::Open));
    assert_eq!(repeated, Err(Break::Cursor { partition: id("a") }));
    assert!(state.apply(&step("a", Some("1"), "2", End::Open)).is_ok());
}

#[test]
fn a_partition_that_ended_takes_no_more_steps() {
    let done = fold(&[begin(1), plan(1, &["a"]), step("a", None, "1", End::Done)]).unwrap();
    let again = done.apply(&step("a", Some("1"), "2", End::Open));
    assert_eq!(again, Err(Break::NotOpen { partition: id("a") }));
}

#[test]
fn a_split_replaces_a_partition_by_its_children() {
    let split = End::Split(vec![planned("a.0"), planned("a.1")]);
    let state = fold(&[begin(1), plan(1, &["a", "b"]), step("a", None, "x", split)]).unwrap();
    let open: Vec<_> = state
        .open_partitions()
        .map(|open| open.planned.id.as_str())
        .collect();
    assert_eq!(open, ["a.0", "a.1", "b"]);
}

#[test]
fn a_plan_waits_until_nothing_is_open_and_ends_seed_the_next() {
    let state = fold(&[begin(1), plan(1, &["a"])]).unwrap();
    let early = state.apply(&plan(2, &["b"]));
    assert_eq!(early, Err(Break::StillOpen { partition: id("a") }));
    let done = state.apply(&step("a", None, "7", End::Done)).unwrap();
    let ends: Vec<_> = done.ends().filter_map(|end| end.state.as_deref()).collect();
    assert_eq!(ends, ["7"]);
    assert!(done.apply(&plan(2, &["b"])).is_ok());
    assert_eq!(
        done.apply(&plan(3, &["b"])),
        Err(Break::Run { last: 1, found: 3 })
    );
}

#[test]
fn a_new_generation_forgets_partitions_but_never_reuses_a_run_number() {
    let state = fold(&[begin(1), plan(1, &["a"]), begin(2)]).unwrap();
    assert!(state.partitions.is_empty());
    assert_eq!(
        state.apply(&plan(1, &["a"])),
        Err(Break::Run { last: 1, found: 1 })
    );
    assert!(state.apply(&plan(2, &["a"])).is_ok());
}

#[test]
fn states_survive_their_json() {
    let split = End::Split(vec![planned("a.0")]);
    let changes = [
        begin(1),
        plan(1, &["a"]),
        step("a", None, "x", split),
        step("a.0", None, "y", End::Done),
    ];
    for change in &changes {
        let text = serde_json::to_string(change).unwrap();
        assert_eq!(&serde_json::from_str::<Change>(&text).unwrap(), change);
    }
    let state = fold(&changes).unwrap();
    let text = serde_json::to_string(&state).unwrap();
    assert_eq!(serde_json::from_str::<StreamState>(&text).unwrap(), state);
}

fn edit(name: &str, before: Option<&str>, after: Option<&str>) -> Change {
    let edit = CursorEdit {
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
    };
    Change::Edit {
        edits: BTreeMap::from([(id(name), edit)]),
    }
}

#[test]
fn an_edit_moves_the_cursor_it_saw_and_leaves_a_partition_as_far_as_it_is() {
    let done = fold(&[begin(1), plan(1, &["a"]), step("a", None, "9", End::Done)]).unwrap();
    let moved = done.apply(&edit("a", Some("8"), Some("1")));
    assert_eq!(moved, Err(Break::Cursor { partition: id("a") }));
    let unknown = done.apply(&edit("b", None, Some("1")));
    assert_eq!(unknown, Err(Break::NoCursor { partition: id("b") }));
    let edited = done.apply(&edit("a", Some("9"), Some("1"))).unwrap();
    let end = edited.ends().next().unwrap();
    assert_eq!(end.state.as_deref(), Some("1"));
    assert!(edited.run_is_over());
}

#[test]
fn a_partition_that_was_split_has_no_cursor_to_edit() {
    let split = End::Split(vec![planned("b")]);
    let state = fold(&[begin(1), plan(1, &["a"]), step("a", None, "1", split)]).unwrap();
    let refused = state.apply(&edit("a", Some("1"), None));
    assert_eq!(refused, Err(Break::NoCursor { partition: id("a") }));
}
