//! Lists whose end nobody has looked at yet.

use rustler::Term;

/// The elements of a proper list. Rustler's own iterator panics at the end of an improper one.
pub fn proper(list: Term<'_>) -> Option<Vec<Term<'_>>> {
    let mut elements = Vec::new();
    let mut rest = list;
    while let Ok((head, tail)) = rest.list_get_cell() {
        elements.push(head);
        rest = tail;
    }
    rest.is_empty_list().then_some(elements)
}
