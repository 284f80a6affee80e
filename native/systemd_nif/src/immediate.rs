//! A cache of the texts of atoms and of this VM's pids, which are needed again and again.

use rustler::sys::ErlNifTerm;
use rustler::{LocalPid, Term, TermType};
use std::cell::RefCell;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

/// The number of texts that a thread caches.
const SLOTS: usize = 256;

/// The key is the term itself: it is one word, and means the same for as long as the VM runs. Each term has one slot,
/// and replaces the term that was there before. So the memory does not grow with the number of processes.
type Slot = Option<(ErlNifTerm, Box<[u8]>)>;

thread_local! {
    static TEXTS: RefCell<Box<[Slot]>> = RefCell::new((0..SLOTS).map(|_| None).collect());
}

/// Appends the name of an atom, or a pid as Erlang writes it. Returns false for any other term, and for an atom whose
/// name can't be read.
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
