//! What becomes of fires: overlaps, downtime, pauses, changes.

use std::time::Duration;

use super::world::{Ends, World, at};
use crate::schedule::{CatchUp, FireOutcome, MAX_COUNTED, Overlap, Schedule, SkipReason};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// Every minute.
fn minutely() -> Schedule {
    Schedule::new("* * * * *")
}

#[test]
fn each_fire_starts_once_and_on_time() {
    let mut world = World::new(minutely(), Ends::AtOnce);
    for second in 1..=180 {
        world.look(at(second));
    }
    assert_eq!(world.told(), ["60 started", "120 started", "180 started"]);
    // A clock that goes back fires nothing again.
    world.look(at(60));
    world.look(at(180));
    assert_eq!(world.told().len(), 3);
    assert_eq!(world.record.counts.late_micros, 0);
}

#[test]
fn without_catching_up_only_the_last_fire_is_late_and_only_a_little() {
    let mut world = World::new(minutely(), Ends::AtOnce);
    world.look(at(305));
    assert_eq!(world.told(), ["60-240 missed 4", "300 started"]);
    let mut world = World::new(minutely(), Ends::AtOnce);
    world.look(at(311));
    assert_eq!(world.told(), ["60-300 missed 5"]);
    assert_eq!(world.record.counts.missed, 5);
    world.look(at(360));
    assert_eq!(world.told(), ["60-300 missed 5", "360 started"]);
}

#[test]
fn the_last_fire_is_caught_up_on_within_its_window() {
    let last = Schedule { catch_up: CatchUp::Last { window: HOUR }, ..Schedule::new("0 * * * *") };
    let mut world = World::new(last.clone(), Ends::AtOnce);
    world.look(at(3 * 3_600 + 1_800));
    assert_eq!(world.told(), ["3600-7200 missed 2", "10800 started"]);
    let short = Schedule { catch_up: CatchUp::Last { window: MINUTE }, ..last };
    let mut world = World::new(short, Ends::AtOnce);
    world.look(at(3 * 3_600 + 1_800));
    assert_eq!(world.told(), ["3600-10800 missed 3"]);
}

#[test]
fn all_fires_are_caught_up_on_within_bound_and_window() {
    let all = |most, window| Schedule { catch_up: CatchUp::All { most, window }, ..minutely() };
    let mut world = World::new(all(100, HOUR), Ends::AtOnce);
    world.look(at(250));
    assert_eq!(world.told(), ["60 started", "120 started", "180 started", "240 started"]);
    let mut world = World::new(all(2, HOUR), Ends::AtOnce);
    world.look(at(250));
    assert_eq!(world.told(), ["60-120 missed 2", "180 started", "240 started"]);
    let mut world = World::new(all(100, 2 * MINUTE), Ends::AtOnce);
    world.look(at(250));
    assert_eq!(world.told(), ["60-120 missed 2", "180 started", "240 started"]);
}

#[test]
fn years_of_seconds_are_passed_over_in_one_go() {
    let mut world = World::new(Schedule::new("* * * * * *"), Ends::AtOnce);
    world.look(at(200_000_000));
    let missed = &world.history[&1];
    assert_eq!((missed.count, missed.time, missed.last), (MAX_COUNTED, at(1), at(199_999_999)));
    assert_eq!(world.told()[1], "200000000 started");
}

#[test]
fn an_overlap_is_skipped_and_names_the_run() {
    let mut world = World::new(minutely(), Ends::Never);
    world.look(at(60));
    world.look(at(120));
    assert_eq!(world.told(), ["60 started", "120 skipped overlap"]);
    let running = world.record.active[0];
    assert_eq!(world.history[&2].outcome, FireOutcome::Skipped { reason: SkipReason::Overlap { run: running } });
    world.end_runs();
    world.look(at(180));
    assert_eq!(world.told()[2], "180 started");
}

#[test]
fn a_queue_holds_so_many_and_starts_them_one_by_one() {
    let mut world = World::new(Schedule { overlap: Overlap::Queue { most: 2 }, ..minutely() }, Ends::Never);
    for minute in 1..=4 {
        world.look(at(60 * minute));
    }
    assert_eq!(world.told(), ["60 started", "120 waiting", "180 waiting", "240 skipped queue-full"]);
    assert!(world.record.due().unwrap() > at(240), "nothing is due until a run ends");
    world.end_runs();
    assert!(world.record.due().unwrap() < at(240), "the end of a run makes a waiting fire due");
    world.look(at(241));
    assert_eq!(world.told(), ["60 started", "120 started", "180 waiting", "240 skipped queue-full"]);
    world.end_runs();
    world.look(at(242));
    assert_eq!(world.told()[2], "180 started");
}

#[test]
fn a_fire_cancels_what_runs_and_starts_when_that_has_ended() {
    let mut world = World::new(Schedule { overlap: Overlap::Cancel, ..minutely() }, Ends::Never);
    world.look(at(60));
    world.look(at(120));
    assert_eq!(world.cancelled, world.record.active);
    world.look(at(180));
    assert_eq!(world.told(), ["60 started", "120 skipped superseded", "180 waiting"]);
    world.end_runs();
    world.look(at(181));
    assert_eq!(world.told()[2], "180 started");
}

#[test]
fn what_falls_due_in_a_pause_is_skipped() {
    let mut world = World::new(Schedule { paused: true, ..minutely() }, Ends::AtOnce);
    assert_eq!(world.record.due(), None);
    world.look(at(150));
    world.pause(false, at(150));
    assert_eq!(world.told(), ["60-120 skipped paused 2"]);
    world.look(at(180));
    world.pause(true, at(200));
    world.look(at(240));
    world.pause(false, at(210));
    world.look(at(240));
    assert_eq!(world.told(), ["60-120 skipped paused 2", "180 started", "240 started"]);
}

#[test]
fn a_changed_definition_changes_the_next_fire_at_once() {
    let mut world = World::new(minutely(), Ends::AtOnce);
    world.look(at(60));
    world.change(Schedule::new("0 * * * *"), true, at(130));
    assert_eq!(world.record.next, Some(at(3_600)));
    assert_eq!(world.told(), ["60 started", "120 skipped changed"]);
    // Another text with the same times changes nothing.
    world.change(Schedule { overlap: Overlap::Cancel, ..Schedule::new("0 * * * *") }, true, at(3_605));
    world.look(at(3_605));
    assert_eq!(world.told()[2], "3600 started");
}

#[test]
fn a_disabled_definition_fires_nothing() {
    let mut world = World::new(Schedule { overlap: Overlap::Queue { most: 3 }, ..minutely() }, Ends::Never);
    world.look(at(60));
    world.look(at(120));
    world.change(world.record.schedule.clone(), false, at(130));
    world.look(at(500));
    assert_eq!(world.told(), ["60 started", "120 skipped disabled"]);
    world.change(world.record.schedule.clone(), true, at(500));
    assert_eq!(world.told()[2], "180-480 skipped disabled 6");
    assert_eq!(world.record.next, Some(at(540)));
}

#[test]
fn an_operators_pause_lasts_until_the_definition_says_something_else() {
    let mut world = World::new(minutely(), Ends::AtOnce);
    world.pause(true, at(1));
    world.change(Schedule { overlap: Overlap::Cancel, ..minutely() }, true, at(2));
    assert!(world.record.paused);
    world.change(Schedule { paused: true, ..minutely() }, true, at(3));
    world.pause(false, at(4));
    world.change(Schedule { paused: true, overlap: Overlap::Cancel, ..minutely() }, true, at(5));
    assert!(!world.record.paused);
}

#[test]
fn jitter_is_a_part_of_its_bound_and_always_the_same() {
    let world = World::new(Schedule { jitter: 30 * SECOND, ..minutely() }, Ends::AtOnce);
    let late = |second| world.record.due_of(at(second)).since(at(second));
    let all: Vec<_> = (1..=100).map(|minute| late(minute * 60)).collect();
    assert!(all.iter().all(|late| *late <= 30 * SECOND));
    assert_eq!(all, (1..=100).map(|minute| late(minute * 60)).collect::<Vec<_>>());
    let (least, most) = (all.iter().min().unwrap(), all.iter().max().unwrap());
    assert!(*least < 5 * SECOND && *most > 25 * SECOND, "{least:?} to {most:?}");
    let mut other = world.record.clone();
    other.id = "other".parse().unwrap();
    assert_ne!(other.due_of(at(60)), world.record.due_of(at(60)));
}

#[test]
fn a_fire_that_waited_longer_than_the_history_is_told_anew() {
    let mut world = World::new(Schedule { overlap: Overlap::Queue { most: 1 }, ..minutely() }, Ends::Never);
    for minute in 1..=300 {
        world.look(at(60 * minute));
    }
    world.end_runs();
    world.look(at(60 * 300 + 1));
    let started = world.record.last_started.clone().unwrap();
    assert_eq!((started.time, started.number), (at(120), 301));
}
