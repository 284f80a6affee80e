//! Which fields an event of `logger` becomes.

use crate::chardata::{self, Limit, NotText, is_atom};
use crate::list::proper;
use crate::value::{self, NotWritten};
use rustler::{Atom, Binary, Encoder, MapIterator, Term, TermType};
use std::iter;
use systemd_core::{Entry, FieldName};

mod atoms {
    rustler::atoms! {
        level, priority, time, literal, all, scalars,
        emergency, alert, critical, error, warning, notice, info, debug,
        // functions, and a list of atoms, in the metadata
        mfa, initial_call, domain,
        // what logger keeps in the metadata for its own use
        gl, report_cb, error_logger, erl_level, crash_reason, logger_formatter,
    }
}

/// The `fields` and `metadata` of a handler, made ready for many events.
pub struct Layout {
    fields: Vec<(FieldName, Source)>,
    rest: Option<Rest>,
}

/// For `metadata => all | scalars`.
struct Rest {
    /// The keys that are fields of their own, or none.
    left_out: Vec<Atom>,
    /// Only numbers, atoms, pids, ports, references and text.
    scalars: bool,
}

enum Source {
    Literal(Vec<u8>),
    Level,
    Priority,
    Time,
    /// A key of the metadata, or the way through maps in it.
    Metadata(Vec<Atom>),
}

/// Why there is no layout, with the term to blame.
pub enum Invalid<'a> {
    /// No journal field can have this name.
    Name(Term<'a>),
    /// It is no list of fields.
    Fields(Term<'a>),
}

/// An event of `logger`, formatted.
pub struct Event<'a> {
    pub level: Term<'a>,
    pub metadata: Term<'a>,
    pub message: Term<'a>,
    /// `[{Name, Value}]`, both binaries.
    pub more: Term<'a>,
    /// The texts of the compound values, in the order in which they are come upon: an answer to
    /// [`NotEncoded::Compound`].
    pub texts: Term<'a>,
}

/// Why an event is no entry.
pub enum NotEncoded<'a> {
    /// The values under these paths in the metadata are to be formatted first.
    Compound(Vec<Vec<Term<'a>>>),
    /// It is beyond the limit of a normal scheduler.
    TooLong,
    /// The message is no chardata.
    InvalidMessage,
    /// journald would not take it.
    TooLarge,
    /// It is no event at all.
    NoEvent,
}

impl Layout {
    /// From `[{Name, level | priority | time | {literal, Binary} | [Metakey]}]` and
    /// `all | scalars | [Metakey]`.
    pub fn new<'a>(fields: Term<'a>, metadata: Term<'a>) -> Result<Self, Invalid<'a>> {
        let mut layout = Self { fields: Vec::new(), rest: None };
        for field in proper(fields).ok_or(Invalid::Fields(fields))? {
            let (name, source): (Term<'a>, Term<'a>) =
                field.decode().map_err(|_| Invalid::Fields(field))?;
            let valid = name
                .decode::<Binary<'a>>()
                .ok()
                .and_then(|name| FieldName::parse(name.as_slice()))
                .filter(|name| name.as_bytes() != b"MESSAGE")
                .ok_or(Invalid::Name(name))?;
            layout.fields.push((valid, Source::new(source).ok_or(Invalid::Fields(field))?));
        }
        let scalars = is_atom(metadata, atoms::scalars());
        if scalars || is_atom(metadata, atoms::all()) {
            let left_out = [logger_keys(), layout.own_keys()].concat();
            layout.rest = Some(Rest { left_out, scalars });
            return Ok(layout);
        }
        for key in proper(metadata).ok_or(Invalid::Fields(metadata))? {
            let atom = Atom::from_term(key).map_err(|_| Invalid::Fields(key))?;
            if !layout.own_keys().contains(&atom) {
                let name = layout.free_name(&name_of(key).ok_or(Invalid::Fields(key))?);
                layout.fields.push((name, Source::Metadata(vec![atom])));
            }
        }
        Ok(layout)
    }

    pub fn entry<'a>(&self, event: &Event<'a>, limit: Limit) -> Result<Entry, NotEncoded<'a>> {
        let mut entry = Entry::with_capacity(1024);
        entry.push_message(|bytes| chardata::append(bytes, event.message, limit)).map_err(
            |not_text| match not_text {
                NotText::Invalid => NotEncoded::InvalidMessage,
                NotText::TooLong => NotEncoded::TooLong,
            },
        )?;
        let mut values = Values { limit, texts: event.texts, compound: Vec::new() };
        for (name, source) in &self.fields {
            match source {
                Source::Literal(value) => entry.push(name, value),
                Source::Level => {
                    let _ =
                        entry.push_with(name, |bytes| value::append(bytes, event.level, limit));
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
                        values.push(&mut entry, name, value, keys, false)?;
                    }
                }
            }
        }
        for field in proper(event.more).ok_or(NotEncoded::NoEvent)? {
            let (name, value): (Binary<'a>, Binary<'a>) =
                field.decode().map_err(|_| NotEncoded::NoEvent)?;
            if !limit.allows(entry.as_bytes().len() + value.len()) {
                return Err(NotEncoded::TooLong);
            }
            entry.push(&self.free_name(name.as_slice()), value.as_slice());
        }
        if let Some(Rest { left_out, scalars }) = &self.rest {
            let metadata = MapIterator::new(event.metadata).ok_or(NotEncoded::NoEvent)?;
            for (key, value) in metadata {
                if left_out.iter().any(|&atom| atom == key) {
                    continue;
                }
                if let Some(name) = name_of(key) {
                    let name = self.free_name(&name);
                    values.push(&mut entry, &name, value, iter::once(key), *scalars)?;
                }
            }
        }
        if values.compound.is_empty() {
            entry.finish().map_err(|_| NotEncoded::TooLarge)?;
            Ok(entry)
        } else {
            Err(NotEncoded::Compound(values.compound))
        }
    }

    /// The keys of the metadata that are fields of their own.
    fn own_keys(&self) -> Vec<Atom> {
        let own = self.fields.iter().filter_map(|(_, source)| match source {
            Source::Metadata(path) if path.len() == 1 => path.first().copied(),
            _ => None,
        });
        own.collect()
    }

    /// `priority` in the metadata is not the `PRIORITY=` of the entry.
    fn free_name(&self, key: &[u8]) -> FieldName {
        let name = FieldName::from_any(key);
        let taken =
            name.as_bytes() == b"MESSAGE" || self.fields.iter().any(|(own, _)| own == &name);
        if taken { FieldName::from_any(&[b"X_", key].concat()) } else { name }
    }
}

impl Source {
    fn new(source: Term<'_>) -> Option<Self> {
        if source.get_type() == TermType::List {
            let path: Option<Vec<Atom>> =
                proper(source)?.into_iter().map(|key| Atom::from_term(key).ok()).collect();
            return path.filter(|path| !path.is_empty()).map(Self::Metadata);
        }
        if let Ok((tag, value)) = source.decode::<(Term<'_>, Binary<'_>)>() {
            return is_atom(tag, atoms::literal())
                .then(|| Self::Literal(value.as_slice().to_vec()));
        }
        [
            (atoms::level(), Self::Level),
            (atoms::priority(), Self::Priority),
            (atoms::time(), Self::Time),
        ]
        .into_iter()
        .find_map(|(atom, known)| is_atom(source, atom).then_some(known))
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

/// The values of the metadata, on their way into an entry.
struct Values<'a> {
    limit: Limit,
    texts: Term<'a>,
    compound: Vec<Vec<Term<'a>>>,
}

impl<'a> Values<'a> {
    fn push(
        &mut self,
        entry: &mut Entry,
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
        let written = entry.push_with(name, |bytes| {
            if value.is_tuple() && (is_key(atoms::mfa()) || is_key(atoms::initial_call())) {
                value::append_function(bytes, value)
            } else if value.is_list() && is_key(atoms::domain()) {
                value::append_path(bytes, value, self.limit)
            } else {
                value::append(bytes, value, self.limit)
            }
        });
        match written {
            Err(NotWritten::TooLong) => return Err(NotEncoded::TooLong),
            Err(NotWritten::Compound) if only_scalars && !is_named_or_numbered(value) => (),
            Err(NotWritten::Compound) => match self.texts.list_get_cell() {
                Ok((text, rest)) => {
                    self.texts = rest;
                    let text: Binary<'a> = text.decode().map_err(|_| NotEncoded::NoEvent)?;
                    entry.push(name, text.as_slice());
                }
                Err(_) => self.compound.push(path.collect()),
            },
            Ok(()) => (),
        }
        if self.limit.allows(entry.as_bytes().len()) { Ok(()) } else { Err(NotEncoded::TooLong) }
    }
}

/// What the native library can't always write itself, and is a scalar.
fn is_named_or_numbered(value: Term<'_>) -> bool {
    value.is_integer() || value.is_atom()
}

/// The text of a key of the metadata, which is an atom or text.
fn name_of(key: Term<'_>) -> Option<Vec<u8>> {
    match chardata::text_or_atom(key) {
        Ok(name) => Some(name.into_owned()),
        // Rustler reads no atom that is not Latin-1.
        Err(_) => key.is_atom().then(|| format!("{key:?}").into_bytes()),
    }
}

fn at_path<'a>(metadata: Term<'a>, path: &[Atom]) -> Option<Term<'a>> {
    path.iter().try_fold(metadata, |map, key| map.map_get(key).ok())
}

fn time(metadata: Term<'_>) -> Option<i64> {
    metadata.map_get(atoms::time()).ok()?.decode().ok()
}

/// As syslog(3) numbers the levels.
fn priority(level: Term<'_>) -> Option<i64> {
    [
        (atoms::info(), 6),
        (atoms::debug(), 7),
        (atoms::notice(), 5),
        (atoms::warning(), 4),
        (atoms::error(), 3),
        (atoms::critical(), 2),
        (atoms::alert(), 1),
        (atoms::emergency(), 0),
    ]
    .into_iter()
    .find_map(|(atom, priority)| is_atom(level, atom).then_some(priority))
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
