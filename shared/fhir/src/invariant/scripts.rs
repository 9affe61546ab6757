//! Invariants of TestScript and TestReport.

use super::focus::items;
use super::{Focus, Native, rule};

pub(super) const RULES: &[Native] = &[
    rule("tst-1", one_of_operation_and_assert),
    rule("tst-2", one_of_operation_and_assert),
    // The description asks for one of the three; the published expression refuses only all of them together.
    rule("tst-3", |variable| ["expression", "headerField", "path"].iter().any(|name| !variable.has(name))),
    rule("tst-4", |metadata| {
        metadata
            .each("capability")
            .any(|capability| capability.has("required") || capability.has("validated"))
    }),
    rule("tst-5", at_most_one_assertion),
    rule("tst-6", at_most_one_assertion),
    rule("tst-7", has_target),
    rule("tst-8", has_target),
    rule("tst-9", has_target),
    rule("tst-10", compares),
    rule("tst-11", compares),
    rule("tst-12", no_response_of_a_request),
    rule("tst-13", no_response_of_a_request),
    Native { key: "inv-1", mark: "operation.exists()", check: one_of_operation_and_assert },
    Native { key: "inv-2", mark: "operation.exists()", check: one_of_operation_and_assert },
];

fn one_of_operation_and_assert(action: &Focus<'_>) -> bool {
    action.has("operation") != action.has("assert")
}

fn at_most_one_assertion(assert: &Focus<'_>) -> bool {
    let assertions = [
        "contentType",
        "expression",
        "headerField",
        "minimumId",
        "navigationLinks",
        "path",
        "requestMethod",
        "resource",
        "responseCode",
        "response",
        "validateProfileId",
    ];
    assert.has("extension") || assertions.iter().filter(|name| assert.has(name)).count() <= 1
}

fn has_target(operation: &Focus<'_>) -> bool {
    let whole_system = ["capabilities", "search", "transaction", "history"];
    operation.has("sourceId")
        || ["targetId", "url", "params"].iter().filter(|name| operation.has(name)).count() == 1
        || items(operation.value, "type")
            .any(|kind| kind.get_text("code").is_some_and(|code| whole_system.contains(&&*code)))
}

fn compares(assert: &Focus<'_>) -> bool {
    assert.has("compareToSourceId")
        == (assert.has("compareToSourceExpression") || assert.has("compareToSourcePath"))
}

fn no_response_of_a_request(assert: &Focus<'_>) -> bool {
    !assert.has("direction")
        || assert.is("direction", "response")
        || (assert.is("direction", "request") && !assert.has("response") && !assert.has("responseCode"))
}
