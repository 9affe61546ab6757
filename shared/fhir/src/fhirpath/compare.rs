//! Equality, equivalence and order (FHIRPath 2.0.0, 6.1 and 6.2).

use std::cmp::Ordering;

use super::Stop;
use super::eval::{Collection, Evaluator};
use super::item::{Item, System};
use super::node::Node;
use super::quantity;

/// `=`: None where one side is empty or the precision does not suffice.
pub(super) fn equal<'t>(
    evaluator: &Evaluator<'_, 't>,
    left: &[Item<'t>],
    right: &[Item<'t>],
) -> Result<Option<bool>, Stop> {
    if left.is_empty() || right.is_empty() {
        return Ok(None);
    }
    if left.len() != right.len() {
        return Ok(Some(false));
    }
    let mut certain = true;
    for (left, right) in left.iter().zip(right) {
        match equal_items(evaluator, left, right)? {
            Some(true) => {}
            Some(false) => return Ok(Some(false)),
            None => certain = false,
        }
    }
    Ok(certain.then_some(true))
}

pub(super) fn equal_items<'t>(
    evaluator: &Evaluator<'_, 't>,
    left: &Item<'t>,
    right: &Item<'t>,
) -> Result<Option<bool>, Stop> {
    evaluator.budget.take(1)?;
    if let (Item::Node(left), Item::Node(right)) = (left, right) {
        if left.id() == right.id() {
            return Ok(Some(true));
        }
        if !left.is_primitive() || !right.is_primitive() {
            return same_nodes(evaluator, *left, *right).map(Some);
        }
    }
    let (Some(left), Some(right)) = (left.system(), right.system()) else { return Ok(Some(false)) };
    Ok(match (&left, &right) {
        (System::Boolean(left), System::Boolean(right)) => Some(left == right),
        (System::String(left), System::String(right)) => {
            evaluator.budget.take(left.len().min(right.len()) / 64)?;
            Some(left == right)
        }
        (System::Temporal(left), System::Temporal(right)) => match left.compare(*right) {
            Ok(order) => order.map(|order| order == Ordering::Equal),
            Err(_) => Some(false),
        },
        (System::Type(a, b), System::Type(c, d)) => Some(a == c && b == d),
        (System::Quantity(_), _) | (_, System::Quantity(_)) => match quantity::compare(&left, &right) {
            Some(order) => Some(order == Ordering::Equal),
            None if quantity::both(&left, &right) => None,
            None => Some(false),
        },
        _ => match (number(&left), number(&right)) {
            (Some(left), Some(right)) => Some(left == right),
            _ => Some(false),
        },
    })
}

/// The same children with equal values, in the same order within a name.
fn same_nodes<'t>(evaluator: &Evaluator<'_, 't>, left: Node<'t>, right: Node<'t>) -> Result<bool, Stop> {
    let (left_children, right_children) = (named(evaluator, left)?, named(evaluator, right)?);
    if left_children.len() != right_children.len() || left.is_primitive() != right.is_primitive() {
        return Ok(false);
    }
    for ((name, left), (other, right)) in left_children.iter().zip(&right_children) {
        if name != other || equal_items(evaluator, &Item::Node(*left), &Item::Node(*right))? != Some(true) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn named<'t>(evaluator: &Evaluator<'_, 't>, node: Node<'t>) -> Result<Vec<(&'static str, Node<'t>)>, Stop> {
    let mut children = Vec::new();
    node.visit(evaluator.definitions, None, &mut |child| {
        // An id is of the element, not of its value.
        if child.element.name() != "id" || node.kind.kind() == crate::definitions::TypeKind::Resource {
            children.push((child.element.path_name(), child.node));
        }
    });
    evaluator.budget.take(children.len())?;
    children.sort_by_key(|(name, _)| *name);
    Ok(children)
}

/// `~`: the same items in any order; texts without regard to case and white space, numbers to the coarser precision.
pub(super) fn equivalent<'t>(
    evaluator: &Evaluator<'_, 't>,
    left: &[Item<'t>],
    right: &[Item<'t>],
) -> Result<bool, Stop> {
    if left.len() != right.len() {
        return Ok(false);
    }
    let mut open: Vec<&Item<'t>> = right.iter().collect();
    for item in left {
        let mut found = None;
        for (place, other) in open.iter().enumerate() {
            if equivalent_items(evaluator, item, other)? {
                found = Some(place);
                break;
            }
        }
        match found {
            Some(place) => open.swap_remove(place),
            None => return Ok(false),
        };
    }
    Ok(true)
}

fn equivalent_items<'t>(
    evaluator: &Evaluator<'_, 't>,
    left: &Item<'t>,
    right: &Item<'t>,
) -> Result<bool, Stop> {
    evaluator.budget.take(1)?;
    if let (Item::Node(first), Item::Node(second)) = (left, right)
        && (!first.is_primitive() || !second.is_primitive())
    {
        let children = |node| {
            named(evaluator, node).map(|children| {
                children.into_iter().map(|(_, child)| Item::Node(child)).collect::<Collection<'t>>()
            })
        };
        return equivalent(evaluator, &children(*first)?, &children(*second)?);
    }
    let (Some(left), Some(right)) = (left.system(), right.system()) else { return Ok(false) };
    Ok(match (&left, &right) {
        (System::String(left), System::String(right)) => {
            evaluator.budget.take((left.len() + right.len()) / 16)?;
            folded(left) == folded(right)
        }
        (System::Temporal(left), System::Temporal(right)) => {
            matches!(left.compare(*right), Ok(Some(Ordering::Equal)))
        }
        (System::Quantity(_), _) | (_, System::Quantity(_)) => quantity::equivalent(&left, &right),
        (System::Boolean(left), System::Boolean(right)) => left == right,
        _ => match (number(&left), number(&right)) {
            (Some(left), Some(right)) => {
                let scale = left.scale().min(right.scale());
                left.round_dp(scale) == right.round_dp(scale)
            }
            _ => false,
        },
    })
}

fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// `<` and its kin: None where a side is empty or the precision does not suffice.
pub(super) fn order(left: &System<'_>, right: &System<'_>) -> Result<Option<Ordering>, Stop> {
    Ok(match (left, right) {
        (System::String(left), System::String(right)) => Some(left.cmp(right)),
        (System::Temporal(left), System::Temporal(right)) => left.compare(*right)?,
        (System::Quantity(_), _) | (_, System::Quantity(_)) if quantity::both(left, right) => {
            quantity::compare(left, right)
        }
        _ => Some(number(left).ok_or(Stop::Type)?.cmp(&number(right).ok_or(Stop::Type)?)),
    })
}

pub(super) fn number(value: &System<'_>) -> Option<rust_decimal::Decimal> {
    match value {
        System::Integer(number) => Some((*number).into()),
        System::Decimal(number) => Some(*number),
        _ => None,
    }
}
