//! Clocks that are put forward and back, in zones that do it differently.

use crate::schedule::{Timetable, TimetableError, zone_names};
use crate::time::Timestamp;

fn at(text: &str) -> Timestamp {
    Timestamp::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond().try_into().unwrap())
}

fn show(moment: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(moment.as_micros().try_into().unwrap()).unwrap().to_string()
}

/// The first fires after a moment are these, and no others.
fn fires(zone: &str, cron: &str, from: &str, expected: &[&str]) {
    let table = Timetable::new(cron, zone).unwrap();
    let found: Vec<_> =
        std::iter::successors(table.next_after(at(from)), |fire| table.next_after(*fire)).take(expected.len()).collect();
    assert_eq!(found.into_iter().map(show).collect::<Vec<_>>(), expected, "`{cron}` in {zone} from {from}");
}

#[test]
fn a_fixed_time_that_the_clock_leaves_out_fires_after_the_gap() {
    let expected = ["2024-03-09T07:30:00Z", "2024-03-10T07:00:00Z", "2024-03-11T06:30:00Z"];
    fires("America/New_York", "30 2 * * *", "2024-03-09T00:00:00Z", &expected);
    // Two times in one gap are one fire; a time right after it is that fire, too.
    fires("Europe/Berlin", "15,45 2 * * *", "2024-03-31T00:00:00Z", &["2024-03-31T01:00:00Z", "2024-04-01T00:15:00Z"]);
    fires("Europe/Berlin", "0 2,3 * * *", "2024-03-31T00:00:00Z", &["2024-03-31T01:00:00Z", "2024-04-01T00:00:00Z"]);
}

#[test]
fn a_fixed_time_that_the_clock_shows_twice_fires_the_first_time() {
    fires("America/New_York", "30 1 * * *", "2024-11-03T00:00:00Z", &["2024-11-03T05:30:00Z", "2024-11-04T06:30:00Z"]);
    fires("Europe/Berlin", "0 2,3 * * *", "2024-10-26T12:00:00Z", &["2024-10-27T00:00:00Z", "2024-10-27T02:00:00Z"]);
    // Asked in between, in the hour that is shown the second time.
    fires("Europe/Berlin", "30 2 * * *", "2024-10-27T01:10:00Z", &["2024-10-28T01:30:00Z"]);
}

#[test]
fn an_interval_goes_on_evenly_through_both() {
    let spring = ["2024-03-10T06:30:00Z", "2024-03-10T07:00:00Z", "2024-03-10T07:30:00Z"];
    fires("America/New_York", "*/30 * * * *", "2024-03-10T06:00:00Z", &spring);
    let autumn =
        ["2024-11-03T05:00:00Z", "2024-11-03T05:30:00Z", "2024-11-03T06:00:00Z", "2024-11-03T06:30:00Z", "2024-11-03T07:00:00Z"];
    fires("America/New_York", "*/30 * * * *", "2024-11-03T04:30:00Z", &autumn);
}

#[test]
fn an_interval_within_an_hour_that_is_left_out_does_not_fire() {
    fires("America/New_York", "*/30 2 * * *", "2024-03-10T05:00:00Z", &["2024-03-11T06:00:00Z", "2024-03-11T06:30:00Z"]);
    let twice = ["2024-11-03T05:00:00Z", "2024-11-03T05:30:00Z", "2024-11-03T06:00:00Z", "2024-11-03T06:30:00Z"];
    fires("America/New_York", "*/30 1 * * *", "2024-11-02T12:00:00Z", &twice);
}

#[test]
fn half_an_hour_is_a_gap_and_a_fold_like_any_other() {
    let zone = "Australia/Lord_Howe";
    fires(zone, "15 2 * * *", "2024-10-05T12:00:00Z", &["2024-10-05T15:30:00Z", "2024-10-06T15:15:00Z"]);
    fires(zone, "45 1 * * *", "2024-04-06T12:00:00Z", &["2024-04-06T14:45:00Z", "2024-04-07T15:15:00Z"]);
    let even = ["2024-04-06T14:45:00Z", "2024-04-06T15:00:00Z", "2024-04-06T15:15:00Z", "2024-04-06T15:30:00Z"];
    fires(zone, "*/15 * * * *", "2024-04-06T14:30:00Z", &even);
}

#[test]
fn a_day_that_does_not_exist_fires_at_its_end() {
    let expected = ["2011-12-29T13:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T13:00:00Z"];
    fires("Pacific/Apia", "0 3 * * *", "2011-12-29T10:00:00Z", &expected);
    let even = ["2011-12-30T09:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T11:00:00Z"];
    fires("Pacific/Apia", "0 * * * *", "2011-12-30T08:00:00Z", &even);
}

#[test]
fn zones_without_such_days() {
    fires("UTC", "0 3 * * *", "2024-03-31T00:00:00Z", &["2024-03-31T03:00:00Z", "2024-04-01T03:00:00Z"]);
    fires("Asia/Kolkata", "0 0 * * *", "2024-03-31T00:00:00Z", &["2024-03-31T18:30:00Z"]);
    fires("UTC", "*/20 * * * * *", "2024-02-29T23:59:30.5Z", &["2024-02-29T23:59:40Z", "2024-03-01T00:00:00Z"]);
    fires("UTC", "@daily", "2024-03-01T00:00:00Z", &["2024-03-02T00:00:00Z"]);
}

#[test]
fn rare_days_are_found() {
    fires("UTC", "0 0 29 2 *", "2096-03-01T00:00:00Z", &["2104-02-29T00:00:00Z"]);
    fires("Europe/London", "* * 29 2 *", "2024-03-01T00:00:00Z", &["2028-02-29T00:00:00Z", "2028-02-29T00:01:00Z"]);
}

#[test]
fn what_is_no_timetable_is_refused() {
    assert!(matches!(Timetable::new("0 0 30 2 *", "UTC"), Err(TimetableError::Cron { .. })));
    let error = Timetable::new("0 0 * * *", "Europe/Berln").unwrap_err().to_string();
    assert_eq!(error, "there is no time zone `Europe/Berln`: use an IANA name, such as Europe/Berlin");
}

#[test]
fn every_zone_of_the_database_can_be_used() {
    let names = zone_names();
    assert!(names.len() > 400 && names.is_sorted(), "{} zones", names.len());
    for name in names {
        let table = Timetable::new("30 2 * * *", &name).unwrap();
        assert!(table.next_after(at("2024-06-01T00:00:00Z")).is_some(), "{name}");
    }
}
