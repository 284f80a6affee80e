//! The texts of atoms and of the pids of this VM, which are asked for again and again.

use rustler::sys::ErlNifTerm;
use rustler::{LocalPid, Term, TermType};
use std::cell::RefCell;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

/// What a thread remembers at most.
const SLOTS: usize = 256;

/// By the term itself: such a term is one word, and means the same for as long as the VM runs. Each has
/// one place, which the last one that came there has, so that processes that come and go take no memory.
type Slot = Option<(ErlNifTerm, Box<[u8]>)>;

thread_local! {
    static TEXTS: RefCell<Box<[Slot]>> = RefCell::new((0..SLOTS).map(|_| None).collect());
}

/// Appends the name of an atom, or a pid as Erlang writes it. False for any other term, and for an
/// atom that the VM can't give.
pub fn append(bytes: &mut Vec<u8>, term: Term<'_>) -> bool {
    TEXTS.with(|texts| {
        let mut texts = texts.borrow_mut();
        let Some(slot) = texts.get_mut(slot_of(term.as_c_arg())) else { return false };
        match slot {
            Some((of, text)) if *of == term.as_c_arg() => bytes.extend_from_slice(text),
            _ => {
                let Some(text) = text(term) else { return false };
                bytes.extend_from_slice(&text);
                *slot = Some((term.as_c_arg(), text));
            }
        }
        true
    })
}

fn slot_of(word: ErlNifTerm) -> usize {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(word) as usize % SLOTS
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
