//! FHIRPath (2.0.0, with the functions of FHIR R4) over the JSON tape.
//!
//! For rules that come with profiles and packages at run time: an expression is compiled once to a tree and evaluated
//! on elements where they lie. Every evaluation is bounded by a [`Budget`], and a function this engine does not have is
//! refused when the expression is compiled, not when it is evaluated.

mod arithmetic;
mod ast;
mod collections;
mod compare;
mod convert;
mod eval;
mod item;
mod lexer;
mod node;
mod parser;
mod quantity;
mod strings;
#[cfg(test)]
mod suite;
mod temporal;
mod types;

use std::cell::Cell;

pub(crate) use eval::Evaluator;
pub(crate) use node::{Child, Node};
pub(crate) use temporal::Temporal;

use ast::Expr;

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Expression(Expr);

/// Why a text is no expression this engine evaluates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SyntaxError {
    /// Not FHIRPath.
    #[error("at character {at}: {expected} is expected")]
    Unexpected { at: usize, expected: &'static str },
    /// A function FHIRPath or this engine does not have, or one with another number of arguments.
    #[error("no function {0} with so many arguments")]
    Function(String),
    /// A regular expression that is malformed or uses look-around.
    #[error("a regular expression cannot be compiled")]
    Regex,
    /// Deeper or longer than the bounds.
    #[error("the expression is too long")]
    TooLong,
}

/// Why an evaluation has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The budget is spent.
    Budget,
    /// Types or numbers of values that the expression does not allow.
    Type,
    /// The current time, which was not passed in.
    Clock,
    /// A value set or code system that only a terminology server has.
    Terminology,
    /// A profile, reference or unit that is not known here.
    Unknown,
}

impl Expression {
    pub(crate) fn parse(text: &str) -> Result<Self, SyntaxError> {
        parser::parse(text).map(Self)
    }
}

/// Steps an evaluation may take: the bound on its time.
#[derive(Debug)]
pub(crate) struct Budget(Cell<u32>);

impl Budget {
    pub(crate) const fn new(steps: u32) -> Self {
        Self(Cell::new(steps))
    }

    /// Takes steps; an error once they are spent.
    pub(crate) fn take(&self, steps: usize) -> Result<(), Stop> {
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        match self.0.get().checked_sub(steps) {
            Some(left) => {
                self.0.set(left);
                Ok(())
            }
            None => {
                self.0.set(0);
                Err(Stop::Budget)
            }
        }
    }

    pub(crate) const fn is_spent(&self) -> bool {
        self.0.get() == 0
    }
}

/// What an evaluation asks of what is around it.
pub(crate) trait Host<'t> {
    /// The resource a literal reference means, if it is in the same document.
    fn resolve(&self, reference: &str) -> Option<Node<'t>>;
    /// Whether a coded element is in a value set; None where that cannot be known here.
    fn member_of(&self, value_set: &str, node: Node<'t>) -> Option<bool>;
    /// Whether an element meets a profile; None for an unknown profile.
    fn conforms(&self, profile: &str, node: Node<'t>) -> Option<bool>;
}
