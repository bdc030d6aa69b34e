//! A place: its networks, practices, pools and employers, read from `config/<place>/`.

/// One place's reference data.
#[derive(Debug, Clone, Default)]
pub struct Place {}
