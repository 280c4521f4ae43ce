//! The endpoint over real connections, with requests signed by hand.
#![expect(clippy::unwrap_used, reason = "tests")]

mod signed;

use hyper::http::StatusCode;
use s3_local::S3Local;
use signed::Client;
use tokio::task::JoinSet;

const ACCESS_KEY: &str = "local";
const SECRET_KEY: &str = "local-secret";

async fn endpoint(root: &tempfile::TempDir) -> S3Local {
    let endpoint = S3Local::start(root.path(), 0, ACCESS_KEY, SECRET_KEY)
        .await
        .unwrap();
    endpoint.create_bucket("bucket").unwrap();
    endpoint
}

fn client(endpoint: &S3Local) -> Client {
    Client::new(&endpoint.endpoint(), ACCESS_KEY, SECRET_KEY)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_eight_racing_creators_of_a_key_exactly_one_wins() {
    let root = tempfile::tempdir().unwrap();
    let endpoint = endpoint(&root).await;
    for key in 0..50 {
        let mut racers = JoinSet::new();
        for racer in 0..8 {
            let client = client(&endpoint);
            let path = format!("/bucket/stream/_log/{key:020}.json");
            racers.spawn(async move {
                let body = format!("by {racer}");
                (client.create(&path, body.clone()).await, body)
            });
        }
        let outcomes = racers.join_all().await;
        let (won, lost): (Vec<_>, Vec<_>) = outcomes
            .into_iter()
            .partition(|(status, _)| *status == StatusCode::OK);
        assert_eq!(won.len(), 1, "key {key}");
        assert!(
            lost.iter()
                .all(|(status, _)| *status == StatusCode::PRECONDITION_FAILED),
            "key {key}: {lost:?}"
        );
        let path = format!("/bucket/stream/_log/{key:020}.json");
        let (status, bytes) = client(&endpoint).read(&path).await;
        assert_eq!(
            (status, bytes.as_ref()),
            (StatusCode::OK, won[0].1.as_bytes()),
            "key {key}"
        );
    }
    endpoint.shutdown().await;
}

#[tokio::test]
async fn a_wrong_secret_is_refused_and_makes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let endpoint = endpoint(&root).await;
    let stranger = Client::new(&endpoint.endpoint(), ACCESS_KEY, "guessed");
    assert_eq!(
        stranger.create("/bucket/key", "x".into()).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        client(&endpoint).read("/bucket/key").await.0,
        StatusCode::NOT_FOUND
    );
    endpoint.shutdown().await;
}

#[tokio::test]
async fn what_was_put_is_there_after_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let first = endpoint(&root).await;
    assert_eq!(
        client(&first).create("/bucket/a/key", "kept".into()).await,
        StatusCode::OK
    );
    first.shutdown().await;
    let second = endpoint(&root).await;
    let (status, bytes) = client(&second).read("/bucket/a/key").await;
    assert_eq!(
        (status, bytes.as_ref()),
        (StatusCode::OK, b"kept".as_slice())
    );
    second.shutdown().await;
}
