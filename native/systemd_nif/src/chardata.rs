//! `unicode:chardata()` and atoms as bytes.

use rustler::{Atom, Binary, Term, TermType};
use std::borrow::Cow;

/// Why a term is no text.
#[derive(Debug, PartialEq, Eq)]
pub enum NotText {
    /// It isn't chardata.
    Invalid,
    /// It is beyond the [`Limit`].
    TooLong,
}

/// How much of a term a scheduler can be asked to read.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    cells: usize,
    bytes: usize,
}

impl Limit {
    /// More than any message to the manager can hold.
    const MESSAGE: Self = Self { cells: 16 * 1024, bytes: systemd_core::Message::LONGEST };
    /// What takes a normal scheduler well below a millisecond.
    pub const NORMAL: Self = Self { cells: 16 * 1024, bytes: 64 * 1024 };
    /// For dirty schedulers.
    pub const NONE: Self = Self { cells: usize::MAX, bytes: usize::MAX };

    /// Whether so many bytes are not beyond it.
    pub fn allows(self, bytes: usize) -> bool {
        bytes <= self.bytes
    }

    /// Whether so many elements of a list are not beyond it.
    pub fn allows_cells(self, cells: usize) -> bool {
        cells <= self.cells
    }
}

/// A binary as it is, a list flattened. Code points become UTF-8.
pub fn text<'a>(term: Term<'a>) -> Result<Cow<'a, [u8]>, NotText> {
    match term.get_type() {
        TermType::Binary => binary(term).map(Cow::Borrowed),
        _ => {
            let mut bytes = Vec::new();
            append(&mut bytes, term, Limit::MESSAGE)?;
            Ok(Cow::Owned(bytes))
        }
    }
}

/// The name of an atom, or what [`text`] takes.
pub fn text_or_atom<'a>(term: Term<'a>) -> Result<Cow<'a, [u8]>, NotText> {
    if term.is_atom() {
        term.atom_to_string().map(|name| name.into_bytes().into()).map_err(|_| NotText::Invalid)
    } else {
        text(term)
    }
}

/// Appends a binary or a list.
pub fn append(bytes: &mut Vec<u8>, term: Term<'_>, limit: Limit) -> Result<(), NotText> {
    match term.get_type() {
        TermType::Binary => append_binary(bytes, term, limit),
        TermType::List => append_list(bytes, term, limit),
        _ => Err(NotText::Invalid),
    }
}

fn append_binary(bytes: &mut Vec<u8>, term: Term<'_>, limit: Limit) -> Result<(), NotText> {
    let binary = binary(term)?;
    if binary.len() > limit.bytes {
        return Err(NotText::TooLong);
    }
    bytes.extend_from_slice(binary);
    Ok(())
}

fn append_list(bytes: &mut Vec<u8>, list: Term<'_>, limit: Limit) -> Result<(), NotText> {
    let start = bytes.len();
    let mut rests = Vec::new();
    let mut rest = list;
    let mut cells = 0;
    loop {
        match rest.list_get_cell() {
            Ok((head, tail)) => {
                cells += 1;
                if cells > limit.cells || bytes.len() - start > limit.bytes {
                    return Err(NotText::TooLong);
                }
                rest = tail;
                if let Ok(point) = head.decode::<u32>() {
                    append_char(bytes, point)?;
                } else if head.is_binary() {
                    append_binary(bytes, head, limit)?;
                } else {
                    rests.push(rest);
                    rest = head;
                }
            }
            Err(_) => {
                if rest.is_binary() {
                    append_binary(bytes, rest, limit)?;
                } else if !rest.is_empty_list() {
                    return Err(NotText::Invalid);
                }
                match rests.pop() {
                    Some(outer) => rest = outer,
                    None => return Ok(()),
                }
            }
        }
    }
}

/// As `io_lib:printable_unicode_list/1` has it.
pub fn is_printable(point: u32) -> bool {
    matches!(
        point,
        0x20..=0x7e | 0x8..=0xd | 0x1b | 0xa0..=0xd7ff | 0xe000..=0xfffd | 0x1_0000..=0x10_ffff
    )
}

pub fn append_char(bytes: &mut Vec<u8>, point: u32) -> Result<(), NotText> {
    if let Ok(byte @ ..0x80) = u8::try_from(point) {
        bytes.push(byte);
    } else {
        let point = char::from_u32(point).ok_or(NotText::Invalid)?;
        bytes.extend_from_slice(point.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Ok(())
}

pub fn binary(term: Term<'_>) -> Result<&[u8], NotText> {
    let binary: Binary<'_> = term.decode().map_err(|_| NotText::Invalid)?;
    Ok(binary.as_slice())
}

/// True for the atom of that name.
pub fn is_atom(term: Term<'_>, atom: Atom) -> bool {
    atom == term
}
