//! The texts of atoms and of the pids of this VM, which are asked for again and again.

use rustler::sys::ErlNifTerm;
use rustler::{LocalPid, Term, TermType};
use std::cell::RefCell;
use std::collections::HashMap;

/// What a thread remembers at most.
const MOST: usize = 1024;

thread_local! {
    /// By the term itself: such a term is one word, and means the same for as long as the VM runs.
    static TEXTS: RefCell<HashMap<ErlNifTerm, Box<[u8]>>> = RefCell::default();
}

/// Appends the name of an atom, or a pid as Erlang writes it. False for any other term, and for an
/// atom that the VM can't give.
pub fn append(bytes: &mut Vec<u8>, term: Term<'_>) -> bool {
    TEXTS.with(|texts| {
        let mut texts = texts.borrow_mut();
        if let Some(text) = texts.get(&term.as_c_arg()) {
            bytes.extend_from_slice(text);
            return true;
        }
        let Some(text) = text(term) else { return false };
        bytes.extend_from_slice(&text);
        if texts.len() == MOST {
            texts.clear();
        }
        texts.insert(term.as_c_arg(), text);
        true
    })
}

fn text(term: Term<'_>) -> Option<Box<[u8]>> {
    match term.get_type() {
        TermType::Atom => Some(term.atom_to_string().ok()?.into_bytes().into()),
        TermType::Pid => {
            term.decode::<LocalPid>().ok()?;
            Some(format!("{term:?}").into_bytes().into())
        }
        _ => None,
    }
}
