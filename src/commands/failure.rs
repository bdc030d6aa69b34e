//! Why a command did not do it, and the exit code that says whose fault that is.

use std::process::ExitCode;

use crate::config::Fault;
use crate::opening::OpenFault;
use crate::rejection::{BarsError, Rejection};
use crate::store::StoreError;

/// A command's end that is not success.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    text: String,
}

impl Failure {
    /// 1: the input or the data is at fault.
    pub fn input(text: impl Into<String>) -> Self {
        Self { code: 1, text: text.into() }
    }

    /// 2: wrong usage or configuration.
    pub fn usage(text: impl Into<String>) -> Self {
        Self { code: 2, text: text.into() }
    }

    /// 3: disk, network, database.
    pub fn environment(text: impl Into<String>) -> Self {
        Self { code: 3, text: text.into() }
    }

    /// Says it on stderr and gives the exit code. An empty text has been said already.
    pub fn tell(&self) -> ExitCode {
        if !self.text.is_empty() {
            super::out::warn(&self.text);
        }
        ExitCode::from(self.code)
    }
}

impl From<Vec<Fault>> for Failure {
    fn from(faults: Vec<Fault>) -> Self {
        Self::usage(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }
}

impl From<OpenFault> for Failure {
    fn from(fault: OpenFault) -> Self {
        match fault {
            OpenFault::Config(faults) => faults.into(),
            OpenFault::Key(_) => Self::environment(fault.to_string()),
            OpenFault::Store(fault) => fault.into(),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(fault: StoreError) -> Self {
        Self::environment(format!("the store: {fault}"))
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        match rejection.error {
            BarsError::Unavailable | BarsError::ServerError => Self::environment(rejection.to_string()),
            _ => Self::input(rejection.to_string()),
        }
    }
}
