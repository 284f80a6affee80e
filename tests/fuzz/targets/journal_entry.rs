//! Entries of the journal: an independent reading of the native protocol, in
//! systemd-journald.service(8), gives back every field that was pushed, and nothing else.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use systemd_core::{Entry, FieldName};

#[derive(Arbitrary, Debug)]
enum Push<'a> {
    Value(&'a [u8], &'a [u8]),
    Failed(&'a [u8], &'a [u8]),
    Number(&'a [u8], i64),
    Time(&'a [u8], i64),
    Message(&'a [u8]),
}

fuzz_target!(|pushes: Vec<Push<'_>>| {
    let mut entry = Entry::default();
    let mut expected = Vec::new();
    for push in &pushes {
        push_to(&mut entry, push, &mut expected);
    }
    let mut fields = read(entry.as_bytes());
    assert_eq!(fields.len(), expected.len());
    for ((name, value), (pushed_name, pushed)) in fields.drain(..).zip(expected) {
        assert_eq!(name, pushed_name);
        assert!(is_a_name_that_journald_takes(&name));
        match pushed {
            Some(pushed) => assert_eq!(value, pushed),
            None => assert!(is_rfc_3339(&value), "{:?}", String::from_utf8_lossy(&value)),
        }
    }
});

/// The value is `None` for a time.
type Expected = Vec<(Vec<u8>, Option<Vec<u8>>)>;

fn push_to(entry: &mut Entry, push: &Push<'_>, expected: &mut Expected) {
    let mut expect = |name: &FieldName, value| expected.push((name.as_bytes().to_vec(), value));
    match *push {
        Push::Value(name, value) => {
            let name = FieldName::from_any(name);
            entry.push(&name, value);
            if !value.is_empty() {
                expect(&name, Some(value.to_vec()));
            }
        }
        Push::Failed(name, value) => {
            let failed = entry.push_with(&FieldName::from_any(name), |bytes| {
                bytes.extend_from_slice(value);
                Err(())
            });
            assert_eq!(failed, Err(()));
        }
        Push::Number(name, number) => {
            let name = FieldName::from_any(name);
            entry.push_number(&name, number);
            expect(&name, Some(number.to_string().into_bytes()));
        }
        Push::Time(name, usec) => {
            let name = FieldName::from_any(name);
            entry.push_time(&name, usec);
            expect(&name, None);
        }
        Push::Message(text) => {
            let pushed = entry.push_message::<()>(|bytes| {
                bytes.extend_from_slice(text);
                Ok(())
            });
            assert_eq!(pushed, Ok(()));
            let end = text.iter().rposition(|&byte| byte != b'\n').map_or(0, |last| last + 1);
            expected.push((b"MESSAGE".to_vec(), Some(text[..end].to_vec())));
        }
    }
}

/// Either `NAME=value` and a line break, or `NAME`, a line break, the length of the value in 64 bits,
/// little endian, the value, and a line break.
fn read(bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut fields = Vec::new();
    let mut rest = bytes.iter().copied();
    loop {
        let mut line: Vec<u8> = rest.by_ref().take_while(|&byte| byte != b'\n').collect();
        if line.is_empty() && rest.len() == 0 {
            return fields;
        }
        if let Some(equals) = line.iter().position(|&byte| byte == b'=') {
            let value = line.split_off(equals + 1);
            line.pop();
            fields.push((line, value));
        } else {
            let length = (0..8).fold(0, |length, byte| {
                length | usize::from(rest.next().expect("a length")) << (8 * byte)
            });
            let value: Vec<u8> = rest.by_ref().take(length).collect();
            assert_eq!(value.len(), length);
            assert_eq!(rest.next(), Some(b'\n'));
            fields.push((line, value));
        }
    }
}

fn is_a_name_that_journald_takes(name: &[u8]) -> bool {
    let legal = |&byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    name.len() <= 64 && name.first().is_some_and(u8::is_ascii_uppercase) && name.iter().all(legal)
}

/// As `1970-01-01T00:00:00.000000Z`, a year of more digits or before the year 0 aside.
fn is_rfc_3339(value: &[u8]) -> bool {
    let shape: String = value
        .iter()
        .map(|byte| if byte.is_ascii_digit() { '0' } else { *byte as char })
        .collect();
    let year = shape.strip_suffix("-00-00T00:00:00.000000Z");
    year.is_some_and(|year| year.trim_start_matches(['-', '+']).len() >= 4)
}
