//! FHIR R4's RESTful API. <https://hl7.org/fhir/R4/http.html>

mod statement;
