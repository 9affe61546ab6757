//! A value that must not be formatted.

use std::fmt;

/// Wraps what may hold clinical data, so that a derived `Debug` of a type around it stays safe. `Debug` and
/// `Display` show `<phi>`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value. Never format it.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value, taken out.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> From<T> for Redacted<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<phi>")
    }
}

impl<T> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<phi>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_format_shows_the_value() {
        #[derive(Debug)]
        struct Held {
            #[expect(dead_code, reason = "read by the derived Debug only")]
            name: Redacted<&'static str>,
        }
        let name = Redacted::new("Quill");
        assert_eq!(format!("{name} {name:?} {:?}", Held { name }), "<phi> <phi> Held { name: <phi> }");
        assert_eq!(*name.expose(), "Quill");
    }
}
