//! Values that may appear in no output.

mod forms;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::{AhoCorasick, Input, MatchKind};

use self::forms::forms;

/// What stands in a secret's place.
const REDACTED: &str = "[redacted]";
/// What stands where a text was cut: only the beginning or the end of a secret may be left beside it.
pub const CUT: char = '…';
/// Characters of a secret that tell it from any other word. A shorter one is hidden where it stands alone only: hidden
/// everywhere it would spoil every output, and be told by what is missing.
pub const SHORT: usize = 4;
/// Characters of a secret beside a cut that give something away.
const PART: usize = 3;

/// The secrets known so far, and how to keep them out of a text. Clones know the same secrets, those learned later too.
#[derive(Clone, Default)]
pub struct Redactor(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    secrets: BTreeSet<String>,
    /// Words that are no secrets where they stand for what they name.
    spared: BTreeSet<String>,
    forms: Vec<String>,
    /// Finds the forms; `None` as long as there are none.
    finder: Option<AhoCorasick>,
}

impl Redactor {
    /// A redactor of these values; empty ones are ignored.
    #[must_use]
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let redactor = Self::default();
        for secret in secrets {
            redactor.learn(&secret);
        }
        redactor
    }

    /// Hides this value from here on, in every clone.
    pub fn learn(&self, secret: &str) {
        let new = !secret.is_empty() && !self.read(|known| known.secrets.contains(secret));
        if new {
            let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
            known.secrets.insert(secret.to_owned());
            known.rebuild();
        }
    }

    /// Names that [`Redactor::redact_name`] leaves as they are.
    pub fn spare(&self, names: impl IntoIterator<Item = String>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.spared.extend(names);
    }

    /// The text with every secret replaced by `[redacted]`, in whatever form it stands there.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.read(|known| known.without(text, |_| false))
    }

    /// The name with every secret replaced, but for what is the name of a service too: a password `postgres` does not make
    /// `postgres/1` unknown.
    #[must_use]
    pub fn redact_name<'a>(&self, name: &'a str) -> Cow<'a, str> {
        self.read(|known| known.without(name, |form| known.spared.iter().any(|s| s.contains(form))))
    }

    fn read<T>(&self, read: impl FnOnce(&Known) -> T) -> T {
        read(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    fn rebuild(&mut self) {
        let all: BTreeSet<String> = self.secrets.iter().flat_map(|s| forms(s)).collect();
        self.forms = all.into_iter().collect();
        // Longest first, so that a secret that holds another is replaced whole. Its limits are far beyond any secret's size.
        self.finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&self.forms)
            .ok();
    }

    fn without<'a>(&self, text: &'a str, spared: impl Fn(&str) -> bool) -> Cow<'a, str> {
        let Some(finder) = &self.finder else {
            return Cow::Borrowed(text);
        };
        let (mut out, mut kept, mut at) = (String::new(), 0, 0);
        while let Some(found) = finder.find(Input::new(text).span(at..text.len())) {
            let form = &text[found.range()];
            if spared(form) || (form.chars().count() < SHORT && !alone(text, found.range())) {
                at = found.start() + form.chars().next().map_or(1, char::len_utf8);
                continue;
            }
            out.push_str(&text[kept..found.start()]);
            out.push_str(REDACTED);
            (kept, at) = (found.end(), found.end());
        }
        out.push_str(&text[kept..]);
        if out.contains(CUT) {
            out = self.without_parts(&out, spared);
        }
        if out == text {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(out)
        }
    }

    /// Hides what a cut has left of a secret.
    fn without_parts(&self, text: &str, spared: impl Fn(&str) -> bool) -> String {
        let mut pieces: Vec<String> = text.split(CUT).map(str::to_owned).collect();
        let last = pieces.len() - 1;
        let forms: Vec<&String> = self.forms.iter().filter(|form| !spared(form)).collect();
        for (index, piece) in pieces.iter_mut().enumerate() {
            if index < last
                && let Some(length) = forms.iter().filter_map(|form| begun(form, piece)).max()
            {
                piece.truncate(piece.len() - length);
                piece.push_str(REDACTED);
            }
            if index > 0
                && let Some(length) = forms.iter().filter_map(|form| ended(form, piece)).max()
            {
                piece.replace_range(..length, REDACTED);
            }
        }
        pieces.join(&CUT.to_string())
    }
}

/// Length of the longest beginning of a form that the text ends with.
fn begun(form: &str, text: &str) -> Option<usize> {
    let (at, _) = text.char_indices().rev().nth(PART - 1)?;
    let last = &text[at..];
    let mut ends = form.rmatch_indices(last).map(|(at, _)| at + last.len());
    ends.find(|end| text.ends_with(&form[..*end]))
}

/// Length of the longest end of a form that the text begins with.
fn ended(form: &str, text: &str) -> Option<usize> {
    let (at, c) = text.char_indices().nth(PART - 1)?;
    let first = &text[..at + c.len_utf8()];
    let mut begins = form.match_indices(first).map(|(at, _)| &form[at..]);
    begins.find(|end| text.starts_with(end)).map(str::len)
}

/// Whether no letter or digit stands beside it.
fn alone(text: &str, range: std::ops::Range<usize>) -> bool {
    let before = text[..range.start].chars().next_back();
    let after = text[range.end..].chars().next();
    ![before, after]
        .into_iter()
        .flatten()
        .any(char::is_alphanumeric)
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} secrets)", self.read(|k| k.secrets.len()))
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;

    fn of(secret: &str) -> Redactor {
        Redactor::new([secret.to_owned()])
    }

    #[test]
    fn secrets_vanish_longest_first() {
        let r = Redactor::new(["hush".into(), "hushed".into(), String::new()]);
        assert_eq!(r.redact("x hushed hush"), "x [redacted] [redacted]");
        assert_eq!(format!("{r:?}"), "Redactor(2 secrets)");
        assert!(matches!(r.redact("nothing"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_secret_learned_later_is_hidden_by_every_clone() {
        let r = Redactor::default();
        let clone = r.clone();
        r.learn("rotated");
        assert_eq!(clone.redact("was rotated"), "was [redacted]");
    }

    #[test]
    fn it_vanishes_in_every_form() {
        let secret = r#"p@ss w/ö"rd\$1'&<%2+x"#;
        let r = of(secret);
        let json = serde_json::json!({ "m": format!("no {secret}.") }).to_string();
        let mut url = reqwest::Url::parse("http://u@h/").unwrap();
        url.set_password(Some(secret)).unwrap();
        let mut pairs = url.clone();
        pairs.query_pairs_mut().append_pair("k", secret);
        let texts = [
            json.clone(),
            serde_json::json!({ "inner": json }).to_string(),
            format!("{secret:?}"),
            url.to_string(),
            pairs.to_string(),
            reqwest::Url::parse(&format!("http://h/?q=1&s={secret}"))
                .unwrap()
                .to_string(),
            quick_junit::XmlString::new(secret).to_string(),
            secret.replace('$', "$$"),
            "p%40ss%20w%2F%C3%B6%22rd%5C%241%27%26%3C%252%2Bx".to_owned(),
            "p%40ss+w%2f%c3%b6%22rd%5c%241%27%26%3c%252%2bx".to_owned(),
            r#"p@ss w/\u00f6\"rd\\$1'&<%2+x"#.to_owned(),
        ];
        for text in texts {
            let clean = r.redact(&text);
            assert!(clean.contains(REDACTED), "{text} → {clean}");
            for part in ["ss", "rd", "2+x", "2Bx", "2bx"] {
                assert!(!clean.contains(part), "{text} → {clean}");
            }
        }
        for user in ["", "a", "ab", "abc", "drill"] {
            let basic = format!("{user}:{secret}");
            for header in [STANDARD.encode(&basic), URL_SAFE.encode(&basic)] {
                let clean = r.redact(&header).into_owned();
                let (before, after) = clean.split_once(REDACTED).unwrap();
                // A character beside it holds some bits of the secret's first and last byte at most.
                assert!(before.len() <= basic.len() - secret.len() + 3, "{clean}");
                assert!(after.len() <= 4, "{clean}");
            }
        }
    }

    #[test]
    fn a_short_one_vanishes_where_it_stands_alone() {
        let r = of("42");
        assert_eq!(
            r.redact("pin 42, not 1425 (42)"),
            "pin [redacted], not 1425 ([redacted])"
        );
    }

    #[test]
    fn each_line_of_several_vanishes() {
        let r = of("-----BEGIN KEY-----\r\nMIIEvQ+IB/ADAN\n}\n-----END KEY-----");
        let log = "a -----BEGIN KEY----- | MIIEvQ+IB/ADAN | } | -----END KEY-----";
        assert_eq!(r.redact(log), "a [redacted] | [redacted] | } | [redacted]");
        let url = "k=-----BEGIN%20KEY-----%0D%0AMIIEvQ%2BIB%2FADAN%0A%7D%0A-----END%20KEY-----";
        assert_eq!(r.redact(url), "k=[redacted]");
    }

    #[test]
    fn what_a_cut_leaves_of_it_vanishes() {
        let r = of("correct horse");
        assert_eq!(r.redact("said correct ho…"), "said [redacted]…");
        assert_eq!(r.redact("…ct horse is wrong"), "…[redacted] is wrong");
        assert_eq!(
            r.redact("correct ho is no secret"),
            "correct ho is no secret"
        );
        assert_eq!(r.redact("co…rse"), "co…[redacted]");
    }

    #[test]
    fn a_name_is_spared_where_a_service_has_it() {
        let r = Redactor::new(["postgres".into(), "hunter2".into()]);
        r.spare(["postgres".to_owned()]);
        assert_eq!(r.redact_name("postgres/1"), "postgres/1");
        assert_eq!(r.redact_name("web-hunter2"), "web-[redacted]");
        assert_eq!(r.redact("password postgres"), "password [redacted]");
    }
}
