//! Converts `unicode:chardata()` and atoms to bytes.

use crate::budget::Budget;
use rustler::{Atom, Binary, Term, TermType};
use std::borrow::Cow;
use systemd_core::Rejected;

/// Returns a binary unchanged, and flattens a list. Code points become UTF-8.
pub fn text<'a>(term: Term<'a>, budget: &mut Budget) -> Result<Cow<'a, [u8]>, Rejected> {
    match term.get_type() {
        TermType::Binary => binary(term, budget).map(Cow::Borrowed),
        _ => {
            let mut bytes = Vec::new();
            append(&mut bytes, term, budget)?;
            Ok(Cow::Owned(bytes))
        }
    }
}

/// The name of an atom, or the [`text`] of any other term.
pub fn text_or_atom<'a>(term: Term<'a>, budget: &mut Budget) -> Result<Cow<'a, [u8]>, Rejected> {
    if term.is_atom() {
        let name = term.atom_to_string().map_err(|_| Rejected::InvalidValue)?;
        Ok(name.into_bytes().into())
    } else {
        text(term, budget)
    }
}

pub fn append(bytes: &mut Vec<u8>, term: Term<'_>, budget: &mut Budget) -> Result<(), Rejected> {
    match term.get_type() {
        TermType::Binary => {
            bytes.extend_from_slice(binary(term, budget)?);
            Ok(())
        }
        TermType::List => append_list(bytes, term, budget),
        _ => Err(Rejected::InvalidValue),
    }
}

fn append_list(bytes: &mut Vec<u8>, list: Term<'_>, budget: &mut Budget) -> Result<(), Rejected> {
    let mut rests = Vec::new();
    let mut rest = list;
    loop {
        match rest.list_get_cell() {
            Ok((head, tail)) => {
                budget.cells(1)?;
                rest = tail;
                if let Ok(point) = head.decode::<u32>() {
                    budget.bytes(1)?;
                    append_char(bytes, point)?;
                } else if head.is_binary() {
                    bytes.extend_from_slice(binary(head, budget)?);
                } else {
                    rests.push(rest);
                    rest = head;
                }
            }
            Err(_) => {
                if rest.is_binary() {
                    bytes.extend_from_slice(binary(rest, budget)?);
                } else if !rest.is_empty_list() {
                    return Err(Rejected::InvalidValue);
                }
                match rests.pop() {
                    Some(outer) => rest = outer,
                    None => return Ok(()),
                }
            }
        }
    }
}

/// Whether a code point is printable, by the rules of `io_lib:printable_unicode_list/1`.
pub fn is_printable(point: u32) -> bool {
    matches!(
        point,
        0x20..=0x7e | 0x8..=0xd | 0x1b | 0xa0..=0xd7ff | 0xe000..=0xfffd | 0x1_0000..=0x10_ffff
    )
}

pub fn append_char(bytes: &mut Vec<u8>, point: u32) -> Result<(), Rejected> {
    if let Ok(byte @ ..0x80) = u8::try_from(point) {
        bytes.push(byte);
    } else {
        let point = char::from_u32(point).ok_or(Rejected::InvalidValue)?;
        bytes.extend_from_slice(point.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Ok(())
}

pub fn binary<'a>(term: Term<'a>, budget: &mut Budget) -> Result<&'a [u8], Rejected> {
    let binary: Binary<'a> = term.decode().map_err(|_| Rejected::InvalidValue)?;
    budget.bytes(binary.len())?;
    Ok(binary.as_slice())
}

pub fn is_atom(term: Term<'_>, atom: Atom) -> bool {
    atom == term
}

/// Returns the value that is paired with the atom `term`.
pub fn choice<T, const N: usize>(term: Term<'_>, choices: [(Atom, T); N]) -> Option<T> {
    choices.into_iter().find_map(|(atom, choice)| is_atom(term, atom).then_some(choice))
}
