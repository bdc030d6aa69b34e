//! Clients of national services. So far MESH; the tracing of people and the directory of
//! organisations are not asked.

pub mod mesh;
