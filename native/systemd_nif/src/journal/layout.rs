//! Encodes an event of `logger` as an entry with fields.

use super::value;
use crate::budget::Budget;
use crate::chardata::{self, choice, is_atom};
use rustler::{Atom, Binary, Decoder, Encoder, MapIterator, NifResult, Term, TermType};
use std::borrow::Cow;
use std::iter;
use systemd_core::{Entry, FieldName, Rejected};

mod atoms {
    rustler::atoms! {
        level, priority, time, literal, all, scalars,
        emergency, alert, critical, error, warning, notice, info, debug,
        // functions, and a list of atoms, in the metadata
        mfa, initial_call, domain,
        // metadata for the internal use of logger
        gl, report_cb, error_logger, erl_level, crash_reason, logger_formatter,
    }
}

/// The options `fields` and `metadata` of a handler, prepared for many events.
pub struct Layout {
    fields: Vec<(FieldName, Source)>,
    rest: Option<Rest>,
}

/// For `metadata => all | scalars`.
struct Rest {
    /// The keys that have fields of their own, or get none.
    left_out: Vec<Atom>,
    /// Whether to include only numbers, atoms, pids, ports, references and text.
    scalars: bool,
}

enum Source {
    Literal(Vec<u8>),
    Level,
    Priority,
    Time,
    /// A key of the metadata, or a path through maps in it.
    Metadata(Vec<Atom>),
}

/// A formatted event of `logger`.
pub struct Event<'a> {
    level: Term<'a>,
    metadata: Term<'a>,
    message: Term<'a>,
    /// `[{Name, Value}]`, both binaries.
    more: Term<'a>,
}

impl<'a> Decoder<'a> for Event<'a> {
    fn decode(term: Term<'a>) -> NifResult<Self> {
        let (level, metadata, message, more) = term.decode()?;
        Ok(Self { level, metadata, message, more })
    }
}

/// Why an event can't be encoded.
pub enum NotEncoded<'a> {
    /// The values at these paths in the metadata must be formatted first.
    Compound(Vec<Vec<Term<'a>>>),
    /// The event exceeds the budget.
    TooLong,
    /// The message is not chardata.
    InvalidMessage,
    /// journald would not accept the entry.
    TooLarge,
    /// The term is not an event.
    NoEvent,
}

impl Layout {
    /// Decodes `[{Name, level | priority | time | {literal, Binary} | [Metakey]}]` and `all | scalars | [Metakey]`. The
    /// Erlang side has checked both.
    pub fn new(fields: Term<'_>, metadata: Term<'_>) -> Option<Self> {
        let (mut layout, mut budget) = (Self { fields: Vec::new(), rest: None }, Budget::HANDLER);
        for field in budget.list(fields).ok()? {
            let (name, source): (Binary<'_>, Term<'_>) = field.decode().ok()?;
            let name = FieldName::parse(name.as_slice())?;
            layout.fields.push((name, Source::new(source, &mut budget)?));
        }
        let scalars = is_atom(metadata, atoms::scalars());
        if scalars || is_atom(metadata, atoms::all()) {
            let own = layout.fields.iter().filter_map(|(_, source)| match source {
                Source::Metadata(path) if path.len() == 1 => path.first().copied(),
                _ => None,
            });
            let left_out = logger_keys().into_iter().chain(own).collect();
            layout.rest = Some(Rest { left_out, scalars });
            return Some(layout);
        }
        for key in budget.list(metadata).ok()? {
            budget.cells(Budget::NAMED).ok()?;
            let atom = Atom::from_term(key).ok()?;
            if !layout.has_own(atom) {
                let name = layout.free_name(&name_of(key, &mut budget).ok()?);
                layout.fields.push((name, Source::Metadata(vec![atom])));
            }
        }
        Some(layout)
    }

    /// Encodes an event. `texts` are the formatted compound values, in the order in which this function meets them: the
    /// answer to [`NotEncoded::Compound`].
    pub fn entry<'a>(
        &self,
        event: &Event<'a>,
        texts: Term<'a>,
        budget: Budget,
    ) -> Result<Entry, NotEncoded<'a>> {
        let mut values =
            Values { entry: Entry::with_capacity(1024), budget, texts, compound: Vec::new() };
        let Values { entry, budget, .. } = &mut values;
        let message = |bytes: &mut _| chardata::append(bytes, event.message, budget);
        entry.push_message(message).map_err(|rejected| match rejected {
            Rejected::InvalidValue => NotEncoded::InvalidMessage,
            Rejected::TooLong => NotEncoded::TooLong,
        })?;
        for (name, source) in &self.fields {
            values.spend()?;
            let entry = &mut values.entry;
            match source {
                Source::Literal(value) => {
                    values.budget.bytes(value.len())?;
                    entry.push(name, value);
                }
                Source::Level => {
                    let _ = entry.push_with(name, |bytes| {
                        value::append(bytes, event.level, &mut values.budget)
                    });
                }
                Source::Priority => {
                    let priority = priority(event.level).ok_or(NotEncoded::NoEvent)?;
                    entry.push_number(name, priority);
                }
                Source::Time => {
                    if let Some(usec) = time(event.metadata) {
                        entry.push_time(name, usec);
                    }
                }
                Source::Metadata(path) => {
                    if let Some(value) = at_path(event.metadata, path) {
                        let keys = path.iter().map(|key| key.to_term(value.get_env()));
                        values.push(name, value, keys, false)?;
                    }
                }
            }
        }
        for field in values.budget.list(event.more)? {
            values.spend()?;
            let (name, value): (Term<'a>, Term<'a>) =
                field.decode().map_err(|_| NotEncoded::NoEvent)?;
            let budget = &mut values.budget;
            let (name, value) =
                (chardata::binary(name, budget)?, chardata::binary(value, budget)?);
            values.entry.push(&self.free_name(name), value);
        }
        if let Some(Rest { left_out, scalars }) = &self.rest {
            let metadata = MapIterator::new(event.metadata).ok_or(NotEncoded::NoEvent)?;
            for (key, value) in metadata {
                values.spend()?;
                // Each key is compared with the names of all fields.
                values.budget.cells(self.fields.len() / Budget::NAMED)?;
                if left_out.iter().any(|&atom| atom == key) {
                    continue;
                }
                match name_of(key, &mut values.budget) {
                    Ok(name) => {
                        let name = self.free_name(&name);
                        values.push(&name, value, iter::once(key), *scalars)?;
                    }
                    Err(Rejected::InvalidValue) => (),
                    Err(Rejected::TooLong) => return Err(NotEncoded::TooLong),
                }
            }
        }
        values.finish()
    }

    fn has_own(&self, key: Atom) -> bool {
        self.fields.iter().any(
            |(_, source)| matches!(source, Source::Metadata(path) if path.as_slice() == [key]),
        )
    }

    /// The name of the field for a key. If it is `MESSAGE`, or the name of a configured field, it gets the prefix `X_`:
    /// `priority` in the metadata is not the `PRIORITY=` of the entry.
    fn free_name(&self, key: &[u8]) -> FieldName {
        let name = FieldName::from_any(key);
        let taken =
            name.as_bytes() == b"MESSAGE" || self.fields.iter().any(|(own, _)| own == &name);
        if taken { FieldName::from_any(&[b"X_", key].concat()) } else { name }
    }
}

impl Source {
    fn new(source: Term<'_>, budget: &mut Budget) -> Option<Self> {
        if source.get_type() == TermType::List {
            let keys = budget.list(source).ok()?.into_iter();
            let path: Option<Vec<Atom>> = keys.map(|key| Atom::from_term(key).ok()).collect();
            return path.filter(|path| !path.is_empty()).map(Self::Metadata);
        }
        if let Ok((tag, value)) = source.decode::<(Term<'_>, Binary<'_>)>() {
            budget.bytes(value.len()).ok()?;
            return is_atom(tag, atoms::literal())
                .then(|| Self::Literal(value.as_slice().to_vec()));
        }
        choice(
            source,
            [
                (atoms::level(), Self::Level),
                (atoms::priority(), Self::Priority),
                (atoms::time(), Self::Time),
            ],
        )
    }
}

fn logger_keys() -> Vec<Atom> {
    vec![
        atoms::time(),
        atoms::gl(),
        atoms::report_cb(),
        atoms::error_logger(),
        atoms::erl_level(),
        atoms::crash_reason(),
        atoms::logger_formatter(),
    ]
}

/// An entry under construction.
struct Values<'a> {
    entry: Entry,
    budget: Budget,
    texts: Term<'a>,
    compound: Vec<Vec<Term<'a>>>,
}

impl<'a> Values<'a> {
    fn spend(&mut self) -> Result<(), Rejected> {
        self.budget.cells(Budget::NAMED)
    }

    fn push(
        &mut self,
        name: &FieldName,
        value: Term<'a>,
        path: impl DoubleEndedIterator<Item = Term<'a>> + Clone,
        only_scalars: bool,
    ) -> Result<(), NotEncoded<'a>> {
        let key = path.clone().next_back();
        let is_key = |atom| key.is_some_and(|key| is_atom(key, atom));
        if only_scalars && value.is_fun() {
            return Ok(());
        }
        let Self { entry, budget, texts, compound } = self;
        let written = entry.push_with(name, |bytes| {
            if value.is_tuple() && (is_key(atoms::mfa()) || is_key(atoms::initial_call())) {
                value::append_function(bytes, value)
            } else if value.is_list() && is_key(atoms::domain()) {
                value::append_path(bytes, value, budget)
            } else {
                value::append(bytes, value, budget)
            }
        });
        match written {
            Err(Rejected::TooLong) => return Err(NotEncoded::TooLong),
            Err(Rejected::InvalidValue) if only_scalars && !is_named_or_numbered(value) => (),
            Err(Rejected::InvalidValue) => match texts.list_get_cell() {
                Ok((text, rest)) => {
                    *texts = rest;
                    entry.push(name, chardata::binary(text, budget)?);
                }
                Err(_) => compound.push(path.collect()),
            },
            Ok(()) => (),
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Entry, NotEncoded<'a>> {
        if !self.compound.is_empty() {
            return Err(NotEncoded::Compound(self.compound));
        }
        self.entry.finish().map_err(|_| NotEncoded::TooLarge)?;
        Ok(self.entry)
    }
}

impl From<Rejected> for NotEncoded<'_> {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::InvalidValue => Self::NoEvent,
            Rejected::TooLong => Self::TooLong,
        }
    }
}

/// Whether a value is a scalar although this library can't always write it: a large integer, or an atom that is not
/// Latin-1.
fn is_named_or_numbered(value: Term<'_>) -> bool {
    value.is_integer() || value.is_atom()
}

/// The text of a key of the metadata. The key is an atom or text.
fn name_of(key: Term<'_>, budget: &mut Budget) -> Result<Vec<u8>, Rejected> {
    match chardata::text_or_atom(key, budget) {
        // Rustler can't read atoms that are not Latin-1.
        Err(_) if key.is_atom() => Ok(format!("{key:?}").into_bytes()),
        name => name.map(Cow::into_owned),
    }
}

fn at_path<'a>(metadata: Term<'a>, path: &[Atom]) -> Option<Term<'a>> {
    path.iter().try_fold(metadata, |map, key| map.map_get(key).ok())
}

fn time(metadata: Term<'_>) -> Option<i64> {
    metadata.map_get(atoms::time()).ok()?.decode().ok()
}

/// The number of a level in syslog(3).
fn priority(level: Term<'_>) -> Option<i64> {
    choice(
        level,
        [
            (atoms::info(), 6),
            (atoms::debug(), 7),
            (atoms::notice(), 5),
            (atoms::warning(), 4),
            (atoms::error(), 3),
            (atoms::critical(), 2),
            (atoms::alert(), 1),
            (atoms::emergency(), 0),
        ],
    )
}

impl Encoder for NotEncoded<'_> {
    fn encode<'b>(&self, env: rustler::Env<'b>) -> Term<'b> {
        match self {
            Self::Compound(paths) => (crate::atoms::format(), paths).encode(env),
            Self::TooLong => crate::atoms::again().encode(env),
            Self::InvalidMessage => {
                (crate::atoms::error(), crate::atoms::invalid_message()).encode(env)
            }
            Self::TooLarge => (crate::atoms::error(), crate::atoms::emsgsize()).encode(env),
            Self::NoEvent => (crate::atoms::error(), crate::atoms::badarg()).encode(env),
        }
    }
}
