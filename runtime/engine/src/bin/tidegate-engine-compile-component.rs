//! The compiling child as a program of its own, for the tests of this crate; the
//! `tidegate` binary is its own child through a hidden subcommand.

fn main() -> std::process::ExitCode {
    tidegate_sandbox::compile::child_main(std::env::args().skip(1))
}
