//! Evaluation: the tree walked over collections.

use super::arithmetic::binary;
use super::ast::{Call, Expr, Op};
use super::compare::{equal, equivalent};
use super::item::{Item, System};
use super::node::Node;
use super::temporal::Temporal;
use super::types::{cast, is_type};
use super::{Budget, Expression, Host, Stop};
use crate::definitions::Definitions;

pub(super) type Collection<'t> = Vec<Item<'t>>;
pub(super) type Evaluated<'t> = Result<Collection<'t>, Stop>;

/// What an expression is evaluated in.
pub(crate) struct Evaluator<'e, 't> {
    pub(crate) definitions: &'t Definitions,
    /// `%resource`
    pub(crate) resource: Option<Node<'t>>,
    /// `%rootResource`
    pub(crate) root: Option<Node<'t>>,
    /// What `now()` and `today()` give, if the caller passed the time in.
    pub(crate) now: Option<Temporal>,
    pub(crate) host: &'e dyn Host<'t>,
    pub(crate) budget: &'e Budget,
}

/// The innermost iteration: `$this`, `$index`, `$total`. Names at the beginning of a path mean children of `$this`.
#[derive(Clone, Copy)]
pub(super) struct Frame<'f, 't> {
    pub(super) this: &'f [Item<'t>],
    pub(super) index: Option<usize>,
    pub(super) total: Option<&'f [Item<'t>]>,
    /// `%context`
    pub(super) context: &'f [Item<'t>],
}

impl<'f, 't> Frame<'f, 't> {
    pub(super) const fn of(self, this: &'f [Item<'t>], index: usize) -> Self {
        Self { this, index: Some(index), ..self }
    }
}

impl<'t> Evaluator<'_, 't> {
    /// The result on an element.
    pub(crate) fn evaluate(&self, expression: &'t Expression, focus: Node<'t>) -> Evaluated<'t> {
        let focus = [Item::Node(focus)];
        let frame = Frame { this: &focus, index: None, total: None, context: &focus };
        self.eval(&expression.0, &focus, frame)
    }

    /// Whether a rule holds on an element: nothing at all does not.
    pub(crate) fn holds(&self, expression: &'t Expression, focus: Node<'t>) -> Result<bool, Stop> {
        Ok(truth(&self.evaluate(expression, focus)?)? == Some(true))
    }

    pub(super) fn eval(&self, expr: &'t Expr, input: &[Item<'t>], frame: Frame<'_, 't>) -> Evaluated<'t> {
        self.budget.take(1)?;
        Ok(match expr {
            Expr::Empty => Vec::new(),
            Expr::Literal(value) => vec![Item::System(borrowed(value))],
            Expr::This => frame.this.to_vec(),
            Expr::Index => frame.index.map(Item::integer).into_iter().collect(),
            Expr::Total => frame.total.unwrap_or(&[]).to_vec(),
            Expr::Variable(name) => self.variable(name, frame)?,
            Expr::Member(name) => self.children(input, Some(name))?,
            Expr::Root(name) => self.root(name, input)?,
            Expr::Call(call) => self.call(call, input, frame)?,
            Expr::Path(first, steps) => {
                let mut items = self.eval(first, input, frame)?;
                for step in steps {
                    items = match step {
                        Expr::Indexer(index) => self.indexed(&items, index, frame)?,
                        step => self.eval(step, &items, frame)?,
                    };
                }
                items
            }
            Expr::Indexer(index) => self.indexed(input, index, frame)?,
            Expr::Negate(operand) => super::arithmetic::negate(&self.eval(operand, input, frame)?)?,
            Expr::Binary(op, left, right) => self.operator(*op, left, right, input, frame)?,
            Expr::Is(operand, name) => match single(&self.eval(operand, input, frame)?)? {
                Some(item) => vec![Item::bool(is_type(self.definitions, item, name)?)],
                None => Vec::new(),
            },
            Expr::As(operand, name) => {
                let items = self.eval(operand, input, frame)?;
                single(&items)?;
                cast(self.definitions, items, name)?
            }
        })
    }

    fn variable(&self, name: &str, frame: Frame<'_, 't>) -> Evaluated<'t> {
        let node = |node: Option<Node<'t>>| node.map(Item::Node).into_iter().collect();
        let text = |text: &str| vec![Item::text(text.to_owned())];
        Ok(match name {
            "context" => frame.context.to_vec(),
            "resource" => node(self.resource),
            "rootResource" => node(self.root),
            "sct" => text("http://snomed.info/sct"),
            "loinc" => text("http://loinc.org"),
            "ucum" => text("http://unitsofmeasure.org"),
            _ => match (name.strip_prefix("vs-"), name.strip_prefix("ext-")) {
                (Some(set), _) => text(&format!("http://hl7.org/fhir/ValueSet/{set}")),
                (_, Some(extension)) => text(&format!("http://hl7.org/fhir/StructureDefinition/{extension}")),
                _ => return Err(Stop::Unknown),
            },
        })
    }

    /// The children of all items, or those of one name.
    pub(super) fn children(&self, input: &[Item<'t>], name: Option<&str>) -> Evaluated<'t> {
        let mut found = Vec::new();
        for item in input {
            match item {
                Item::Node(node) => {
                    node.visit(self.definitions, name, &mut |child| found.push(Item::Node(child.node)));
                }
                Item::System(System::Type(namespace, type_name)) => match name {
                    Some("namespace") => found.push(Item::text(*namespace)),
                    Some("name") => found.push(Item::text(*type_name)),
                    _ => {}
                },
                Item::System(System::Quantity(quantity)) => match name {
                    Some("value") => found.push(Item::System(System::Decimal(quantity.value))),
                    Some("unit" | "code") => found.push(Item::text(quantity.unit.clone())),
                    _ => {}
                },
                Item::System(_) => {}
            }
        }
        self.budget.take(found.len() + input.len())?;
        Ok(found)
    }

    fn root(&self, name: &str, input: &[Item<'t>]) -> Evaluated<'t> {
        let named: Collection<'t> = input
            .iter()
            .filter(|item| matches!(item, Item::Node(node) if node.kind.is_a(self.definitions, name)))
            .cloned()
            .collect();
        if named.is_empty() { self.children(input, Some(name)) } else { Ok(named) }
    }

    fn indexed(&self, items: &[Item<'t>], index: &'t Expr, frame: Frame<'_, 't>) -> Evaluated<'t> {
        let index = self.eval(index, frame.this, frame)?;
        let Some(index) = single(&index)? else { return Ok(Vec::new()) };
        let index = usize::try_from(index.as_integer().ok_or(Stop::Type)?);
        Ok(index.ok().and_then(|index| items.get(index)).cloned().into_iter().collect())
    }

    fn operator(
        &self,
        op: Op,
        left: &'t Expr,
        right: &'t Expr,
        input: &[Item<'t>],
        frame: Frame<'_, 't>,
    ) -> Evaluated<'t> {
        let left = self.eval(left, input, frame)?;
        // What cannot change the result is not evaluated: `x.exists() and x.value > 3`.
        match (op, truth_of(op, &left)?) {
            (Op::And, Some(false)) => return Ok(vec![Item::bool(false)]),
            (Op::Or, Some(true)) | (Op::Implies, Some(false)) => return Ok(vec![Item::bool(true)]),
            _ => {}
        }
        let right = self.eval(right, input, frame)?;
        match op {
            Op::Union => self.union(left, right),
            Op::Equal | Op::NotEqual => {
                let found = equal(self, &left, &right)?;
                Ok(found.map(|equal| Item::bool(equal == (op == Op::Equal))).into_iter().collect())
            }
            Op::Equivalent => Ok(vec![Item::bool(equivalent(self, &left, &right)?)]),
            Op::NotEquivalent => Ok(vec![Item::bool(!equivalent(self, &left, &right)?)]),
            Op::In | Op::Contains => {
                let (one, all) = if op == Op::In { (&left, &right) } else { (&right, &left) };
                let Some(one) = single(one)? else { return Ok(Vec::new()) };
                Ok(vec![Item::bool(self.includes(all, one)?)])
            }
            Op::And | Op::Or | Op::Xor | Op::Implies => {
                Ok(logic(op, truth(&left)?, truth(&right)?).map(Item::bool).into_iter().collect())
            }
            _ => binary(op, &left, &right),
        }
    }

    fn call(&self, call: &'t Call, input: &[Item<'t>], frame: Frame<'_, 't>) -> Evaluated<'t> {
        self.budget.take(input.len())?;
        super::collections::call(self, call, input, frame)
    }
}

/// A literal lives as long as its tree.
fn borrowed<'t>(value: &'t System<'static>) -> System<'t> {
    match value {
        System::String(text) => System::String(std::borrow::Cow::Borrowed(text)),
        other => other.clone(),
    }
}

/// The only item of a collection, none of an empty one; several are an error.
pub(super) fn single<'c, 't>(items: &'c [Item<'t>]) -> Result<Option<&'c Item<'t>>, Stop> {
    match items {
        [] => Ok(None),
        [item] => Ok(Some(item)),
        _ => Err(Stop::Type),
    }
}

/// A collection as a condition: a single item that is no Boolean counts as true (FHIRPath 2.0.0, 5.1).
pub(super) fn truth(items: &[Item<'_>]) -> Result<Option<bool>, Stop> {
    Ok(single(items)?.map(|item| item.as_bool().unwrap_or(true)))
}

fn truth_of(op: Op, items: &[Item<'_>]) -> Result<Option<bool>, Stop> {
    if matches!(op, Op::And | Op::Or | Op::Implies) { truth(items) } else { Ok(None) }
}

const fn logic(op: Op, left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match (op, left, right) {
        (Op::And, Some(false), _) | (Op::And, _, Some(false)) => Some(false),
        (Op::And, Some(true), Some(true)) => Some(true),
        (Op::Or, Some(true), _) | (Op::Or, _, Some(true)) => Some(true),
        (Op::Or, Some(false), Some(false)) => Some(false),
        (Op::Xor, Some(left), Some(right)) => Some(left != right),
        (Op::Implies, Some(false), _) | (Op::Implies, _, Some(true)) => Some(true),
        (Op::Implies, Some(true), right) => right,
        _ => None,
    }
}
