//! Text to tree: precedence climbing over the operators of FHIRPath (2.0.0, 6.8).

use regex::{Regex, RegexBuilder};

use super::SyntaxError;
use super::ast::{Call, Expr, Function, Op, TypeName};
use super::item::{Quantity, System};
use super::lexer::{Placed, Token, tokens};

/// Deepest nesting of brackets and arguments, and most operators: together they bound the height of the tree.
const MAX_NESTING: usize = 50;
const MAX_OPERATORS: usize = 400;

/// Largest compiled regular expression, in bytes.
const MAX_REGEX: usize = 1 << 20;

pub(super) fn parse(text: &str) -> Result<Expr, SyntaxError> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, nesting: 0, operators: 0 };
    let expression = parser.expression(0)?;
    match parser.peek() {
        Token::End => Ok(expression),
        _ => Err(parser.expected("the end")),
    }
}

/// A regular expression as FHIRPath means it: a dot matches a line break too, a part of the text is enough.
pub(super) fn regex(pattern: &str, full: bool) -> Option<Regex> {
    let pattern = if full { format!("^(?:{pattern})$") } else { pattern.to_owned() };
    RegexBuilder::new(&pattern).dot_matches_new_line(true).size_limit(MAX_REGEX).build().ok()
}

struct Parser {
    tokens: Vec<Placed>,
    at: usize,
    nesting: usize,
    operators: usize,
}

/// Binding strength of a binary operator; a larger one binds closer.
fn operator(token: &Token) -> Option<(Op, u8)> {
    Some(match token {
        Token::Name(name) => match name.as_str() {
            "div" => (Op::Div, 10),
            "mod" => (Op::Mod, 10),
            "in" => (Op::In, 4),
            "contains" => (Op::Contains, 4),
            "and" => (Op::And, 3),
            "or" => (Op::Or, 2),
            "xor" => (Op::Xor, 2),
            "implies" => (Op::Implies, 1),
            _ => return None,
        },
        Token::Sign(sign) => match *sign {
            "*" => (Op::Multiply, 10),
            "/" => (Op::Divide, 10),
            "+" => (Op::Add, 9),
            "-" => (Op::Subtract, 9),
            "&" => (Op::Concatenate, 9),
            "|" => (Op::Union, 7),
            "<" => (Op::Less, 6),
            "<=" => (Op::LessOrEqual, 6),
            ">" => (Op::Greater, 6),
            ">=" => (Op::GreaterOrEqual, 6),
            "=" => (Op::Equal, 5),
            "!=" => (Op::NotEqual, 5),
            "~" => (Op::Equivalent, 5),
            "!~" => (Op::NotEquivalent, 5),
            _ => return None,
        },
        _ => return None,
    })
}

/// `is` and `as` bind closer than `|`, looser than `+`.
const TYPE_OPERATOR: u8 = 8;

/// Units of time that are written without quotes.
const CALENDAR: [&str; 16] = [
    "year",
    "years",
    "month",
    "months",
    "week",
    "weeks",
    "day",
    "days",
    "hour",
    "hours",
    "minute",
    "minutes",
    "second",
    "seconds",
    "millisecond",
    "milliseconds",
];

/// Whether a unit is written without quotes.
pub(super) fn is_calendar(unit: &str) -> bool {
    CALENDAR.contains(&unit)
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn expected(&self, expected: &'static str) -> SyntaxError {
        let last = self.tokens.last().map_or(0, |(_, at)| *at);
        SyntaxError::Unexpected { at: self.tokens.get(self.at).map_or(last, |(_, at)| *at), expected }
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(found) if *found == sign)
    }

    fn sign(&mut self, sign: &'static str) -> Result<(), SyntaxError> {
        if self.is_sign(sign) {
            self.at += 1;
            return Ok(());
        }
        Err(self.expected(sign))
    }

    fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Token::Name(found) if found == name)
    }

    /// An expression whose operators bind at least as close as `least`.
    fn expression(&mut self, least: u8) -> Result<Expr, SyntaxError> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(SyntaxError::TooLong);
        }
        let mut left = self.unary()?;
        loop {
            if least <= TYPE_OPERATOR && (self.is_name("is") || self.is_name("as")) {
                self.count()?;
                let is = self.is_name("is");
                self.at += 1;
                let name = self.type_name()?;
                left = if is { Expr::Is(Box::new(left), name) } else { Expr::As(Box::new(left), name) };
                continue;
            }
            let Some((op, strength)) = operator(self.peek()).filter(|(_, strength)| *strength >= least)
            else {
                break;
            };
            self.count()?;
            self.at += 1;
            let right = self.expression(strength + 1)?;
            left = Expr::Binary(op, Box::new(left), Box::new(right));
        }
        self.nesting -= 1;
        Ok(left)
    }

    const fn count(&mut self) -> Result<(), SyntaxError> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS { Err(SyntaxError::TooLong) } else { Ok(()) }
    }

    fn unary(&mut self) -> Result<Expr, SyntaxError> {
        if self.is_sign("-") || self.is_sign("+") {
            self.count()?;
            let negative = self.is_sign("-");
            self.at += 1;
            let operand = self.unary()?;
            return Ok(if negative { Expr::Negate(Box::new(operand)) } else { operand });
        }
        let term = self.term()?;
        let mut steps = Vec::new();
        loop {
            if self.is_sign(".") {
                self.at += 1;
                steps.push(self.invocation(false)?);
            } else if self.is_sign("[") {
                self.at += 1;
                steps.push(Expr::Indexer(Box::new(self.expression(0)?)));
                self.sign("]")?;
            } else {
                break;
            }
        }
        Ok(if steps.is_empty() { term } else { Expr::Path(Box::new(term), steps) })
    }

    fn term(&mut self) -> Result<Expr, SyntaxError> {
        let literal = match self.peek() {
            Token::Sign("(") => {
                self.at += 1;
                let inner = self.expression(0)?;
                self.sign(")")?;
                return Ok(inner);
            }
            Token::Sign("{") => {
                self.at += 1;
                self.sign("}")?;
                return Ok(Expr::Empty);
            }
            Token::Text(text) => System::String(text.clone().into()),
            Token::Integer(number) => System::Integer(*number),
            Token::Decimal(number) => System::Decimal(*number),
            Token::Temporal(temporal) => System::Temporal(*temporal),
            Token::Name(name) if name == "true" || name == "false" => System::Boolean(name == "true"),
            Token::Variable(name) => {
                let name = name.as_str().into();
                self.at += 1;
                return Ok(Expr::Variable(name));
            }
            _ => return self.invocation(true),
        };
        self.at += 1;
        Ok(Expr::Literal(self.with_unit(literal)))
    }

    /// `4 days`, `4 'mg'`
    fn with_unit(&mut self, literal: System<'static>) -> System<'static> {
        let value = match literal {
            System::Integer(number) => number.into(),
            System::Decimal(number) => number,
            other => return other,
        };
        let unit = match self.peek() {
            Token::Text(unit) => unit.clone(),
            Token::Name(name) if is_calendar(name) => name.clone(),
            _ => return literal,
        };
        self.at += 1;
        System::Quantity(Quantity { value, unit: unit.into() })
    }

    /// A name, a function, or `$this`.
    fn invocation(&mut self, first: bool) -> Result<Expr, SyntaxError> {
        let (name, quoted) = match self.next() {
            Token::Name(name) => (name, false),
            Token::Quoted(name) => (name, true),
            Token::Dollar(name) => {
                return match name.as_str() {
                    "this" => Ok(Expr::This),
                    "index" => Ok(Expr::Index),
                    "total" => Ok(Expr::Total),
                    _ => Err(self.expected("$this, $index or $total")),
                };
            }
            _ => {
                self.at -= 1;
                return Err(self.expected("an expression"));
            }
        };
        if !quoted && self.is_sign("(") {
            return self.call(&name);
        }
        let capital = name.starts_with(|first: char| first.is_ascii_uppercase());
        Ok(if first && capital { Expr::Root(name.into()) } else { Expr::Member(name.into()) })
    }

    fn call(&mut self, name: &str) -> Result<Expr, SyntaxError> {
        self.sign("(")?;
        if matches!(name, "is" | "as" | "ofType") {
            let type_name = Some(self.type_name()?);
            self.sign(")")?;
            let function = Function::named(name, 1).ok_or_else(|| SyntaxError::Function(name.to_owned()))?;
            return Ok(Expr::Call(Call { function, arguments: Vec::new(), regex: None, type_name }));
        }
        let mut arguments = Vec::new();
        while !self.is_sign(")") {
            if !arguments.is_empty() {
                self.sign(",")?;
            }
            arguments.push(self.expression(0)?);
        }
        self.sign(")")?;
        let function = Function::named(name, arguments.len());
        let function = function.ok_or_else(|| SyntaxError::Function(name.to_owned()))?;
        let patterned =
            matches!(function, Function::Matches | Function::MatchesFull | Function::ReplaceMatches);
        let regex = match arguments.first() {
            Some(Expr::Literal(System::String(pattern))) if patterned => {
                Some(regex(pattern, function == Function::MatchesFull).ok_or(SyntaxError::Regex)?)
            }
            _ => None,
        };
        Ok(Expr::Call(Call { function, arguments, regex, type_name: None }))
    }

    fn type_name(&mut self) -> Result<TypeName, SyntaxError> {
        let mut name = self.identifier()?;
        let mut namespace = None;
        if self.is_sign(".") {
            self.at += 1;
            namespace = Some(name);
            name = self.identifier()?;
        }
        Ok(TypeName { namespace, name })
    }

    fn identifier(&mut self) -> Result<Box<str>, SyntaxError> {
        match self.next() {
            Token::Name(name) | Token::Quoted(name) => Ok(name.into()),
            _ => {
                self.at -= 1;
                Err(self.expected("the name of a type"))
            }
        }
    }
}
