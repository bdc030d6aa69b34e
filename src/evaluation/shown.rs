//! The dataset as a flat list of figures: for people, for CSV, and for a MeasureReport.

use super::{Count, Evaluation, GroupRow, Row};

/// What stands where a count is hidden.
pub const HIDDEN: &str = "*";

/// One figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The table that it stands in.
    pub section: &'static str,
    /// What is counted.
    pub label: String,
    /// Its code as `SYSTEM|CODE`, where it has one.
    pub code: String,
    /// Which figure of it: `referrals`, `people`, `mean change` ...
    pub figure: &'static str,
    /// The figure; [`HIDDEN`] where it is hidden, empty where there is none.
    pub value: String,
}

fn shown(count: Count) -> String {
    count.map_or_else(|| HIDDEN.to_owned(), |count| count.to_string())
}

struct Lines(Vec<Line>);

impl Lines {
    fn add(&mut self, section: &'static str, label: &str, figure: &'static str, value: String) {
        self.0.push(Line { section, label: label.to_owned(), code: String::new(), figure, value });
    }

    fn rows(&mut self, section: &'static str, figure: &'static str, rows: &[Row]) {
        self.0.extend(rows.iter().map(|row| Line {
            section,
            label: row.label.clone(),
            code: row.code.clone(),
            figure,
            value: shown(row.count),
        }));
    }

    fn groups(&mut self, section: &'static str, rows: &[GroupRow]) {
        for row in rows {
            for (figure, count) in [
                ("referred", row.referred),
                ("accepted", row.accepted),
                ("declined", row.declined),
                ("dropped out", row.dropped_out),
                ("unmet need", row.unmet),
            ] {
                self.add(section, &row.group, figure, shown(count));
            }
        }
    }
}

impl Evaluation {
    /// Small numbers hidden; below 2 hides nothing.
    #[must_use]
    pub fn hidden(self, below: u64) -> Self {
        super::hide::small_numbers(self, below)
    }

    /// Every figure, in order.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = Lines(Vec::new());
        lines.add("referrals", "received", "referrals", shown(self.referred));
        lines.rows("standing", "referrals", &self.standing);
        lines.rows("reason", "referrals", &self.reasons);
        lines.add("support", "referred on", "referrals", shown(self.referred_on));
        lines.add("support", "signposted", "referrals", shown(self.signposted));
        lines.rows("type of support", "times", &self.support);
        self.contact_lines(&mut lines);
        lines.add("ended", "dropped out", "referrals", shown(self.dropped_out));
        lines.rows("closure reason", "referrals", &self.closures);
        lines.add("unmet need", "any", "referrals", shown(self.unmet));
        lines.rows("unmet need", "referrals", &self.unmet_needs);
        lines.groups("age", &self.ages);
        lines.groups("gender", &self.sexes);
        lines.groups("ethnic category", &self.ethnicities);
        self.change_lines(&mut lines);
        lines.rows("measure without a number", "times", &self.absent);
        lines.0
    }

    fn contact_lines(&self, lines: &mut Lines) {
        let contacts = &self.contacts;
        lines.add("contacts", "met", "contacts", shown(contacts.met));
        lines.add("contacts", "not reached", "attempts", shown(contacts.missed));
        lines.add("contacts", "met at least once", "referrals", shown(contacts.people));
        let mean =
            if contacts.people.is_none() { HIDDEN.to_owned() } else { contacts.mean.clone().unwrap_or_default() };
        lines.add("contacts", "met", "mean for each referral met", mean);
        lines.rows("contact mode", "contacts", &contacts.modes);
    }

    fn change_lines(&self, lines: &mut Lines) {
        for row in &self.changes {
            let version = if row.version.is_empty() { String::new() } else { format!(" ({})", row.version) };
            let label = format!("{}{version}", row.display);
            let stated = row.better != "unstated";
            let (up, down) = if stated { ("improved", "worse") } else { ("rose", "fell") };
            let mean = if row.paired.is_none() { HIDDEN.to_owned() } else { row.mean.clone().unwrap_or_default() };
            let interval = match (&row.paired, &row.interval) {
                (None, _) => HIDDEN.to_owned(),
                (_, Some([low, high])) => format!("{low} to {high}"),
                (_, None) => String::new(),
            };
            for (figure, value) in [
                ("people paired", shown(row.paired)),
                ("lost to follow-up", shown(row.lost)),
                ("not yet followed up", shown(row.waiting)),
                ("mean change", mean),
                ("95 % interval of the mean change", interval),
                (up, shown(row.improved)),
                ("same", shown(row.same)),
                (down, shown(row.worse)),
            ] {
                lines.add("paired change", &label, figure, value);
            }
        }
    }
}
