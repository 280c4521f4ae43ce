#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use std::sync::Mutex;

fn memory() -> Connection {
    let database = Connection::open_in_memory().unwrap();
    database
        .execute_batch("CREATE TABLE t (n INTEGER) STRICT")
        .unwrap();
    database
}

fn numbers(database: &Connection) -> Vec<i64> {
    let mut statement = database.prepare("SELECT n FROM t ORDER BY n").unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

type Answer = oneshot::Receiver<Result<(), Error>>;

/// Requests that each run these statements.
fn requests(statements: &[&'static str]) -> (Vec<Box<dyn Request>>, Vec<Answer>) {
    let request = |sql: &&'static str| {
        let sql = *sql;
        let work = move |database: &Connection| Ok(database.execute_batch(sql)?);
        let (request, answer) = Pending::new("test", work);
        let request: Box<dyn Request> = Box::new(request);
        (request, answer)
    };
    statements.iter().map(request).unzip()
}

fn run(database: &Connection, statements: &[&'static str]) -> Vec<Result<(), Error>> {
    let (mut group, answers) = requests(statements);
    let lost = commit_group(database, &mut group).err();
    for request in group {
        request.answer(lost.as_ref());
    }
    assert!(database.is_autocommit(), "no transaction is left open");
    answers
        .into_iter()
        .map(|mut answer| answer.try_recv().unwrap())
        .collect()
}

#[test]
fn a_request_that_fails_undoes_only_itself() {
    let database = memory();
    let answers = run(
        &database,
        &[
            "INSERT INTO t VALUES (1)",
            "INSERT INTO t VALUES (2); INSERT INTO t VALUES ('three')",
            "INSERT INTO t VALUES (4)",
        ],
    );
    assert!(matches!(
        answers[..],
        [
            Ok(()),
            Err(Error::Statement {
                operation: "test",
                ..
            }),
            Ok(())
        ]
    ));
    assert_eq!(numbers(&database), [1, 4]);
}

#[test]
fn a_commit_that_fails_fails_everyone() {
    let database = memory();
    database
        .execute_batch(
            "PRAGMA foreign_keys = ON;
             CREATE TABLE child (t INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);
             CREATE TABLE parent (id INTEGER PRIMARY KEY)",
        )
        .unwrap();
    let answers = run(
        &database,
        &["INSERT INTO t VALUES (1)", "INSERT INTO child VALUES (7)"],
    );
    for answer in answers {
        assert!(matches!(answer, Err(Error::Statement { .. })), "{answer:?}");
    }
    assert_eq!(numbers(&database), [0_i64; 0]);
}

#[test]
fn when_the_disk_fills_up_an_answer_still_tells_the_truth() {
    let database = memory();
    database
        .pragma_update_and_check(None, "max_page_count", 20, |_| Ok(()))
        .unwrap();
    database
        .execute_batch("CREATE TABLE large (bytes BLOB)")
        .unwrap();
    let answers = run(
        &database,
        &[
            "INSERT INTO t VALUES (1)",
            "INSERT INTO large VALUES (zeroblob(1000000))",
            "INSERT INTO t VALUES (2)",
        ],
    );
    assert!(matches!(answers[1], Err(Error::Full)), "{answers:?}");
    let found = numbers(&database);
    assert_eq!(answers[0].is_ok(), found.contains(&1));
    assert_eq!(answers[2].is_ok(), found.contains(&2));
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Ok(()) | Err(Error::Full)))
    );
}

#[test]
fn requests_that_wait_share_one_commit() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("grouped.db");
    let database = Connection::open(&path).unwrap();
    database
        .execute_batch("PRAGMA journal_mode = wal; CREATE TABLE t (n INTEGER) STRICT")
        .unwrap();
    let outside = Arc::new(Mutex::new(Connection::open(&path).unwrap()));
    let (sender, queue) = mpsc::channel::<Box<dyn Request>>(QUEUE_MAX);
    let mut answers = Vec::new();
    for number in 0..200 {
        let outside = Arc::clone(&outside);
        let (request, answer) = Pending::new("test", move |database: &Connection| {
            database.execute("INSERT INTO t VALUES (?1)", [number])?;
            Ok(numbers(&outside.lock().unwrap()).len())
        });
        assert!(sender.try_send(Box::new(request)).is_ok());
        answers.push(answer);
    }
    drop(sender);
    serve(database, queue);
    for mut answer in answers {
        let committed_before = answer.try_recv().unwrap().unwrap();
        assert_eq!(
            committed_before, 0,
            "a commit came before the last request ran"
        );
    }
    assert_eq!(numbers(&outside.lock().unwrap()).len(), 200);
}
