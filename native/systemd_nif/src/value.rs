//! Any term as the value of a journal field.

use crate::chardata::{self, Limit, is_printable};
use crate::immediate;
use rustler::{Term, TermType};
use std::io::Write;

/// Why a term is not written here.
#[derive(Debug, PartialEq, Eq)]
pub enum NotWritten {
    /// It has parts, and `io_lib` knows how to write them.
    Compound,
    /// It is beyond the limit of a normal scheduler.
    TooLong,
}

mod atoms {
    rustler::atoms! { undefined, nil }
}

/// Appends what says the same to a human: text as it is, numbers and pids as Erlang writes them, modules as their
/// language does. Text is a binary in UTF-8 or a list of code points that is not empty, all of it printable.
/// Appends nothing for `undefined` and `nil`.
pub fn append(bytes: &mut Vec<u8>, term: Term<'_>, limit: Limit) -> Result<(), NotWritten> {
    match term.get_type() {
        TermType::Atom => append_atom(bytes, term),
        TermType::Integer => {
            let number: i64 = term.decode().map_err(|_| NotWritten::Compound)?;
            append_display(bytes, format_args!("{number}"))
        }
        TermType::Float => {
            let number: f64 = term.decode().map_err(|_| NotWritten::Compound)?;
            append_display(bytes, format_args!("{number:?}"))
        }
        TermType::Pid if immediate::append(bytes, term) => Ok(()),
        TermType::Pid | TermType::Port | TermType::Ref | TermType::Fun => {
            append_display(bytes, format_args!("{term:?}"))
        }
        TermType::Binary => append_binary(bytes, term, limit),
        TermType::List => append_string(bytes, term, limit),
        _ => Err(NotWritten::Compound),
    }
}

fn append_display(
    bytes: &mut Vec<u8>,
    display: std::fmt::Arguments<'_>,
) -> Result<(), NotWritten> {
    bytes.write_fmt(display).map_err(|_| NotWritten::Compound)
}

fn append_atom(bytes: &mut Vec<u8>, term: Term<'_>) -> Result<(), NotWritten> {
    if atoms::undefined() == term || atoms::nil() == term {
        return Ok(());
    }
    append_name(bytes, term).map(drop)
}

/// The name of an atom, of an Elixir module as Elixir writes it: which is what it returns.
fn append_name(bytes: &mut Vec<u8>, atom: Term<'_>) -> Result<bool, NotWritten> {
    let start = bytes.len();
    if !immediate::append(bytes, atom) {
        return Err(NotWritten::Compound);
    }
    let of_elixir = bytes.get(start..).is_some_and(|name| name.starts_with(ELIXIR));
    if of_elixir {
        bytes.drain(start..start + ELIXIR.len());
    }
    Ok(of_elixir)
}

const ELIXIR: &[u8] = b"Elixir.";

fn append_binary(bytes: &mut Vec<u8>, term: Term<'_>, limit: Limit) -> Result<(), NotWritten> {
    let binary = chardata::binary(term).map_err(|_| NotWritten::Compound)?;
    if !limit.allows(binary.len()) {
        return Err(NotWritten::TooLong);
    }
    let is_ascii = binary.iter().all(|&byte| byte < 0x80 && is_printable(byte.into()));
    let is_text = |text: &str| text.chars().all(|char| is_printable(char.into()));
    if is_ascii || std::str::from_utf8(binary).is_ok_and(is_text) {
        bytes.extend_from_slice(binary);
        Ok(())
    } else {
        Err(NotWritten::Compound)
    }
}

fn append_string(bytes: &mut Vec<u8>, list: Term<'_>, limit: Limit) -> Result<(), NotWritten> {
    let start = bytes.len();
    let mut rest = list;
    let mut cells = 0;
    while let Ok((head, tail)) = rest.list_get_cell() {
        cells += 1;
        let written = match head.decode() {
            _ if !limit.allows_cells(cells) => Err(NotWritten::TooLong),
            Ok(point) if is_printable(point) => {
                chardata::append_char(bytes, point).map_err(|_| NotWritten::Compound)
            }
            _ => Err(NotWritten::Compound),
        };
        if written.is_err() {
            bytes.truncate(start);
            return written;
        }
        rest = tail;
    }
    if rest.is_empty_list() && cells > 0 {
        Ok(())
    } else {
        bytes.truncate(start);
        Err(NotWritten::Compound)
    }
}

/// Appends a list of atoms, with dots.
pub fn append_path(bytes: &mut Vec<u8>, list: Term<'_>, limit: Limit) -> Result<(), NotWritten> {
    let start = bytes.len();
    let mut rest = list;
    while let Ok((head, tail)) = rest.list_get_cell() {
        if bytes.len() > start {
            bytes.push(b'.');
        }
        if !limit.allows(bytes.len() - start) {
            bytes.truncate(start);
            return Err(NotWritten::TooLong);
        }
        if !head.is_atom() || append_atom(bytes, head).is_err() {
            bytes.truncate(start);
            return Err(NotWritten::Compound);
        }
        rest = tail;
    }
    if rest.is_empty_list() {
        Ok(())
    } else {
        bytes.truncate(start);
        Err(NotWritten::Compound)
    }
}

/// Appends `{M, F, A}` as the module's language writes it.
pub fn append_function(bytes: &mut Vec<u8>, tuple: Term<'_>) -> Result<(), NotWritten> {
    let (module, function, arity): (Term<'_>, Term<'_>, u32) =
        tuple.decode().map_err(|_| NotWritten::Compound)?;
    if !module.is_atom() || !function.is_atom() {
        return Err(NotWritten::Compound);
    }
    let of_elixir = append_name(bytes, module)?;
    bytes.push(if of_elixir { b'.' } else { b':' });
    append_name(bytes, function)?;
    append_display(bytes, format_args!("/{arity}"))
}
