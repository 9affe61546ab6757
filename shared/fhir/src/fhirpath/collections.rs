//! Functions over collections (FHIRPath 2.0.0, 5.1 to 5.4, 5.8, 5.9, 7) and those FHIR adds (FHIR R4, 2.9.1.3).

use super::ast::{Call, Expr, Function};
use super::compare::equal_items;
use super::eval::{Collection, Evaluated, Evaluator, Frame, single, truth};
use super::item::{Item, System};
use super::types::{cast, is_type, type_of};
use super::{Stop, arithmetic, convert, strings};

pub(super) fn call<'t>(
    evaluator: &Evaluator<'_, 't>,
    call: &'t Call,
    input: &[Item<'t>],
    frame: Frame<'_, 't>,
) -> Evaluated<'t> {
    let one = |value: bool| Ok(vec![Item::bool(value)]);
    let some = |item: Option<&Item<'t>>| Ok(item.cloned().into_iter().collect());
    let arguments = Arguments { evaluator, call, frame };
    match call.function {
        Function::Empty => one(input.is_empty()),
        Function::Exists if call.arguments.is_empty() => one(!input.is_empty()),
        Function::Exists => evaluator.first_where(&arguments, input, true),
        Function::All => {
            let found = evaluator.first_where(&arguments, input, false)?;
            one(single(&found)?.and_then(Item::as_bool) == Some(false))
        }
        Function::AllTrue => one(truths(input)?.all(|value| value)),
        Function::AnyTrue => one(truths(input)?.any(|value| value)),
        Function::AllFalse => one(truths(input)?.all(|value| !value)),
        Function::AnyFalse => one(truths(input)?.any(|value| !value)),
        Function::Not => Ok(truth(input)?.map(|value| Item::bool(!value)).into_iter().collect()),
        Function::Count => Ok(vec![Item::integer(input.len())]),
        Function::SubsetOf => one(evaluator.subset(input, &arguments.get(0)?)?),
        Function::SupersetOf => one(evaluator.subset(&arguments.get(0)?, input)?),
        Function::Distinct => evaluator.distinct(input.iter().cloned()),
        Function::IsDistinct => one(evaluator.distinct(input.iter().cloned())?.len() == input.len()),
        Function::Where => {
            let mut kept = Vec::new();
            for (index, item) in input.iter().enumerate() {
                if arguments.holds(item, index)? {
                    kept.push(item.clone());
                }
            }
            Ok(kept)
        }
        Function::Select => {
            let mut found = Vec::new();
            for (index, item) in input.iter().enumerate() {
                found.extend(arguments.on(0, item, index)?);
            }
            Ok(found)
        }
        Function::Repeat => evaluator.repeat(&arguments, input),
        Function::Aggregate => aggregate(&arguments, input),
        Function::First => some(input.first()),
        Function::Last => some(input.last()),
        Function::Single => some(single(input)?),
        Function::Tail => Ok(input.iter().skip(1).cloned().collect()),
        Function::Skip => Ok(input.iter().skip(arguments.count()?).cloned().collect()),
        Function::Take => Ok(input.iter().take(arguments.count()?).cloned().collect()),
        Function::Intersect => {
            let other = arguments.get(0)?;
            let shared = evaluator.kept(input, &other, true)?;
            evaluator.distinct(shared.into_iter())
        }
        Function::Exclude => evaluator.kept(input, &arguments.get(0)?, false),
        Function::Union => evaluator.union(input.to_vec(), arguments.get(0)?),
        Function::Combine => {
            let mut all = input.to_vec();
            all.extend(arguments.get(0)?);
            Ok(all)
        }
        Function::Iif => iif(&arguments, input),
        Function::Trace => Ok(input.to_vec()),
        Function::Children => evaluator.children(input, None),
        Function::Descendants => {
            let mut all = Vec::new();
            let mut level = evaluator.children(input, None)?;
            while !level.is_empty() {
                let next = evaluator.children(&level, None)?;
                all.append(&mut level);
                level = next;
            }
            Ok(all)
        }
        Function::Is => match (single(input)?, &call.type_name) {
            (Some(item), Some(name)) => one(is_type(evaluator.definitions, item, name)?),
            _ => Ok(Vec::new()),
        },
        Function::As | Function::OfType => {
            if call.function == Function::As {
                single(input)?;
            }
            let name = call.type_name.as_ref().ok_or(Stop::Type)?;
            cast(evaluator.definitions, input.to_vec(), name)
        }
        Function::Type => Ok(input.iter().map(type_of).collect()),
        Function::Now | Function::Today | Function::TimeOfDay => {
            let now = evaluator.now.ok_or(Stop::Clock)?;
            Ok(vec![Item::System(System::Temporal(match call.function {
                Function::Now => now,
                Function::Today => now.as_date(),
                _ => now.as_time(),
            }))])
        }
        Function::Extension => evaluator.extensions(input, &arguments),
        Function::HasValue => one(single(input)?.is_some_and(|item| item.system().is_some())),
        Function::GetValue => {
            let value = single(input)?.and_then(Item::system);
            Ok(value.map(Item::System).into_iter().collect())
        }
        Function::Resolve => Ok(evaluator.resolved(input)),
        Function::MemberOf => {
            let set = arguments.text(0)?.ok_or(Stop::Type)?;
            match single(input)? {
                Some(Item::Node(node)) => {
                    one(evaluator.host.member_of(&set, *node).ok_or(Stop::Terminology)?)
                }
                _ => Ok(Vec::new()),
            }
        }
        Function::ConformsTo => {
            let profile = arguments.text(0)?.ok_or(Stop::Type)?;
            match single(input)? {
                Some(Item::Node(node)) => {
                    one(evaluator.host.conforms(&profile, *node).ok_or(Stop::Unknown)?)
                }
                _ => Ok(Vec::new()),
            }
        }
        // The narrative is checked by the walk over the resource, with or without a profile.
        Function::HtmlChecks => one(true),
        Function::Abs
        | Function::Ceiling
        | Function::Exp
        | Function::Floor
        | Function::Ln
        | Function::Log
        | Function::Power
        | Function::Round
        | Function::Sqrt
        | Function::Truncate => {
            let argument = if call.arguments.is_empty() { Vec::new() } else { arguments.get(0)? };
            if !call.arguments.is_empty() && argument.is_empty() {
                return Ok(Vec::new());
            }
            arithmetic::math(call.function, input, single(&argument)?)
        }
        _ => match convert::call(call.function, input)? {
            Some(result) => Ok(result),
            None => strings::call(&arguments, input),
        },
    }
}

/// The arguments of a call, evaluated when asked for.
pub(super) struct Arguments<'a, 'e, 't> {
    pub(super) evaluator: &'a Evaluator<'e, 't>,
    pub(super) call: &'t Call,
    frame: Frame<'a, 't>,
}

impl<'t> Arguments<'_, '_, 't> {
    fn expression(&self, at: usize) -> Result<&'t Expr, Stop> {
        self.call.arguments.get(at).ok_or(Stop::Type)
    }

    /// An argument that does not depend on the items: names in it mean what they mean around the call.
    pub(super) fn get(&self, at: usize) -> Evaluated<'t> {
        self.evaluator.eval(self.expression(at)?, self.frame.this, self.frame)
    }

    pub(super) fn text(&self, at: usize) -> Result<Option<std::borrow::Cow<'t, str>>, Stop> {
        let items = self.get(at)?;
        single(&items)?.map(|item| item.as_text().ok_or(Stop::Type)).transpose()
    }

    pub(super) fn integer(&self, at: usize) -> Result<Option<i64>, Stop> {
        let items = self.get(at)?;
        single(&items)?.map(|item| item.as_integer().ok_or(Stop::Type)).transpose()
    }

    fn count(&self) -> Result<usize, Stop> {
        let count = self.integer(0)?.ok_or(Stop::Type)?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// An argument evaluated on an item.
    fn on(&self, at: usize, item: &Item<'t>, index: usize) -> Evaluated<'t> {
        let this = std::slice::from_ref(item);
        self.evaluator.eval(self.expression(at)?, this, self.frame.of(this, index))
    }

    fn holds(&self, item: &Item<'t>, index: usize) -> Result<bool, Stop> {
        Ok(truth(&self.on(0, item, index)?)? == Some(true))
    }
}

fn truths(input: &[Item<'_>]) -> Result<impl Iterator<Item = bool>, Stop> {
    let values: Option<Vec<bool>> = input.iter().map(Item::as_bool).collect();
    values.map(Vec::into_iter).ok_or(Stop::Type)
}

fn aggregate<'t>(arguments: &Arguments<'_, '_, 't>, input: &[Item<'t>]) -> Evaluated<'t> {
    let mut total = if arguments.call.arguments.len() > 1 { arguments.get(1)? } else { Vec::new() };
    for (index, item) in input.iter().enumerate() {
        let this = std::slice::from_ref(item);
        let frame = Frame { total: Some(&total), ..arguments.frame.of(this, index) };
        total = arguments.evaluator.eval(arguments.expression(0)?, this, frame)?;
    }
    Ok(total)
}

/// Only the branch that is taken is evaluated.
fn iif<'t>(arguments: &Arguments<'_, '_, 't>, input: &[Item<'t>]) -> Evaluated<'t> {
    // Called on a collection, that is $this; at the beginning of a path the input is $this already.
    let frame = Frame { this: input, ..arguments.frame };
    single(input)?;
    let evaluate = |at| match arguments.call.arguments.get(at) {
        Some(expression) => arguments.evaluator.eval(expression, input, frame),
        None => Ok(Vec::new()),
    };
    let condition = evaluate(0)?;
    evaluate(if truth(&condition)? == Some(true) { 1 } else { 2 })
}

impl<'t> Evaluator<'_, 't> {
    /// Whether there is an item on which the condition has this value.
    fn first_where(
        &self,
        arguments: &Arguments<'_, '_, 't>,
        input: &[Item<'t>],
        value: bool,
    ) -> Evaluated<'t> {
        for (index, item) in input.iter().enumerate() {
            if arguments.holds(item, index)? == value {
                return Ok(vec![Item::bool(true)]);
            }
        }
        Ok(vec![Item::bool(false)])
    }

    pub(super) fn includes(&self, all: &[Item<'t>], wanted: &Item<'t>) -> Result<bool, Stop> {
        for item in all {
            if equal_items(self, item, wanted)? == Some(true) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn subset(&self, part: &[Item<'t>], all: &[Item<'t>]) -> Result<bool, Stop> {
        for item in part {
            if !self.includes(all, item)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn distinct(&self, items: impl Iterator<Item = Item<'t>>) -> Evaluated<'t> {
        let mut kept: Collection<'t> = Vec::new();
        for item in items {
            if !self.includes(&kept, &item)? {
                kept.push(item);
            }
        }
        Ok(kept)
    }

    pub(super) fn union(&self, left: Collection<'t>, right: Collection<'t>) -> Evaluated<'t> {
        self.distinct(left.into_iter().chain(right))
    }

    fn kept(&self, input: &[Item<'t>], other: &[Item<'t>], in_both: bool) -> Evaluated<'t> {
        let mut kept = Vec::new();
        for item in input {
            if self.includes(other, item)? == in_both {
                kept.push(item.clone());
            }
        }
        Ok(kept)
    }

    fn repeat(&self, arguments: &Arguments<'_, '_, 't>, input: &[Item<'t>]) -> Evaluated<'t> {
        let mut found: Collection<'t> = Vec::new();
        let mut level = input.to_vec();
        while !level.is_empty() {
            let mut next = Vec::new();
            for (index, item) in level.iter().enumerate() {
                for new in arguments.on(0, item, index)? {
                    if !self.includes(&found, &new)? {
                        found.push(new.clone());
                        next.push(new);
                    }
                }
            }
            level = next;
        }
        Ok(found)
    }

    fn extensions(&self, input: &[Item<'t>], arguments: &Arguments<'_, '_, 't>) -> Evaluated<'t> {
        let Some(url) = arguments.text(0)? else { return Ok(Vec::new()) };
        let mut extensions = self.children(input, Some("extension"))?;
        extensions.retain(|item| match item {
            Item::Node(node) => {
                node.value.and_then(|value| value.get_text("url")).is_some_and(|found| found == url)
            }
            Item::System(_) => false,
        });
        Ok(extensions)
    }

    fn resolved(&self, input: &[Item<'t>]) -> Collection<'t> {
        let reference = |item: &Item<'t>| match item {
            Item::Node(node) if !node.is_primitive() => node.value?.get_text("reference"),
            item => item.as_text(),
        };
        input.iter().filter_map(|item| self.host.resolve(&reference(item)?)).map(Item::Node).collect()
    }
}
