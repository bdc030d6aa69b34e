//! Ethnic categories as the NHS Data Dictionary has them, 16 + 1 and not known. `Z` (asked, and not
//! said) and `99` (not asked) are different facts, and neither is what was never sent.
//! <https://www.datadictionary.nhs.uk/attributes/ethnic_category.html>

/// UK Core's extension for a person's ethnic category.
pub const ETHNIC_CATEGORY: &str = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-EthnicCategory";

const CATEGORIES: [(&str, &str); 18] = [
    ("A", "A British"),
    ("B", "B Irish"),
    ("C", "C any other White"),
    ("D", "D White and Black Caribbean"),
    ("E", "E White and Black African"),
    ("F", "F White and Asian"),
    ("G", "G any other mixed"),
    ("H", "H Indian"),
    ("J", "J Pakistani"),
    ("K", "K Bangladeshi"),
    ("L", "L any other Asian"),
    ("M", "M Caribbean"),
    ("N", "N African"),
    ("P", "P any other Black"),
    ("R", "R Chinese"),
    ("S", "S any other"),
    ("Z", "Z not stated"),
    ("99", "99 not known"),
];

/// The category of a code, as its letter and words. The detailed codes of UKCore-EthnicCategory
/// (`C2` to `SE`) begin with their category's letter.
/// <https://fhir.hl7.org.uk/CodeSystem/UKCore-EthnicCategory>
pub fn category(code: &str) -> &'static str {
    let category = if code == "99" { code } else { code.get(..1).unwrap_or("") };
    CATEGORIES.iter().find(|(known, _)| *known == category).map_or("not known to the list", |(_, words)| words)
}

#[cfg(test)]
mod tests {
    use super::category;

    #[test]
    fn detailed_codes_belong_to_their_category_and_what_is_no_code_to_none() {
        assert_eq!((category("A"), category("C2"), category("99")), ("A British", "C any other White", "99 not known"));
        for code in ["", "9", "é"] {
            assert_eq!(category(code), "not known to the list", "{code}");
        }
    }
}
