//! The `tidings` program: reads the command line, runs it, ends with an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    tidings::cli::main()
}
