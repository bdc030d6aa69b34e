//! Where the elements of one target stand: slices numbered, everything in R4's order.

use std::collections::BTreeMap;

use super::super::compile::{Leaf, LeafStep, Rule, Target};
use super::super::element::{self, Element, Step};
use super::rows::Setting;

/// Numbers the slices, puts the elements in R4's order and points the rows at them.
pub fn place(target: &mut Target, settings: &[Setting], rules: Vec<(Rule, usize, Vec<usize>)>) {
    let mut slots = Slots::default();
    let mut leaves: Vec<(Vec<(usize, usize)>, Leaf)> = Vec::new();
    for setting in settings {
        let (order, leaf) = leaf(&target.kind, &setting.element, &mut slots);
        if !leaves.iter().any(|(_, known)| known.slot == leaf.slot) {
            leaves.push((order, leaf));
        }
    }
    leaves.sort_by(|(a, _), (b, _)| a.cmp(b));
    let number: BTreeMap<&str, usize> = leaves.iter().enumerate().map(|(i, (_, leaf))| (&*leaf.slot, i)).collect();
    let at = |setting: usize| number.get(settings[setting].element.name.as_str()).copied().unwrap_or(0);
    for (mut rule, main, with) in rules {
        rule.leaf = at(main);
        for (place, setting) in rule.with.iter_mut().zip(with) {
            place.0 = at(setting);
        }
        target.rules.push(rule);
    }
    target.slots = slots.numbers.len();
    target.leaves = leaves.into_iter().map(|(_, leaf)| leaf).collect();
}

/// The slices of one target.
#[derive(Default)]
struct Slots {
    /// A slice's number and its place among the items of its element.
    numbers: BTreeMap<String, (usize, usize)>,
    /// Items that an element has so far.
    items: BTreeMap<String, usize>,
}

impl Slots {
    /// The number and place of the slice that these steps lead to.
    fn number(&mut self, steps: &[Step]) -> (usize, usize) {
        let name = element::write(steps);
        if let Some(known) = self.numbers.get(&name) {
            return *known;
        }
        let list = name.rsplit_once('[').map_or(name.as_str(), |(list, _)| list).to_owned();
        let place = self.items.entry(list).or_insert(0);
        let made = (self.numbers.len(), *place);
        *place += 1;
        self.numbers.insert(name, made);
        made
    }
}

fn leaf(kind: &str, element: &Element, slots: &mut Slots) -> (Vec<(usize, usize)>, Leaf) {
    let mut order = Vec::new();
    let mut steps = Vec::new();
    let mut path = kind.to_owned();
    for (i, step) in element.steps.iter().enumerate() {
        let slot = step.slice.as_ref().map(|_| slots.number(&element.steps[..=i]));
        let (slot, place) = slot.map_or((None, 0), |(slot, place)| (Some(slot), place));
        order.push((element.position[i], place));
        path.push_str(&format!(".{}", step.name));
        if slot.is_some() {
            path.push_str(&format!("[{place}]"));
        }
        steps.push(LeafStep { name: step.name.clone(), slot, place });
    }
    let leaf = Leaf {
        steps,
        element: path.into(),
        slot: element.name.as_str().into(),
        holds: element.holds,
        binding: element.binding,
    };
    (order, leaf)
}
