//! Writes terms as values of journal fields.

use crate::budget::Budget;
use crate::chardata::{self, is_printable};
use crate::immediate;
use rustler::{Term, TermType};
use std::io::Write;
use systemd_core::Rejected;

mod atoms {
    rustler::atoms! { undefined, nil }
}

/// Appends a term in a form for people: text unchanged, numbers and pids as Erlang writes them, modules as their
/// language writes them. Text is a binary in UTF-8 or a non-empty list of code points, and all of it is printable.
/// Appends nothing for `undefined` and `nil`. A compound term is an invalid value: `io_lib` formats those.
pub fn append(bytes: &mut Vec<u8>, term: Term<'_>, budget: &mut Budget) -> Result<(), Rejected> {
    match term.get_type() {
        TermType::Atom => append_atom(bytes, term),
        TermType::Integer => {
            let number: i64 = term.decode().map_err(|_| Rejected::InvalidValue)?;
            append_display(bytes, format_args!("{number}"))
        }
        TermType::Float => {
            let number: f64 = term.decode().map_err(|_| Rejected::InvalidValue)?;
            append_display(bytes, format_args!("{number:?}"))
        }
        TermType::Pid if immediate::append(bytes, term) => Ok(()),
        TermType::Pid | TermType::Port | TermType::Ref | TermType::Fun => {
            append_display(bytes, format_args!("{term:?}"))
        }
        TermType::Binary => append_binary(bytes, term, budget),
        TermType::List => append_string(bytes, term, budget),
        _ => Err(Rejected::InvalidValue),
    }
}

fn append_display(bytes: &mut Vec<u8>, display: std::fmt::Arguments<'_>) -> Result<(), Rejected> {
    bytes.write_fmt(display).map_err(|_| Rejected::InvalidValue)
}

fn append_atom(bytes: &mut Vec<u8>, term: Term<'_>) -> Result<(), Rejected> {
    if atoms::undefined() == term || atoms::nil() == term {
        return Ok(());
    }
    append_name(bytes, term).map(drop)
}

/// Appends the name of an atom. Elixir modules are written as in Elixir. Returns whether the atom is one.
fn append_name(bytes: &mut Vec<u8>, atom: Term<'_>) -> Result<bool, Rejected> {
    let start = bytes.len();
    if !immediate::append(bytes, atom) {
        return Err(Rejected::InvalidValue);
    }
    let of_elixir = bytes.get(start..).is_some_and(|name| name.starts_with(ELIXIR));
    if of_elixir {
        bytes.drain(start..start + ELIXIR.len());
    }
    Ok(of_elixir)
}

const ELIXIR: &[u8] = b"Elixir.";

fn append_binary(
    bytes: &mut Vec<u8>,
    term: Term<'_>,
    budget: &mut Budget,
) -> Result<(), Rejected> {
    let binary = chardata::binary(term, budget)?;
    let is_ascii = binary.iter().all(|&byte| byte < 0x80 && is_printable(byte.into()));
    let is_text = |text: &str| text.chars().all(|char| is_printable(char.into()));
    if is_ascii || std::str::from_utf8(binary).is_ok_and(is_text) {
        bytes.extend_from_slice(binary);
        Ok(())
    } else {
        Err(Rejected::InvalidValue)
    }
}

/// Appends a string. If the list is not text, the caller must remove what was appended.
fn append_string(
    bytes: &mut Vec<u8>,
    list: Term<'_>,
    budget: &mut Budget,
) -> Result<(), Rejected> {
    let mut rest = list;
    while let Ok((head, tail)) = rest.list_get_cell() {
        budget.cells(1)?;
        match head.decode() {
            Ok(point) if is_printable(point) => chardata::append_char(bytes, point)?,
            _ => return Err(Rejected::InvalidValue),
        }
        rest = tail;
    }
    let is_text = rest.is_empty_list() && !list.is_empty_list();
    if is_text { Ok(()) } else { Err(Rejected::InvalidValue) }
}

/// Appends a list of atoms, joined with dots.
pub fn append_path(
    bytes: &mut Vec<u8>,
    list: Term<'_>,
    budget: &mut Budget,
) -> Result<(), Rejected> {
    let start = bytes.len();
    for atom in budget.list(list)? {
        budget.cells(Budget::NAMED)?;
        if bytes.len() > start {
            bytes.push(b'.');
        }
        if !atom.is_atom() {
            return Err(Rejected::InvalidValue);
        }
        append_atom(bytes, atom)?;
    }
    Ok(())
}

/// Appends `{M, F, A}` in the syntax of the module's language.
pub fn append_function(bytes: &mut Vec<u8>, tuple: Term<'_>) -> Result<(), Rejected> {
    let (module, function, arity): (Term<'_>, Term<'_>, u32) =
        tuple.decode().map_err(|_| Rejected::InvalidValue)?;
    if !module.is_atom() || !function.is_atom() {
        return Err(Rejected::InvalidValue);
    }
    let of_elixir = append_name(bytes, module)?;
    bytes.push(if of_elixir { b'.' } else { b':' });
    append_name(bytes, function)?;
    append_display(bytes, format_args!("/{arity}"))
}
