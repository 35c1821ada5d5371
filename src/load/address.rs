//! Where a request goes. Read once where it is the same for every arrival, or at least the host is.

use std::sync::Arc;

use http::{HeaderValue, Uri};

use super::arrival::Arrival;
use super::client::Destination;
use super::data::Rows;
use super::text::Text;

/// Why no request can be sent to an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It is relative, and there is no base.
    NoBase,
    /// It cannot be read.
    Bad(String),
}

/// Host and port, and how they are written in the `Host` header.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) to: Arc<Destination>,
    pub(super) host: HeaderValue,
}

/// The address of a request.
#[derive(Debug)]
pub(super) enum Address {
    /// The same for every arrival.
    Fixed { place: Place, target: Uri },
    /// The path depends on the arrival.
    Path { place: Place, target: Text },
    /// Even the host does.
    Live { base: Option<Text>, url: Text },
}

impl Address {
    /// The address `url`, relative to `base` unless it is absolute.
    pub(super) fn new(url: Text, base: Option<Text>) -> Result<Self, Unusable> {
        let absolute = is_absolute(url.prefix());
        if !absolute && url.prefix().is_empty() && url.whole().is_none() {
            // It begins with a variable: only its value tells whether it is absolute.
            return Ok(Self::Live { base, url });
        }
        let full = if absolute {
            url
        } else {
            join(base.ok_or(Unusable::NoBase)?, url)
        };
        if let Some(whole) = full.whole() {
            let (place, target) = read(whole)?;
            return Ok(Self::Fixed { place, target });
        }
        match authority_end(full.prefix()) {
            Some(end) => {
                let (authority, target) = full.split_off_prefix(end);
                let (place, _) = read(&authority)?;
                Ok(Self::Path { place, target })
            }
            None => Ok(Self::Live {
                base: None,
                url: full,
            }),
        }
    }

    /// Whether TLS is spoken there; `None` where that depends on the arrival.
    pub(super) fn is_secure(&self) -> Option<bool> {
        match self {
            Self::Fixed { place, .. } | Self::Path { place, .. } => Some(place.to.secure),
            Self::Live { url, .. } => match url.prefix().split_once("://")?.0 {
                "http" => Some(false),
                "https" => Some(true),
                _ => None,
            },
        }
    }

    /// How its host is written in the `Host` header; `None` where that depends on the arrival.
    pub(super) fn host(&self) -> Option<&HeaderValue> {
        match self {
            Self::Fixed { place, .. } | Self::Path { place, .. } => Some(&place.host),
            Self::Live { .. } => None,
        }
    }

    /// Place and target for one arrival.
    pub(super) fn of(&self, arrival: &Arrival, rows: &Rows) -> Result<(Place, Uri), Unusable> {
        match self {
            Self::Fixed { place, target } => Ok((place.clone(), target.clone())),
            Self::Path { place, target } => {
                Ok((place.clone(), read_target(&target.of(arrival, rows))?))
            }
            Self::Live { base, url } => {
                let url = url.of(arrival, rows);
                if is_absolute(&url) {
                    return read(&url);
                }
                let base = base.as_ref().ok_or(Unusable::NoBase)?.of(arrival, rows);
                read(&joined(&base, &url))
            }
        }
    }
}

fn is_absolute(url: &str) -> bool {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|s| {
        s.chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

/// Where the authority ends, if something follows it.
fn authority_end(url: &str) -> Option<usize> {
    let begin = url.find("://")? + 3;
    url[begin..].find(['/', '?', '#']).map(|at| begin + at)
}

fn join(base: Text, url: Text) -> Text {
    let slash = Text::literal(slash_before(url.prefix()));
    base.without_final_slash().then(slash).then(url)
}

/// `base` with `url` behind it, one slash between them.
fn joined(base: &str, url: &str) -> String {
    let base = base.strip_suffix('/').unwrap_or(base);
    format!("{base}{}{url}", slash_before(url))
}

fn slash_before(url: &str) -> &'static str {
    if url.is_empty() || url.starts_with(['/', '?']) {
        ""
    } else {
        "/"
    }
}

/// Reads an absolute address.
fn read(url: &str) -> Result<(Place, Uri), Unusable> {
    let end = authority_end(url).unwrap_or(url.len());
    let authority: Uri = url[..end]
        .parse()
        .map_err(|e: http::uri::InvalidUri| Unusable::Bad(e.to_string()))?;
    let secure = match authority.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        Some(other) => {
            return Err(Unusable::Bad(format!(
                "`{other}` is not spoken, only http and https"
            )));
        }
        None => return Err(Unusable::Bad("it has no scheme".to_owned())),
    };
    let written = authority.authority().map_or("", |a| a.as_str());
    if written.contains('@') {
        return Err(Unusable::Bad(
            "a user name belongs into an Authorization header".to_owned(),
        ));
    }
    let host = authority.host().unwrap_or_default();
    let port = match written.strip_prefix(host) {
        Some("") if secure => 443,
        Some("") => 80,
        _ => authority
            .port_u16()
            .ok_or_else(|| Unusable::Bad("its port is none".to_owned()))?,
    };
    let place = Place {
        to: Arc::new(Destination {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            secure,
        }),
        host: HeaderValue::from_str(written).map_err(|e| Unusable::Bad(e.to_string()))?,
    };
    Ok((place, read_target(&url[end..])?))
}

/// Path and query in the form that goes on the wire: characters that may not stand there are percent-encoded, a
/// fragment is left off.
fn read_target(target: &str) -> Result<Uri, Unusable> {
    let target = target.split('#').next().unwrap_or_default();
    let mut encoded = String::with_capacity(target.len() + 1);
    if !target.starts_with('/') {
        encoded.push('/');
    }
    for byte in target.bytes() {
        match byte {
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => {
                percent(byte, &mut encoded)
            }
            0x21..=0x7e => encoded.push(char::from(byte)),
            _ => percent(byte, &mut encoded),
        }
    }
    encoded
        .parse()
        .map_err(|e: http::uri::InvalidUri| Unusable::Bad(e.to_string()))
}

fn percent(byte: u8, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(url: &str, base: Option<&str>) -> Result<(String, u16, String, String), Unusable> {
        match Address::new(Text::literal(url), base.map(Text::literal))? {
            Address::Fixed { place, target } => Ok((
                place.to.host.clone(),
                place.to.port,
                place.host.to_str().unwrap().to_owned(),
                target.to_string(),
            )),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn addresses_are_read() {
        let read = |url, base| {
            let (host, port, header, target) = fixed(url, base).unwrap();
            format!("{host} {port} {header} {target}")
        };
        assert_eq!(read("/a?b=c", Some("http://h:81")), "h 81 h:81 /a?b=c");
        assert_eq!(read("a", Some("http://h/api/")), "h 80 h /api/a");
        assert_eq!(read("/", Some("http://h")), "h 80 h /");
        assert_eq!(read("http://[::1]:9", None), "::1 9 [::1]:9 /");
        assert_eq!(
            read("http://h/a b/é#x", Some("http://other")),
            "h 80 h /a%20b/%C3%A9"
        );
        assert_eq!(read("http://h?q=%20", None), "h 80 h /?q=%20");
        assert_eq!(read("https://h/", None), "h 443 h /");
    }

    #[test]
    fn unusable_ones_are_told_apart() {
        assert_eq!(fixed("/a", None), Err(Unusable::NoBase));
        for bad in ["ftp://h/", "http://user:word@h/", "http://h:port/"] {
            assert!(matches!(fixed(bad, None), Err(Unusable::Bad(_))), "{bad}");
        }
    }
}
