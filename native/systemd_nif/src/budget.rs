//! Limits how much of its terms a call may read.

use rustler::Term;
use systemd_core::{Message, Rejected};

/// The remaining budget. Each element of a list or a map costs a cell or more, and each text costs its bytes. The cost
/// is deducted before the element or the text is read.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    cells: usize,
    bytes: usize,
}

impl Budget {
    /// More than any message to systemd can hold.
    pub const MESSAGE: Self = Self { cells: 8 * 1024, bytes: 2 * Message::LONGEST };
    /// Takes a normal scheduler well below a millisecond.
    pub const NORMAL: Self = Self { cells: 8 * 1024, bytes: 64 * 1024 };
    /// For the configuration of a handler. An entry can't have this many fields.
    pub const HANDLER: Self = Self { cells: 16 * 1024, bytes: 64 * 1024 };
    /// No limit, for dirty schedulers.
    pub const NONE: Self = Self { cells: usize::MAX, bytes: usize::MAX };
    /// The cells for an element that is looked up by a name or gets one, because that takes longer.
    pub const NAMED: usize = 16;

    pub fn cells(&mut self, cells: usize) -> Result<(), Rejected> {
        self.cells = self.cells.checked_sub(cells).ok_or(Rejected::TooLong)?;
        Ok(())
    }

    pub fn bytes(&mut self, bytes: usize) -> Result<(), Rejected> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or(Rejected::TooLong)?;
        Ok(())
    }

    /// The elements of a proper list. Rustler's own iterator panics at the end of an improper one.
    pub fn list<'a>(&mut self, list: Term<'a>) -> Result<Vec<Term<'a>>, Rejected> {
        let mut elements = Vec::new();
        let mut rest = list;
        while let Ok((head, tail)) = rest.list_get_cell() {
            self.cells(1)?;
            elements.push(head);
            rest = tail;
        }
        if rest.is_empty_list() { Ok(elements) } else { Err(Rejected::InvalidValue) }
    }
}
