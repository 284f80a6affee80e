//! `unicode:chardata()` and atoms as bytes.

use rustler::{Atom, Binary, Term, TermType};
use std::borrow::Cow;

/// Why a term is no text.
#[derive(Debug, PartialEq, Eq)]
pub enum NotText {
    /// It isn't chardata.
    Invalid,
    /// It has more than [`MOST_CELLS`] list cells or [`MOST_BYTES`] bytes.
    TooLong,
}

/// More than any message can hold, and little enough for a normal scheduler.
const MOST_CELLS: usize = 16 * 1024;
const MOST_BYTES: usize = systemd_core::Message::LONGEST;

/// A binary as it is, a list flattened. Code points become UTF-8.
pub fn text<'a>(term: Term<'a>) -> Result<Cow<'a, [u8]>, NotText> {
    match term.get_type() {
        TermType::Binary => binary(term).map(Cow::Borrowed),
        TermType::List => flatten(term).map(Cow::Owned),
        _ => Err(NotText::Invalid),
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

fn binary(term: Term<'_>) -> Result<&[u8], NotText> {
    let binary: Binary<'_> = term.decode().map_err(|_| NotText::Invalid)?;
    Ok(binary.as_slice())
}

fn flatten(list: Term<'_>) -> Result<Vec<u8>, NotText> {
    let mut bytes = Vec::new();
    let mut todo = vec![list];
    let mut cells = 0;
    while let Some(term) = todo.pop() {
        match term.get_type() {
            TermType::List => {
                cells += 1;
                if cells > MOST_CELLS {
                    return Err(NotText::TooLong);
                }
                if let Ok((head, tail)) = term.list_get_cell() {
                    todo.push(tail);
                    todo.push(head);
                }
            }
            TermType::Binary => bytes.extend_from_slice(binary(term)?),
            TermType::Integer => {
                let point =
                    term.decode().ok().and_then(char::from_u32).ok_or(NotText::Invalid)?;
                bytes.extend_from_slice(point.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => return Err(NotText::Invalid),
        }
        if bytes.len() > MOST_BYTES {
            return Err(NotText::TooLong);
        }
    }
    Ok(bytes)
}

/// True for the atom of that name.
pub fn is_atom(term: Term<'_>, atom: Atom) -> bool {
    atom == term
}
