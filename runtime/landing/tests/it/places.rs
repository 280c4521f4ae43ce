//! Operations that land in places of their own.

use crate::faults::{Blow, Fuse, Mutation};
use crate::world::{World, live};
use std::path::Path;
use tidegate_landing::lake;

/// Files with rows below a folder.
fn objects(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let count = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => objects(&path),
            false => usize::from(path.to_string_lossy().ends_with(".jsonl.zst")),
        }
    };
    entries.map(count).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_land_in_the_place_of_their_operation_and_the_log_says_where() {
    let mut world = World::new();
    world.apart = true;
    live(world.stream(&Fuse::never(), Mutation::None))
        .await
        .unwrap();
    assert_eq!(world.landed().await, World::truth());
    let folder = world.folder.path().to_owned();
    assert!(objects(&folder.join("rows")) > 0);
    assert_eq!(objects(&folder.join("lake")), 0);
    assert_eq!(objects(&folder.join("deletes")), 0);

    // A reader finds them also when the target is set to another place by now.
    world.apart = false;
    let view = lake::view(&world.target(), &world.key()).await.unwrap();
    assert!(!view.objects.is_empty());
    for seen in view.objects {
        let path = seen.location.strip_prefix("file://").unwrap();
        assert!(Path::new(path).starts_with(folder.join("rows")), "{path}");
        assert!(Path::new(path).is_file(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_changes_between_two_owners_loses_and_doubles_nothing() {
    for at in (0..80).step_by(8) {
        for blow in [Blow::CrashBefore, Blow::CrashAfter] {
            let mut world = World::new();
            let fuse = Fuse::at(at, blow);
            tokio::select! {
                _ = live(world.stream(&fuse, Mutation::None)) => {}
                () = fuse.blown() => {}
            }
            world.bury_owner().await;
            world.apart = true;
            live(world.stream(&Fuse::never(), Mutation::None))
                .await
                .unwrap();
            let view = lake::view(&world.target(), &world.key()).await.unwrap();
            let rows: u64 = view.objects.iter().map(|seen| seen.object.rows).sum();
            let truth: usize = World::truth().values().map(Vec::len).sum();
            assert_eq!(rows, truth as u64, "{blow:?} at operation {at}");
            for seen in view.objects {
                let path = seen.location.strip_prefix("file://").unwrap();
                assert!(
                    Path::new(path).is_file(),
                    "{blow:?} at operation {at}: {path}"
                );
            }
        }
    }
}
