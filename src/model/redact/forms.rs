//! The forms in which a secret comes back: as it is, and as URLs, headers, JSON, markup and shells write it.

use std::collections::BTreeSet;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What RFC 3986 never asks to encode.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// `encodeURIComponent` of browsers.
const COMPONENT: &AsciiSet = &UNRESERVED
    .remove(b'!')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*');
/// Forms, as browsers and the `url` crate send them (a space is a `+`).
const FORM: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'*')
    .remove(b' ');
/// Forms, as Python sends them.
const QUOTE_PLUS: &AsciiSet = &UNRESERVED.remove(b' ');
/// The URL standard's sets, from the barest on: what its parser leaves alone in a query, a path and a user's name.
const QUERY: &AsciiSet = &percent_encoding::CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>');
const SPECIAL_QUERY: &AsciiSet = &QUERY.add(b'\'');
const PATH: &AsciiSet = &QUERY.add(b'?').add(b'^').add(b'`').add(b'{').add(b'}');
const USERINFO: &AsciiSet = &PATH
    .add(b'/')
    .add(b':')
    .add(b';')
    .add(b'=')
    .add(b'@')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'|');

/// Characters of a line of a secret that make it one by itself.
const LINE: usize = 6;
/// Bytes of a secret of several lines beyond which it is looked for by its lines alone: in all its forms at once it would take
/// memory by the hundred megabytes.
const WHOLE: usize = 16 << 10;
/// Characters of Base64 that tell it from a word.
const BASE64: usize = 8;

/// Every form of a secret. A long line of a secret of several is one by itself, for outputs are shown line by line.
pub(super) fn forms(secret: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::new();
    let lines = secret.contains(['\n', '\r']);
    if !lines || secret.len() <= WHOLE {
        of_one(secret, &mut forms);
    }
    if lines {
        for line in secret.lines().map(str::trim) {
            if line.chars().count() >= LINE {
                of_one(line, &mut forms);
            }
        }
        if secret.len() <= WHOLE {
            of_one(&secret.replace("\r\n", "\n"), &mut forms);
        }
    }
    forms.remove("");
    forms
}

fn of_one(secret: &str, forms: &mut BTreeSet<String>) {
    forms.insert(secret.to_owned());
    let json = json(secret);
    // An answer's JSON is often quoted within another's.
    forms.insert(self::json(&json));
    forms.insert(json.replace('/', "\\/"));
    forms.insert(json);
    forms.insert(secret.escape_debug().to_string());
    forms.insert(secret.escape_default().to_string());
    forms.insert(ascii_json(secret));
    for set in [
        NON_ALPHANUMERIC,
        UNRESERVED,
        COMPONENT,
        QUERY,
        SPECIAL_QUERY,
        PATH,
        USERINFO,
    ] {
        percent(&utf8_percent_encode(secret, set).to_string(), forms);
    }
    for set in [FORM, QUOTE_PLUS] {
        let form = utf8_percent_encode(secret, set).to_string();
        percent(&form.replace(' ', "+"), forms);
    }
    let amp = secret.replace('&', "&amp;").replace('<', "&lt;");
    let markup = amp.replace('>', "&gt;");
    forms.insert(amp);
    for (quote, apostrophe) in [
        ("\"", "'"),
        ("&quot;", "'"),
        ("&quot;", "&#39;"),
        ("&quot;", "&#x27;"),
        ("&quot;", "&apos;"),
        ("&#34;", "&#39;"),
    ] {
        forms.insert(markup.replace('"', quote).replace('\'', apostrophe));
    }
    // As errors quote an answer on one line.
    forms.insert(secret.split_whitespace().collect::<Vec<_>>().join(" "));
    // Compose files and shells.
    forms.insert(secret.replace('$', "$$"));
    forms.insert(secret.replace('\'', "'\\''"));
    forms.insert(secret.replace('\'', "''"));
    forms.insert(secret.replace('\\', "\\\\").replace('\'', "\\'"));
    base64(secret.as_bytes(), forms);
}

fn percent(encoded: &str, forms: &mut BTreeSet<String>) {
    let mut lower = String::with_capacity(encoded.len());
    let mut digits = 0;
    for c in encoded.chars() {
        match (c, digits) {
            ('%', _) => digits = 2,
            (_, 0) => {}
            (_, _) => {
                digits -= 1;
                lower.push(c.to_ascii_lowercase());
                continue;
            }
        }
        lower.push(c);
    }
    forms.insert(lower);
    forms.insert(encoded.to_owned());
}

/// As JSON writes it between its quotes.
fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// JSON in ASCII alone, as Python writes it.
fn ascii_json(text: &str) -> String {
    let mut out = String::new();
    for unit in json(text).encode_utf16() {
        match u8::try_from(unit) {
            Ok(ascii) if ascii.is_ascii() => out.push(char::from(ascii)),
            Ok(_) | Err(_) => {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

/// What of it stands whole in the Base64 of any text that holds it: a basic `Authorization` is that of `user:password`.
fn base64(secret: &[u8], forms: &mut BTreeSet<String>) {
    for before in 0..3 {
        let text = [&[0; 2][..before], secret].concat();
        let whole = (before * 8).div_ceil(6)..text.len() * 8 / 6;
        for alphabet in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            if let Some(core) = alphabet.encode(&text).get(whole.clone())
                && core.len() >= BASE64
            {
                forms.insert(core.to_owned());
            }
        }
    }
}
