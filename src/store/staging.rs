//! Durable staging of extract rows (see intake/emis).
