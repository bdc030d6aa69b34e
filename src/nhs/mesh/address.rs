//! The address of a person's practice: MESH finds the mailbox by the person.
//!
//! `GPPROVIDER_<NHS number>_<date of birth>_<surname>`, for the workflows that NHS England lists
//! (GP Connect Update Record and Send Document among them). MESH asks PDS; an address that finds
//! no practice comes back as a REPORT, not as the answer. The address is personal data: it is
//! never logged. <https://digital.nhs.uk/services/message-exchange-for-social-care-and-health-mesh>

use crate::config::BirthDateFormat;

/// The address of the practice of one person: NHS number of ten digits, date of birth as
/// `YYYY-MM-DD`, family name.
///
/// # Errors
/// What is missing or cannot stand in an address; never the value.
pub fn of_person(
    nhs_number: &str,
    birth_date: &str,
    family: &str,
    format: BirthDateFormat,
) -> Result<String, &'static str> {
    if nhs_number.len() != 10 || !nhs_number.bytes().all(|b| b.is_ascii_digit()) {
        return Err("the NHS number is not of ten digits");
    }
    let date: jiff::civil::Date = birth_date.parse().map_err(|_| "the date of birth is not a whole date")?;
    let family = family.trim();
    if family.is_empty() {
        return Err("there is no family name");
    }
    if !family.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err("the family name has letters that an address cannot carry; configure the practice's mailbox");
    }
    let date = match format {
        BirthDateFormat::Ddmmyyyy => date.strftime("%d%m%Y"),
        BirthDateFormat::Yyyymmdd => date.strftime("%Y%m%d"),
    };
    Ok(format!("GPPROVIDER_{nhs_number}_{date}_{family}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_written_as_configured() {
        let made = |format| of_person("9990000018", "1950-12-31", "Test O'Synthetic", format).unwrap();
        assert_eq!(made(BirthDateFormat::Ddmmyyyy), "GPPROVIDER_9990000018_31121950_Test O'Synthetic");
        assert_eq!(made(BirthDateFormat::Yyyymmdd), "GPPROVIDER_9990000018_19501231_Test O'Synthetic");
    }

    #[test]
    fn what_cannot_be_an_address_is_refused_without_repeating_it() {
        let format = BirthDateFormat::Ddmmyyyy;
        for (number, date, family) in [
            ("999000001", "1950-12-31", "Synthetic"),
            ("999 000 0018", "1950-12-31", "Synthetic"),
            ("9990000018", "1950-12", "Synthetic"),
            ("9990000018", "", "Synthetic"),
            ("9990000018", "1950-12-31", " "),
            ("9990000018", "1950-12-31", "Synth\r\nmex-to: X"),
            ("9990000018", "1950-12-31", "Synthétic"),
        ] {
            let why = of_person(number, date, family, format).unwrap_err();
            assert!(!why.contains("999") && !why.contains("Synth"), "{why}");
        }
    }
}
