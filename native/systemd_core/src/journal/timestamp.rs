//! Formats times as RFC 3339 does, in UTC.

const DAY: i64 = 24 * 60 * 60;

/// The time `usec` microseconds after the beginning of 1970, in the format of RFC 3339, in UTC.
pub fn rfc3339(usec: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes, usec);
    bytes
}

/// Appends the time `usec` microseconds after the beginning of 1970.
pub fn write(bytes: &mut Vec<u8>, usec: i64) {
    let (seconds, fraction) = (usec.div_euclid(1_000_000), usec.rem_euclid(1_000_000));
    let (year, month, day) = date(seconds.div_euclid(DAY));
    let second = seconds.rem_euclid(DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    for (number, digits, end) in [
        (year, 4, b'-'),
        (month, 2, b'-'),
        (day, 2, b'T'),
        (hour, 2, b':'),
        (minute, 2, b':'),
        (second, 2, b'.'),
        (fraction, 6, b'Z'),
    ] {
        push(bytes, number, digits);
        bytes.push(end);
    }
}

/// Appends the last `digits` digits of a number.
fn push(bytes: &mut Vec<u8>, number: i64, digits: u32) {
    let mut unit = 10_i64.pow(digits);
    let mut rest = number.unsigned_abs();
    while unit > 1 {
        rest %= unit.unsigned_abs();
        unit /= 10;
        let digit = rest / unit.unsigned_abs();
        bytes.push(b'0' + u8::try_from(digit).unwrap_or_default());
    }
}

/// The Gregorian date of a day counted from 1970. Years begin in March here, so that the leap
/// day is the last one, and the months before a given one have (153 * month + 2) / 5 days.
fn date(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next_year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(usec: i64) -> String {
        String::from_utf8(rfc3339(usec)).unwrap()
    }

    #[test]
    fn known_times() {
        for (usec, expected) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (951_868_800_000_000, "2000-03-01T00:00:00.000000Z"),
            (1_709_251_199_000_001, "2024-02-29T23:59:59.000001Z"),
            (1_795_516_652_731_929, "2026-11-24T10:37:32.731929Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(text(usec), expected);
        }
    }

    proptest! {
        #[test]
        fn days_follow_each_other(day in -1_000_000i64..1_000_000) {
            let (year, month, day_of_month) = date(day);
            let next = date(day + 1);
            prop_assert!((1..=12).contains(&month) && (1..=31).contains(&day_of_month));
            prop_assert!(
                next == (year, month, day_of_month + 1)
                    || next == (year, month + 1, 1)
                    || next == (year + 1, 1, 1)
            );
        }

        #[test]
        fn never_panics(usec: i64) {
            text(usec);
        }
    }
}
