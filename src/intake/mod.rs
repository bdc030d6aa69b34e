//! intake

pub mod replay;
