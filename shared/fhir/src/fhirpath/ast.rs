//! The tree of a compiled expression.

use regex::Regex;

use super::item::System;

/// An expression. A height of some hundred is the most the parser builds, so recursion over it is safe.
#[derive(Debug)]
pub(crate) enum Expr {
    /// `{}`
    Empty,
    Literal(System<'static>),
    This,
    Index,
    Total,
    /// `%resource`
    Variable(Box<str>),
    /// A name: a child of the input.
    Member(Box<str>),
    /// A capitalised name at the beginning: the type of the input, or a child.
    Root(Box<str>),
    Call(Call),
    /// A term and the steps after its dots.
    Path(Box<Expr>, Vec<Expr>),
    /// `[…]`, as a step.
    Indexer(Box<Expr>),
    Negate(Box<Expr>),
    Binary(Op, Box<Expr>, Box<Expr>),
    Is(Box<Expr>, TypeName),
    As(Box<Expr>, TypeName),
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) function: Function,
    pub(crate) arguments: Vec<Expr>,
    /// The compiled pattern of a regular expression that is written out.
    pub(crate) regex: Option<Regex>,
    /// The type that `is`, `as` and `ofType` name.
    pub(crate) type_name: Option<TypeName>,
}

/// `Quantity`, `FHIR.Quantity`, `System.Quantity`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TypeName {
    pub(crate) namespace: Option<Box<str>>,
    pub(crate) name: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Multiply,
    Divide,
    Div,
    Mod,
    Add,
    Subtract,
    Concatenate,
    Union,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
    Equivalent,
    NotEquivalent,
    In,
    Contains,
    And,
    Or,
    Xor,
    Implies,
}

macro_rules! functions {
    ($($variant:ident $name:literal $least:literal ..= $most:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Function {
            $($variant,)*
        }

        impl Function {
            /// The function of a name, if it takes so many arguments.
            pub(crate) fn named(name: &str, arguments: usize) -> Option<Self> {
                Some(match name {
                    $($name if ($least..=$most).contains(&arguments) => Self::$variant,)*
                    _ => return None,
                })
            }
        }
    };
}

functions! {
    Abs "abs" 0..=0,
    Aggregate "aggregate" 1..=2,
    All "all" 1..=1,
    AllFalse "allFalse" 0..=0,
    AllTrue "allTrue" 0..=0,
    AnyFalse "anyFalse" 0..=0,
    AnyTrue "anyTrue" 0..=0,
    As "as" 1..=1,
    Ceiling "ceiling" 0..=0,
    Children "children" 0..=0,
    Combine "combine" 1..=1,
    ConformsTo "conformsTo" 1..=1,
    Contains "contains" 1..=1,
    ConvertsToBoolean "convertsToBoolean" 0..=0,
    ConvertsToDate "convertsToDate" 0..=0,
    ConvertsToDateTime "convertsToDateTime" 0..=0,
    ConvertsToDecimal "convertsToDecimal" 0..=0,
    ConvertsToInteger "convertsToInteger" 0..=0,
    ConvertsToQuantity "convertsToQuantity" 0..=1,
    ConvertsToString "convertsToString" 0..=0,
    ConvertsToTime "convertsToTime" 0..=0,
    Count "count" 0..=0,
    Decode "decode" 1..=1,
    Descendants "descendants" 0..=0,
    Distinct "distinct" 0..=0,
    Empty "empty" 0..=0,
    Encode "encode" 1..=1,
    EndsWith "endsWith" 1..=1,
    Escape "escape" 1..=1,
    Exclude "exclude" 1..=1,
    Exists "exists" 0..=1,
    Exp "exp" 0..=0,
    Extension "extension" 1..=1,
    First "first" 0..=0,
    Floor "floor" 0..=0,
    GetValue "getValue" 0..=0,
    HasValue "hasValue" 0..=0,
    HtmlChecks "htmlChecks" 0..=0,
    Iif "iif" 2..=3,
    IndexOf "indexOf" 1..=1,
    Intersect "intersect" 1..=1,
    Is "is" 1..=1,
    IsDistinct "isDistinct" 0..=0,
    Join "join" 0..=1,
    Last "last" 0..=0,
    LastIndexOf "lastIndexOf" 1..=1,
    Length "length" 0..=0,
    Ln "ln" 0..=0,
    Log "log" 1..=1,
    Lower "lower" 0..=0,
    Matches "matches" 1..=1,
    MatchesFull "matchesFull" 1..=1,
    MemberOf "memberOf" 1..=1,
    Not "not" 0..=0,
    Now "now" 0..=0,
    OfType "ofType" 1..=1,
    Power "power" 1..=1,
    Repeat "repeat" 1..=1,
    Replace "replace" 2..=2,
    ReplaceMatches "replaceMatches" 2..=2,
    Resolve "resolve" 0..=0,
    Round "round" 0..=1,
    Select "select" 1..=1,
    Single "single" 0..=0,
    Skip "skip" 1..=1,
    Split "split" 1..=1,
    Sqrt "sqrt" 0..=0,
    StartsWith "startsWith" 1..=1,
    SubsetOf "subsetOf" 1..=1,
    Substring "substring" 1..=2,
    SupersetOf "supersetOf" 1..=1,
    Tail "tail" 0..=0,
    Take "take" 1..=1,
    TimeOfDay "timeOfDay" 0..=0,
    ToBoolean "toBoolean" 0..=0,
    ToChars "toChars" 0..=0,
    ToDate "toDate" 0..=0,
    ToDateTime "toDateTime" 0..=0,
    ToDecimal "toDecimal" 0..=0,
    ToInteger "toInteger" 0..=0,
    ToQuantity "toQuantity" 0..=1,
    ToString "toString" 0..=0,
    ToTime "toTime" 0..=0,
    Today "today" 0..=0,
    Trace "trace" 1..=2,
    Trim "trim" 0..=0,
    Truncate "truncate" 0..=0,
    Type "type" 0..=0,
    Unescape "unescape" 1..=1,
    Union "union" 1..=1,
    Upper "upper" 0..=0,
    Where "where" 1..=1,
}
