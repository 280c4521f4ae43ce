//! The commit protocol under crashes, pauses and lost answers at every operation.

use crate::faults::{Blow, Fuse, Mutation};
use crate::world::{World, live};
use std::sync::Arc;
use std::time::Duration;
use tidegate_landing::Error;
use tidegate_landing::recover::take_over;
use tokio::sync::Notify;

/// Runs owners one after the other until one finishes; each but the last may be
/// cut short by its fuse. Returns how often recovery had to rewind.
async fn survive(
    world: &World,
    mutation: Mutation,
    fuses: Vec<Arc<Fuse>>,
    lose_disk: bool,
) -> usize {
    let mut rewinds = 0;
    for fuse in fuses {
        let stream = world.stream(&fuse, mutation);
        tokio::select! {
            _ = live(stream) => {}
            () = fuse.blown() => {}
        }
        if lose_disk {
            world.lose_disk();
        }
        world.bury_owner().await;
    }
    rewinds += live(world.stream(&Fuse::never(), mutation)).await.unwrap();
    rewinds
}

/// How many operations an undisturbed run has.
async fn operations() -> u64 {
    let world = World::new();
    let fuse = Fuse::never();
    live(world.stream(&fuse, Mutation::None)).await.unwrap();
    assert_eq!(world.landed().await, World::truth());
    fuse.passed()
}

/// Every n-th operation; all of them under `cargo proof`.
fn sample(operations: u64) -> impl Iterator<Item = u64> {
    let step = if std::env::var_os("TIDEGATE_PROOF").is_some() {
        1
    } else {
        3
    };
    (0..operations).step_by(step)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_operation_loses_and_doubles_nothing() {
    for at in sample(operations().await) {
        for blow in [Blow::CrashBefore, Blow::CrashAfter] {
            let world = World::new();
            let rewinds = survive(&world, Mutation::None, vec![Fuse::at(at, blow)], false).await;
            assert_eq!(
                world.landed().await,
                World::truth(),
                "{blow:?} at operation {at}"
            );
            assert_eq!(
                rewinds, 0,
                "{blow:?} at operation {at}: the disk was whole, nothing had to be read again"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_hear_of_every_slot_once_whatever_the_crash() {
    for at in sample(operations().await) {
        for blow in [Blow::CrashBefore, Blow::CrashAfter] {
            let world = World::new();
            world.make_tenant().await;
            survive(&world, Mutation::None, vec![Fuse::at(at, blow)], false).await;
            let told: Vec<u64> = world.told().await.into_iter().map(|it| it.0).collect();
            assert!(!told.is_empty());
            assert_eq!(
                told,
                world.slots_with_objects(),
                "{blow:?} at operation {at}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuilt_store_tells_of_the_same_slots_under_the_same_ids() {
    let mut world = World::new();
    world.make_tenant().await;
    live(world.stream(&Fuse::never(), Mutation::None))
        .await
        .unwrap();
    let told = world.told().await;
    assert!(!told.is_empty());
    world.lose_store();
    world.make_tenant().await;
    live(world.stream(&Fuse::never(), Mutation::None))
        .await
        .unwrap();
    assert_eq!(world.told().await, told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_staging_disk_costs_reads_and_no_rows() {
    let mut rewinds = 0;
    for at in sample(operations().await) {
        let world = World::new();
        rewinds += survive(
            &world,
            Mutation::None,
            vec![Fuse::at(at, Blow::CrashAfter)],
            true,
        )
        .await;
        assert_eq!(
            world.landed().await,
            World::truth(),
            "crash at operation {at}"
        );
    }
    assert!(
        rewinds > 0,
        "no crash hit a sealed batch, so nothing was shown"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashes_in_recovery_are_survived_too() {
    for at in sample(operations().await) {
        let world = World::new();
        let fuses = vec![
            Fuse::at(at, Blow::CrashAfter),
            Fuse::at(at % 9, Blow::CrashAfter),
            Fuse::at(at % 7, Blow::CrashBefore),
        ];
        survive(&world, Mutation::None, fuses, false).await;
        assert_eq!(
            world.landed().await,
            World::truth(),
            "crash at operation {at}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_of_a_put_is_found_out_by_reading_back() {
    for at in sample(operations().await) {
        let world = World::new();
        let fuse = Fuse::at(at, Blow::LoseAnswer);
        live(world.stream(&fuse, Mutation::None)).await.unwrap();
        assert_eq!(
            world.landed().await,
            World::truth(),
            "lost answer at operation {at}"
        );
    }
}

/// A paused owner goes on after another has finished its work.
async fn paused_owner(at: u64, mutation: Mutation) -> (World, Result<usize, Error>) {
    let world = World::new();
    let fuse = Fuse::at(at, Blow::Hang);
    let mut zombie = Box::pin(live(world.stream(&fuse, mutation)));
    let ended = tokio::select! {
        ended = &mut zombie => Some(ended),
        () = fuse.blown() => None,
    };
    world.bury_owner().await;
    let successor = live(world.stream(&Fuse::never(), mutation)).await;
    // Without a rule the two may well get into each other's way.
    assert!(
        successor.is_ok() || mutation != Mutation::None,
        "{successor:?}"
    );
    fuse.resume();
    let ended = match ended {
        Some(ended) => ended,
        None => zombie.await,
    };
    (world, ended)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_wakes_up_late_changes_nothing() {
    for at in sample(operations().await) {
        let (world, _) = paused_owner(at, Mutation::None).await;
        assert_eq!(
            world.landed().await,
            World::truth(),
            "paused at operation {at}"
        );
    }
}

/// Where a take-over asks for the lease: after the key's folder, the row, two slots and what
/// comes after them.
const ACQUIRE: u64 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_owner_wrote_while_the_next_looked_at_the_log_is_read_by_the_next() {
    let operations = operations().await;
    for at in [
        operations / 4,
        operations / 3,
        operations / 2,
        operations - 8,
    ] {
        let world = World::new();
        let (writes, looks) = (Fuse::at(at, Blow::Hang), Fuse::at(ACQUIRE, Blow::Hang));
        let gave_back = Notify::new();
        let owner = async {
            let ended = live(world.stream(&writes, Mutation::None)).await;
            gave_back.notify_one();
            ended
        };
        let next = async {
            writes.blown().await;
            let next = live(world.stream(&looks, Mutation::None));
            let resume = async {
                looks.blown().await;
                writes.resume();
                gave_back.notified().await;
                looks.resume();
            };
            tokio::join!(next, resume).0
        };
        let (owner, next) = tokio::join!(owner, next);
        owner.unwrap();
        next.unwrap();
        assert_eq!(world.landed().await, World::truth(), "paused at {at}");
    }
}

#[tokio::test]
async fn a_stream_that_was_given_back_is_taken_over_with_one_look_at_its_log() {
    let world = World::new();
    live(world.stream(&Fuse::never(), Mutation::None))
        .await
        .unwrap();
    let fuse = Fuse::never();
    take_over(&world.stream(&fuse, Mutation::None))
        .await
        .unwrap();
    // To the lease; then it and the row once more: there is nothing to reconcile.
    assert_eq!(fuse.passed(), ACQUIRE + 2);
}

#[tokio::test]
async fn a_lost_store_is_rebuilt_from_the_log_alone() {
    let mut world = World::new();
    survive(
        &world,
        Mutation::None,
        vec![Fuse::at(40, Blow::CrashAfter)],
        true,
    )
    .await;
    world.lose_store();
    live(world.stream(&Fuse::never(), Mutation::None))
        .await
        .unwrap();
    assert_eq!(world.landed().await, World::truth());
}

#[tokio::test]
async fn a_log_that_lost_slots_halts_the_stream() {
    let world = World::new();
    live(world.stream(&Fuse::never(), Mutation::None))
        .await
        .unwrap();
    world.remove_last_slot();
    let halted = live(world.stream(&Fuse::never(), Mutation::None))
        .await
        .unwrap_err();
    assert!(matches!(halted, Error::LogBehind { .. }), "{halted}");
}

#[tokio::test]
async fn a_changed_slot_halts_the_stream() {
    let mut world = World::new();
    live(world.stream(&Fuse::never(), Mutation::None))
        .await
        .unwrap();
    world.lose_store();
    world.forge_first_slot();
    let halted = live(world.stream(&Fuse::never(), Mutation::None))
        .await
        .unwrap_err();
    assert!(matches!(halted, Error::LogBroken { .. }), "{halted}");
}

#[tokio::test]
async fn a_full_staging_disk_stops_with_a_clear_error_and_loses_nothing() {
    let world = World::new();
    let stream = world.stream_on_full_disk();
    let full = live(stream).await.unwrap_err();
    assert!(full.to_string().contains("staging directory"), "{full}");
    world.bury_owner().await;
    live(world.stream(&Fuse::never(), Mutation::None))
        .await
        .unwrap();
    assert_eq!(world.landed().await, World::truth());
}

#[tokio::test]
async fn orphans_of_a_crash_are_removed_and_needed_files_are_not() {
    let world = World::new();
    let fuse = Fuse::at(30, Blow::CrashAfter);
    tokio::select! {
        _ = live(world.stream(&fuse, Mutation::None)) => {}
        () = fuse.blown() => {}
    }
    let needed = world.staged_paths().await;
    std::fs::write(world.stage_dir().join("orphan.jsonl.zst"), b"x").unwrap();
    let staging = tidegate_landing::stage::StageDirectory::open(&world.stage_dir()).unwrap();
    tidegate_landing::stage::remove_orphans(&staging, &needed).unwrap();
    assert!(!world.stage_dir().join("orphan.jsonl.zst").exists());
    assert!(needed.iter().all(|path| path.exists()));
}

/// Leaves a line where `cargo proof` collects it.
fn caught(rule: &str, how: &str) {
    if let Some(folder) = std::env::var_os("TIDEGATE_PROOF_DIR") {
        let page =
            std::path::Path::new(&folder).join(format!("mutation-{}.md", rule.replace(' ', "-")));
        std::fs::write(
            page,
            format!("Mutation \"{rule}\" of the commit protocol: caught, {how}.\n"),
        )
        .unwrap();
    }
}

// The mutations: each breaks one rule, and each is seen by the checks above.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_rewind_a_lost_disk_loses_rows() {
    assert!(some_run_is_wrong(Mutation::SkipRewind, Blow::CrashAfter, true).await);
    caught(
        "skip the rewind",
        "by recovery or by lost rows after the staging disk was lost",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_trusts_exists_doubles_rows() {
    for at in 0..operations().await {
        let world = World::new();
        let fuse = Fuse::at(at, Blow::LoseAnswer);
        let ended = live(world.stream(&fuse, Mutation::TrustForeign)).await;
        if ended.is_err() || !world.is_whole().await {
            caught(
                "trust a 412",
                &format!("by doubled rows, at a lost answer of operation {at}"),
            );
            return;
        }
    }
    panic!("no lost answer was turned into a double");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_epoch_guard_a_late_owner_writes_to_the_store() {
    let mut accepted = 0;
    for at in 0..operations().await {
        let with_guard = paused_owner(at, Mutation::None).await.0.late_writes();
        assert_eq!(with_guard, 0, "paused at operation {at}");
        accepted += paused_owner(at, Mutation::DropEpochGuard)
            .await
            .0
            .late_writes();
        if accepted > 0 {
            caught(
                "drop the epoch guard",
                &format!("by a late owner's write, paused at operation {at}"),
            );
            return;
        }
    }
    panic!("no late write was accepted although nothing guards");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sealing_before_the_file_is_durable_shows_as_a_rewind() {
    assert!(some_run_is_wrong(Mutation::SealBeforeFsync, Blow::CrashAfter, false).await);
    caught("seal before fsync", "by a rewind although no disk was lost");
}

/// Whether any crash makes the protocol fail under this mutation: a row lost or
/// doubled, a recovery that cannot finish, or a rewind although no disk was lost.
async fn some_run_is_wrong(mutation: Mutation, blow: Blow, lose_disk: bool) -> bool {
    for at in 0..operations().await {
        let world = World::new();
        let fuse = Fuse::at(at, blow);
        tokio::select! {
            _ = live(world.stream(&fuse, mutation)) => {}
            () = fuse.blown() => {}
        }
        if lose_disk {
            world.lose_disk();
        }
        world.bury_owner().await;
        let recovered = live(world.stream(&Fuse::never(), mutation)).await;
        let rewound = *recovered.as_ref().unwrap_or(&0) > 0 && !lose_disk;
        if recovered.is_err() || rewound || !world.is_whole().await {
            return true;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_waits_for_a_slow_upload_keeps_its_lease() {
    const LEASE_MS: u64 = 300;
    let undisturbed = Fuse::never();
    live(World::new().stream_to_slow_target(&undisturbed, LEASE_MS))
        .await
        .unwrap();

    let world = World::new();
    let upload = Fuse::at(undisturbed.passed() / 2, Blow::Hang);
    let owner = live(world.stream_to_slow_target(&upload, LEASE_MS));
    let rival = async {
        upload.blown().await;
        tokio::time::sleep(Duration::from_millis(3 * LEASE_MS)).await;
        let refused = live(world.stream(&Fuse::never(), Mutation::None)).await;
        upload.resume();
        refused
    };
    let (owner, rival) = tokio::join!(owner, rival);
    assert!(rival.is_err(), "a rival took the stream of a live owner");
    owner.unwrap();
    assert_eq!(world.landed().await, World::truth());
}
