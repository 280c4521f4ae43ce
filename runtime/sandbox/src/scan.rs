//! The first look at an untrusted component: its shape, its imports, its exports.
//!
//! It refuses what no connector needs before the compiler sees it. It bounds the
//! cost of compiling only roughly; the child's limits do the rest.

use crate::config::Admission;
use std::collections::BTreeSet;
use wasmparser::{Encoding, FunctionBody, Operator, Parser, Payload, TypeRef};

/// What a component takes and offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Names of the interfaces that it imports.
    pub(crate) imports: Vec<String>,
    /// Names of what it exports.
    pub(crate) exports: Vec<String>,
}

/// Why a component is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The bytes are something else.
    #[error(
        "it is not a component but {found}; build it with `--target wasm32-wasip2`, or with `jco componentize`"
    )]
    NotComponent {
        /// What they are.
        found: &'static str,
    },
    /// The bytes cannot be read to their end.
    #[error("it is broken at byte {offset}: {reason}; build it again")]
    Broken {
        /// Where.
        offset: usize,
        /// What the parser says.
        reason: String,
    },
    /// It wants more than a connector may have.
    #[error(
        "it imports {import}, which no connector may have; only tidegate:connector 0.1 and WASI 0.2 without sockets and http are given"
    )]
    Import {
        /// The import.
        import: String,
    },
    /// It has too much of something.
    #[error("it has more than {max} {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// What is allowed.
        max: u64,
    },
    /// It offers nothing.
    #[error("it does not export {export}; every connector describes itself")]
    NoExport {
        /// What is missing.
        export: &'static str,
    },
}

const TIDEGATE_IMPORTS: [&str; 9] = [
    "types",
    "http",
    "emit",
    "checkpoint",
    "kv",
    "vault",
    "clock",
    "log",
    "metrics",
];

/// What Rust, JavaScript and Python toolchains leave behind.
const WASI_IMPORTS: [&str; 20] = [
    "cli/environment",
    "cli/exit",
    "cli/stdin",
    "cli/stdout",
    "cli/stderr",
    "cli/terminal-input",
    "cli/terminal-output",
    "cli/terminal-stdin",
    "cli/terminal-stdout",
    "cli/terminal-stderr",
    "io/error",
    "io/poll",
    "io/streams",
    "clocks/wall-clock",
    "clocks/monotonic-clock",
    "random/random",
    "random/insecure",
    "random/insecure-seed",
    "filesystem/types",
    "filesystem/preopens",
];

/// Looks at a component without running or compiling any of it.
pub(crate) fn scan(wasm: &[u8], admission: &Admission) -> Result<Shape, Refusal> {
    check(
        "bytes",
        wasm.len() as u64,
        admission.component_bytes_max as u64,
    )?;
    require_component(wasm)?;
    let mut scan = Scan {
        admission,
        depth: 0,
        counts: Counts::default(),
        imports: BTreeSet::new(),
        exports: BTreeSet::new(),
    };
    for payload in Parser::new(0).parse_all(wasm) {
        scan.payload(payload?)?;
    }
    if !scan.exports.iter().any(|name| is_ours(name, "manifest")) {
        return Err(Refusal::NoExport {
            export: "tidegate:connector/manifest",
        });
    }
    Ok(Shape {
        imports: scan.imports.into_iter().collect(),
        exports: scan.exports.into_iter().collect(),
    })
}

/// Whether `name` is this interface of the contract, in a version that we speak.
pub(crate) fn is_ours(name: &str, interface: &str) -> bool {
    name.strip_prefix("tidegate:connector/")
        .and_then(|rest| rest.strip_prefix(interface))
        .and_then(|rest| rest.strip_prefix("@0.1."))
        .is_some_and(is_patch)
}

struct Scan<'a> {
    admission: &'a Admission,
    depth: u32,
    counts: Counts,
    imports: BTreeSet<String>,
    exports: BTreeSet<String>,
}

#[derive(Default)]
struct Counts {
    modules: u32,
    components: u32,
    functions: u32,
    segments: u32,
    names: u32,
    /// Of the module that is being read.
    memories: u32,
}

impl Scan<'_> {
    fn payload(&mut self, payload: Payload<'_>) -> Result<(), Refusal> {
        let admission = self.admission;
        match payload {
            Payload::Version { .. } => {
                self.depth += 1;
                self.counts.memories = 0;
                check(
                    "levels of nesting",
                    self.depth.into(),
                    admission.nesting_max.into(),
                )
            }
            Payload::End(_) => {
                self.depth = self.depth.saturating_sub(1);
                Ok(())
            }
            Payload::ModuleSection { .. } => count(
                "core modules",
                &mut self.counts.modules,
                1,
                admission.modules_max,
            ),
            Payload::ComponentSection { .. } => count(
                "components",
                &mut self.counts.components,
                1,
                admission.components_max,
            ),
            Payload::CodeSectionStart {
                count: functions, ..
            } => count(
                "functions",
                &mut self.counts.functions,
                functions,
                admission.functions_max,
            ),
            Payload::CodeSectionEntry(body) => self.body(&body),
            Payload::DataSection(section) => self.segments(section.count()),
            Payload::ElementSection(section) => self.segments(section.count()),
            Payload::ImportSection(section) => {
                self.names(section.count())?;
                for import in section.into_imports() {
                    if let TypeRef::Memory(_) = import?.ty {
                        self.memories(1)?;
                    }
                }
                Ok(())
            }
            Payload::MemorySection(section) => self.memories(section.count()),
            Payload::ExportSection(section) => self.names(section.count()),
            Payload::ComponentImportSection(section) => {
                self.names(section.count())?;
                for import in section {
                    let name = import?.name.name;
                    if self.depth == 1 {
                        allow(name)?;
                        self.imports.insert(name.to_owned());
                    }
                }
                Ok(())
            }
            Payload::ComponentExportSection(section) => {
                self.names(section.count())?;
                for export in section {
                    let name = export?.name.name;
                    if self.depth == 1 {
                        self.exports.insert(name.to_owned());
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn segments(&mut self, more: u32) -> Result<(), Refusal> {
        let max = self.admission.segments_max;
        count(
            "data and element segments",
            &mut self.counts.segments,
            more,
            max,
        )
    }

    fn names(&mut self, more: u32) -> Result<(), Refusal> {
        let max = self.admission.names_max;
        count("imports and exports", &mut self.counts.names, more, max)
    }

    fn memories(&mut self, more: u32) -> Result<(), Refusal> {
        count("memories in one module", &mut self.counts.memories, more, 1)
    }

    fn body(&self, body: &FunctionBody<'_>) -> Result<(), Refusal> {
        let admission = self.admission;
        let bytes = body.range().len() as u64;
        check(
            "bytes in one function",
            bytes,
            admission.body_bytes_max as u64,
        )?;
        let mut locals = 0_u64;
        for group in body.get_locals_reader()? {
            locals += u64::from(group?.0);
            check("locals in one function", locals, admission.locals_max)?;
        }
        let mut blocks = 1_u64;
        for operator in body.get_operators_reader()? {
            match operator? {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                    blocks += 1;
                    let cost = blocks * locals.max(1);
                    check(
                        "locals times blocks in one function",
                        cost,
                        admission.locals_blocks_max,
                    )?;
                }
                Operator::BrTable { targets } => {
                    let max = admission.branch_targets_max;
                    check("targets in one br_table", targets.len().into(), max.into())?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn require_component(wasm: &[u8]) -> Result<(), Refusal> {
    if !wasm.starts_with(b"\0asm") {
        let found = if wasm.starts_with(b"\x7fELF") {
            "an ELF file"
        } else if wasm.starts_with(b"(") {
            "WebAssembly text"
        } else {
            "something else"
        };
        return Err(Refusal::NotComponent { found });
    }
    match Parser::new(0).parse_all(wasm).next() {
        Some(Ok(Payload::Version {
            encoding: Encoding::Component,
            ..
        })) => Ok(()),
        Some(Ok(Payload::Version {
            encoding: Encoding::Module,
            ..
        })) => Err(Refusal::NotComponent {
            found: "a core WebAssembly module",
        }),
        Some(Err(error)) => Err(error.into()),
        _ => Err(Refusal::NotComponent {
            found: "an empty file",
        }),
    }
}

fn allow(import: &str) -> Result<(), Refusal> {
    let ours = TIDEGATE_IMPORTS
        .iter()
        .any(|interface| is_ours(import, interface));
    let wasi = import
        .strip_prefix("wasi:")
        .and_then(|rest| rest.split_once("@0.2."))
        .is_some_and(|(interface, patch)| WASI_IMPORTS.contains(&interface) && is_patch(patch));
    if ours || wasi {
        Ok(())
    } else {
        let import = import.chars().take(100).collect();
        Err(Refusal::Import { import })
    }
}

fn is_patch(text: &str) -> bool {
    !text.is_empty() && text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn count(what: &'static str, so_far: &mut u32, more: u32, max: u32) -> Result<(), Refusal> {
    *so_far = so_far.saturating_add(more);
    check(what, (*so_far).into(), max.into())
}

fn check(what: &'static str, found: u64, max: u64) -> Result<(), Refusal> {
    if found > max {
        return Err(Refusal::TooMuch { what, max });
    }
    Ok(())
}

impl From<wasmparser::BinaryReaderError> for Refusal {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Refusal::Broken {
            offset: error.offset(),
            reason: error.message().to_owned(),
        }
    }
}
