//! Whatever the clock, the weather and the policies: times go forward, and each fire comes to exactly one thing.

use std::time::Duration;

use proptest::prelude::*;

use super::world::{Ends, World, at};
use crate::schedule::{CatchUp, FireOutcome, FireRecord, Overlap, PUNCTUAL, Schedule, ScheduleRecord, Timetable};
use crate::time::Timestamp;

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
    "America/St_Johns",
    "Antarctica/Troll",
];

fn field(values: std::ops::Range<u32>) -> impl Strategy<Value = String> {
    prop_oneof![
        Just("*".to_owned()),
        (2..20u32).prop_map(|step| format!("*/{step}")),
        proptest::collection::vec(values, 1..4).prop_map(|all| all.iter().map(u32::to_string).collect::<Vec<_>>().join(",")),
    ]
}

fn cron() -> impl Strategy<Value = String> {
    (field(0..60), field(0..60), field(0..24), prop_oneof![3 => Just("* * *".to_owned()), 1 => Just("1-7 * SUN".to_owned())])
        .prop_map(|(second, minute, hour, day)| format!("{second} {minute} {hour} {day}"))
}

/// A moment from 1990 to 2036.
fn moment() -> impl Strategy<Value = Timestamp> {
    (631_152_000_000_000..2_082_758_400_000_000u64).prop_map(Timestamp::from_micros)
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let seconds = |range| Strategy::prop_map(range, Duration::from_secs);
    let catch_up = prop_oneof![
        Just(CatchUp::None),
        seconds(1..5_000u64).prop_map(|window| CatchUp::Last { window }),
        (1..50u32, seconds(1..5_000u64)).prop_map(|(most, window)| CatchUp::All { most, window }),
    ];
    let overlap = prop_oneof![Just(Overlap::Skip), (1..4u32).prop_map(|most| Overlap::Queue { most }), Just(Overlap::Cancel),];
    let cron = prop_oneof![Just("*/7 * * * * *"), Just("* * * * *"), Just("0 */5 * * * *"), Just("13 2,9 * * * *")];
    (cron, catch_up, overlap, prop_oneof![Just(0u64), 0..90u64]).prop_map(|(cron, catch_up, overlap, jitter)| Schedule {
        catch_up,
        overlap,
        jitter: Duration::from_secs(jitter),
        ..Schedule::new(cron)
    })
}

#[derive(Clone, Debug)]
enum Happening {
    /// The clock shows this many seconds after the beginning, sooner or later than before, and somebody looks.
    Look(u64),
    RunsEnd,
    Restart,
    Pause(bool),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        8 => (0..6_000u64).prop_map(Happening::Look),
        3 => Just(Happening::RunsEnd),
        2 => Just(Happening::Restart),
        1 => any::<bool>().prop_map(Happening::Pause),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn fires_go_forward_and_none_lies_between(cron in cron(), zone in 0..ZONES.len(), from in moment(), part in 0.0..1.0f64) {
        let table = Timetable::new(&cron, ZONES[zone]).unwrap();
        let next = table.next_after(from).unwrap();
        prop_assert!(next > from);
        // Whoever looks later, but before it, sees the same one.
        let wait = next.since(from).saturating_sub(Duration::from_micros(1));
        let between = from.after(wait.mul_f64(part));
        prop_assert_eq!(table.next_after(between), Some(next), "from {:?}", between);
        prop_assert!(table.next_after(next).unwrap() > next);
    }

    #[test]
    fn the_last_fires_are_those_that_going_forward_finds(cron in cron(), zone in 0..ZONES.len(), from in moment(), most in 1..5usize) {
        let table = Timetable::new(&cron, ZONES[zone]).unwrap();
        let until = from.after(Duration::from_secs(3 * 86_400));
        let from = until.as_micros() - 5 * 3_600_000_000;
        let from = Timestamp::from_micros(from);
        let all: Vec<_> = table.between(from, until).collect();
        let expected = &all[all.len().saturating_sub(most)..];
        prop_assert_eq!(table.last(from, until, most), expected);
    }

    #[test]
    fn every_fire_comes_to_one_thing(schedule in schedule(), happenings in proptest::collection::vec(happening(), 1..60)) {
        let mut world = World::new(schedule.clone(), Ends::Never);
        let mut now = 0;
        for happening in happenings {
            let cursor = world.record.cursor;
            match happening {
                Happening::Look(second) => {
                    now = second;
                    world.look(at(now));
                }
                Happening::RunsEnd => world.end_runs(),
                Happening::Restart => {
                    let stored = serde_json::to_string(&world.record).unwrap();
                    world.record = serde_json::from_str::<ScheduleRecord>(&stored).unwrap();
                }
                Happening::Pause(paused) => world.pause(paused, at(now)),
            }
            prop_assert!(world.record.cursor >= cursor, "the cursor went back");
            prop_assert!(world.record.active.len() <= 1);
        }
        world.pause(false, at(now));
        let table = world.record.timetable().unwrap();
        let fires: Vec<_> = table.between(at(0), world.record.cursor).collect();
        let of = |time: Timestamp| {
            world.history.values().filter(move |fire: &&FireRecord| fire.time <= time && time <= fire.last).collect::<Vec<_>>()
        };
        let mut counted = 0;
        for fire in &fires {
            let told = of(*fire);
            prop_assert_eq!(told.len(), 1, "{:?} came to {:?}", fire, told);
            counted += 1;
        }
        prop_assert_eq!(world.history.values().map(|fire| u64::from(fire.count)).sum::<u64>(), counted);
        let counts = world.record.counts;
        let waiting = world.record.waiting.len() as u64;
        prop_assert_eq!(counts.started + counts.skipped + counts.missed + waiting, counted);
        for fire in world.history.values() {
            let is_late = fire.outcome == FireOutcome::Missed;
            prop_assert!(!is_late || fire.decided_at.since(fire.last) > Duration::ZERO, "{:?} was missed before it was due", fire);
            if let (FireOutcome::Started { .. }, Overlap::Skip, CatchUp::None) = (&fire.outcome, schedule.overlap, schedule.catch_up) {
                let late = fire.decided_at.since(world.record.due_of(fire.time));
                prop_assert!(late <= PUNCTUAL + schedule.jitter + Duration::from_secs(1), "{:?} started {:?} late", fire, late);
            }
        }
    }

    #[test]
    fn catching_up_on_all_loses_nothing(gaps in proptest::collection::vec(1..400u64, 1..20)) {
        let catch_up = CatchUp::All { most: 1_000, window: Duration::from_secs(86_400) };
        let mut world = World::new(Schedule { catch_up, ..Schedule::new("*/5 * * * * *") }, Ends::AtOnce);
        let mut now = 0;
        for gap in gaps {
            now += gap;
            world.look(at(now));
        }
        let started = world.history.values().all(|fire| fire.outcome.name() == "started" && fire.count == 1);
        prop_assert!(started);
        prop_assert_eq!(world.record.counts.started, now / 5);
        prop_assert_eq!(world.record.decide(at(now)), None);
    }
}
