//! Tokens of FHIRPath (2.0.0, 6.1).

use rust_decimal::Decimal;

use super::SyntaxError;
use super::item::decimal;
use super::temporal::Temporal;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    /// An identifier, or a keyword such as `and`.
    Name(String),
    /// An identifier in backticks: never a keyword.
    Quoted(String),
    /// `%name`
    Variable(String),
    /// `$this`, `$index`, `$total`
    Dollar(String),
    Text(String),
    Integer(i64),
    Decimal(Decimal),
    Temporal(Temporal),
    /// An operator or bracket.
    Sign(&'static str),
    End,
}

/// A token and the character it starts at.
pub(crate) type Placed = (Token, usize);

/// Most tokens of an expression.
const MAX_TOKENS: usize = 4000;

const SIGNS: [&str; 26] = [
    "!=", "!~", "<=", ">=", "(", ")", "[", "]", "{", "}", ".", ",", "+", "-", "*", "/", "&", "|", "=", "~",
    "<", ">", "!", "@", "%", "$",
];

pub(crate) fn tokens(text: &str) -> Result<Vec<Placed>, SyntaxError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next()?;
        let end = token.0 == Token::End;
        tokens.push(token);
        if end {
            return Ok(tokens);
        }
        if tokens.len() > MAX_TOKENS {
            return Err(SyntaxError::TooLong);
        }
    }
}

struct Lexer<'x> {
    text: &'x str,
    at: usize,
}

impl<'x> Lexer<'x> {
    fn rest(&self) -> &'x str {
        self.text.get(self.at..).unwrap_or("")
    }

    const fn expected(&self, expected: &'static str) -> SyntaxError {
        SyntaxError::Unexpected { at: self.at, expected }
    }

    fn space(&mut self) -> Result<(), SyntaxError> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if trimmed.starts_with("//") {
                self.at += trimmed.find('\n').unwrap_or(trimmed.len());
            } else if trimmed.starts_with("/*") {
                self.at += trimmed.find("*/").ok_or(self.expected("the end of the comment"))? + 2;
            } else {
                return Ok(());
            }
        }
    }

    /// Takes what satisfies a condition.
    fn take(&mut self, of: impl Fn(char) -> bool) -> &'x str {
        let rest = self.rest();
        let length = rest.find(|character| !of(character)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or("")
    }

    fn name(&mut self) -> &'x str {
        self.take(|character| character.is_ascii_alphanumeric() || character == '_')
    }

    fn next(&mut self) -> Result<Placed, SyntaxError> {
        self.space()?;
        let start = self.at;
        let Some(first) = self.rest().chars().next() else { return Ok((Token::End, start)) };
        let token = match first {
            'a'..='z' | 'A'..='Z' | '_' => Token::Name(self.name().to_owned()),
            '0'..='9' => self.number()?,
            '\'' => Token::Text(self.quoted('\'')?),
            '`' => Token::Quoted(self.quoted('`')?),
            '"' => Token::Quoted(self.quoted('"')?),
            '@' => self.temporal()?,
            '%' => {
                self.at += 1;
                match self.rest().chars().next() {
                    Some(quote @ ('`' | '\'')) => Token::Variable(self.quoted(quote)?),
                    _ => Token::Variable(self.name().to_owned()),
                }
            }
            '$' => {
                self.at += 1;
                Token::Dollar(self.name().to_owned())
            }
            _ => {
                let sign = SIGNS.into_iter().find(|sign| self.rest().starts_with(sign));
                let sign = sign.ok_or(self.expected("an expression"))?;
                self.at += sign.len();
                Token::Sign(sign)
            }
        };
        Ok((token, start))
    }

    fn number(&mut self) -> Result<Token, SyntaxError> {
        let start = self.at;
        self.take(|character| character.is_ascii_digit());
        let mut after = self.rest().chars();
        let decimals = after.next() == Some('.') && after.next().is_some_and(|next| next.is_ascii_digit());
        if decimals {
            self.at += 1;
            self.take(|character| character.is_ascii_digit());
        }
        let text = self.text.get(start..self.at).unwrap_or("");
        let number = if decimals { None } else { text.parse().ok() };
        let whole = number.map(Token::Integer);
        whole.or_else(|| decimal(text).map(Token::Decimal)).ok_or(self.expected("a shorter number"))
    }

    fn temporal(&mut self) -> Result<Token, SyntaxError> {
        self.at += 1;
        let of_clock = |character: char| character.is_ascii_digit() || character == ':';
        let start = self.at;
        let is_time = self.rest().starts_with('T');
        if !is_time {
            self.take(|character| character.is_ascii_digit() || character == '-');
        }
        if self.rest().starts_with('T') {
            self.at += 1;
            self.take(of_clock);
            // A dot after the seconds is a fraction only where digits follow: `@T10:30.lowBoundary()`.
            let mut after = self.rest().chars();
            if after.next() == Some('.') && after.next().is_some_and(|next| next.is_ascii_digit()) {
                self.at += 1;
                self.take(|character| character.is_ascii_digit());
            }
            let rest = self.rest();
            let mut zone = rest.chars();
            if rest.starts_with('Z') {
                self.at += 1;
            } else if zone.next().is_some_and(|sign| sign == '+' || sign == '-')
                && zone.next().is_some_and(|digit| digit.is_ascii_digit())
                && rest.as_bytes().get(3) == Some(&b':')
            {
                self.at += 1;
                self.take(of_clock);
            }
        }
        let text = self.text.get(start..self.at).unwrap_or("");
        let temporal =
            if is_time { Temporal::time(text.get(1..).unwrap_or("")) } else { Temporal::parse(text) };
        temporal.map(Token::Temporal).ok_or(self.expected("a date or time"))
    }

    /// A text between quotes, its escapes decoded.
    fn quoted(&mut self, quote: char) -> Result<String, SyntaxError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = self.rest();
            let mut characters = rest.chars();
            let Some(character) = characters.next() else { return Err(self.expected("the closing quote")) };
            self.at += character.len_utf8();
            if character == quote {
                return Ok(out);
            }
            if character != '\\' {
                out.push(character);
                continue;
            }
            let Some(escape) = characters.next() else { return Err(self.expected("an escape")) };
            self.at += escape.len_utf8();
            match escape {
                'r' => out.push('\r'),
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'f' => out.push('\u{C}'),
                'u' => {
                    let digits = self.rest().get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
                    let character = digits.and_then(char::from_u32);
                    out.push(character.ok_or(self.expected("four hexadecimal digits"))?);
                    self.at += 4;
                }
                // Patterns are often written with single backslashes: what is no escape stays as it is.
                '\'' | '"' | '`' | '\\' | '/' => out.push(escape),
                other => {
                    out.push('\\');
                    out.push(other);
                }
            }
        }
    }
}
