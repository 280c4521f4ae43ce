//! One suite for every target: what the commit protocol relies on.

use bytes::Bytes;
use s3_local::S3Local;
use sha2::Digest as _;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use tidegate_broker::dial::Dialer;
use tidegate_broker::{Config, Mapping, Origin};
use tidegate_domain::Fault;
use tidegate_domain::id::{PutId, Sha256};
use tidegate_landing::directory::DirectoryTarget;
use tidegate_landing::s3::{Conditional, S3Config, S3Target};
use tidegate_landing::stage::{StageDirectory, Staging as _};
use tidegate_landing::target::{Created, Error, Head, Payload, Stamp, Target};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const BUCKET: &str = "lake";
const ACCESS_KEY: &str = "access";
const SECRET_KEY: &str = "not-a-real-secret";

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

fn stamp(body: &[u8]) -> Stamp {
    Stamp {
        sha256: Sha256::from_bytes(sha2::Sha256::digest(body).into()),
        put_id: PutId::from_bytes(random()),
    }
}

async fn put(target: &dyn Target, key: &str, body: &[u8]) -> Result<Created, Error> {
    let payload = Payload::Bytes(Bytes::copy_from_slice(body));
    target.create(key, payload, &stamp(body)).await
}

fn dialer(origin: &str) -> Dialer {
    let origin = Origin::parse(origin).unwrap();
    let mapping = Mapping {
        from: Origin::parse("https://mapped.invalid").unwrap(),
        to: origin,
    };
    Dialer::new(&Config {
        mappings: vec![mapping],
        ..Config::default()
    })
    .unwrap()
}

fn config(endpoint: String) -> S3Config {
    S3Config {
        endpoint: Some(endpoint),
        region: "us-east-1".to_owned(),
        bucket: BUCKET.to_owned(),
        prefix: format!("/it-{}/", PutId::from_bytes(random())),
        path_style: true,
        access_key: ACCESS_KEY.to_owned(),
        secret_key: SECRET_KEY.to_owned().into(),
        session_token: None,
    }
}

fn connect(config: S3Config) -> S3Target {
    let dialer = dialer(config.endpoint.as_deref().unwrap());
    S3Target::connect(config, &dialer).unwrap()
}

async fn local(folder: &Path) -> S3Local {
    let server = S3Local::start(folder, 0, ACCESS_KEY, SECRET_KEY)
        .await
        .unwrap();
    server.create_bucket(BUCKET).unwrap();
    server
}

/// Runs a check on every target that is at hand, and says on which.
async fn on_every_target<F: Future<Output = ()>>(check: impl Fn(Arc<dyn Target>) -> F) {
    let folder = tempfile::tempdir().unwrap();
    println!("target: a directory");
    check(Arc::new(DirectoryTarget::open(folder.path()).unwrap())).await;

    println!("target: S3, embedded");
    let server = local(&folder.path().join("s3")).await;
    check(Arc::new(connect(config(server.endpoint())))).await;
    server.shutdown().await;

    match outside() {
        Some(config) => {
            println!(
                "target: S3 at {}",
                config.endpoint.as_deref().unwrap_or_default()
            );
            check(Arc::new(connect(config))).await;
        }
        None => println!("target: no S3 server outside (TIDEGATE_TEST_S3_ENDPOINT is not set)"),
    }
}

fn outside() -> Option<S3Config> {
    let setting = |name: &str| std::env::var(format!("TIDEGATE_TEST_S3_{name}"));
    let endpoint = setting("ENDPOINT").ok()?;
    Some(S3Config {
        bucket: setting("BUCKET").unwrap(),
        access_key: setting("ACCESS_KEY").unwrap(),
        secret_key: setting("SECRET_KEY").unwrap().into(),
        ..config(endpoint)
    })
}

#[tokio::test]
async fn an_object_is_created_once_and_never_changed() {
    on_every_target(|target| async move {
        let key = "tenant=a/_log/00000000000000000000.json";
        assert_eq!(target.read(key).await.unwrap(), None);
        assert_eq!(target.head(key).await.unwrap(), None);
        assert!(matches!(
            put(&*target, key, b"one").await.unwrap(),
            Created::Created
        ));
        assert!(matches!(
            put(&*target, key, b"two").await.unwrap(),
            Created::Exists
        ));
        assert_eq!(target.read(key).await.unwrap().unwrap(), "one");
        let head = Head {
            bytes: 3,
            sha256: Some(stamp(b"one").sha256),
        };
        assert_eq!(target.head(key).await.unwrap(), Some(head));
        assert!(target.locate(key).ends_with(key));
        assert!(matches!(
            put(&*target, "empty", b"").await.unwrap(),
            Created::Created
        ));
        assert_eq!(target.read("empty").await.unwrap().unwrap(), "");
    })
    .await;
}

#[tokio::test]
async fn of_many_who_race_for_one_key_one_wins() {
    on_every_target(|target| async move {
        for round in 0..12 {
            let mut writers = JoinSet::new();
            for writer in 0..8 {
                let target = Arc::clone(&target);
                writers.spawn(async move {
                    let body = format!("writer {writer}");
                    let made = put(&*target, &format!("race/{round}"), body.as_bytes()).await;
                    (body, made.unwrap())
                });
            }
            let mut winners = Vec::new();
            while let Some(done) = writers.join_next().await {
                match done.unwrap() {
                    (body, Created::Created) => winners.push(body),
                    (_, Created::Exists) => {}
                    (_, Created::Unknown(error)) => panic!("{error}: {error:?}"),
                }
            }
            assert_eq!(winners.len(), 1, "round {round}: {winners:?}");
            let read = target
                .read(&format!("race/{round}"))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(read, winners[0]);
        }
    })
    .await;
}

#[tokio::test]
async fn staged_files_of_any_size_arrive_whole_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    on_every_target(|target| async move {
        for (name, bytes) in [
            ("small", 100_000),
            ("one-put", 16 << 20),
            ("parts", (16 << 20) + 1),
        ] {
            let mut body = vec![0; bytes];
            getrandom::fill(&mut body).unwrap();
            let path = folder.join(name);
            std::fs::write(&path, &body).unwrap();
            let stamp = stamp(&body);
            let payload = Payload::File {
                path,
                bytes: body.len() as u64,
            };
            let create = || target.create(name, payload.clone(), &stamp);
            let made = create().await.unwrap();
            assert!(matches!(made, Created::Created), "{name}: {made:?}");
            let again = create().await.unwrap();
            assert!(matches!(again, Created::Exists), "{name}: {again:?}");
            let head = target.head(name).await.unwrap().unwrap();
            assert_eq!(
                (head.bytes, head.sha256),
                (body.len() as u64, Some(stamp.sha256.clone()))
            );
            assert!(
                target.read(name).await.unwrap().unwrap() == body,
                "{name} differs"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_staged_file_becomes_the_object_where_both_are_on_one_disk() {
    use std::os::unix::fs::MetadataExt as _;
    let folder = tempfile::tempdir().unwrap();
    let target = DirectoryTarget::open(&folder.path().join("lake")).unwrap();
    let staging = StageDirectory::open(&folder.path().join("staged")).unwrap();
    let file_of = |path: &std::path::Path| path.metadata().unwrap();
    let (mut file, temporary) = staging.create().unwrap();
    std::io::Write::write_all(&mut file, b"rows").unwrap();
    let here = staging.persist(&file, &temporary, "name").unwrap();
    let mut staged = vec![("a/here", here.clone())];
    // A disk of its own, where there is one.
    let elsewhere = tempfile::NamedTempFile::new_in("/dev/shm");
    if let Ok(file) = &elsewhere {
        std::fs::write(file.path(), b"rows").unwrap();
        staged.push(("a/elsewhere", file.path().to_owned()));
    }
    for (key, path) in staged {
        let staged = file_of(&path);
        let payload = Payload::File { path, bytes: 4 };
        let made = target.create(key, payload, &stamp(b"rows")).await.unwrap();
        assert!(matches!(made, Created::Created), "{key}: {made:?}");
        let object = file_of(&folder.path().join("lake").join(key));
        let is_linked = (object.dev(), object.ino()) == (staged.dev(), staged.ino());
        assert_eq!(is_linked, object.dev() == staged.dev(), "{key}");
    }
    staging.remove(&here).unwrap();
    let landed = file_of(&folder.path().join("lake/a/here"));
    let (mode, links) = (landed.mode() & 0o777, landed.nlink());
    assert_eq!((mode & 0o600, mode & 0o007, links), (0o600, 0, 1));
    assert_eq!(target.read("a/here").await.unwrap().unwrap(), "rows");
    let private = file_of(&folder.path().join("staged")).mode() & 0o777;
    assert_eq!(private, 0o700, "what is staged is for nobody else");
}

#[tokio::test]
async fn an_object_is_of_the_group_that_its_folder_gives() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let target = DirectoryTarget::open(&lake).unwrap();
    let own = folder.path().metadata().unwrap().gid();
    for shared in [lake.clone(), lake.join(".tmp")] {
        // Only a superuser may give a folder to any group.
        if chown(&shared, None, Some(own + 1)).is_err() {
            return;
        }
        std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o2770)).unwrap();
    }
    let path = folder.path().join("staged");
    std::fs::write(&path, b"rows").unwrap();
    let payload = Payload::File { path, bytes: 4 };
    let made = target
        .create("a/b", payload, &stamp(b"rows"))
        .await
        .unwrap();
    assert!(matches!(made, Created::Created), "{made:?}");
    assert_eq!(lake.join("a/b").metadata().unwrap().gid(), own + 1);
}

#[tokio::test]
async fn a_file_that_changed_since_it_was_hashed_is_never_landed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    on_every_target(|target| async move {
        for (name, bytes) in [("a", 1_000_usize), ("b", 17 << 20)] {
            let path = folder.join(name);
            std::fs::write(&path, vec![1; bytes]).unwrap();
            let payload = Payload::File {
                path,
                bytes: bytes as u64,
            };
            let made = target
                .create(name, payload, &stamp(b"something else"))
                .await;
            assert!(
                !matches!(made, Ok(Created::Created | Created::Exists)),
                "{made:?}"
            );
            assert_eq!(target.head(name).await.unwrap(), None);
        }
        let gone = Payload::File {
            path: folder.join("gone"),
            bytes: 1,
        };
        let made = target.create("c", gone, &stamp(b"c")).await.unwrap();
        assert!(matches!(made, Created::Unknown(_)));
    })
    .await;
}

#[tokio::test]
async fn keys_are_listed_in_order_below_a_prefix_after_a_key() {
    on_every_target(|target| async move {
        let keys = ["a.b", "a/1", "a/2/x", "a/2/y", "a/3", "a0", "b/1"];
        for key in keys {
            put(&*target, key, key.as_bytes()).await.unwrap();
        }
        let list = async |prefix: &str, after: Option<&str>, limit| {
            target.list(prefix, after, limit).await.unwrap()
        };
        assert_eq!(list("", None, 100).await, keys);
        assert_eq!(
            list("a/", None, 100).await,
            ["a/1", "a/2/x", "a/2/y", "a/3"]
        );
        assert_eq!(list("a/", Some("a/2/x"), 100).await, ["a/2/y", "a/3"]);
        assert_eq!(list("a/", Some("a/2/x"), 1).await, ["a/2/y"]);
        assert_eq!(list("a/2", None, 100).await, ["a/2/x", "a/2/y"]);
        for nothing in ["nothing/", "a/1/"] {
            assert_eq!(list(nothing, None, 100).await, Vec::<String>::new());
        }
        for at in 0..1_005 {
            let key = format!("many/{at:04}");
            put(&*target, &key, b"").await.unwrap();
        }
        assert_eq!(
            list("many/", None, 2_000).await.len(),
            1_005,
            "more than a page"
        );
        assert_eq!(list("many/", None, 1_001).await.len(), 1_001);
    })
    .await;
}

#[tokio::test]
async fn keys_cannot_leave_the_target() {
    on_every_target(|target| async move {
        for key in [
            "", "/a", "a/", "a//b", "../a", "a/../b", ".tmp/a", "a\\b", "a\0",
        ] {
            assert_eq!(
                put(&*target, key, b"x").await.unwrap_err().fault(),
                Fault::Config,
                "{key:?}"
            );
            assert!(target.read(key).await.is_err(), "{key:?}");
            assert!(target.head(key).await.is_err(), "{key:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_bucket_says_whether_its_conditional_puts_are_safe() {
    let folder = tempfile::tempdir().unwrap();
    let server = local(folder.path()).await;
    let probed = connect(config(server.endpoint())).probe().await.unwrap();
    assert_eq!(probed, Conditional::Safe);
    server.shutdown().await;
    if let Some(config) = outside() {
        println!(
            "probed: S3 at {}",
            config.endpoint.as_deref().unwrap_or_default()
        );
        assert_eq!(connect(config).probe().await.unwrap(), Conditional::Safe);
    }
}

#[tokio::test]
async fn failures_of_a_bucket_are_typed_and_name_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let server = local(folder.path()).await;
    let endpoint = server.endpoint();
    let wrong_key = S3Config {
        secret_key: "another-secret".to_owned().into(),
        ..config(endpoint.clone())
    };
    let target = connect(wrong_key);
    let error = put(&target, "a", b"a").await.unwrap_err();
    assert_eq!(error.fault(), Fault::Auth, "{error:?}");
    assert_eq!(target.read("a").await.unwrap_err().fault(), Fault::Auth);
    let listed = target.list("", None, 1).await;
    assert_eq!(listed.unwrap_err().fault(), Fault::Auth);
    let text = format!("{error} {error:?}");
    assert!(text.contains(&endpoint), "{text}");
    assert!(!text.contains("secret"), "{text}");
    let unmapped =
        S3Target::connect(config(endpoint.clone()), &dialer("http://127.0.0.1:1")).unwrap();
    let error = put(&unmapped, "a", b"a").await.unwrap_err();
    assert_eq!(error.fault(), Fault::Config, "{error:?}");
    server.shutdown().await;

    let made = put(&connect(config(endpoint)), "a", b"a").await.unwrap();
    assert!(matches!(made, Created::Unknown(error) if error.fault() == Fault::Transient));
}

/// A server that gives these answers, one per connection, and says how many it gave;
/// for the status 0 it hangs up.
async fn scripted(answers: Vec<(u16, &'static str)>) -> (String, JoinSet<usize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let mut server = JoinSet::new();
    server.spawn(async move {
        let mut given = 0;
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"body") {
                stream.read_buf(&mut request).await.unwrap();
            }
            given += 1;
            if status == 0 {
                continue;
            }
            let length = body.len();
            let head =
                "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n";
            let head = head
                .replace("{status}", &status.to_string())
                .replace("{length}", &length.to_string());
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(body.as_bytes()).await.unwrap();
        }
        given
    });
    (endpoint, server)
}

#[tokio::test]
async fn an_answer_to_a_conditional_put_is_never_guessed() {
    const SLOW: &str = "<Error><Code>SlowDown</Code><Message>m</Message></Error>";
    const BUSY: &str = "<Error><Code>ConditionalRequestConflict</Code></Error>";
    const TAKEN: &str = "<Error><Code>PreconditionFailed</Code></Error>";
    const LATE: &str = "<Error><Code>RequestTimeout</Code></Error>";
    const DENIED: &str = "<Error><Code>AccessDenied</Code></Error>";
    const NOWHERE: &str = "<Error><Code>NoSuchBucket</Code></Error>";
    const STRANGE: &str = "<Error><Code>NotImplemented</Code><Message>m</Message></Error>";
    let table: Vec<(&str, Vec<(u16, &str)>)> = vec![
        ("created", vec![(200, "")]),
        ("exists", vec![(412, TAKEN)]),
        ("created", vec![(409, BUSY), (409, BUSY), (200, "")]),
        ("exists", vec![(409, BUSY), (412, "")]),
        ("unknown", vec![(409, BUSY); 4]),
        ("unknown", vec![(500, "")]),
        ("unknown", vec![(503, SLOW)]),
        ("unknown", vec![(429, "")]),
        ("unknown", vec![(507, "")]),
        ("unknown", vec![(0, "")]),
        ("unknown", vec![(400, LATE)]),
        ("auth", vec![(403, DENIED)]),
        ("config", vec![(404, NOWHERE)]),
        ("config", vec![(301, "")]),
        ("config", vec![(405, STRANGE)]),
    ];
    for (expected, answers) in table {
        let tries = answers.len();
        let (endpoint, mut server) = scripted(answers.clone()).await;
        let outcome = match put(&connect(config(endpoint)), "a", b"body").await {
            Ok(Created::Created) => "created".to_owned(),
            Ok(Created::Exists) => "exists".to_owned(),
            Ok(Created::Unknown(_)) => "unknown".to_owned(),
            Err(error) => error.fault().to_string(),
        };
        assert_eq!(outcome, expected, "{answers:?}");
        let given = server.join_next().await.unwrap().unwrap();
        assert_eq!(given, tries, "{answers:?}");
    }
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused() {
    let sound = || config("http://127.0.0.1:1".to_owned());
    let table = [
        S3Config {
            endpoint: Some("127.0.0.1:1".to_owned()),
            ..sound()
        },
        S3Config {
            bucket: String::new(),
            ..sound()
        },
        S3Config {
            region: String::new(),
            ..sound()
        },
        S3Config {
            prefix: "a/../b".to_owned(),
            ..sound()
        },
    ];
    for config in table {
        let refused = S3Target::connect(config, &dialer("http://127.0.0.1:1")).unwrap_err();
        assert_eq!(refused.fault(), Fault::Config);
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert_eq!(
        DirectoryTarget::open(&file).unwrap_err().fault(),
        Fault::Config
    );
}

#[tokio::test]
async fn what_a_dead_process_left_half_put_is_removed_in_a_day_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    DirectoryTarget::open(folder.path()).unwrap();
    let (old, young) = (
        folder.path().join(".tmp/old"),
        folder.path().join(".tmp/young"),
    );
    for path in [&old, &young] {
        std::fs::write(path, b"half").unwrap();
    }
    let yesterday = std::fs::metadata(&young).unwrap().modified().unwrap()
        - std::time::Duration::from_secs(25 * 60 * 60);
    let file = std::fs::File::options().write(true).open(&old).unwrap();
    file.set_modified(yesterday).unwrap();
    DirectoryTarget::open(folder.path()).unwrap();
    assert!(!old.exists());
    assert!(young.exists());
}
