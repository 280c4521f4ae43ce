//! Many JSON pointers looked up in one pass over a value.

use super::{DEPTH_MAX, Malformed, Scanner, Span, unescape};
use std::collections::HashMap;

/// The node of the value itself.
pub(crate) const ROOT: usize = 0;
/// Up to this many names, comparing them all is faster than hashing.
const COMPARED_MAX: usize = 6;

/// JSON pointers, joined into a tree.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    nodes: Vec<Node>,
    slots: usize,
}

#[derive(Clone, Debug, Default)]
struct Node {
    name: Box<str>,
    /// The name as an array's index.
    index: Option<usize>,
    children: Vec<usize>,
    by_name: HashMap<Box<str>, usize>,
    slot: Option<usize>,
    /// The slots of everything below.
    below: Vec<usize>,
}

impl Paths {
    pub(crate) fn new() -> Self {
        Paths {
            nodes: vec![Node::default()],
            slots: 0,
        }
    }

    /// Adds a pointer and returns its slot, the same one for the same pointer. None
    /// where the text is no JSON pointer or leads deeper than any value that is read.
    pub(crate) fn add(&mut self, pointer: &str) -> Option<usize> {
        let names = names(pointer)?;
        let mut trail = vec![ROOT];
        let mut at = ROOT;
        for name in names {
            at = match self.child(at, &name) {
                Some(child) => child,
                None => self.grow(at, name),
            };
            trail.push(at);
        }
        if let Some(slot) = self.nodes[at].slot {
            return Some(slot);
        }
        let slot = self.slots;
        self.slots += 1;
        self.nodes[at].slot = Some(slot);
        for node in trail {
            if node != at {
                self.nodes[node].below.push(slot);
            }
        }
        Some(slot)
    }

    fn grow(&mut self, parent: usize, name: String) -> usize {
        let child = self.nodes.len();
        let canonical = name == "0" || (!name.starts_with('0') && !name.starts_with('+'));
        self.nodes.push(Node {
            index: name.parse().ok().filter(|_| canonical),
            name: name.clone().into(),
            ..Node::default()
        });
        self.nodes[parent].children.push(child);
        self.nodes[parent].by_name.insert(name.into(), child);
        child
    }

    fn child(&self, node: usize, name: &str) -> Option<usize> {
        let node = &self.nodes[node];
        if node.children.len() > COMPARED_MAX {
            return node.by_name.get(name).copied();
        }
        let mut children = node.children.iter().copied();
        children.find(|child| &*self.nodes[*child].name == name)
    }

    fn element(&self, node: usize, index: usize) -> Option<usize> {
        let mut children = self.nodes[node].children.iter().copied();
        children.find(|child| self.nodes[*child].index == Some(index))
    }

    /// A node's name; the root's is empty.
    pub(crate) fn name(&self, node: usize) -> &str {
        &self.nodes[node].name
    }

    /// The nodes directly below a node, in the order in which they were added.
    pub(crate) fn children(&self, node: usize) -> &[usize] {
        &self.nodes[node].children
    }

    /// The slot of a node that a pointer leads to.
    pub(crate) fn slot(&self, node: usize) -> Option<usize> {
        self.nodes[node].slot
    }

    /// How many slots there are.
    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// How many nodes there are.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }
}

/// The names of a JSON pointer; none where it is not one.
pub(crate) fn names(pointer: &str) -> Option<Vec<String>> {
    if pointer.is_empty() {
        return Some(Vec::new());
    }
    let names: Vec<&str> = pointer.strip_prefix('/')?.split('/').collect();
    let tildes_are_escapes = pointer
        .split('~')
        .skip(1)
        .all(|behind| behind.starts_with(['0', '1']));
    if names.len() > DEPTH_MAX as usize || !tildes_are_escapes {
        return None;
    }
    let plain = |name: &&str| name.replace("~1", "/").replace("~0", "~");
    Some(names.iter().map(plain).collect())
}

/// A value that no pointer leads to.
pub(crate) struct Stray {
    /// The node of the object that it is in, or its own where its shape was not expected.
    pub(crate) node: usize,
    /// Its name in that object, still escaped; none where it is the node's own value.
    pub(crate) name: Option<Span>,
    pub(crate) value: Span,
}

/// What one pass found. Of members with the same name the last one counts, as in
/// most readers.
pub(crate) struct Walk {
    found: Vec<Option<Span>>,
    /// By node: the member that came after it the last time, or first inside it.
    after: Vec<usize>,
    first: Vec<usize>,
    unescaped: String,
    /// A member of the root has a name that starts with `_tg_`.
    pub(crate) reserved: bool,
}

impl Walk {
    pub(crate) fn new(paths: &Paths) -> Self {
        Walk {
            found: vec![None; paths.slots],
            after: vec![ROOT; paths.len()],
            first: vec![ROOT; paths.len()],
            unescaped: String::new(),
            reserved: false,
        }
    }

    /// The value at a slot's pointer.
    pub(crate) fn found(&self, slot: usize) -> Option<Span> {
        self.found[slot]
    }

    /// Passes over the value that is next and notes what the pointers lead to.
    pub(crate) fn walk<F: FnMut(Stray)>(
        &mut self,
        scanner: &mut Scanner<'_>,
        paths: &Paths,
        strays: &mut F,
    ) -> Result<Span, Malformed> {
        self.found.fill(None);
        self.reserved = false;
        self.visit(scanner, paths, ROOT, strays)
    }

    fn visit<F: FnMut(Stray)>(
        &mut self,
        scanner: &mut Scanner<'_>,
        paths: &Paths,
        node: usize,
        strays: &mut F,
    ) -> Result<Span, Malformed> {
        let next = scanner.peek()?;
        let start = scanner.at();
        let Node { children, slot, .. } = &paths.nodes[node];
        let is_leaf = children.is_empty() && node != ROOT;
        match next {
            b'{' if !is_leaf => self.visit_object(scanner, paths, node, strays)?,
            b'[' if !is_leaf && children.iter().any(|at| paths.nodes[*at].index.is_some()) => {
                self.visit_array(scanner, paths, node, strays)?;
            }
            _ => {
                let value = scanner.skip_value()?;
                if !is_leaf && slot.is_none() {
                    strays(Stray {
                        node,
                        name: None,
                        value,
                    });
                }
            }
        }
        let span = Span {
            start,
            end: scanner.at(),
        };
        if let Some(slot) = slot {
            self.found[*slot] = Some(span);
        }
        Ok(span)
    }

    fn visit_object<F: FnMut(Stray)>(
        &mut self,
        scanner: &mut Scanner<'_>,
        paths: &Paths,
        node: usize,
        strays: &mut F,
    ) -> Result<(), Malformed> {
        scanner.open()?;
        let mut first = true;
        let mut before = None;
        while let Some(name) = scanner.member(&mut first)? {
            let mut text = name.span.of(scanner.text());
            if name.escaped {
                self.unescaped.clear();
                unescape(text, &mut self.unescaped);
                text = &self.unescaped;
            }
            if node == ROOT && text.as_bytes().starts_with(b"_tg_") {
                self.reserved = true;
            }
            // Records of one stream mostly have their members in one order.
            let guess = match before {
                Some(sibling) => &mut self.after[sibling],
                None => &mut self.first[node],
            };
            let child = if *guess != ROOT && &*paths.nodes[*guess].name == text {
                Some(*guess)
            } else {
                paths.child(node, text).inspect(|child| *guess = *child)
            };
            let Some(child) = child else {
                let value = scanner.skip_value()?;
                strays(Stray {
                    node,
                    name: Some(name.span),
                    value,
                });
                continue;
            };
            before = Some(child);
            for slot in &paths.nodes[child].below {
                self.found[*slot] = None;
            }
            self.visit(scanner, paths, child, strays)?;
        }
        Ok(())
    }

    fn visit_array<F: FnMut(Stray)>(
        &mut self,
        scanner: &mut Scanner<'_>,
        paths: &Paths,
        node: usize,
        strays: &mut F,
    ) -> Result<(), Malformed> {
        scanner.open()?;
        let mut first = true;
        let mut index = 0;
        while scanner.element(&mut first)? {
            match paths.element(node, index) {
                Some(child) => {
                    self.visit(scanner, paths, child, strays)?;
                }
                None => {
                    scanner.skip_value()?;
                }
            }
            index += 1;
        }
        Ok(())
    }
}
