//! Runs the real binary.
#![allow(dead_code)] // each test program uses its own part

use std::path::Path;
use std::process::{Command, Output};

/// `fingerpost ARGS`, with no gateway variables but those given.
pub fn fingerpost(folder: &Path, args: &[&str], env: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fingerpost"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FINGERPOST__")) {
        command.env_remove(name);
    }
    command.current_dir(folder).args(args).envs(env.iter().copied());
    Ran::of(command.output().expect("the binary runs"))
}

/// What a run said.
#[derive(Debug)]
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// Standard output as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|why| panic!("not JSON ({why}): {}\n{}", self.out, self.err))
    }

    /// It ended with this code and did not panic.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert!(!self.err.contains("panicked"), "{}", self.err);
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }
}
