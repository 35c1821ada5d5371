//! What commands said last.

use bollard::container::LogOutput;

use crate::model::CUT;

/// What a container wrote, as text.
pub(in crate::stack) fn text(output: &LogOutput) -> String {
    String::from_utf8_lossy(output.as_ref()).into_owned()
}

/// The last `limit` bytes or so of a text, whole lines where there are several; a line that is cut begins with a mark.
pub(in crate::stack) fn tail(text: &str, limit: usize) -> String {
    let text = text.trim();
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut from = text.len() - limit;
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let rest = &text[from..];
    match rest.split_once('\n') {
        Some((_, lines)) => lines.to_owned(),
        None => format!("{CUT}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::tail;

    #[test]
    fn a_tail_is_of_whole_lines() {
        assert_eq!(tail(" one\n", 10), "one");
        assert_eq!(tail("first line\nsecond\nthird", 14), "second\nthird");
        assert_eq!(tail("äöüäöü", 5), "…öü");
    }
}
