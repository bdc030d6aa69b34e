//! ITK3: FHIR STU3 messages for GP systems, carried by MESH.
//! <https://nhsconnect.github.io/ITK3-FHIR-Messaging-Distribution/>
//!
//! STU3 is not the gateway's own FHIR release: these documents are written and read as trees of
//! named elements, in the order in which the published profiles and examples have them.

pub mod response;
mod terms;
pub mod tree;
