//! YAML with the place of every value, so that whatever is wrong with a document is
//! said with line and column, also what is found long after it was read.
//!
//! Scalars keep their text until a type is asked for: `version: 1.10` is the text
//! "1.10" where a text is wanted. Tags and merge keys mean nothing here; anchors and
//! aliases work, within a bound.

mod decode;

pub(crate) use decode::{decode, decode_without};

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, options};
use std::collections::{HashMap, HashSet};
use std::fmt;

/// Values of one file, those that aliases repeat included.
const NODES_MAX: usize = 100_000;

/// Where something stands in a text; both count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Place {
    pub(crate) const START: Place = Place { line: 1, column: 1 };
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.line, self.column)
    }
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) place: Place,
    pub(crate) reason: String,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Plain ones are numbers, booleans and nothing as well as texts.
    Scalar {
        text: String,
        is_plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key, where it stands, and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) place: Place,
    pub(crate) key: String,
    pub(crate) node: Node,
}

impl Node {
    /// The value of a key.
    pub(crate) fn field(&self, key: &str) -> Option<&Node> {
        self.entries()
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.node)
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Where a JSON pointer leads, as far as it leads.
    pub(crate) fn place_of(&self, pointer: &str) -> Place {
        let mut node = self;
        for part in pointer.split('/').skip(1) {
            let key = part.replace("~1", "/").replace("~0", "~");
            let next = match &node.value {
                Value::List(items) => key.parse().ok().and_then(|at: usize| items.get(at)),
                _ => node.field(&key),
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node.place
    }
}

/// The documents in a text; those that hold nothing are left out.
pub(crate) fn parse(text: &str) -> Result<Vec<Node>, Flaw> {
    let options = options! { emit_comments: false };
    let mut reader = Reader {
        events: Parser::new_from_str_with_options(text, options),
        anchors: HashMap::new(),
        nodes_left: NODES_MAX,
        place: Place::START,
    };
    let mut documents = Vec::new();
    while let Some((event, place)) = reader.next()? {
        match event {
            Event::DocumentStart(..) => reader.anchors.clear(),
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            event => {
                let node = reader.node(event, place)?;
                if !node.is_nothing() {
                    documents.push(node);
                }
            }
        }
    }
    Ok(documents)
}

struct Reader<Events> {
    events: Events,
    anchors: HashMap<usize, Node>,
    nodes_left: usize,
    place: Place,
}

impl<'a, Events: Iterator<Item = Result<(Event<'a>, Span), ScanError>>> Reader<Events> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Place)>, Flaw> {
        match self.events.next() {
            None => Ok(None),
            Some(Ok((event, span))) => {
                self.place = Place {
                    line: span.start.line(),
                    column: span.start.col() + 1,
                };
                Ok(Some((event, self.place)))
            }
            Some(Err(error)) => Err(Flaw {
                place: Place {
                    line: error.marker().line(),
                    column: error.marker().col() + 1,
                },
                reason: format!("this is not YAML: {}", error.info()),
            }),
        }
    }

    fn inner(&mut self) -> Result<(Event<'a>, Place), Flaw> {
        let ends = Flaw {
            place: self.place,
            reason: "this is not YAML: the text ends too early".to_owned(),
        };
        self.next()?.ok_or(ends)
    }

    fn count(&mut self, nodes: usize, place: Place) -> Result<(), Flaw> {
        let left = self.nodes_left.checked_sub(nodes).ok_or_else(|| Flaw {
            place,
            reason: format!("a file may hold {NODES_MAX} values, repeated ones included"),
        })?;
        self.nodes_left = left;
        Ok(())
    }

    fn node(&mut self, event: Event<'a>, place: Place) -> Result<Node, Flaw> {
        let flaw = |reason: &str| {
            Err(Flaw {
                place,
                reason: reason.to_owned(),
            })
        };
        let (value, anchor) = match event {
            Event::Scalar(.., Some(_))
            | Event::SequenceStart(.., Some(_))
            | Event::MappingStart(.., Some(_)) => return flaw("tags (!x) mean nothing here"),
            Event::Scalar(text, style, anchor, None) => {
                let value = Value::Scalar {
                    text: text.into_owned(),
                    is_plain: style == ScalarStyle::Plain,
                };
                (value, anchor)
            }
            Event::SequenceStart(_, anchor, None) => (self.list()?, anchor),
            Event::MappingStart(_, anchor, None) => (self.map()?, anchor),
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return flaw("this alias names what it stands in");
                };
                self.count(size(&node), place)?;
                return Ok(node);
            }
            _ => return flaw("a value is missing"),
        };
        self.count(1, place)?;
        let node = Node { place, value };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self) -> Result<Value, Flaw> {
        let mut items = Vec::new();
        loop {
            match self.inner()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, place) => items.push(self.node(event, place)?),
            }
        }
    }

    fn map(&mut self) -> Result<Value, Flaw> {
        let (mut entries, mut keys) = (Vec::new(), HashSet::new());
        loop {
            let (event, place) = self.inner()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(Value::Map(entries));
            }
            let Value::Scalar { text: key, .. } = self.node(event, place)?.value else {
                let reason = "a key must be a text".to_owned();
                return Err(Flaw { place, reason });
            };
            if !keys.insert(key.clone()) {
                let reason = format!("{key} is there twice");
                return Err(Flaw { place, reason });
            }
            let (event, value_place) = self.inner()?;
            let node = self.node(event, value_place)?;
            entries.push(Entry { place, key, node });
        }
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::Scalar { .. } => 0,
        Value::List(items) => items.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|entry| 1 + size(&entry.node)).sum(),
    }
}

#[cfg(test)]
mod tests;
