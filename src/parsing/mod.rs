//! parsing

pub mod emis;
