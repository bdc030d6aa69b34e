//! `fingerpost evaluate`: the evaluation dataset, in counts.

use clap::Args;
use jiff::civil::Date;
use serde_json::json;

use super::{Failure, Options, open, out};
use crate::audit::Action;
use crate::evaluation::{self, Evaluation, Line, Question};
use crate::fhir::evaluation::report;
use crate::fhir::ids::OdsCode;

/// Show what came of the referrals of a period, in counts: reasons, support, contacts, drop-out,
/// unmet need, paired change of measures, and for whom
#[derive(Debug, Args)]
#[command(
    long_about = "Shows what came of the referrals received in a period, in counts: reasons, support, contacts, \
                  drop-out, unmet need, paired change of measures, and for whom. Counts of fewer people than \
                  evaluation.hidden_below are hidden (*), and with them as many others as would give them away. \
                  No line is of one person.",
    after_help = "Example:\n  fingerpost evaluate --from 2026-04-01 --to 2027-03-31 --csv > year.csv"
)]
pub struct Evaluate {
    /// Only referrals received on this day (UTC) or later
    #[arg(long, value_name = "DATE")]
    from: Option<Date>,
    /// Only referrals received on this day (UTC) or earlier
    #[arg(long, value_name = "DATE")]
    to: Option<Date>,
    /// Only this practice's
    #[arg(long, value_name = "ODS")]
    practice: Option<String>,
    /// Print CSV: section, label, code, figure, value
    #[arg(long, conflicts_with_all = ["json", "fhir"])]
    csv: bool,
    /// Print a FHIR MeasureReport (summary)
    #[arg(long, conflicts_with = "json")]
    fhir: bool,
}

impl Evaluate {
    pub async fn run(self, options: &Options) -> Result<(), Failure> {
        let practice = match self.practice.as_deref().map(OdsCode::parse) {
            Some(Err(_)) => return Err(Failure::usage("--practice: not an ODS code")),
            Some(Ok(code)) => Some(code.to_string()),
            None => None,
        };
        if matches!((self.from, self.to), (Some(from), Some(to)) if from > to) {
            return Err(Failure::usage("--from is after --to"));
        }
        let question = Question { from: self.from, to: self.to, practice };
        let gateway = open::gateway(options).await?;
        let gathered = evaluation::gather::gather(&gateway.store, &question).await?;
        let below = gateway.config.evaluation.hidden_below;
        let dataset = evaluation::reckon(gateway.clock.now(), &gathered).hidden(below);
        let mut entry = open::entry(&gateway, "evaluate", Action::R);
        entry.detail = format!("{} referrals, counts below {below} hidden", gathered.cases.len());
        open::record(&gateway, entry).await?;
        self.show(options, &question, &dataset);
        gateway.store.close().await;
        Ok(())
    }

    fn show(&self, options: &Options, question: &Question, dataset: &Evaluation) {
        if options.json {
            out::json(&json!({"question": question, "dataset": dataset}));
        } else if self.csv {
            out::write(csv(&dataset.lines()).as_bytes());
        } else if self.fhir {
            out::json(&report(question, dataset));
        } else {
            out::say(shown(dataset));
        }
    }
}

/// The lines as CSV. A cell that a spreadsheet would take for a formula gets a quote before it.
fn csv(lines: &[Line]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let safe = |cell: &str| {
        let formula = cell.starts_with(['=', '+', '@']) || (cell.starts_with('-') && cell.parse::<f64>().is_err());
        if formula { format!("'{cell}") } else { cell.to_owned() }
    };
    let head = ["section", "label", "code", "figure", "value"].map(str::to_owned);
    let rows = lines.iter().map(|line| {
        [line.section.to_owned(), safe(&line.label), safe(&line.code), line.figure.to_owned(), line.value.clone()]
    });
    for row in std::iter::once(head).chain(rows) {
        // Writing to memory does not fail.
        drop(writer.write_record(&row));
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

fn shown(dataset: &Evaluation) -> String {
    let mut text = format!("Evaluation as of {}\n", dataset.as_of);
    let mut section = "";
    let mut rows: Vec<Vec<String>> = Vec::new();
    for line in dataset.lines() {
        if line.section != section {
            if !rows.is_empty() {
                text.push_str(&format!("{}\n", out::table(&rows)));
            }
            rows.clear();
            section = line.section;
            text.push_str(&format!("\n{section}\n"));
        }
        rows.push(vec![format!("  {}", line.label), line.figure.to_owned(), line.value]);
    }
    if !rows.is_empty() {
        text.push_str(&format!("{}\n", out::table(&rows)));
    }
    if dataset.hidden_below > 1 {
        let below = dataset.hidden_below;
        text.push_str(&format!("\n* hidden: fewer than {below}, or would give such a count away"));
    }
    text
}
